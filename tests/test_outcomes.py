"""What became of loans: a file joined to its cases, before and after a purge, and never recorded twice."""

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest
from ledger_cases import writing_to

from ledger import cases
from ledger.__main__ import main
from ledger.events import OUTCOME, PURGED, Outcome, Purged
from ledger.ledger import Ledger
from ledger.outcome_file import BadOutcomes, read_outcomes, words_of
from ledger.outcomes import record_outcomes
from ledger.queries import records
from ledger.readonly import ReadOnlyStore
from ledger.references import digest, key_beside, key_file, key_name
from ledger.store import Store
from ledger.verify import verify

TODAY = date(2026, 11, 25)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """An old case that a purge erases, two new ones, of which one was decided, and two with the same reference."""
    file = tmp_path / "ledger.sqlite3"
    with writing_to(file) as write:
        write.decide("2022-01-02", write.score("2022-01-01", "old"))
        write.decide("2026-01-02", write.score("2026-01-01", "new"))
        write.score("2026-01-03", "open")
        write.decide("2026-02-02", write.score("2026-02-01", "twin"), reference="reference-new-too")
        write.decide("2026-02-02", write.score("2026-02-01", "twin2"), reference="reference-new-too")
    return file


def csv(tmp_path: Path, *lines: str, name: str = "outcomes.csv") -> Path:
    file = tmp_path / name
    file.write_text("\n".join(lines) + "\n", "utf-8")
    return file


def tell(ledger: Path, file: Path, *words: str) -> int:
    return main(["--ledger", str(ledger), "outcomes", str(file), "--by", "ann", *words])


def outcomes_in(ledger: Path) -> list[Outcome]:
    with closing(Store(ledger)) as store, store.reading() as connection:
        events = [record.event for record in records(connection, [OUTCOME])]
    return [event for event in events if isinstance(event, Outcome)]


def purge(ledger: Path) -> None:
    assert main(["--ledger", str(ledger), "purge", "--before", "2023-01-01"]) == 0


def test_an_outcome_is_recorded_and_changes_no_decision(ledger: Path, tmp_path: Path) -> None:
    """By id and by reference; the case says the same as before, and the ledger is whole."""

    def state() -> tuple[str, str]:
        with closing(Store(ledger)) as store, store.reading() as connection:
            case = cases.find(connection, "new")
        assert case is not None
        return case.state, str(case.decision)

    before = state()
    file = csv(tmp_path, "id,outcome,date", "new,bad,2026-06-01")
    assert tell(ledger, file) == 0
    assert tell(ledger, csv(tmp_path, "reference;outcome;date", "reference-open;repaid;2026-05-31", name="b.csv")) == 0
    assert [(o.of, o.outcome, o.day, o.by) for o in outcomes_in(ledger)] == [
        ("new", "bad", "2026-06-01", "ann"), ("open", "repaid", "2026-05-31", "ann"),
    ]  # fmt: skip
    assert state() == before
    with closing(ReadOnlyStore(ledger)) as opened:
        assert verify(opened).problem is None


