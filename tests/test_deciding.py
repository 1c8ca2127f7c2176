"""Deciding, in process with a real ledger: who, why, a second person, an objection, the notice, the history."""

import html
import json
import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
from fastapi.testclient import TestClient
from parts import NAMES, NO_USERS, newest, sealed, seen, visiting

from inference.errors import BadSetting
from inference.fields import NumberField
from inference.number_format import write_percent
from inference.scorer import Scorer, open_scorer
from inference.settings import Settings
from ledger import cases, queries, store
from ledger.cases import OPEN, PENDING, REVIEW, SETTLED, WAITING, Case
from ledger.decisions import scored
from ledger.events import AGREED, CONTESTED, DECIDED, SCORED, Agreed, Contested, Decided
from ledger.ledger import Ledger
from ledger.retention import ranges
from ledger.store import Store
from ledger.verify import verify
from web.cases.rules import version_of
from web.lender import EXAMPLE, Lender, read_lender, reason_text
from web.pages.texts import LANGUAGES, texts_in
from web.server import create_app

pytestmark = pytest.mark.slow  # an app is started

SENTENCE = "A sentence that says why."
MARKUP = "<b onclick=alert(1)>\"'&"


class Office:
    """A server in process, and the words to decide with."""

    def __init__(self, client: TestClient, scorer: Scorer, ledger: Ledger) -> None:
        self.client, self.scorer, self.ledger = client, scorer, ledger

    def score(self, reference: str = "A-1", **answers: object) -> str:
        """A new case; its id."""
        body = {"answers": {**self.scorer.release.form.example, **answers}, "reference": reference}
        answer = self.client.post("/api/v1/score", json=body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    def send(self, id: str, action: str, path: str = "", **form: Any) -> Any:
        """A form of the case's page as it is now, unless `seen` says otherwise."""
        shown = form.pop("seen", None) or self.seen(id)
        return self.client.post(f"{path}/record/{id}/{action}", data={"name": "Ann", "seen": shown, **form})

    def seen(self, id: str) -> str:
        """What the forms of the case's page carry of it."""
        return seen(self.client, id)

    def decide(self, id: str, decision: str, path: str = "", **form: Any) -> Any:
        """A decision with all that any may need."""
        codes = {f"reason_{went}": next(iter(listed)) for went, listed in LENDER.codes.items()}
        return self.send(id, "decide", path, **{**codes, "decision": decision, "justification": SENTENCE, **form})

    def case(self, id: str) -> Case:
        with self.ledger.store.reading() as connection:
            found = cases.find(connection, id)
        assert found is not None
        return found

    def page(self, path: str) -> str:
        answer = self.client.get(path)
        assert answer.status_code == 200, answer.text
        return html.unescape(re.sub(r"<[^>]+>", " ", answer.text))


LENDER = read_lender(None)


def recorded(answer: Any) -> bool:
    """What the answer says, which is either way a section to show."""
    assert answer.status_code == 200
    assert 'class="decide"' in answer.text
    return {"yes": True, "no": False}[answer.headers["x-recorded"]]


def office(folder: Path, name: str, lender: Lender) -> Iterator[Office]:
    settings = Settings(release=newest(name), log=None, users=NO_USERS)
    scorer = open_scorer(settings)
    with (
        closing(Ledger(folder / "ledger.sqlite3")) as ledger,
        visiting(create_app(scorer, settings, ledger, lender)) as client,
    ):
        yield Office(client, scorer, ledger)
    with closing(Store(folder / "ledger.sqlite3")) as opened:
        assert verify(opened).problem is None


@pytest.fixture(scope="module", params=NAMES)
def desk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """Each release; nobody needs a second person."""
    yield from office(tmp_path_factory.mktemp("office"), request.param, LENDER)


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """The default release; above 900 a second person must agree."""
    lender = replace(LENDER, second_person_above={"officer": 900})
    yield from office(tmp_path_factory.mktemp("strict"), "consumer", lender)


def test_a_decision_as_suggested(desk: Office) -> None:
    """Recorded with the suggestion, who and when; shown on the case's page."""
    id = desk.score()
    suggested = desk.case(id).score.decision
    assert desk.case(id).state == OPEN
    answer = desk.decide(id, suggested)
    assert recorded(answer)
    case = desk.case(id)
    assert case.decision is not None
    said = case.decision
    assert (said.decision, said.suggested, said.by) == (suggested, suggested, "Ann")
    assert (said.overridden, said.direction, said.reason_code) == (False, "as_suggested", None)
    assert f"no. {case.first.seq}" in answer.text  # the case's only number
    for path, language in (("/record/", "en"), ("/fr/record/", "fr")):
        page = desk.page(path + id)
        assert texts_in(language)(f"decided.{suggested}") in page
        assert texts_in(language)("replay.same") in page
        assert "A-1" in page


@pytest.mark.parametrize("decision", ["approve", "approve_changed", "decline"])
def test_nothing_is_decided_after_a_final_decision(desk: Office, decision: str) -> None:
    """A case is decided once, unless the applicant objects."""
    id = desk.score()
    assert recorded(desk.decide(id, decision, conditions=SENTENCE))
    case = desk.case(id)
    assert case.state == SETTLED
    assert not recorded(desk.decide(id, "decline"))
    assert len(desk.case(id).events) == len(case.events)


@pytest.mark.parametrize("first", ["refer", "incomplete"])
def test_a_referral_is_decided_in_the_end(desk: Office, first: str) -> None:
    """Referred or incomplete, a case has a notice that says so, and is decided later by the person who read it."""
    id = desk.score("P-1")
    assert recorded(desk.decide(id, first))
    assert desk.case(id).state == PENDING
    texts = texts_in("en")
    assert texts("decide.again") in desk.page(f"/record/{id}")
    assert texts("record.correct") in desk.page(f"/record/{id}")
    assert texts(f"notice.{first}") in desk.page(f"/record/{id}/notice")
    assert recorded(desk.decide(id, "approve"))
    assert desk.case(id).state == SETTLED
    assert texts("decide.again") not in desk.page(f"/record/{id}")
    assert texts("notice.approve") in desk.page(f"/record/{id}/notice")
    assert not recorded(desk.decide(id, "decline"))


def test_an_objection_that_was_referred_stays_with_others(desk: Office) -> None:
    """Who decided before the objection may not decide after it either, whatever came between."""
    id = desk.score("P-2")
    assert recorded(desk.decide(id, "decline", name="Ann"))
    assert recorded(desk.send(id, "contest", objection=SENTENCE, reviewer="Bob"))
    assert recorded(desk.decide(id, "refer", name="Bob"))
    assert desk.case(id).state == PENDING
    assert not recorded(desk.decide(id, "decline", name="Ann"))
    assert recorded(desk.decide(id, "approve", name="Bob"))
    assert desk.case(id).state == SETTLED


@pytest.mark.parametrize("decision", ["approve", "approve_changed", "refer", "decline", "incomplete"])
def test_every_decision_can_be_recorded(desk: Office, decision: str) -> None:
    """With a reason where it departs from the suggestion; the direction is recorded."""
    id = desk.score()
    assert recorded(desk.decide(id, decision, conditions=SENTENCE))
    decided = desk.case(id).decision
    assert decided is not None
    assert decided.decision == decision
    other = decided.direction != "as_suggested"
    assert bool(decided.reason_code) == other
    assert decided.overridden == (decided.direction in ("more_lenient", "stricter"))
    assert decided.conditions == (SENTENCE if decision == "approve_changed" else None)


def other_than(desk: Office, id: str) -> str:
    """A decision that departs from the suggestion."""
    return "decline" if desk.case(id).score.decision != "decline" else "approve"


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"decision": ""}, "decide.problem.choose"),
        ({"decision": "maybe"}, "decide.problem.choose"),
        ({"name": ""}, "decide.problem.name"),
        ({"justification": ""}, "decide.problem.sentence"),
        ({"justification": "no"}, "decide.problem.sentence"),
        ({"reason_stricter": "", "reason_more_lenient": ""}, "decide.problem.choose"),
        ({"reason_stricter": "none", "reason_more_lenient": "none"}, "decide.problem.choose"),
        ({"decision": "approve_changed", "conditions": ""}, "decide.problem.sentence"),
    ],
)
def test_what_lacks_something_is_not_recorded(desk: Office, form: dict[str, str], says: str) -> None:
    """The form comes back with what is wrong and with what was typed; nothing is recorded."""
    id = desk.score()
    answer = desk.decide(id, **{"decision": other_than(desk, id), "name": "Zoë", **form})
    assert not recorded(answer)
    assert html.escape(texts_in("en")(says)) in answer.text
    assert desk.case(id).state == OPEN
    if form.get("justification") is None:
        assert SENTENCE in answer.text
    french = desk.send(id, "decide", "/fr", decision="maybe")
    assert html.escape(texts_in("fr")("decide.problem.choose")) in french.text


