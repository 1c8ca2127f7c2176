"""Whether a release still holds, from ledgers of loans that were lent, repaid and went bad."""

import json
from contextlib import closing
from datetime import date
from functools import partial
from pathlib import Path

import lent_ledgers
import numpy as np
import pytest
from ledger_cases import writing_to
from parts import some

from inference.release import Release, open_release
from inference.settings import RELEASES, default_release
from inference.watch.expected import month, months_of
from ledger import cases, queries
from ledger.__main__ import main
from ledger.cases import SETTLED, WAITING
from ledger.daily_counts import form_of
from ledger.decisions import withdrawal
from ledger.events import Outcome
from ledger.lent import lent, releases
from ledger.monitor import (
    ABOVE,
    ALARM,
    BELOW,
    CANNOT_SAY,
    HOLDS,
    TOO_EARLY,
    TOO_FEW,
    WITHIN,
    Monitored,
    Wanted,
    monitor,
    verdict,
)
from ledger.outcome_file import OURS, read_outcomes
from ledger.outcomes import record_outcomes
from ledger.store import Store

TODAY = "2026-09-10"
MONTHS, A_MONTH = 44, 80  # January 2023 to August 2026


@pytest.fixture(scope="module")
def release() -> Release:
    return open_release(default_release())


@pytest.fixture(scope="module")
def ledgers(tmp_path_factory: pytest.TempPathFactory, release: Release) -> dict[str, Path]:
    """A book that holds, and one in which three times as many loans go bad from July 2025 on."""
    folder = tmp_path_factory.mktemp("lent")
    files = {name: folder / f"{name}.sqlite3" for name in ("holds", "worse")}
    for name, file in files.items():
        lent_ledgers.write(file, MONTHS, A_MONTH, release.form, release.digest, 3.0 if name == "worse" else 1.0)
    return files


def monitored(file: Path, wanted: Wanted | None = None, today: str = TODAY) -> Monitored:
    with closing(Store(file)) as store, store.reading() as connection:
        return monitor(connection, today, partial(form_of, sorted(RELEASES.glob("*-*"))), wanted)


@pytest.mark.slow
def test_a_book_that_holds_is_silent(ledgers: dict[str, Path]) -> None:
    """No alarm of bad loans, none of drift in any month, and as many bad loans as the life table expects."""
    seen = monitored(ledgers["holds"])
    assert seen.state == HOLDS
    assert seen.loans == MONTHS * A_MONTH
    assert seen.watched is not None
    later = [row for row in seen.watched.months if not row.reference]
    assert len(later) > 15
    assert not any(row.alarm for row in some(later))
    assert sum(row.observed for row in later) == pytest.approx(sum(row.expected for row in later), rel=0.25)
    assert seen.drift.form
    assert set(seen.drift.months[0].drift) > {"pd", "amount", "home"}
    assert not any(row.alarm for row in some(seen.drift.months))
    assert {rate.verdict for rate in seen.bands} <= {WITHIN, TOO_EARLY}


@pytest.mark.slow
def test_a_book_that_gets_worse_alarms_within_months(ledgers: dict[str, Path]) -> None:
    """Not before it does, and the newest quarters whose outcomes are known lie above their PD."""
    seen = monitored(ledgers["worse"])
    assert seen.state == ALARM
    assert "2025-07" <= seen.first_alarm <= "2025-12"
    by_quarter = {rate.name: rate for rate in seen.quarters}
    assert by_quarter["2025 Q2"].verdict == ABOVE
    assert by_quarter["2023 Q2"].verdict == WITHIN
    assert by_quarter["2026 Q3"].verdict in (TOO_EARLY, TOO_FEW)
    for rate in seen.quarters:
        assert np.isnan(rate.rate) == (rate.known < 0.8 * rate.loans)
        assert np.isnan(rate.rate) or rate.low <= rate.rate <= rate.high
        assert rate.at_least == rate.bad / rate.loans


