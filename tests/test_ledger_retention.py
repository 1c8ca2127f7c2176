"""The end of the retention: it counts from the case, whole cases are erased, and what is erased is in no byte left."""

import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_cases import SCORE, TODAY, at, bytes_of, case_of, clock_at, kept, purged, writing_to

from ledger import queries
from ledger.__main__ import main
from ledger.chronology import chronology
from ledger.cleaning import Cleaner
from ledger.events import SCORED, Held
from ledger.ledger import Ledger
from ledger.records import Draft
from ledger.retention import TooEarly, months_before, os_user, purge, ranges
from ledger.store import Store
from ledger.verify import verify


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite3"


def problem(file: Path) -> str | None:
    with closing(Store(file)) as opened:
        return verify(opened).problem


# --- from when it counts ---


def test_it_counts_from_the_last_decision(file: Path) -> None:
    """An application of 2022 that was decided in 2024 is kept as long as a decision of 2024."""
    with writing_to(file) as write:
        write.decide("2022-02-01", write.score("2022-01-01", "early"))
        slow = write.score("2022-01-01", "slow")
        write.decide("2022-02-01", slow, "refer")
        write.decide("2024-09-01", slow)
    assert purged(file, "2024-06-01").kept_by_reason == {"recent": 1}
    assert kept(file) == {"slow"}
    assert problem(file) is None


def test_it_counts_from_the_notice(file: Path) -> None:
    """From the day on which it was handed over, where that is recorded of the last decision."""
    with writing_to(file) as write:
        late, soon, before = (
            write.decide("2022-02-01", write.score("2022-02-01", name))
            for name in ("handed over late", "soon", "typed wrong")
        )
        write.notify("2022-02-03", soon)
        write.notify("2022-02-03", before, "1022-02-03")
        write.notify("2024-08-01", late, "2024-07-15")
    purged(file, "2022-02-02")
    assert kept(file) == {"handed over late", "soon"}
    purged(file, "2024-07-01")
    assert kept(file) == {"handed over late"}
    purged(file, "2024-07-16")
    assert kept(file) == set()
    assert problem(file) is None


def test_what_is_not_settled_is_kept(file: Path) -> None:
    """Open, referred, waiting for a second person, under objection: kept however old, and said so."""
    with writing_to(file) as write:
        write.score("2022-01-01", "open")
        write.decide("2022-01-02", write.score("2022-01-01", "pending"), "refer")
        write.decide("2022-01-02", write.score("2022-01-01", "waiting"), needs_second=True)
        refused = write.decide("2022-01-02", write.score("2022-01-01", "refused"), needs_second=True)
        write.agree("2022-01-03", refused, agrees=False)
        contested = write.decide("2022-01-02", write.score("2022-01-01", "review"), "decline")
        write.contest("2022-01-04", contested)
        agreed = write.decide("2022-01-02", write.score("2022-01-01", "agreed"), needs_second=True)
        write.agree("2022-01-03", agreed)
    done = purged(file, "2024-06-01")
    assert done.kept_by_reason == {"open": 2, "pending": 1, "waiting": 1, "review": 1}
    assert kept(file) == {"open", "pending", "waiting", "refused", "review"}
    assert purged(file, "2024-06-01", undecided=True).cases == 3  # for a lender that decides elsewhere, who says so
    assert kept(file) == {"waiting", "review"}
    assert problem(file) is None


def test_a_hold_keeps_a_case(file: Path) -> None:
    """Until it is released; who and why are in the record."""
    with writing_to(file) as write:
        write.decide("2022-02-01", write.score("2022-01-01", "held"))
        write.hold("2022-03-01", "held")
    assert purged(file, "2024-06-01").kept_by_reason == {"on hold": 1}
    hold = case_of(file, "held").events[-1]
    assert isinstance(hold, Held)
    assert (hold.by, hold.reason) == ("max", "hold-held")
    with writing_to(file) as write:
        write.release("2022-04-01", "held")
    assert purged(file, "2024-06-01").cases == 1
    assert b"hold-held" not in bytes_of(cleaned(file))
    assert problem(file) is None