def test_a_decline_needs_confirmed_reasons(desk: Office) -> None:
    """Where the model suggests it: at least one draft reason confirmed, or a reason of the officer's own."""
    id = decline(desk)
    drafts = desk.case(id).score.reasons
    assert not recorded(desk.decide(id, "decline", justification=""))
    assert not recorded(desk.decide(id, "decline", justification="", principal=["nothing"]))
    if drafts:
        assert recorded(desk.decide(id, "decline", justification="", principal=drafts[:1]))
        decided = desk.case(id).decision
        assert decided is not None
        assert decided.reasons == drafts[:1]
    else:
        assert recorded(desk.decide(id, "decline"))


def decline(desk: Office) -> str:
    """A case that the model would decline, scored at the desk's way, with draft reasons."""
    for field in desk.scorer.release.form.fields:
        for value in (getattr(field, "usual", None) or [choice.code for choice in getattr(field, "choices", ())])[:60]:
            answers = {**desk.scorer.release.form.example, field.name: value}
            try:
                score = desk.scorer.score(answers)
            except ValueError:
                continue
            if score.decision == "decline":
                from inference.reasons import Reasons

                reasons = Reasons(desk.scorer.release, desk.scorer.engine)
                principal = reasons.principal(reasons.explain(score.application), score.application)
                draft = scored(
                    score, desk.scorer.release, answers, by="desk", channel="desk", reference="D-1", reasons=principal
                )
                desk.ledger.append(draft)
                return score.request_id
    pytest.fail("no decline found near the example")