@pytest.mark.slow
def test_overrides_are_told_by_their_direction(ledgers: dict[str, Path]) -> None:
    """Every tenth was lent against a suggestion to refer."""
    seen = monitored(ledgers["holds"])
    assert {rate.name: rate.loans for rate in seen.overrides} == {
        "as_suggested": MONTHS * 72, "more_lenient": MONTHS * 8,
    }  # fmt: skip


@pytest.mark.slow
def test_the_command_says_it_by_its_exit_status(ledgers: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    """0 holds, 1 alarms, and JSON has every figure of the text."""
    assert main(["--ledger", str(ledgers["holds"]), "monitor", "--until", "2026-08"]) == 0
    assert "No alarm." in capsys.readouterr().out
    assert main(["--ledger", str(ledgers["worse"]), "monitor", "--until", "2026-08"]) == 1
    assert "ALARM: more loans go bad than expected, since 2025-" in capsys.readouterr().out
    assert main(["--ledger", str(ledgers["worse"]), "monitor", "--json"]) == 1
    read = json.loads(capsys.readouterr().out)
    assert read["state"] == ALARM
    assert read["first_alarm"] == next(row["month"] for row in read["months"] if row["alarm"])
    assert len(read["drift"]["months"]) > 15
    assert main(["--ledger", str(ledgers["worse"]), "monitor", "--release", "nothing"]) == 2
    assert "The ledger has scores by: consumer" in capsys.readouterr().err


def test_a_changed_month_of_applicants_is_drift(tmp_path: Path, release: Release) -> None:
    """Amounts ten times as large in the last month, and it is said which series moved."""
    file = tmp_path / "ledger.sqlite3"
    generator = np.random.default_rng(3)
    drafts = []
    for number in range(26 * 60):
        born = number // 60
        draft = lent_ledgers.scored(f"c{number}", 0.1, "approve", release.form, release.digest, generator)
        assert draft.personal is not None
        answers = draft.personal["answers"]
        assert isinstance(answers, dict)
        if born == 25:
            draft = draft._replace(personal={**draft.personal, "answers": {**answers, "amount": 4_900}})
        day = f"{2023 + born // 12}-{born % 12 + 1:02d}-{number % 20 + 1:02d}"
        drafts.append((f"{day}T09", draft))
    lent_ledgers.put(file, drafts)
    seen = monitored(file, today="2025-03-10")
    assert [row.alarm for row in seen.drift.months] == [False, True]
    assert seen.drift_alarms == ("amount",)
    assert seen.state == ALARM


def test_too_little_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A few cases: nothing is judged, and the exit status is neither that of a book that holds nor of an alarm."""
    file = tmp_path / "ledger.sqlite3"
    with writing_to(file) as write:
        write.decide("2026-01-02", write.score("2026-01-01", "a"))
    seen = monitored(file)
    assert seen.state == CANNOT_SAY
    assert [rate.verdict for rate in seen.quarters] == [TOO_FEW]
    assert main(["--ledger", str(file), "monitor"]) == 3
    printed = capsys.readouterr().out
    assert "A life table needs 20 bad loans in the reference months" in printed
    assert "50 scores are needed" in printed
    assert "Nothing can be said yet" in printed


def test_what_was_lent_is_what_cases_say(tmp_path: Path) -> None:
    """The one statement of SQL against `ledger.cases.Case`, on every kind of case."""
    file = tmp_path / "ledger.sqlite3"
    with writing_to(file) as write:
        write.decide("2026-01-02", write.score("2026-01-01", "approved"))
        write.decide("2026-01-02", write.score("2026-01-01", "declined"), "decline")
        waiting = write.decide("2026-01-02", write.score("2026-01-01", "waiting"), needs_second=True)
        agreed = write.decide("2026-01-02", write.score("2026-01-01", "agreed"), needs_second=True)
        write.agree("2026-01-03", agreed)
        not_agreed = write.decide("2026-01-02", write.score("2026-01-01", "not-agreed"), needs_second=True)
        write.agree("2026-01-03", not_agreed, agrees=False)
        contested = write.decide("2026-01-02", write.score("2026-01-01", "turned"), "decline")
        objection = write.contest("2026-01-03", contested)
        write.decide("2026-02-04", "turned", contest=objection)
        write.add("2026-01-05", withdrawal(write.score("2026-01-01", "gone"), "applicant", by="ann"))
        for name in ("open", "elsewhere", "declined-elsewhere"):
            write.score("2026-01-01", name)
        write.decide("2026-01-02", "declined-elsewhere", "decline")
    lines = "id,outcome,date\nelsewhere,bad,2026-05-01\ndeclined-elsewhere,bad,2026-05-01\napproved,repaid,2026-06-01\n"
    said = tmp_path / "outcomes.csv"
    said.write_text(lines)
    with closing(Store(file)) as store:
        record_outcomes(store, read_outcomes(said, OURS, date(2026, 11, 25)), by="ann")
        with store.reading() as connection:
            (by,) = releases(connection)
            loans = lent(connection, by.digest)
            firsts = [cases.find(connection, record.header.id) for record in queries.records(connection, ["scored"])]
    everything = [case for case in firsts if case is not None]
    assert len(everything) == 10 == by.cases
    assert waiting
    approved = [
        case for case in everything
        if case.decision and case.decision.decision == "approve"
        and (case.state == SETTLED or (case.state != WAITING and case.second and case.second.agrees))
    ]  # fmt: skip
    elsewhere = [case for case in everything if not case.decision and case.of_kind(Outcome)]
    assert {case.first.id for case in approved} == {"approved", "agreed", "turned"}
    assert len(loans) == len(approved) + len(elsewhere) == 4
    assert sorted(loans.direction) == ["more_lenient"] * 3 + ["undecided"]
    assert sorted(loans.outcome) == [-1, -1, 0, 1]
    assert loans.not_lent == {"declined": 1, "open": 3, "withdrawn": 1, "declined_with_outcome": 1}
    assert sorted(loans.granted) == [month("2026-01")] * 3 + [month("2026-02")]
    assert loans.last_day == "2026-06-01"


@pytest.mark.parametrize(
    ("loans", "known", "bad", "mean_pd", "judged"),
    [
        (100, 29, 29, 0.1, TOO_FEW),
        (100, 100, 10, 0.1, WITHIN),
        (100, 100, 30, 0.1, ABOVE),
        (100, 40, 30, 0.1, ABOVE),  # whatever becomes of the other sixty
        (100, 40, 8, 0.1, TOO_EARLY),
        (100, 100, 1, 0.1, BELOW),
        (100, 60, 0, 0.1, TOO_EARLY),  # the other forty could all go bad
    ],
)
def test_a_rate_is_judged_by_what_cannot_change(loans: int, known: int, bad: int, mean_pd: float, judged: str) -> None:
    assert verdict(loans, known, bad, mean_pd) == judged


@pytest.mark.slow
def test_a_purge_is_no_drift_and_no_alarm(ledgers: dict[str, Path], tmp_path: Path) -> None:
    """The score is counted in whole per cent all along; the answers that are gone are counted and said."""
    file = tmp_path / "ledger.sqlite3"
    file.write_bytes(ledgers["holds"].read_bytes())
    before = monitored(file)
    assert main(["--ledger", str(file), "purge", "--before", "2024-01-01", "--months", "24"]) == 0
    after = monitored(file)
    assert after.erased == 12 * A_MONTH
    assert after.drift.erased == 12 * A_MONTH
    assert after.watched == before.watched
    assert not any(row.alarm for row in some(after.drift.months))
    assert [row.drift["pd"] for row in after.drift.months] == [row.drift["pd"] for row in before.drift.months]


def test_months_are_read() -> None:
    assert months_of("2023-01:2023-12") == (month("2023-01"), month("2024-01"))
    assert months_of("2023-01") == (month("2023-01"), month("2023-02"))
    for wrong in ("2023", "2023-13", "2023-02:2023-01", "x"):
        with pytest.raises(ValueError, match=r"month|invalid"):
            months_of(wrong)
