"""The letter beside its case: its language and the order of its reasons, recorded; what was handed over, kept."""

import hashlib
import html
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ledger_cases import bytes_of, clock_at
from parts import NO_USERS, newest, some, visiting
from test_accounts import three_people
from test_deciding import LENDER, Office, office
from test_entrance import as_person
from test_lender import OWN
from test_notice_pdf import text_of

from inference.scorer import open_scorer
from inference.settings import Settings
from ledger import queries
from ledger.cleaning import Cleaner
from ledger.events import Notified
from ledger.ledger import Ledger
from ledger.retention import handed_over, purge
from web.cases.notice import as_text, from_text, notice
from web.lender import EXAMPLE, read_lender
from web.pages.texts import LANGUAGES, texts_in
from web.server import create_app

pytestmark = pytest.mark.slow  # an app is started

RISKY: dict[str, Any] = {
    "prior_record": "yes",
    "seniority": 0,
    "income": 60,
    "home": "parents",
    "job": "freelance",
    "assets": 0,
}
EN, FR = texts_in("en"), texts_in("fr")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """The default release; nobody has to log in."""
    yield from office(tmp_path_factory.mktemp("letter"), "consumer", OWN)


def declined(desk: Office, reference: str = "L-1", **answers: Any) -> str:
    """A case that is declined for all the reasons that its page offers; its id."""
    id = desk.score(reference, **{**RISKY, **answers})
    offered = re.findall(r'name="principal" value="([^"]+)"', desk.client.get(f"/record/{id}").text)
    assert len(offered) == 4
    assert desk.decide(id, "decline", justification="", principal=offered).headers["x-recorded"] == "yes"
    return id


def reasons(page: str) -> list[str]:
    """Those of the first letter on a page."""
    listed = re.search(r'<ul class="reasons">(.*?)</ul>', page)
    assert listed is not None
    return [html.unescape(text) for text in re.findall(r"<li>(.*?)</li>", listed[1])]


def test_order_and_language_are_recorded_with_who(desk: Office) -> None:
    """Preview, page and PDF have the new order; the language is the one in which the page opens; both are in the part
    of the record that can be erased."""
    id = declined(desk)
    decision = desk.case(id).decision
    assert decision is not None
    confirmed = list(decision.reasons or ())
    before = reasons(desk.client.get(f"/record/{id}/notice?lang=fr").text)
    order = [confirmed[place] for place in (2, 0, 3, 1)]
    assert desk.send(id, "arrange", name="Bob", language="fr", order=order).headers["x-recorded"] == "yes"
    record = desk.case(id).arranged
    assert record is not None
    assert (record.by, record.of, record.language, list(record.reasons or ())) == ("Bob", decision.id, "fr", order)
    with desk.ledger.store.reading() as connection:
        (written,) = queries.by_id(connection, [record.id])
    assert "fr" not in written.body_json.values()
    assert [reason for reason in some(confirmed) if reason in written.body] == []
    expected = [before[place] for place in (2, 0, 3, 1)]
    assert reasons(desk.client.get(f"/record/{id}/notice").text) == expected  # in French, since that was chosen
    shown = text_of(desk.client.get(f"/record/{id}/notice.pdf").content)
    flat = " ".join(shown.split())
    places = [flat.index(reason) for reason in expected]
    assert places == sorted(places)
    for path, texts in (("/record/", EN), ("/fr/record/", FR)):
        page = desk.client.get(path + id).text
        previews = re.findall(r'<article class="sheet" lang="(..)".*?</article>', page, re.DOTALL)
        assert previews == list(LANGUAGES)
        assert expected == reasons(page[page.index('<article class="sheet" lang="fr"') :])
        assert re.findall(r'name="order" value="([^"]+)"', page) == order
        assert re.search(r'name="language" value="fr" checked', page)
        assert html.escape(texts("letter.by", by="Bob")) in page
        assert html.escape(texts("entry.arranged", language="Français")) in page
    assert desk.case(id).decision == decision  # what was decided, and in which order, stays


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"language": "de"}, "choose"),
        ({"order": []}, "order"),
        ({"order": ["a/b", "c/d"]}, "order"),
        ({"name": ""}, "name"),
    ],
)
def test_what_is_no_order_of_these_reasons_is_refused(desk: Office, form: dict[str, Any], says: str) -> None:
    """An unknown language, reasons left out, others, no name: nothing is recorded, and the letter says why."""
    id = declined(desk)
    decision = desk.case(id).decision
    assert decision is not None
    answer = desk.send(id, "arrange", **{"language": "en", "order": list(decision.reasons or ()), **form})
    assert answer.headers["x-recorded"] == "no"
    assert html.escape(EN(f"decide.problem.{says}")) in answer.text
    assert '<section class="letter"' in answer.text
    assert desk.case(id).arranged is None


