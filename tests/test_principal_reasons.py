"""Principal reasons of real declines: the strongest effects in order, each one in words, each true of the answer."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from parts import choice, form_of, number

from inference.application import Application
from inference.blocks import features_from_json
from inference.calibration import Calibration
from inference.fields import ChoiceField, NumberField, without_reason
from inference.reasons import LEAST_PRINCIPAL, MOST_PRINCIPAL, Explanation, Reasons
from inference.release import Release
from inference.rows import RowBuilder
from inference.scorer import Scorer
from models.recipe import reason
from models.recipes import RECIPES
from web.lender import read_lender, reason_text
from web.pages.texts import LANGUAGES

pytestmark = pytest.mark.slow

DECLINES, LOOKED_AT, SEED = 2000, 24_000, 15
LENDER = read_lender(None)
Row = npt.NDArray[np.float32]


class Decline(NamedTuple):
    """A real loan above the cut-off, and what is said of it."""

    application: Application
    explanation: Explanation
    principal: list[str]


@pytest.fixture(scope="module")
def declines(scorer: Scorer) -> list[Decline]:
    """DECLINES real loans with a PD above the cut-off, drawn from all years that there are.

    Those that the policy declines come first. Of consumer credits 1,975 do, so a few that it refers, since an answer is
    unusual, make up the number: their draft reasons are shown too.
    """
    release = scorer.release
    loans = RECIPES[release.manifest.name].load()
    drawn = np.zeros(len(loans), bool)
    drawn[np.random.default_rng(SEED).permutation(len(loans))[:LOOKED_AT]] = True
    values = release.form.encode(loans.where(drawn).answers)
    pds = np.concatenate([scorer.pds(some) for some in np.array_split(values, 12)])
    usual: list[Application] = []
    unusual: list[Application] = []
    for pd, answers in zip(pds.tolist(), values.tolist(), strict=True):
        application = Application(tuple(answers))
        decision = release.policy.decide(pd, application)
        if pd > decision.cutoffs.decline_from:
            (unusual if decision.unusual else usual).append(application)
    reasons = Reasons(release, scorer.engine)
    found = []
    for application in (usual + unusual)[:DECLINES]:
        explanation = reasons.explain(application)
        found.append(Decline(application, explanation, reasons.principal(explanation, application)))
    assert len(found) == DECLINES
    assert len(usual) > 0.95 * DECLINES
    return found


def told(release: Release, declines: list[Decline]) -> Iterator[tuple[Decline, int, str]]:
    """Every principal reason: the decline, the field's number, the code."""
    for one in declines:
        for key in one.principal:
            name, _, code = key.partition("/")
            yield one, release.form.names.index(name), code


def test_they_are_the_strongest_effects_in_order(scorer: Scorer, declines: list[Decline]) -> None:
    """Fields by effect, the strongest first, as far as four and as they matter: none is passed over for another."""
    names = scorer.release.form.names
    fields: set[str] = set()
    for one in declines:
        effects = dict(zip(names, one.explanation.effects, strict=True))
        strongest = sorted(
            (name for name in names if effects[name] >= LEAST_PRINCIPAL), key=lambda name: -effects[name]
        )
        assert [key.partition("/")[0] for key in one.principal] == strongest[:MOST_PRINCIPAL]
        fields |= set(strongest[:MOST_PRINCIPAL])
    assert len(fields) >= 8


def test_no_reason_is_a_bare_answer(scorer: Scorer, declines: list[Decline]) -> None:
    """In both languages a text of the release: neither a label, nor an answer, nor the one beside the other."""
    form, seen = scorer.release.form, 0
    for one, at, code in told(scorer.release, declines):
        field, value = form.fields[at], one.application.values[at]
        for language in LANGUAGES:
            said = reason_text(f"{field.name}/{code}", scorer.release, LENDER, language)
            assert said == next(known for known in field.reasons if known.code == code).text[language]
            label, answer = field.label[language], field.show(value, language)
            bare = {label, answer, *(f"{label}{colon} {answer}" for colon in (":", " :", "\u202f:"))}
            assert said not in bare
            assert len(said.split()) >= 2
            seen += 1
    assert seen > 2 * DECLINES