def test_the_notice_gives_confirmed_reasons_only(desk: Office) -> None:
    """Of a confirmed decline its reasons; of an override the officer's own, and none of the model's."""
    id = decline(desk)
    drafts = desk.case(id).score.reasons or ()
    early = desk.client.get(f"/record/{id}/notice")
    assert early.status_code == 404  # not decided yet
    assert f'<a href="../{id}">' in early.text
    desk.decide(id, "decline", justification="", principal=drafts[:1])
    page = desk.client.get(f"/record/{id}/notice").text
    listed = re.findall(r"<li>(.*?)</li>", page)
    assert len(listed) == 1
    assert html.unescape(listed[0]) == reason_text(drafts[0], desk.scorer.release, LENDER, "en")
    assert html.escape(texts_in("en")("notice.draft")) in page
    assert LENDER.notice["regulator"]["en"] in html.unescape(page)
    assert "D-1" in page
    french = html.unescape(desk.client.get(f"/record/{id}/notice?lang=fr").text)
    assert texts_in("fr")("notice.decline") in french
    assert LENDER.notice["contest"]["fr"] in french
    lenient = decline(desk)
    desk.decide(lenient, "refer", principal=drafts)
    assert "<li>" not in desk.client.get(f"/record/{lenient}/notice").text  # nothing is held against anybody
    stricter = desk.score()
    assert desk.case(stricter).score.decision == "refer"
    desk.decide(stricter, "decline", principal=drafts)
    told = re.findall(r"<li>(.*?)</li>", desk.client.get(f"/record/{stricter}/notice").text)
    code = next(iter(LENDER.codes["stricter"]))
    assert [html.unescape(one) for one in told] == [LENDER.codes["stricter"][code]["en"]]


def test_every_list_of_reasons_says_the_same(desk: Office) -> None:
    """Card, form, history of the case and notice: the texts of the release, in both languages, the strongest first."""
    id = decline(desk)
    drafts = desk.case(id).score.reasons or ()
    assert len(drafts) > 1
    told = {
        language: [reason_text(one, desk.scorer.release, LENDER, language) for one in drafts] for language in LANGUAGES
    }
    for path, language in (("/record/", "en"), ("/fr/record/", "fr")):
        page = html.unescape(desk.client.get(path + id).text)
        drafted = re.search(r"<h4>.*?</h4><ol>(.*?)</ol>", page)
        assert drafted
        assert re.findall(r"<li>(.*?)</li>", drafted[1]) == told[language]
        assert re.findall(r'name="principal" value="([^"]+)">([^<]+)<', page) == list(
            zip(drafts, told[language], strict=True)
        )
    assert recorded(desk.decide(id, "decline", justification="", principal=drafts))
    for path, language in (("/record/", "en"), ("/fr/record/", "fr")):
        assert texts_in(language)("entry.reasons", reasons="; ".join(told[language])) in desk.page(path + id)
        notice = html.unescape(desk.client.get(f"{path}{id}/notice?lang={language}").text)
        assert re.findall(r"<li>(.*?)</li>", notice) == told[language]


def test_a_score_that_came_by_the_api_has_its_reasons(desk: Office) -> None:
    """The API asks for none; the case's page makes them, and they can be confirmed and stand on the notice."""
    found = desk.case(decline(desk)).score
    assert found.answers is not None
    id = desk.score("API-1", **found.answers)
    assert desk.case(id).score.reasons is None
    drafts = found.reasons or ()
    told = [reason_text(one, desk.scorer.release, LENDER, "en") for one in drafts]
    page = html.unescape(desk.client.get(f"/record/{id}").text)
    assert re.findall(r'name="principal" value="([^"]+)">([^<]+)<', page) == list(zip(drafts, told, strict=True))
    assert texts_in("en")("why.no_reason") not in page
    assert not recorded(desk.decide(id, "decline", justification=""))
    assert recorded(desk.decide(id, "decline", justification="", principal=drafts))
    notice = html.unescape(desk.client.get(f"/record/{id}/notice").text)
    assert re.findall(r"<li>(.*?)</li>", notice) == told


def test_the_notice_is_of_the_answers_decided_on(desk: Office) -> None:
    """Answers that were corrected after a referral are not yet those of its notice; its date is written out."""
    id = desk.score("P-3")
    desk.decide(id, "refer")
    at = desk.scorer.release.policy.amount_at
    assert at is not None
    field = desk.scorer.release.form.fields[at]
    assert isinstance(field, NumberField)
    notice = desk.page(f"/record/{id}/notice")
    changed = {**desk.scorer.release.form.example, field.name: field.typical[0]}
    score = desk.scorer.score(changed)
    desk.ledger.append(scored(score, desk.scorer.release, changed, by="desk", channel="desk", corrects=id))
    assert desk.case(id).state == PENDING
    assert desk.page(f"/record/{id}/notice") == notice
    day = date.fromisoformat(desk.case(id).events[1].time[:10])
    assert f"{day.day} {day:%B} {day.year}" in notice