def test_a_whole_case_is_erased(file: Path) -> None:
    """Score, correction, decision, agreement, objection, keys: all at once, in one record that says which and who."""
    with writing_to(file) as write:
        id = write.score("2022-01-01", "whole")
        write.score("2022-01-01", "kept")
        write.add("2022-01-02", Draft(SCORED, "corrected", {**SCORE, "of": id}, {"answers": {"purpose": "?"}}))
        first = write.decide("2022-01-03", id, "decline", needs_second=True)
        write.agree("2022-01-04", first)
        write.contest("2022-01-05", first)
        second = write.decide("2022-01-06", id, contest=None)
        write.decide("2022-01-06", id, contest=case_of(file, id).objection.id)  # type: ignore[union-attr]
        write.notify("2022-01-07", second)
    done = purged(file, "2024-06-01", by="max")
    (record,) = done.records
    fields = record.body_json
    assert (fields["kind"], fields["by"], fields["cases"], fields["erased"]) == ("purged", "max", 1, 8)
    assert fields["records"] == [[2, 2], [4, 10]]
    assert {one.erased for one in case_of(file, id).events} == {True}
    assert kept(file) == {"kept"}
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT key FROM idempotency").fetchall() == [("/api/v1/score key-kept",)]
    assert problem(file) is None


