"""The what-if panel by the desk's own event: true figures, in both languages, no record and no log line."""

import html
import json
import math
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from parts import NAMES, NO_USERS, newest, seen, send, visiting

from inference.fields import NumberField
from inference.number_format import write_percent
from inference.policy import APPROVE
from inference.reasons import Reasons
from inference.scorer import Scorer, open_scorer
from inference.settings import Settings
from inference.whatif import WhatIf
from ledger.ledger import Ledger
from web.desk.form import optional
from web.pages.texts import texts_in
from web.server import create_app

pytestmark = pytest.mark.slow  # an app is started


class Desk:
    """The desk in process, asked as its script asks."""

    def __init__(self, client: TestClient, scorer: Scorer, ledger: Ledger, log: Path) -> None:
        self.client, self.scorer, self.ledger, self.log = client, scorer, ledger, log

    def ask(self, what: str, path: str = "", **wish: object) -> Any:
        answer = self.client.post(f"{path}/desk/{what}", json=wish)
        assert answer.status_code == 200, answer.text
        return answer.json() if what == "take" else answer.text

    def held(self, **changed: object) -> dict[str, object]:
        """The form's values: the example, with other answers."""
        form = self.scorer.release.form
        answers = {**form.example, **changed}
        return {one.name: str(answers[one.name]) for one in form.fields}

    def from_values(self, values: list[object]) -> dict[str, object]:
        """The form's values once widgets were filled with these."""
        form, ticks = self.scorer.release.form, [one.name for one in optional(self.scorer.release.form)]
        open_ = dict(zip(ticks, values[len(form.fields) :], strict=False))
        return {
            one.name: None if open_.get(one.name) else value for one, value in zip(form.fields, values, strict=False)
        }

    def tried(self, base: object, path: str = "", field: str | None = None) -> str:
        return str(self.ask("try", path, base=base, field=field))

    def compared(self, base: object, path: str = "", **changed: object) -> str:
        """The form with other answers beside the scored ones."""
        return str(self.ask("compare", path, answers=self.held(**changed), base=base))


@pytest.fixture(scope="module", params=NAMES)
def desk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("whatif")
    settings = Settings(release=newest(request.param), log=folder / "p.jsonl", users=NO_USERS)
    scorer = open_scorer(settings)
    with closing(Ledger(folder / "l.sqlite3")) as ledger, visiting(create_app(scorer, settings, ledger)) as client:
        yield Desk(client, scorer, ledger, folder / "p.jsonl")


def amount_of(desk: Desk) -> NumberField:
    """The field with what is lent."""
    at = desk.scorer.release.policy.amount_at
    assert at is not None
    field = desk.scorer.release.form.fields[at]
    assert isinstance(field, NumberField)
    return field


def words(panel: str) -> str:
    return html.unescape(re.sub(r"<[^>]+>", " ", panel))


@pytest.mark.parametrize(("language", "path"), [("en", ""), ("fr", "/fr")])
def test_the_form_beside_what_was_scored(desk: Desk, language: str, path: str) -> None:
    """Both PDs, both suggestions, the change; and nothing is recorded or logged, nor counted."""
    example = desk.scorer.release.form.example
    field = amount_of(desk)
    before, head = desk.log.read_text() if desk.log.exists() else "", desk.ledger.head()
    whatif = WhatIf(desk.scorer.release, desk.scorer.engine)
    half = whatif.score({**example, field.name: field.typical[0]})
    changed: dict[str, Any] = {field.name: int(field.typical[0])}
    panel = words(desk.compared(example, path, **changed))
    texts = texts_in(language)
    for score in (whatif.score(example), half):
        assert write_percent(score.pd, language) in panel
        assert texts(f"decision.{score.decision}") in panel
    assert field.show(field.typical[0], language) in panel
    assert texts("whatif.lead") in panel
    assert desk.ledger.head() == head
    assert (desk.log.read_text() if desk.log.exists() else "") == before


def test_every_field_has_its_curve(desk: Desk) -> None:
    """A picture with a text equivalent for numbers, rows for choices; the choice that was made is marked."""
    for field in desk.scorer.release.form.fields:
        panel = desk.tried(desk.scorer.release.form.example, field=field.name)
        assert f'<option value="{field.name}" selected>' in panel
        if isinstance(field, NumberField):
            assert '<svg class="curve" role="img"' in panel
            assert field.label["en"] in words(panel)
            assert "NaN" not in panel
            assert "nan" not in words(panel).split()
        else:
            assert "<tr class=own>" in panel