@pytest.mark.slow
def test_the_notice_as_a_pdf(desk: Office) -> None:
    """A PDF of one page or two with any name's letters, in both languages."""
    id = desk.score("Žofie Łęcka — № 7 Ω")
    desk.decide(id, "decline", name="Ørsted", conditions=SENTENCE)
    for language in ("en", "fr"):
        answer = desk.client.get(f"/record/{id}/notice.pdf?lang={language}")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/pdf"
        assert answer.headers["content-disposition"] == f'inline; filename="notice-{id}.pdf"'
        assert answer.content.startswith(b"%PDF-")
        assert b"/Lang" in answer.content
        assert 1 <= len(re.findall(rb"/Type /Page\b", answer.content)) <= 2
        assert len(answer.content) < 200_000


def test_two_decisions_at_once(desk: Office) -> None:
    """One is recorded; the other officer is told that somebody was quicker."""
    for _ in range(5):
        id = desk.score()
        with ThreadPoolExecutor(4) as pool:
            sent = [pool.submit(desk.decide, id, "decline", name=f"Officer {at}") for at in range(4)]
            assert sorted(recorded(one.result()) for one in sent) == [False, False, False, True]
        assert len(desk.case(id).of_kind(Decided)) == 1


def moved(answer: Any, language: str = "en", how: str = "moved") -> bool:
    """Whether an answer says that nothing was recorded because the case is no longer as the form showed it."""
    return not recorded(answer) and html.escape(texts_in(language)(f"decide.problem.{how}")) in answer.text


def corrected(desk: Office, id: str, answers: dict[str, Any], seen: str | None = None, path: str = "") -> Any:
    """What the desk says to other answers for a case, which it took at once or when it was `seen`; of a case whose
    answers cannot be corrected any more its form says nothing, and somebody else may all the same."""
    taken = desk.client.post(f"{path}/desk/take", json={"of": id}).json()
    asked = {"answers": texts_of(answers), "reference": "", "of": id}
    asked["seen"] = seen or taken["seen"] or version_of(desk.case(id))
    return desk.client.post(f"{path}/desk/score", json=asked)


def texts_of(answers: dict[str, Any]) -> dict[str, str]:
    """Answers as the desk's form holds them."""
    return {name: f"{value:g}" if isinstance(value, float) else str(value) for name, value in answers.items()}


def with_amount(desk: Office, amount: float | None = None) -> dict[str, Any]:
    """The example with another amount."""
    at = desk.scorer.release.policy.amount_at
    assert at is not None
    field = desk.scorer.release.form.fields[at]
    assert isinstance(field, NumberField)
    return {**desk.scorer.release.form.example, field.name: amount or field.typical[0]}


def test_a_form_of_an_earlier_state_records_nothing(strict: Office) -> None:
    """Corrected answers, another's decision or objection: none is acted on unseen. The form comes back with what
    was typed, and says how the case stands."""
    for language, path in (("en", ""), ("fr", "/fr")):
        id = strict.score(amount=800)
        seen = strict.seen(id)
        assert 'data-state="score"' in corrected(strict, id, with_amount(strict, 850)).text
        late = strict.decide(id, "approve", name="Bob", path=path, seen=seen)
        assert moved(late, language)
        assert SENTENCE in late.text
        assert "checked" not in late.text  # what was chosen is chosen anew
        seen = strict.seen(id)
        assert recorded(strict.decide(id, "refer", name="Ann", seen=seen))
        assert moved(strict.decide(id, "approve", name="Bob", path=path, seen=seen), language)
        assert moved(strict.decide(id, "", name="Bob", path=path, seen=seen), language)  # incomplete, and late
        assert moved(strict.decide(id, "approve", name="Ann", path=path, seen=seen), language, "outdated")  # by herself
        settled = strict.decide(id, "decline", name="Bob")
        assert recorded(settled)
        late = strict.decide(id, "approve", name="Eve", path=path, seen=seen)
        assert moved(late, language)
        assert f"<blockquote>{SENTENCE}</blockquote>" in late.text  # no form is left to hold it
        seen = strict.seen(id)
        assert recorded(strict.send(id, "contest", objection=SENTENCE, reviewer="Zoë", seen=seen))
        late = strict.send(id, "contest", path, name="Eve", objection=SENTENCE * 2, reviewer="Max", seen=seen)
        assert moved(late, language)
        assert SENTENCE * 2 in late.text
        kinds = [one.kind for one in strict.case(id).events]
        assert kinds == [SCORED, SCORED, DECIDED, DECIDED, CONTESTED]