def test_each_reason_is_true_of_the_answer_and_moves_the_pd(scorer: Scorer, declines: list[Decline]) -> None:
    """A number that is called high is higher than the reference applicant's; with it as the reference's, or with the
    columns that the reason names, the PD is lower, and for no other reason of this field is it lower still."""
    release = scorer.release
    columns = {name: at for at, name in enumerate(release.rows.columns)}
    reference = release.rows.build(np.array([release.form.reference.values]))[0]
    listed = list(told(release, declines))
    own = release.rows.build(np.array([one.application.values for one, _, _ in listed]))
    answers = np.array([one.application.values for one, _, _ in listed])
    for row, (_, at, _) in enumerate(listed):
        answers[row, at] = release.form.reference.values[at]
    as_reference = release.rows.build(answers)
    batch: list[Row] = []
    spans = []
    for row, (one, at, code) in enumerate(listed):
        field, value = release.form.fields[at], one.application.values[at]
        if isinstance(field, NumberField):
            assert value != field.reference
            standing = "not_stated" if np.isnan(value) else "high" if value > field.reference else "low"
        elif isinstance(field, ChoiceField):
            assert value != field.reference
            standing = field.choices[int(value)].code
        chosen = next(known for known in field.reasons if known.code == code)
        assert chosen.when in (standing, "any")
        resets = {}
        taken: set[int] = set()
        for known in field.reasons:
            if not known.columns or known.when not in (standing, "any"):
                continue
            moved = {
                column
                for column in (columns[name] for name in known.columns)
                if (own[row][column] - as_reference[row][column]) * (own[row][column] - reference[column]) > 0
            }
            if moved:
                resets[known.code] = moved
                taken |= moved
        plain = set(np.flatnonzero(own[row] != as_reference[row]).tolist()) - taken
        itself = next(known.code for known in field.reasons if not known.columns and known.when in (standing, "any"))
        resets = {itself: plain, **resets}
        assert code in resets
        spans.append((row, code, itself, list(resets)))
        for changed in resets.values():
            tried = own[row].copy()
            tried[list(changed)] = as_reference[row][list(changed)]
            batch.append(tried)
    before = scorer.engine.predict_proba(own)
    after = iter(scorer.engine.predict_proba(np.stack(batch)).tolist())
    counts: Counter[str] = Counter()
    for row, code, itself, codes in spans:
        p = {name: next(after) for name in codes}
        if p[code] < before[row]:
            assert p[code] == min(p.values())
            counts["ratio" if code != itself else "itself"] += 1
        else:  # it works together with other answers: its effect is over all of these
            assert code == itself
            assert min(p.values()) >= before[row]
            counts["together"] += 1
    print(f"{release.name}: {dict(counts)}")
    assert counts["itself"] > DECLINES
    assert counts["ratio"] > 5  # the small-business model leans on few ratios
    assert counts["together"] < 0.1 * len(spans)


def test_texts_of_a_release_are_distinct_and_plain(release: Release) -> None:
    """No two reasons share a text in a language, so that no notice says one thing twice; no jargon, no codes."""
    for language in LANGUAGES:
        texts = [known.text[language] for field in release.form.fields for known in field.reasons]
        assert len(texts) > 20
        assert len(set(texts)) == len(texts)
        for text in texts:
            assert not set(text) & set("_={}/×")
            assert "PD" not in text
            assert text == text[0].upper() + text[1:]


def test_columns_of_reasons_depend_on_their_field(scorer: Scorer) -> None:
    """Each column that a reason names moves when its field alone does."""
    form, rows = scorer.release.form, scorer.release.rows
    values = np.array(form.reference.values)
    moved = 0
    for at, field in enumerate(form.fields):
        for known in field.reasons:
            for name in known.columns:
                assert isinstance(field, NumberField)
                changed = np.tile(values, (2, 1))
                changed[:, at] = field.usual
                column = rows.build(changed)[:, rows.columns.index(name)]
                assert column[0] != column[1]
                moved += 1
    assert moved >= 5


