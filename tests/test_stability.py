"""Small changes of one answer: how often they change a suggestion, and which way they move the PD."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from parts import RealLoans, form_of, newest, number, training_of

from inference.fields import NumberField
from inference.policy import Policy, PolicyTerms
from inference.release import Release, open_release
from inference.scorer import Scorer
from inference.settings import RELEASES
from models.recipes import RECIPES
from models.stability import Floats, Step, compare, of_release, section, stability

pytestmark = pytest.mark.slow

NONE = float("nan")
SHARES = (0.99, 0.9, 0.75, 0.5, 0.2)  # of an answer: how far it is moved in the direction that is open


def made(values: list[list[float]], edge: float = 100.0) -> dict[tuple[str, str], Step]:
    """The steps of a form whose PD is 0.1 below an amount of `edge`, 0.9 from there, and depends on nothing else."""
    form = form_of(
        number("amount", 10, 1000, usual=[50, 500]),
        number("workers", 0, 50, whole=True, optional=True),
        number("share", 0, 100, unit={"en": "%", "fr": "%"}),
    )
    policy = Policy(PolicyTerms(margin=0.5, lgd=0.5, guarantee=None, refer_band=0.25, rare_below=0), form)

    def pds(rows: Floats) -> Floats:
        return np.where(rows[:, 0] < edge, 0.1, 0.9)

    return {(one.field, one.step): one for one in stability(form, policy, pds, np.array(values))}


LARGEST: Any = pytest.approx(0.8)  # from a PD of 0.1 to one of 0.9


def test_what_changes_is_counted() -> None:
    """Of four loans one lies just below the edge and one just above; what leaves the usual range is told apart."""
    steps = made([[99.5, 3, 50], [100.5, 3, 50], [50.0, 3, 50], [300.0, 3, 50]])
    assert steps["amount", "+1 %"] == Step("amount", "+1 %", 4, 0.25, 0.0, LARGEST)
    assert steps["amount", "-1 %"] == Step("amount", "-1 %", 4, 0.5, 0.25, LARGEST)
    assert steps["amount", "±1 %"] == Step("amount", "±1 %", 4, 0.75, 0.25, LARGEST)


def test_a_change_both_ways_counts_once_and_as_the_models() -> None:
    """A loan that changes at + 1 % by its PD and at − 1 % as it becomes unusual is no change of the range alone."""
    steps = made([[50.0, 3, 50]], edge=50.2)
    assert steps["amount", "-1 %"].unusual == 1.0
    assert (steps["amount", "±1 %"].changed, steps["amount", "±1 %"].unusual) == (1.0, 0.0)


def test_each_kind_of_number_has_its_step() -> None:
    """Whole numbers move by one, shares by a point, others by a hundredth; nothing else moves a decision here."""
    steps = made([[99.5, 3, 50]])
    assert [step for _, step in steps] == ["+1 %", "-1 %", "±1 %", "+1", "-1", "±1", "+1 point", "-1 point", "±1 point"]
    assert [one.changed for (field, _), one in steps.items() if field != "amount"] == [0.0] * 6


def test_only_answers_that_the_form_accepts_are_tried() -> None:
    """Not stated has no neighbour, and nothing is below 0 or above 100 %; a field that nobody states has no row."""
    steps = made([[200, 0, 100], [200, NONE, 0], [200, 7, 50]])
    tried = {step: one.loans for (field, step), one in steps.items() if field == "workers"}
    assert tried == {"+1": 2, "-1": 1, "±1": 2}
    tried = {step: one.loans for (field, step), one in steps.items() if field == "share"}
    assert tried == {"+1 point": 2, "-1 point": 2, "±1 point": 3}
    assert {field for field, _ in made([[200, NONE, 50]])} == {"amount", "share"}


def test_no_suggestion_turns_on_a_hair_of_the_amount() -> None:
    """Of 3,000 later small-business loans at most 1.5 % change their suggestion when the amount moves by 1 %.

    No PD moves by more than 5 points. Of the first release it was 9.6 % and 23 points.
    """
    release = open_release(newest("sba"))
    found = {(one["field"], one["step"]): one for one in of_release(RECIPES["sba"], release)["steps"]}
    either = found["amount", "±1 %"]
    assert either["loans"] == 3000
    assert either["changed"] <= 0.015
    assert either["largest"] <= 0.05


def test_moving_an_answer_as_the_release_proposes_never_raises_the_pd(
    release: Release, scorer: Scorer, real: RealLoans
) -> None:
    """Where a release says that an applicant can move a number down (or up), that never makes the loan look worse."""
    values = release.form.encode(real.loans.answers)
    assert len(values) >= 2000
    before = scorer.pds(values)
    for at, field in enumerate(release.form.fields):
        if not isinstance(field, NumberField) or field.actionable not in ("up", "down"):
            continue
        stated = ~np.isnan(values[:, at])
        assert stated.sum() >= 2000
        down = field.actionable == "down"
        for share in SHARES:
            changed = values[stated].copy()
            changed[:, at] *= share if down else 1 / share
            changed[:, at] = np.clip(changed[:, at], field.minimum, field.maximum)
            if field.whole:
                changed[:, at] = np.floor(changed[:, at]) if down else np.ceil(changed[:, at])
            raised = scorer.pds(changed) > before[stated]
            assert not raised.any(), f"{field.name} × {share}: {raised.mean():.1%} look worse"


def test_the_model_card_shows_what_is_measured(release: Release) -> None:
    """The release's own table is that of its manifest, and both are found again by its own engine."""
    of = training_of(release)["metrics"]["stability"]
    assert section(of) in (RELEASES / release.name / "MODEL_CARD.md").read_text(encoding="utf-8")
    again = of_release(RECIPES[release.manifest.name], release)
    assert again["of"] == of["of"]
    assert [one["step"] for one in again["steps"]] == [one["step"] for one in of["steps"]]
    for one, other in zip(again["steps"], of["steps"], strict=True):
        assert one == pytest.approx(other, abs=1e-3)


def test_releases_stand_side_by_side(release: Release, folder: Path) -> None:
    """A release beside itself shows every figure twice; one whose loans are not here is refused."""
    text = compare(RECIPES, [folder, folder])
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| `")]
    assert len(rows) == 3 * sum(isinstance(field, NumberField) for field in release.form.fields)
    assert [row[3:6] for row in rows] == [row[6:9] for row in rows]
    with pytest.raises(SystemExit, match=release.manifest.name):
        compare({}, [folder])