def test_nobody_agrees_to_a_decision_unseen(strict: Office) -> None:
    """Where it was not agreed to and another one made, who had the first on the page agrees to neither."""
    id = strict.score(amount=1000)
    assert recorded(strict.decide(id, "approve", name="Ann"))
    seen = strict.seen(id)
    assert recorded(strict.send(id, "agree", agrees="no", note=SENTENCE, name="Bob"))
    assert recorded(strict.decide(id, "decline", name="Ann"))
    assert moved(strict.send(id, "agree", agrees="yes", name="Eve", seen=seen))
    assert strict.case(id).state == WAITING
    assert recorded(strict.send(id, "agree", agrees="yes", name="Eve"))


@pytest.mark.parametrize("seen", ["", "2", "2 " + "0" * 64])
def test_a_form_that_shows_no_state_records_nothing(desk: Office, seen: str) -> None:
    """One from before a restore, or made up."""
    id = desk.score()
    answer = desk.client.post(
        f"/record/{id}/decide", data={"name": "Ann", "decision": "refer", "justification": SENTENCE, "seen": seen}
    )
    assert moved(answer, how="outdated")
    assert 'data-state="moved"' in corrected(desk, id, desk.scorer.release.form.example, seen or "x").text
    assert len(desk.case(id).events) == 1


def test_a_form_sent_twice_is_recorded_once(strict: Office) -> None:
    """The answer was lost and the form is sent again: it is said to be recorded, once more; also when others have acted
    on the case since. Another person, or other content, is another form."""
    id = strict.score(amount=800)
    first = strict.seen(id)
    for _ in range(3):
        assert recorded(strict.decide(id, "refer", seen=first))
    corrected(strict, id, with_amount(strict, 1000))
    second = strict.seen(id)
    assert recorded(strict.decide(id, "approve", name="Bob", seen=second))
    assert recorded(strict.decide(id, "refer", seen=first))
    assert recorded(strict.decide(id, "approve", name="Bob", seen=second))
    assert moved(strict.decide(id, "approve", name="Eve", seen=second))
    assert moved(strict.decide(id, "approve", name="Bob", justification=SENTENCE * 2, seen=second), how="outdated")
    third = strict.seen(id)
    for _ in range(2):
        assert recorded(strict.send(id, "agree", agrees="yes", name="Eve", seen=third))
    fourth = strict.seen(id)
    for _ in range(2):
        assert recorded(strict.send(id, "contest", objection=SENTENCE, reviewer="Zoë", seen=fourth))
    kinds = [one.kind for one in strict.case(id).events]
    assert kinds == [SCORED, DECIDED, SCORED, DECIDED, AGREED, CONTESTED]


def test_answers_are_corrected_as_long_as_the_case_is_to_be_decided(strict: Office) -> None:
    """By the same rule: from what the form took, once, and neither after the decision nor while it waits for a second
    person. What is decided beside a corrected score is that score."""
    id, settled = strict.score(amount=800), strict.score(amount=800)
    taken, answers = strict.seen(id), with_amount(strict, 1000)
    cards = [corrected(strict, id, answers, taken).text for _ in range(2)]
    assert cards[0] == cards[1]
    assert 'data-state="score"' in cards[0]
    assert len(strict.case(id).events) == 2
    assert 'data-state="moved"' in corrected(strict, id, with_amount(strict, 850), taken).text
    beside = re.search(r'name="seen" value="([^"]+)"', cards[0])
    assert beside
    assert recorded(strict.decide(id, "approve", name="Ann", seen=beside[1]))
    case = strict.case(id)
    assert case.state == WAITING  # for 1,000, and not as for 800
    for one in (id, settled):
        strict.decide(one, "decline")
        before = strict.case(one).events
        assert 'data-state="settled"' in corrected(strict, one, with_amount(strict, 850)).text
        assert 'data-state="moved"' in corrected(strict, one, with_amount(strict, 850), taken).text
        assert strict.case(one).events == before


def test_a_moved_case_shows_its_present_answers_with_its_form(strict: Office) -> None:
    """The case's page comes back whole; the desk, which shows other answers, leads there and has no form."""
    id = strict.score(amount=800)
    seen = strict.seen(id)
    corrected(strict, id, with_amount(strict, 850))
    page = strict.decide(id, "approve", name="Bob", seen=seen, up="../")
    assert moved(page)
    assert "850 money units" in page.text
    assert 'class="timeline"' in page.text
    assert strict.seen(id) in page.text
    desk = strict.decide(id, "approve", name="Bob", seen=seen, up="")
    assert moved(desk)
    assert "<form" not in desk.text
    assert f'href="record/{id}"' in desk.text
    assert f"<blockquote>{SENTENCE}</blockquote>" in desk.text
    french = strict.client.post(f"/fr/record/{id}/decide", data={"seen": seen, "up": "../../"})
    assert "timeline" in french.text
    seen = strict.seen(id)
    assert recorded(strict.decide(id, "refer", name="Ann", seen=seen))
    desk = strict.decide(id, "approve", name="Bob", seen=seen, up="")
    assert moved(desk)
    assert "<form" in desk.text  # of the score that is shown beside it