def test_the_same_file_twice_records_nothing_twice(
    ledger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor does a line that stands in it twice, or an earlier file after a correction."""
    first = csv(tmp_path, "id,outcome,date", "new,bad,2026-06-01", "new,bad,2026-06-01", "open,repaid,2026-06-02")
    then = csv(tmp_path, "id,outcome,date", "new,repaid,2026-07-01", name="then.csv")
    for file in (first, first, then, first):
        assert tell(ledger, file) == 0
    assert [(o.of, o.outcome) for o in outcomes_in(ledger)] == [("new", "bad"), ("open", "repaid"), ("new", "repaid")]
    printed = capsys.readouterr().out
    assert "2 had been recorded before" in printed
    assert "1 of cases that had another outcome" in printed


def test_every_bad_line_is_named_at_once_and_nothing_is_recorded(
    ledger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By its number, with nothing of what stands in it."""
    file = csv(
        tmp_path, "id,reference,outcome,date",
        "new,,bad,2026-06-01",  # the only good one
        "nobody,,bad,2026-06-01",
        ",secret-reference,bad,2026-06-01",
        ",reference-new-too,bad,2026-06-01",
        "open,,maybe,2026-06-01",
        "open,,bad,1.6.2026",
        "open,,bad,2999-01-01",
        "open,,bad,2025-12-31",
        "new,,repaid,2026-06-01",
        ",,bad,2026-06-01",
        "open,reference-new,bad,2026-06-01",
        "open,bad,2026-06-01",
        "begun,,bad,2026-06-01",
    )  # fmt: skip
    assert tell(ledger, file) == 2
    said = capsys.readouterr().err
    for part in (
        "12 problems", "line 3: no case has this id", "line 4: no case has this reference",
        "line 5: 2 cases have this reference", "line 6: the outcome is not one of", "line 7: the date is not like",
        "line 8: the date lies in the future", "line 9: the date lies before the case's first score, 2026-01-03",
        "line 10: line 2 says otherwise", "line 11: neither an id nor a reference",
        "line 12: the id and the reference belong to different cases", "line 13: 3 columns", "line 14: no case",
    ):  # fmt: skip
        assert part in said
    assert "secret" not in said
    assert "maybe" not in said
    assert outcomes_in(ledger) == []


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (("id,outcome",), "no column is called date"),
        (("name,outcome,date",), "no column is called id or reference"),
        (("id,id,outcome,date",), "two columns are called id"),
        (("id,outcome,date",), "there is a header and no line"),
        (("id,outcome,date", '"new,bad,2026-06-01'), "line 2"),
    ],
)
def test_a_file_without_outcomes_is_refused(tmp_path: Path, lines: tuple[str, ...], why: str) -> None:
    with pytest.raises(BadOutcomes, match=why):
        read_outcomes(csv(tmp_path, *lines), words_of(None), TODAY)


def test_the_words_are_a_recipes(tmp_path: Path) -> None:
    """What its [loans] calls bad and good, and more by hand; no word means both."""
    recipe = tmp_path / "r.toml"
    recipe.write_text('[loans]\nbad = ["1", "charged off"]\ngood = ["0"]\n')
    words = words_of(recipe, bad=["defaulted"], running=["Current"])
    assert words == {
        "repaid": "repaid", "bad": "bad", "running": "running", "defaulted": "bad", "Current": "running", "1": "bad",
        "charged off": "bad", "0": "repaid",
    }  # fmt: skip
    with pytest.raises(BadOutcomes, match="'0' means both running and repaid"):
        words_of(recipe, running=["0"])
    with pytest.raises(BadOutcomes, match="means both"):
        words_of(recipe, repaid=["1"])
    with pytest.raises(BadOutcomes, match="not a recipe"):
        words_of(csv(tmp_path, "[loans"))