def test_who_purged_is_who_runs_the_command(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The account of the system, or who is named."""
    with writing_to(file) as write:
        write.decide("2022-02-01", write.score("2022-01-01", "one"))
        write.decide("2022-02-01", write.score("2022-01-01", "two"))
        write.hold("2022-02-01", "two")
    assert main(["--ledger", str(file), "purge", "--before", "2023-01-01"]) == 0
    with writing_to(file) as write:
        write.release("2022-02-01", "two")
    assert main(["--ledger", str(file), "purge", "--before", "2023-01-01", "--by", "Mx Ó"]) == 0
    with closing(Store(file)) as opened, opened.reading() as connection:
        found = [one.header.by for one in queries.records(connection, ["purged", "cleaned"])]
    assert found == [os_user(), os_user(), "Mx Ó", "Mx Ó"]
    assert "1 older cases kept: a manager put them on hold" in capsys.readouterr().out


def test_nothing_is_erased_too_early(file: Path) -> None:
    with writing_to(file) as write:
        write.decide("2022-02-01", write.score("2022-01-01", "one"))
    with pytest.raises(TooEarly, match="2024-10-25"):
        purged(file, "2024-10-26")
    assert kept(file) == {"one"}


def test_a_case_that_moves_meanwhile_is_kept(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An objection that is recorded between looking and erasing wins."""
    with writing_to(file) as write:
        decision = write.decide("2022-02-01", write.score("2022-01-01", "moves"), "decline")
        write.decide("2022-02-01", write.score("2022-01-01", "stays"))
    with closing(Store(file)) as opened:
        begin = opened.writing

        def late() -> object:
            monkeypatch.undo()
            with writing_to(file) as write:
                write.contest("2026-11-25", decision)
            return begin()

        monkeypatch.setattr(opened, "writing", late)
        done = purge(opened, at("2024-06-01"), clock=clock_at(TODAY))
    assert done.cases == 1
    assert kept(file) == {"moves"}
    assert problem(file) is None


# --- odd dates ---


def test_a_record_of_2036_stops_nothing(file: Path) -> None:
    """A clock that was once ten years ahead: the record is named, and every case but its own goes as it should."""
    with writing_to(file) as write:
        write.decide("2021-02-01", write.score("2021-01-01", "before"))
        write.decide("2036-01-01", write.score("2036-01-01", "ahead"))
        write.decide("2021-06-01", write.score("2021-05-01", "after"))
    done = purged(file, "2024-01-01")
    assert kept(file) == set()  # that record was written before the next one, of 2021
    assert [one.header.time[:4] for one in done.odd] == ["2036", "2036"]
    assert problem(file) is None


def test_a_clock_that_was_set_back_makes_nothing_old(file: Path) -> None:
    """A case dated years early between later ones is kept as long as these."""
    with writing_to(file) as write:
        write.decide("2024-10-01", write.score("2024-09-01", "right"))
        write.decide("2001-01-01", write.score("2001-01-01", "behind"))
        write.decide("2024-10-03", write.score("2024-10-03", "right too"))
    done = purged(file, "2024-06-01")
    assert (done.cases, len(done.odd)) == (0, 2)
    assert kept(file) == {"right", "behind", "right too"}


@given(st.lists(st.integers(2000, 2040), min_size=1, max_size=30))
def test_no_record_counts_as_older_than_it_can_be(years: list[int]) -> None:
    """Whatever clocks said: every record counts as its own date or a later one, unless that lies ahead."""
    found = chronology([f"{year}-01-01T00:00:00.000000Z" for year in years], "2026-01-01T00:00:00.000000Z")
    for seq, year in enumerate(years, 1):
        counted = found.of(seq) // 10**16
        assert counted <= 2026
        assert counted >= year or year > 2026
        assert counted >= min([one for one in years[seq:] if one <= 2026], default=2026) or seq not in found.odd
    if years == sorted(years) and years[-1] <= 2026:
        assert not found.odd


def test_odd_dates_are_as_few_as_can_be() -> None:
    """One date too late and one too early among ten are the two that are named."""
    months = [f"2023-{month:02}-01" for month in range(1, 11)]
    months[2], months[6] = "2025-01-01", "2019-01-01"
    found = chronology(months, "2026-01-01")
    assert found.odd == [3, 7]
    assert (found.of(4) // 10**12, found.of(7) // 10**12, found.of(8) // 10**12) == (20230401, 20230801, 20230801)


# --- not in the bytes ---


def cleaned(file: Path) -> Path:
    with closing(Store(file)) as opened:
        assert Cleaner(opened, "test").clean(5)
    return file


def filled(file: Path, cases: int) -> set[str]:
    """A ledger of old cases, of which every second is on hold; the names of the others."""
    names = [f"{number * 7919 % 10007:05}-canary" for number in range(cases)]  # in no order, so pages split everywhere
    with writing_to(file) as write:
        for number, name in enumerate(names):
            write.decide("2022-01-01", write.score("2022-01-01", name))
            if number % 2:
                write.hold("2022-01-01", name)
    return set(names[::2])


def left(file: Path, names: set[str]) -> list[bytes]:
    """What is still on disk of some cases: answers, references, sentences, keys."""
    content = bytes_of(file)
    found = set(re.findall(rb"(answer|reference|justification|key)-(\d{5}-canary)", content))
    return [word for word, name in found if name.decode() in names]


@pytest.mark.slow
def test_nothing_erased_is_in_any_byte(file: Path) -> None:
    """Not in the file, unused parts of its pages included, nor in the log; what is kept is there."""
    names = filled(file, 400)
    everything = left(file, names)
    assert len(everything) == 4 * 200
    done = purged(file, "2024-06-01")
    assert done.cases == 200
    assert left(cleaned(file), names) == []
    assert len(set(re.findall(rb"reference-\d{5}-canary", bytes_of(file)))) == 200
    assert problem(file) is None


@pytest.mark.slow
def test_a_reader_is_told_of_and_the_next_chance_finishes_it(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """While somebody reads, the log cannot be cut: status 3, verify says so, nobody waits; then `clean` finishes it."""
    names = filled(file, 60)
    command = ["--ledger", str(file)]
    with closing(sqlite3.connect(file, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM entries").fetchone()
        assert main([*command, "purge", "--before", "2024-06-01", "--wait", "0.5"]) == 3
        assert "NOT YET CLEAN" in capsys.readouterr().err
        assert left(file, names) != []
        assert main([*command, "verify"]) == 3
        assert "NOT YET CLEAN" in capsys.readouterr().out
        assert main([*command, "clean", "--wait", "0"]) == 3
        reader.execute("COMMIT")
    assert main([*command, "clean"]) == 0
    assert left(file, names) == []
    assert main([*command, "verify"]) == 0
    with closing(Store(file)) as opened, opened.reading() as connection:
        assert [one.header.kind for one in queries.records(connection)][-2:] == ["purged", "cleaned"]


def test_a_server_finishes_a_purge(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger that is open for writing cleans up as soon as readers are gone, and takes records meanwhile."""
    names = filled(file, 60)
    monkeypatch.setattr("ledger.ledger.CLEANING", 0.05)
    with closing(sqlite3.connect(file, isolation_level=None)) as reader, closing(Ledger(file)) as ledger:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM entries").fetchone()
        purged(file, "2024-06-01")
        assert left(file, names) != []
        for number in range(20):
            ledger.append(Draft(SCORED, f"meanwhile-{number}", SCORE, {"answers": {}}))
        assert ledger._cleaner.unclean() is not None
        reader.execute("COMMIT")
        with closing(Store(file)) as other:
            watching = Cleaner(other, "test")
            while watching.unclean() is not None:
                ledger.append(Draft(SCORED, f"waiting-{number}", SCORE))
                number += 1
        assert left(file, names) == []
    assert problem(file) is None


def test_a_backup_holds_nothing_erased(file: Path, tmp_path: Path) -> None:
    """Even one made while the ledger itself is not yet clean."""
    names = filled(file, 60)
    purged(file, "2024-06-01")
    backup = tmp_path / "backup" / "copy.sqlite3"
    assert main(["--ledger", str(file), "backup", str(backup)]) == 0
    assert left(backup, names) == []
    assert problem(backup) is None


def test_ranges() -> None:
    assert ranges([]) == []
    assert ranges([2, 3, 4, 7, 9, 10]) == [[2, 4], [7, 7], [9, 10]]


def test_months() -> None:
    assert months_before(datetime(2026, 3, 31, tzinfo=UTC), 1) == datetime(2026, 2, 28, tzinfo=UTC)
    assert months_before(datetime(2026, 1, 15, tzinfo=UTC), 25) == datetime(2023, 12, 15, tzinfo=UTC)