def test_every_page_shows_the_score_decided_on(desk: Office) -> None:
    """Where an older program let answers be corrected after the decision, page, history and notice keep to those that
    were decided on, and what happened says so of each decision."""
    id = desk.score("OLD-1")
    desk.decide(id, "refer")
    answers = with_amount(desk)
    corrected(desk, id, answers)
    drafts = [desk.scorer.release.form.names[0]]
    desk.decide(id, "approve", principal=drafts)
    page, notice = desk.page(f"/record/{id}"), desk.page(f"/record/{id}/notice")
    listed = desk.client.post("/history", data={"reference": "OLD-1"}).text
    headline = desk.case(id).score
    late = {**answers, **{name: desk.scorer.release.form.example[name] for name in drafts}}
    score = desk.scorer.score({**late, "amount": 1.5 * late["amount"]})
    desk.ledger.append(
        scored(score, desk.scorer.release, late, by="Ann", channel="desk", reference="OLD-1", corrects=id)
    )
    case = desk.case(id)
    assert case.state == SETTLED
    assert case.score == headline == case.events[2]
    assert desk.page(f"/record/{id}/notice") == notice
    assert desk.client.post("/history", data={"reference": "OLD-1"}).text == listed
    assert write_percent(headline.pd, "en") in html.unescape(listed)
    after = desk.page(f"/record/{id}")
    until = texts_in("en")("record.history")
    assert after.split(until)[0] == page.split(until)[0]
    assert f"{score.pd:.3f}" != f"{headline.pd:.3f}"


def test_markup_stays_text(desk: Office) -> None:
    """In every place of a case where somebody can type."""
    id = desk.score(MARKUP)
    answer = desk.decide(id, "incomplete", name=MARKUP, justification=MARKUP * 3, reason_incomplete="")
    assert MARKUP not in answer.text
    desk.decide(id, "approve_changed", name=MARKUP, justification=MARKUP * 3, conditions=MARKUP * 3)
    desk.send(id, "contest", name=MARKUP, objection=MARKUP * 3, reviewer=MARKUP + "2")
    paths = [f"/record/{id}", f"/record/{id}/notice", "/history", "/history/overrides"]
    for path in paths + [f"/fr{path}" for path in paths]:
        text = desk.client.get(path).text
        assert MARKUP not in text
        assert "<b " not in text
    assert MARKUP not in desk.client.post("/history", data={"reference": MARKUP, "by": MARKUP}).text


def test_above_an_amount_a_second_person_agrees(strict: Office) -> None:
    """It does not hold until then; not by oneself; and a second person may send it back."""
    small = strict.score(amount=800)
    strict.decide(small, "decline")
    assert strict.case(small).state == SETTLED
    id = strict.score(amount=1000)
    assert recorded(strict.decide(id, "decline", name="Ann"))
    assert strict.case(id).state == WAITING
    assert strict.client.get(f"/record/{id}/notice").status_code == 404
    assert texts_in("en")("agree.title") in strict.page(f"/record/{id}")
    assert not recorded(strict.send(id, "agree", agrees="yes", name="Ann"))
    assert not recorded(strict.send(id, "agree", agrees="", name="Bob"))
    assert not recorded(strict.send(id, "agree", agrees="no", name="Bob"))  # a reason is needed
    assert not recorded(strict.decide(id, "approve", name="Bob"))
    assert recorded(strict.send(id, "agree", agrees="no", note=SENTENCE, name="Bob"))
    assert strict.case(id).state == OPEN
    assert recorded(strict.decide(id, "decline", name="Ann"))
    assert recorded(strict.send(id, "agree", agrees="yes", name="Eve"))
    case = strict.case(id)
    assert case.state == SETTLED
    assert [one.by for one in case.of_kind(Agreed)] == ["Bob", "Eve"]
    assert not recorded(strict.send(id, "agree", agrees="yes", name="Zoë"))


def test_an_objection_is_decided_by_somebody_else(desk: Office) -> None:
    """Contested, answers corrected, scored again, decided by another person: all one case."""
    id = desk.score("C-1")
    assert not recorded(desk.send(id, "contest", objection=SENTENCE, reviewer="Bob"))  # nothing decided yet
    desk.decide(id, "decline", name="Ann")
    for wrong in (
        {"objection": ""},
        {"reviewer": ""},
        {"reviewer": "Ann"},
        {"deadline": "yesterday"},
        {"deadline": "2001-01-01"},
    ):
        form = {"objection": SENTENCE, "reviewer": "Bob", **wrong}
        assert not recorded(desk.send(id, "contest", **form))
    assert recorded(desk.send(id, "contest", objection=SENTENCE, reviewer="Bob", name="Ann"))
    case = desk.case(id)
    assert case.state == REVIEW
    contested = case.of_kind(Contested)[0]
    assert case.decision is not None
    assert contested.of == case.decision.id
    assert contested.reviewer == "Bob"
    assert not recorded(desk.decide(id, "approve", name="Ann"))
    assert SENTENCE in desk.page(f"/record/{id}")
    assert recorded(desk.decide(id, "approve", name="Bob"))
    settled = desk.case(case.of_kind(Contested)[0].id)  # found by any of its records
    assert settled.state == SETTLED
    assert settled.decision is not None
    assert settled.decision.contest == case.of_kind(Contested)[0].id
    assert [one.kind for one in settled.events] == [SCORED, DECIDED, CONTESTED, DECIDED]