def test_a_loan_that_still_runs_has_no_outcome(
    ledger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A list of all loans may be given as it is: those that run are counted, with or without a day, and nothing of them
    is recorded; an outcome that is there stays, and is said. Their lines are checked like others."""
    file = csv(tmp_path, "id,outcome,date", "new,running,", "new,Current,2026-05-01", "open,repaid,2026-06-02")
    assert main(["--ledger", str(ledger), "outcomes", str(file), "--by", "ann", "--running", "Current"]) == 0
    assert [(o.of, o.outcome) for o in outcomes_in(ledger)] == [("open", "repaid")]
    said = capsys.readouterr().out
    assert "1 outcomes recorded\n1 still run: nothing is recorded of them" in said
    assert "have an outcome in the ledger" not in said
    assert tell(ledger, csv(tmp_path, "id,outcome,date", "open,running,2026-07-01")) == 0
    assert "1 of these have an outcome in the ledger, which stays" in capsys.readouterr().out
    assert [(o.of, o.outcome) for o in outcomes_in(ledger)] == [("open", "repaid")]
    wrong = csv(
        tmp_path, "id,outcome,date", "nobody,running,", "new,running,1.6.2026", "open,running,", "open,bad,2026-06-03",
        "new,bad,",
    )  # fmt: skip
    assert tell(ledger, wrong) == 2
    said = capsys.readouterr().err
    for part in ("line 2: no case has this id", "line 3: the date is not like", "line 5: line 4 says otherwise",
                 "line 6: the date is not like"):  # fmt: skip
        assert part in said


def test_an_outcome_finds_a_case_whose_reference_is_erased(
    ledger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the digest that the purge left, under the key beside the ledger; neither holds the reference."""
    purge(ledger)
    key = key_beside(ledger)
    assert key is not None
    assert key_file(ledger).stat().st_mode & 0o777 == 0o600
    with closing(Store(ledger)) as store, store.reading() as connection:
        (erased,) = [record.event for record in records(connection, [PURGED])]
    assert isinstance(erased, Purged)
    assert erased.references == ((2, digest(key, "reference-old")),)
    assert erased.reference_key == key_name(key)
    assert b"reference-old" not in ledger.read_bytes()
    assert tell(ledger, csv(tmp_path, "reference,outcome,date", "reference-old,bad,2025-01-31")) == 0
    assert "1 found by the digest" in capsys.readouterr().out
    assert [o.of for o in outcomes_in(ledger)] == ["old"]
    with closing(ReadOnlyStore(ledger)) as opened:
        assert verify(opened).problem is None


def test_without_the_key_a_digest_says_nothing(
    ledger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message says that there are digests under another key; the id still finds the case."""
    purge(ledger)
    key_file(ledger).unlink()
    assert tell(ledger, csv(tmp_path, "reference,outcome,date", "reference-old,bad,2025-01-31")) == 2
    assert "1 erased references have digests under a key that is not here" in capsys.readouterr().err
    assert tell(ledger, csv(tmp_path, "id,outcome,date", "old,bad,2025-01-31", name="b.csv")) == 0


def test_a_broken_key_is_said(ledger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    purge(ledger)
    key_file(ledger).write_text("abc")
    assert tell(ledger, csv(tmp_path, "id,outcome,date", "new,bad,2026-06-01")) == 2
    assert "64 hexadecimal digits are needed" in capsys.readouterr().err


def test_an_outcome_does_not_prolong_the_retention_of_an_open_case(tmp_path: Path) -> None:
    """A lender that decides elsewhere purges open cases by their last record: an outcome does not count."""
    file = tmp_path / "ledger.sqlite3"
    with writing_to(file) as write:
        write.score("2022-01-01", "old")
    assert tell(file, csv(tmp_path, "id,outcome,date", "old,bad,2024-06-01")) == 0
    assert main(["--ledger", str(file), "purge", "--before", "2023-01-01", "--undecided"]) == 0
    with closing(Store(file)) as store, store.reading() as connection:
        case = cases.find(connection, "old")
    assert case is not None
    assert case.first.erased


@pytest.mark.slow
def test_many_lines_are_written_beside_a_server(tmp_path: Path) -> None:
    """More than one transaction holds, while a ledger that is open elsewhere goes on writing."""
    file = tmp_path / "ledger.sqlite3"
    with writing_to(file) as write:
        ids = [write.score("2026-01-01", f"case{number}") for number in range(2_100)]
        lines = ["id,outcome,date", *(f"{id},repaid,2026-06-01" for id in ids)]
        assert tell(file, csv(tmp_path, *lines)) == 0
        write.score("2026-06-02", "later")
    assert len(outcomes_in(file)) == 2_100
    with closing(ReadOnlyStore(file)) as opened:
        assert verify(opened).problem is None


def test_it_is_shown_and_exported(ledger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`show` of the case has it, and the table a row of it."""
    assert tell(ledger, csv(tmp_path, "id,outcome,date", "new,bad,2026-06-01")) == 0
    capsys.readouterr()
    assert main(["--ledger", str(ledger), "show", "new"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [(record["outcome"], record["day"]) for record in shown if record["kind"] == OUTCOME] == [
        ("bad", "2026-06-01")
    ]
    table = tmp_path / "all.csv"
    assert main(["--ledger", str(ledger), "export", str(table)]) == 0
    header, *rows = table.read_text("utf-8-sig").splitlines()
    assert {"outcome", "day", "file"} <= set(header.split(","))
    assert any(",outcome," in row and ",bad," in row for row in rows)


@pytest.fixture
def as_it_was(tmp_path: Path) -> Iterator[Ledger]:
    with closing(Ledger(tmp_path / "ledger.sqlite3")) as opened:
        yield opened


def test_a_file_is_recorded_through_the_store(as_it_was: Ledger, tmp_path: Path) -> None:
    """An unknown id in a ledger without a case is a bad line, too."""
    outcomes = read_outcomes(csv(tmp_path, "id,outcome,date", "x,bad,2026-01-01"), words_of(None), TODAY)
    with pytest.raises(BadOutcomes) as refused:
        record_outcomes(as_it_was.store, outcomes, by="ann")
    assert refused.value.problems == ("line 2: no case has this id",)