def test_a_reason_is_there_once(desk: Office) -> None:
    id = declined(desk)
    decision = desk.case(id).decision
    assert decision is not None
    first, *rest = decision.reasons or ()
    twice = [first, first, *rest[1:]]
    assert desk.send(id, "arrange", language="en", order=twice).headers["x-recorded"] == "no"


def test_without_a_decision_there_is_no_letter(desk: Office) -> None:
    id = desk.score()
    assert '<section class="letter"' not in desk.client.get(f"/record/{id}").text
    assert desk.send(id, "arrange", language="en").headers["x-recorded"] == "no"
    assert desk.decide(id, "approve").headers["x-recorded"] == "yes"
    page = desk.client.get(f"/record/{id}").text
    assert '<section class="letter"' in page
    assert 'name="order"' not in page  # there is nothing to order
    assert desk.send(id, "arrange", language="fr").headers["x-recorded"] == "yes"


def test_the_desk_shows_the_letter_below_a_decline(desk: Office) -> None:
    """Beside the form, at once; not below an approval."""
    for decision, there in (("decline", True), ("approve", False)):
        id = desk.score(**RISKY)
        offered = re.findall(r'name="principal" value="([^"]+)"', desk.client.get(f"/record/{id}").text)
        answer = desk.decide(id, decision, up="", principal=offered if there else [])
        assert answer.headers["x-recorded"] == "yes"
        assert ('<article class="sheet"' in answer.text) == there


@pytest.mark.parametrize("decision", ["approve", "approve_changed", "refer", "incomplete"])
def test_any_other_decision_has_its_letter_one_click_away(desk: Office, decision: str) -> None:
    """A lower amount or missing papers must be told to the applicant too: the desk leads to the letter, and the case's
    page shows it, with the sentence for that decision."""
    id = desk.score(**RISKY)
    answer = desk.decide(id, decision, up="", conditions="At most 500.")
    assert answer.headers["x-recorded"] == "yes"
    assert f'href="record/{id}/notice"' in answer.text
    page = html.unescape(desk.client.get(f"/record/{id}").text)
    for language in LANGUAGES:
        assert texts_in(language)(f"notice.{decision}") in page
        assert texts_in(language)(f"notice.{decision}") in html.unescape(
            desk.client.get(f"/record/{id}/notice?lang={language}").text
        )