def test_every_link_of_a_case_leads_somewhere(strict: Office) -> None:
    """In each state, on its page and beside the desk: no link to a notice that cannot be made."""
    id = strict.score("L-1", amount=1000)

    def states() -> Iterator[str]:
        yield OPEN
        strict.decide(id, "refer", name="Ann")
        yield WAITING
        strict.send(id, "agree", agrees="yes", name="Bob")
        yield PENDING
        strict.send(id, "contest", objection=SENTENCE, reviewer="Eve", name="Ann")
        yield REVIEW
        strict.decide(id, "decline", name="Eve")
        strict.send(id, "agree", agrees="yes", name="Zoë")
        yield SETTLED

    seen, notices = [], set()
    for state in states():
        assert strict.case(id).state == state
        for path in (f"/record/{id}", f"/fr/record/{id}"):
            links = re.findall(r'href="([^"#]+)', strict.client.get(path).text)
            assert links
            for link in links:
                assert strict.client.get(urljoin(path, html.unescape(link))).status_code == 200, (state, path, link)
            notices |= {state for link in links if link.endswith("/notice")}
        seen.append(state)
    assert seen == [OPEN, WAITING, PENDING, REVIEW, SETTLED]
    assert notices == {PENDING, SETTLED}


def test_who_agreed_counts_as_who_decided(strict: Office) -> None:
    """Nobody agrees to a decision of their own. After an objection neither of the two who made the decision hold may be
    the reviewer or decide, not even once the review has ended in a referral."""
    id = strict.score("E-1", amount=1000)
    assert recorded(strict.decide(id, "decline", name="Ann"))
    assert not recorded(strict.send(id, "agree", agrees="yes", name="Ann"))
    assert recorded(strict.send(id, "agree", agrees="yes", name="Bob"))
    assert (strict.case(id).state, strict.case(id).decided_by) == (SETTLED, {"Ann", "Bob"})
    for name in ("Ann", "Bob"):
        assert not recorded(strict.send(id, "contest", objection=SENTENCE, reviewer=name, name="Eve"))
    assert recorded(strict.send(id, "contest", objection=SENTENCE, reviewer="Eve", name="Ann"))
    assert (strict.case(id).state, strict.case(id).barred) == (REVIEW, {"Ann", "Bob"})
    for name in ("Ann", "Bob"):
        assert not recorded(strict.decide(id, "approve", name=name))
    assert recorded(strict.decide(id, "refer", name="Eve"))
    assert strict.case(id).state == WAITING
    for name in ("Ann", "Bob", "Eve"):
        assert not recorded(strict.send(id, "agree", agrees="yes", name=name))
    assert recorded(strict.send(id, "agree", agrees="yes", name="Zoë"))
    assert (strict.case(id).state, strict.case(id).barred) == (PENDING, {"Ann", "Bob"})
    for name in ("Ann", "Bob"):
        assert not recorded(strict.decide(id, "approve", name=name))
    assert recorded(strict.decide(id, "approve", name="Eve"))


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Office]:
    """The default release with a ledger of its own."""
    yield from office(tmp_path, "consumer", LENDER)


@pytest.mark.slow
def test_reasons_are_those_of_the_release_decided_on(tmp_path: Path) -> None:
    """Where answers are corrected after an objection, the last score may be of a later release, with other words."""
    earlier = newest("consumer")
    folder = shutil.copytree(earlier, tmp_path / "later")
    manifest = json.loads((folder / "manifest.json").read_bytes())
    for reason in (reason for field in manifest["fields"] for reason in field["reasons"]):
        reason["text"] = {language: f"LATER {text}" for language, text in reason["text"].items()}
    later = sealed(folder, manifest)
    answers: dict[str, Any] = {"prior_record": "yes", "income": 60, "amount": 2500}
    with closing(Ledger(tmp_path / "ledger.sqlite3")) as ledger:

        def serving(release: Path) -> Office:
            settings = Settings(release=release, log=None, users=NO_USERS)
            scorer = open_scorer(settings)
            return Office(visiting(create_app(scorer, settings, ledger, LENDER)), scorer, ledger)

        desk = serving(earlier)
        id = desk.score(**answers)
        reasons = re.findall(r'name="principal" value="([^"]+)"', desk.client.get(f"/record/{id}").text)
        assert recorded(desk.decide(id, "decline", principal=reasons))
        assert recorded(desk.send(id, "contest", objection=SENTENCE, reviewer="Bob"))
        told = [reason_text(one, desk.scorer.release, LENDER, "en") for one in reasons]

        desk = serving(later)
        corrected = {**desk.scorer.release.form.example, **answers, "income": 50}
        sent = {"answers": corrected, "of": id, "seen": desk.seen(id)}
        assert desk.client.post("/desk/score", json=sent).status_code == 200
        assert desk.case(id).score.release_name == later.name.replace("edited", "consumer")
        page = desk.page(f"/record/{id}")
    assert len(told) > 1
    assert f"{texts_in('en')('entry.reasons', reasons='; '.join(told))} " in page
    assert "LATER" in page  # what is proposed now is in the words of the release that proposes it