@pytest.mark.slow
def test_proposals_are_put_into_the_form_and_hold(desk: Desk) -> None:
    """What a button would put into the form is approved when it is scored; what stays out of reach is said so."""
    found = 0
    field = amount_of(desk)
    numbers = [one for one in desk.scorer.release.form.fields if isinstance(one, NumberField)]
    bases = [{one.name: end} for one in numbers for end in (*one.usual, *one.typical)]
    changes: list[dict[str, Any]] = [{field.name: field.typical[1], **base} for base in bases] + bases
    for changed in changes:
        answers = {**desk.scorer.release.form.example, **changed}
        panel = desk.tried(answers)
        if desk.scorer.score(answers).decision == APPROVE:
            assert texts_in("en")("whatif.approval") not in words(panel)
            continue
        puts = [json.loads(html.unescape(one)) for one in re.findall(r'class="put" data-values="([^"]*)"', panel)]
        none = [texts_in("en").words[f"whatif.{key}"].split("{")[0] for key in ("none", "none_alone", "none_stated")]
        assert puts or any(text in words(panel) for text in none)
        for one in puts:
            assert 'data-decision="approve"' in desk.ask("score", answers=desk.from_values(one))
            found += 1
    assert found


@pytest.mark.parametrize("base", [None, 7, [], {}, {"amount": "x"}, "x" * 1000])
def test_a_wish_that_means_nothing_brings_nothing(desk: Desk, base: object) -> None:
    """No panel, no comparison, and no error either."""
    assert desk.tried(base) == ""
    assert desk.compared(base) == ""


def test_a_form_that_cannot_be_scored_is_said_to_be(desk: Desk) -> None:
    """With the way back to the answers that were scored."""
    panel = desk.compared(desk.scorer.release.form.example, **{amount_of(desk).name: "much"})
    assert texts_in("en")("whatif.invalid") in words(panel)
    assert 'class="put" data-values=' in panel
    assert "<table" not in panel


def test_the_same_answers_are_no_comparison(desk: Desk) -> None:
    """However they are written."""
    example = desk.scorer.release.form.example
    field = amount_of(desk)
    assert desk.compared(example) == ""
    assert desk.compared(example, **{field.name: f" {example[field.name]} "}) == ""


def test_only_changed_answers_moved_the_pd(desk: Desk) -> None:
    """A bar for each answer that was changed and none for the others; their effects sum to the PDs' difference."""
    form, field = desk.scorer.release.form, amount_of(desk)
    other = next(one for one in form.fields if isinstance(one, NumberField) and one is not field)
    changed = {field.name: field.typical[0], other.name: other.typical[1]}
    before, after = form.parse(form.example), form.parse({**form.example, **changed})
    reasons = Reasons(desk.scorer.release, desk.scorer.engine)
    moved = reasons.between(before, after)
    named = {one.name for one, effect in zip(form.fields, moved.effects, strict=True) if effect}
    assert named <= changed.keys()
    logit = [math.log(pd / (1 - pd)) for pd in (moved.reference_pd, moved.pd)]
    assert sum(moved.effects) == pytest.approx(logit[1] - logit[0], abs=1e-6)
    assert moved.pd == pytest.approx(desk.scorer.score({**form.example, **changed}).pd)
    panel = desk.compared(form.example, **{name: f"{value:g}" for name, value in changed.items()})
    assert panel.count('<svg class="effect"') == sum(abs(effect) >= 0.005 for effect in moved.effects) > 0


def test_a_case_is_corrected(desk: Desk) -> None:
    """An earlier case's answers come into the form; the score of what is changed belongs to that case."""
    texts = texts_in("en")
    scored = desk.ask("score", answers=desk.held(), reference="R-7")
    id = re.search(r'data-record="record/([^"]+)"', scored)
    assert id
    taken = desk.ask("take", of=id[1])
    assert taken["values"][-1] == "R-7"
    assert texts("correct.stop") in taken["html"]
    held = desk.from_values(taken["values"])
    again = desk.ask("score", answers=held, of=id[1], seen=taken["seen"])
    assert 'data-state="score"' in again
    assert f'data-record="record/{id[1]}"' in again
    page = words(desk.client.get(f"/record/{id[1]}").text)
    assert texts("entry.corrected", decision="", pd="", release="")[:28] in page
    form = {
        "name": "Ann",
        "decision": "incomplete",
        "reason_incomplete": "income",
        "justification": "A payslip is due.",
    }
    assert send(desk.client, id[1], "decide", form)
    assert 'data-state="score"' in desk.ask(
        "score", answers=held, of=id[1], seen=seen(desk.client, id[1])
    )  # the payslip has come
    final = {"name": "Ann", "decision": "approve", "reason_more_lenient": "security", "justification": "It has come."}
    assert send(desk.client, id[1], "decide", final)
    assert 'data-state="settled"' in desk.ask("score", answers=held, of=id[1], seen=seen(desk.client, id[1]))
    assert 'data-state="moved"' in desk.ask("score", answers=held, of="nothing")
    assert desk.ask("take", of="nothing")["values"] is None
    assert texts("correct.impossible") in desk.ask("take", of=7)["html"]