def test_what_was_handed_over_is_shown_again(desk: Office, tmp_path: Path) -> None:
    """Word for word, whatever the lender's words are by now, and with the SHA-256 that the record holds."""
    id = declined(desk, "L-again")
    assert desk.send(id, "notified", language="fr").headers["x-recorded"] == "yes"
    record = handed_over(desk.case(id))
    assert record is not None
    assert record.text is not None
    assert record.notice == hashlib.sha256(record.text.encode()).hexdigest()
    kept = from_text(record.text)
    assert kept == notice(desk.case(id), desk.scorer.release, OWN, FR)
    assert f"{id}/notice?handed={record.id}" in desk.client.get(f"/record/{id}").text
    moved = replace(OWN, address="Somewhere else 9")
    settings = Settings(release=newest("consumer"), log=None, users=NO_USERS)
    with visiting(create_app(desk.scorer, settings, desk.ledger, moved)) as client:
        assert moved.address in client.get(f"/record/{id}/notice").text
        for path, texts in (("/record", EN), ("/fr/record", FR)):
            page = client.get(f"{path}/{id}/notice?handed={record.id}").text
            assert moved.address not in page
            assert OWN.address in page
            assert '<html lang="fr">' in page
            said = texts("notice.handed", day=texts.day(record.day), by="Ann", seq=record.seq, digest=record.notice)
            assert html.escape(said) in page
            assert kept.draft not in page  # it was handed over
        pdf = " ".join(text_of(client.get(f"/record/{id}/notice.pdf?handed={record.id}").content).split())
        assert OWN.address in pdf
        assert kept.decision in pdf
        assert kept.draft not in pdf
        assert client.get(f"/record/{id}/notice?handed=none").status_code == 404
        assert client.get(f"/record/{desk.score()}/notice?handed={record.id}").status_code == 404


def test_another_text_than_the_recorded_one_is_told(tmp_path: Path) -> None:
    """Somebody who can write the file changes the text: the page says so, and so does verify."""
    of_verify = pytest.raises(AssertionError, match="record 4: its personal part was changed")  # at the office's end
    with of_verify, contextmanager(office)(tmp_path, "consumer", OWN) as made:
        id = declined(made)
        assert made.send(id, "notified", language="en").headers["x-recorded"] == "yes"
        record = notified(made, id)
        with closing(sqlite3.connect(made.ledger.store.path)) as connection:
            connection.execute("DROP TRIGGER personal_update")
            connection.execute(
                "UPDATE personal SET body = replace(body, ?, 'approved') WHERE seq = ?", ("declined", record.seq)
            )
            connection.commit()
        page = made.client.get(f"/record/{id}/notice?handed={record.id}").text
        assert "approved" in page
        digest = hashlib.sha256((notified(made, id).text or "").encode()).hexdigest()
        said = EN("notice.handed_other", day=EN.day(record.day), by="Ann", seq=record.seq, digest=digest)
        assert html.escape(said) in page
        assert digest != record.notice


def notified(made: Office, id: str) -> Notified:
    """The record of the letter that was handed over."""
    record = handed_over(made.case(id))
    assert record is not None
    return record


def test_what_was_handed_over_is_erased_with_its_case(tmp_path: Path) -> None:
    """No byte of the text is left, the link is gone, and the address says why."""
    with contextmanager(office)(tmp_path, "consumer", OWN) as made:
        id = declined(made, "Canary 5521")
        decision = made.case(id).decision
        assert decision is not None
        order = list(reversed(decision.reasons or ()))
        assert made.send(id, "arrange", language="fr", order=order).headers["x-recorded"] == "yes"
        assert made.send(id, "notified", language="fr").headers["x-recorded"] == "yes"
        record = notified(made, id)
        canaries = [word.encode() for word in ("Canary 5521", "RGPD", str(record.notice), OWN.address)]
        before = bytes_of(made.ledger.store.path)
        assert [word for word in some(canaries) if word not in before] == []
        later = datetime.now(UTC) + timedelta(365 * 4)
        purge(made.ledger.store, later - timedelta(1000), clock=clock_at(later))
        Cleaner(made.ledger.store, "test", clock_at(later)).clean()
        left = bytes_of(made.ledger.store.path)
        assert [word for word in some(canaries) if word in left] == []
        page = made.client.get(f"/record/{id}").text
        assert "notice?handed=" not in page
        assert html.escape(EN("entry.arranged_erased")) in page
        answer = made.client.get(f"/record/{id}/notice?handed={record.id}")
        assert answer.status_code == 404
        assert html.escape(EN("no_text.what")) in answer.text


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_rule_it_was_drafted_for_is_named_with_its_date(desk: Office, language: str) -> None:
    """On page and PDF, with the sentence that a lawyer must check it; nothing says that it complies with anything."""
    id, texts = declined(desk), texts_in(language)
    page = html.unescape(desk.client.get(f"/record/{id}/notice?lang={language}").text)
    pdf = " ".join(text_of(desk.client.get(f"/record/{id}/notice.pdf?lang={language}").content).split())
    for shown in (page, pdf):
        assert texts("notice.drafted_for", rule=LENDER.drafted_for[language]) in " ".join(shown.split())
        for word in {"en": ("12 CFR 1002.9", "21 July 2026", "Article 22", "lawyer"),
                     "fr": ("12 CFR 1002.9", "21 juillet 2026", "l’article 22", "juriste")}[language]:  # fmt: skip
            assert word in shown
        assert not re.search(r"\bcompl(?:y|ies|iant)|\bconforme", shown, re.IGNORECASE)