@pytest.mark.slow
def test_the_history_is_searched(alone: Office) -> None:
    """By part of a reference, day, person, decision and override; a page at a time; no search in an address."""
    ids = [alone.score(f"H-{at:03d}") for at in range(120)]
    for at, id in enumerate(ids[:60]):
        alone.decide(id, ["refer", "approve", "decline"][at % 3], name=["Ann", "Bob"][at % 2])

    def listed(**asked: str) -> list[str]:
        text = alone.client.post("/history", data=asked).text
        return re.findall(r'<td><span class="reference">(H-\d+)</span></td>', text)

    assert listed() == [f"H-{at:03d}" for at in range(119, 69, -1)]
    first = alone.client.get("/history").text
    before = re.search(r'name="before" value="(\d+)"', first)
    assert before
    assert listed(before=before[1]) == [f"H-{at:03d}" for at in range(69, 19, -1)]
    assert listed(reference="h-01") == [f"H-{at:03d}" for at in range(19, 9, -1)]
    assert listed(reference="%") == []
    assert len(listed(by="Ann")) == 30
    assert listed(by="Nobody") == []
    assert len(listed(decision="decline")) == 20
    assert len(listed(decision="open")) == 50  # the first page of sixty
    assert len(listed(overridden="yes")) == 40
    assert len(listed(overridden="no")) == 20
    today = alone.case(ids[0]).first.time[:10]
    assert len(listed(since=today, until=today)) == 50
    assert listed(since="2099-01-01") == []
    assert listed(until="2001-01-01") == []
    assert listed(since="nonsense", decision="nonsense", before="nonsense") == listed()
    page = alone.page("/history/overrides")
    assert "40 / 60" in page
    with alone.ledger.store.reading() as connection:
        counts = queries.directions(connection)
    assert sum(count for *_, count in counts) == 60
    assert alone.client.get("/fr/history").status_code == 200


def test_pages_of_nothing(desk: Office) -> None:
    """What is not there is said so, with 404; a form that is too large is refused."""
    for path in ("/record/none", "/record/none/notice", "/fr/record/none", "/record/begun"):
        assert desk.client.get(path).status_code == 404
    assert desk.send("none", "decide").status_code == 404
    assert desk.send(desk.score(), "decide", justification="x" * 70_000).status_code == 413


def test_erased_answers_are_said_to_be(desk: Office) -> None:
    """After a purge the case still opens, with what was decided and without what was personal."""
    id = desk.score("ERASED-REF")
    desk.decide(id, "decline", justification="Something personal in it.")
    with desk.ledger.store.writing() as connection:
        seqs = [one.seq for one in desk.case(id).events]
        store.erase_personal(connection, seqs)
    page = desk.page(f"/record/{id}")
    assert texts_in("en")("record.erased") in page
    assert "ERASED-REF" not in page
    assert "Something personal" not in page
    assert texts_in("en")("decided.decline") in page
    assert desk.client.get(f"/record/{id}/notice").status_code == 200
    assert desk.client.get(f"/record/{id}/notice.pdf").status_code == 200
    with desk.ledger.store.writing() as connection:  # as a purge does, so that the chain is whole again
        from ledger.events import PURGED
        from ledger.records import Draft, seal

        last, digest = queries.head(connection) or (0, b"")
        record = seal(Draft(PURGED, f"purged-{last}", {"records": ranges(seqs)}), last + 1, digest, 0)
        store.insert(connection, [record], [])


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("contest_days = 30", "contest_days = 0", "contest_days"),
        ("contest_days = 30", "", "contest_days"),
        ("contest_days = 30", "contest_days = 30\nmore = 1", "more: no such setting"),
        ('code = "security"', 'code = "known_customer"', "known_customer is there twice"),
        ('fr = "Il manque un justificatif d’identité"', "", "fr"),
        ("# officer = 50000", 'officer = "much"', "second_person_above"),
        ("[creditor]", "[credit", "TENFOLD_LENDER"),
        ("contest_days = 30", f"contest_days = {'[' * 3000}", "TENFOLD_LENDER"),
    ],
)
def test_a_lender_file_that_cannot_be_used(tmp_path: Path, old: str, new: str, says: str) -> None:
    """The message names the file, the place, and where a whole one is."""
    text = EXAMPLE.read_text("utf-8")
    assert old in text
    file = tmp_path / "lender.toml"
    file.write_text(text.replace(old, new, 1), "utf-8")
    with pytest.raises(BadSetting, match=says) as refused:
        read_lender(file)
    assert str(file) in str(refused.value)


def test_a_lender_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="No such file"):
        read_lender(tmp_path / "none.toml")


def test_a_lenders_limits() -> None:
    """By role; an amount that no field says counts as above."""
    lender = replace(LENDER, second_person_above={"officer": 900})
    assert lender.needs_second("officer", 900.01)
    assert lender.needs_second("officer", None)
    assert not lender.needs_second("officer", 900)
    assert not lender.needs_second("manager", 10**9)