class Weighted:
    """An engine with a formula: odds that rise with two columns."""

    name = "weighted"

    def __init__(self, amount: float, share: float) -> None:
        self.weights = np.array([amount, 0, share])

    def predict_proba(self, rows: Row) -> Row:
        return np.asarray(1 / (1 + np.exp(-(rows.astype(np.float64) @ self.weights) / 10)), np.float32)


@pytest.mark.parametrize(
    ("amount", "price", "weights", "expected"),
    [
        (20, 10, (0, 5), "amount/high_for_price"),  # a share of 2, where the reference's is 1, and it alone counts
        (20, 10, (1, 0), "amount/high"),  # the amount alone counts
        (20, 10, (1, 1), "amount/high"),
        (20, 10, (1, 20), "amount/high_for_price"),
        (
            20,
            40,
            (0, 50),
            "amount/high",
        ),  # half the price, and the reference's is all of it: high, but not for this price
    ],
)
def test_the_ratio_is_named_where_it_did_it(
    amount: float, price: float, weights: tuple[float, float], expected: str
) -> None:
    """Computed by hand: which of the amount's two columns moves the PD most; and no ratio that is lower than usual."""
    listed = [
        reason("high", "High", "Haut"), reason("low", "Low", "Bas"),
        reason("high_for_price", "High for the price", "Haut pour le prix", "share", when="high"),
    ]  # fmt: skip
    form = form_of(number("amount", 1, 99, reference=10, reasons=listed), number("price", 1, 99, reference=10))
    features = features_from_json(
        [
            {"kind": "numbers", "of": ["amount", "price"]},
            {"kind": "arithmetic", "columns": [["share", "amount", "/", "price"]]},
        ]
    )
    release: Any = SimpleNamespace(form=form, rows=RowBuilder(form, features, {}), calibration=Calibration(0.0, 1.0))
    reasons = Reasons(release, Weighted(*weights))
    application = Application((amount, price))
    assert expected in reasons.principal(reasons.explain(application), application)


def test_a_reason_of_no_column_is_refused_before_training() -> None:
    """A recipe whose reason names a ratio that its features do not make is no recipe; the error names both."""
    recipe = RECIPES["consumer"]
    first, *others = recipe.fields
    wrong = {**first, "reasons": [reason("high_for_age", "High", "Haut", "amount_per_year", when="high")]}
    with pytest.raises(ValueError, match=r"field amount, reason high_for_age: .* amount_per_year"):
        replace(recipe, fields=[wrong, *others])


def test_a_choice_has_its_own_text_or_that_of_all() -> None:
    """Without a text of its own a choice is told by `any`; the reference applicant's own choice needs none."""
    told = [reason("any", "Another one", "Un autre"), reason("b", "B of all", "B entre tous")]
    one, other = form_of(choice("x", "a", "b", "c", reasons=told), choice("y", "a", "b", reasons=told[1:])).fields
    found = [one.plain_reason(standing) for standing in one.adverse_kinds]
    assert [known and known.code for known in found] == ["b", "any"]
    assert without_reason(one) == without_reason(other) == []
    assert without_reason(form_of(choice("z", "a", "b", "c", reasons=told[1:])).fields[0]) == ["c"]
    assert without_reason(form_of(choice("z", "a", "b", "c", reference="b", reasons=[])).fields[0]) == ["a", "c"]


def test_a_number_needs_a_text_for_what_it_can_be() -> None:
    """High and low beside the reference where the form lets it be so, not stated where it may be left open."""
    assert without_reason(form_of(number("x", 0, 9, reference=3, reasons=[], optional=True)).fields[0]) == [
        "high", "low", "not_stated",
    ]  # fmt: skip
    assert without_reason(form_of(number("x", 0, 9, reference=0, reasons=[])).fields[0]) == ["high"]
    assert without_reason(form_of(number("x", 0, 9, reference=9, reasons=[])).fields[0]) == ["low"]