def test_a_lender_names_its_own_rule_or_none(tmp_path: Path) -> None:
    """A file of an earlier version has none, and goes on with the example's; one in one language only is refused."""
    text = EXAMPLE.read_text("utf-8")
    start = text.index("[notice.drafted_for]")
    end = text.index("\n\n", start)
    file = tmp_path / "lender.toml"
    file.write_text(text[:start] + text[end:], "utf-8")
    assert read_lender(file).drafted_for == LENDER.drafted_for
    own = f'{text[:start]}[notice.drafted_for]\nen = "Our law of 2020"'
    file.write_text(f'{own}\nfr = "Notre loi"{text[end:]}', "utf-8")
    assert read_lender(file).drafted_for == {"en": "Our law of 2020", "fr": "Notre loi"}
    file.write_text(f"{own}{text[end:]}", "utf-8")
    with pytest.raises(Exception, match="'fr' is missing"):
        read_lender(file)


def test_what_the_pdf_lacks_is_said_beside_the_case(desk: Office) -> None:
    """Before anything is printed: each character with its code point."""
    id = declined(desk, "王 Łęcka")
    page = desk.client.get(f"/record/{id}").text
    missing = re.findall(r'<div class="missing" role="note">(.*?)</div>', page, re.DOTALL)
    assert len(missing) == len(LANGUAGES)
    for part in missing:
        assert "<bdi>王</bdi> (U+738B)" in part
        assert "Ł" not in part


def test_where_people_log_in_the_placeholders_come_first(tmp_path: Path) -> None:
    """The case's page says what is missing, instead of a letter."""
    settings = Settings(
        release=newest("consumer"), log=None, ledger=tmp_path / "l.sqlite3", users=tmp_path / "u.sqlite3"
    )  # fmt: skip
    scorer = open_scorer(settings)
    with (
        closing(three_people(settings.users)) as accounts,
        closing(Ledger(tmp_path / "l.sqlite3")) as ledger,
        visiting(create_app(scorer, settings, ledger, LENDER, accounts), follow_redirects=False) as client,
    ):
        made = Office(as_person(client, "ann"), scorer, ledger)
        id = declined(made)
        page = client.get(f"/record/{id}").text
        assert made.send(id, "notified", language="en").headers["x-recorded"] == "yes"  # one that was made elsewhere
        record = notified(made, id)
        assert (record.text, record.notice) == (None, None)
        assert "notice?handed=" not in client.get(f"/record/{id}").text
    assert html.escape(EN("placeholder.what")) in page
    assert '<article class="sheet"' not in page


def test_a_text_that_is_no_letter_is_none() -> None:
    """What another program wrote, or a later version: no page fails on it."""
    for text in ("", "{}", "[]", '{"language": "de"}', "{"):
        assert from_text(text) is None


def test_what_is_kept_is_read_as_it_was(desk: Office) -> None:
    id = declined(desk)
    for language in LANGUAGES:
        parts = notice(desk.case(id), desk.scorer.release, OWN, texts_in(language))
        assert from_text(as_text(parts)) == parts
