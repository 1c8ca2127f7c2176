"""The table of cases: every search of it finds what the records say, whatever happened to the ledger."""

import gzip
import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from ledger_cases import SCORE, Writer, at, purged, writing_to

from inference.settings import ROOT
from ledger import cases, queries, schema
from ledger.cases import DONE, OPEN, PENDING, REVIEW, WAITING, Case
from ledger.decisions import DECISIONS, WITHDRAWALS, assigned, contested, noted, withdrawal
from ledger.events import SCORED, WITHDRAWN, Assigned, Contested, Decided
from ledger.readonly import ReadOnlyStore
from ledger.records import Draft
from ledger.schema import CASES_OF_2, DROPPED, VERSION
from ledger.store import Store
from ledger.verify import verify

PEOPLE = ("ann", "ben", "cyd", "max")
REFERENCES = ("A-2026-0001", "a-2026-00_2", "100%", "É 7", "\\", "", None)
LIMIT = 7


def write_cases(write: Writer, count: int, seed: int) -> None:
    """Cases in every state: decided, agreed, refused, contested, corrected, given away, decided again, withdrawn."""
    chance = random.Random(seed)
    begun = []
    for number in range(count):
        day = (at("2022-01-01") + timedelta(number * 10)).date().isoformat()
        id, by = f"case-{seed}-{number}", chance.choice((*PEOPLE, "api"))
        fields = {**SCORE, "by": by}
        write.add(day, Draft(SCORED, id, fields, {"answers": {}, "reference": chance.choice(REFERENCES)}))
        begun.append(id)
        for step in range(chance.randrange(4)):
            of = chance.choice(begun)
            if chance.random() < 0.3:
                write.add(day, assigned(of, by="max", to=chance.choice((*PEOPLE, "dan")), note="Yours."))
            if chance.random() < 0.1:
                write.add(day, noted(of, by=chance.choice(PEOPLE), note="Called."))
            if chance.random() < 0.05:
                write.add(day, withdrawal(of, chance.choice(WITHDRAWALS), by=chance.choice(PEOPLE)))
            if chance.random() < 0.3:
                write.add(day, Draft(SCORED, f"{id}-{step}", {**fields, "of": of, "by": chance.choice(PEOPLE)}, {}))
                continue
            decision = write.decide(
                day, of, chance.choice(DECISIONS), score=of, needs_second=chance.random() < 0.5
            )  # always by ann
            if chance.random() < 0.5:
                write.agree(day, decision, chance.random() < 0.5)
            if chance.random() < 0.3:
                said = contested(decision, by="ann", reviewer=chance.choice(PEOPLE), deadline=day, objection="No.")
                write.add(day, said)
            if chance.random() < 0.3:
                write.notify(day, decision)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Some hundred cases."""
    file = tmp_path / "ledger.sqlite3"
    with writing_to(file) as write:
        write_cases(write, 150, 1)
    return file


def questions(count: int, seed: int) -> Iterator[tuple[int | None, dict[str, str], str | None]]:
    """What may be asked of cases: before which, what, by whom."""
    chance = random.Random(seed)
    values = {
        "reference": ("A-2026", "a-2026-0001", "0", "_", "%", "\\", "É", "é", "none"),
        "since": ("2022-06-01", "2024-01-01", "2099-01-01"),
        "until": ("2022-06-01", "2024-01-01", "2099-01-01"),
        "by": ("ann", "nobody"),
        "decision": ("open", "waiting", "withdrawn", *DECISIONS),
        "overridden": ("yes", "no"),
    }
    for _ in range(count):
        asked = {name: chance.choice(few) for name, few in values.items() if chance.random() < 0.25}
        yield chance.choice((None, 100, 300)), asked, chance.choice((None, *PEOPLE, "api", "nobody"))


def answers(case: Case, asked: Mapping[str, str], only_of: str | None) -> bool:
    """Whether a case is what was asked for, by its records alone."""
    seen_by = {one.by for one in case.events} | {one.reviewer for one in case.of_kind(Contested)}
    seen_by |= {one.to for one in case.of_kind(Assigned)}
    decided, reference, day = case.decision, case.first.reference, case.first.time[:10]
    is_so: dict[str, Callable[[str], bool]] = {
        "reference": lambda value: reference is not None and lower(value) in lower(reference),
        "since": lambda value: day >= value,
        "until": lambda value: day <= value,
        "by": lambda value: decided is not None and decided.by == value,
        "decision": lambda value: (
            decided is None and case.withdrawn is None
            if value == "open"
            else case.state == value
            if value in (WAITING, WITHDRAWN)
            else decided is not None and decided.decision == value and case.withdrawn is None
        ),
        "overridden": lambda value: decided is not None and decided.overridden == (value == "yes"),
    }
    return (only_of is None or only_of in seen_by) and all(is_so[name](value) for name, value in asked.items())


def lower(text: str) -> str:
    """As SQLite compares: only the letters of ASCII have a small and a capital form."""
    return "".join(mark.lower() if mark.isascii() else mark for mark in text)


def compare(file: Path, seed: int = 1) -> int:
    """Ask many questions, and look at every case for each; how many cases were found. The ledger must be whole."""
    found_in_all = 0
    with closing(Store(file)) as opened, opened.reading() as connection:
        assert verify(opened).problem is None
        firsts = [one for one in queries.records(connection, [SCORED]) if not one.header.of]
        every = sorted(cases.cases_from(connection, firsts), key=lambda case: -case.first.seq)
        assert len(every) == len(firsts) > 0
        for before, asked, only_of in questions(300, seed):
            expected = [
                case.first for case in every
                if (before is None or case.first.seq < before) and answers(case, asked, only_of)
            ]  # fmt: skip
            found = [one.event for one in queries.cases(connection, LIMIT, before, asked, only_of)]
            assert found == expected[:LIMIT], (before, asked, only_of)
            found_in_all += len(found)
        assert {case.state for case in every} == {OPEN, PENDING, REVIEW, WAITING, *DONE}
        for state in (OPEN, PENDING, REVIEW, WAITING):
            for viewer in ("", *PEOPLE, "dan", "nobody"):
                for mine in (False, True):
                    found_in_all += compare_work(connection, every, state, viewer, mine)
    return found_in_all


def compare_work(connection: Any, every: list[Case], state: str, viewer: str, mine: bool) -> int:
    """A list of work, page by page, beside a look at every case; how many cases it has."""
    expected = sorted(
        (
            case for case in every
            if case.state == state and answers(case, {}, viewer or None) and (not mine or case.turn == viewer)
        ),
        key=lambda case: (case.queue_day, case.first.seq),
    )  # fmt: skip
    found: list[Any] = []
    after: tuple[str, int] | None = None
    while page := queries.work(connection, state, viewer, LIMIT, after, mine):
        assert len(page) <= LIMIT
        found += page
        after = (page[-1][0], page[-1][1].seq)
    assert [(day, record.event) for day, record in found] == [(case.queue_day, case.first) for case in expected]
    assert queries.work_count(connection, [state], viewer, 5, mine) == min(5, len(expected))
    return len(found)


@pytest.mark.slow
def test_searches_find_what_the_records_say(file: Path) -> None:
    """Every filter, and any of them together, for a manager and for officers, beside a look at every case."""
    assert compare(file) > 300


@pytest.mark.slow
def test_several_writers_and_batches(file: Path) -> None:
    """Another process's records and a commit of many drafts are listed too."""
    with writing_to(file) as write, writing_to(file) as other:
        waiting = [
            writer.ledger.submit(Draft(SCORED, f"{name}-{number}", {**SCORE, "by": name}, {"reference": name}))
            for number in range(50)
            for name, writer in (("ben", write), ("cyd", other))
        ]
        assert len({one.result().seq for one in waiting}) == 100
    assert compare(file, 2) > 300


def references(file: Path) -> int:
    with closing(sqlite3.connect(file)) as connection:
        return int(connection.execute("SELECT count(reference) FROM cases WHERE viewer = ''").fetchone()[0])


@pytest.mark.slow
def test_a_purge_erases_references_there_too(file: Path) -> None:
    """What was erased is found by no search; the case itself is still listed."""
    before = references(file)
    done = purged(file, "2024-06-01", undecided=True)
    assert done.cases > 10
    assert before - done.cases <= references(file) < before
    assert compare(file, 3) > 300


# --- version 1 ---


def as_version_1(file: Path) -> None:
    """The tables and indexes as version 1 had them."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("DROP TABLE cases")
        for name in ("person", "decision", "direction"):
            connection.execute(f"DROP INDEX entries_by_{name}")
        for statement in DROPPED.values():
            connection.execute(statement)
        connection.execute("PRAGMA user_version=1")


def as_version_2(file: Path) -> None:
    """The table of cases as version 2 had it."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("DROP TABLE cases")
        for statement in CASES_OF_2.values():
            connection.execute(statement)
        connection.execute("PRAGMA user_version=2")


def version(file: Path) -> int:
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


@pytest.mark.slow
@pytest.mark.parametrize(("number", "former"), [(1, as_version_1), (2, as_version_2)])
def test_an_older_ledger_is_raised(file: Path, number: int, former: Callable[[Path], None]) -> None:
    """Its cases are listed from its records when it is first opened for writing; until then it is read as it is."""
    former(file)
    assert version(file) == number
    with closing(ReadOnlyStore(file)) as read:
        assert verify(read).problem is None
    assert compare(file, 4) > 300
    assert version(file) == VERSION


@pytest.mark.parametrize("number", [1, 2])
def test_what_an_older_version_wrote_is_raised(tmp_path: Path, number: int) -> None:
    """The ledger that a program of another version left: whole before, by its own tables, and whole afterwards."""
    file = tmp_path / "ledger.sqlite3"
    content = (Path(__file__).with_name("data") / f"ledger-{number}.sqlite3.gz").read_bytes()
    file.write_bytes(gzip.decompress(content))
    with closing(ReadOnlyStore(file)) as former:
        assert verify(former).problem is None
    assert version(file) == number
    with closing(Store(file)) as opened, opened.reading() as connection:
        assert verify(opened).problem is None
        assert len(queries.cases(connection, 10)) == 4
        assert len(queries.cases(connection, 10, filters={"reference": "KEPT"})) == 2
    assert version(file) == VERSION


KILLED = """
import os, signal, sys
from pathlib import Path
from ledger import store
whole, calls = store.{step}, []
def killed(*given):
    whole(*given)
    os.kill(os.getpid(), signal.SIGKILL)
store.{step} = killed
store.Store(Path(sys.argv[1]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("step", ["raise_tables", "list_all_cases"])
def test_a_kill_while_it_is_raised_leaves_version_1(file: Path, step: str) -> None:
    """Everything or nothing: the file is of version 1 and whole, and the next program raises it."""
    as_version_1(file)
    done = subprocess.run([sys.executable, "-c", KILLED.format(step=step), str(file)], cwd=ROOT)
    assert done.returncode == -9
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'cases'").fetchone() == (0,)
    assert version(file) == 1
    assert compare(file, 5) > 300
    assert version(file) == VERSION


# --- plans ---


def plan(connection: Any, query: Any) -> str:
    """How SQLite will look for something."""
    rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {schema.as_text(query)}")
    return "; ".join(row[3] for row in rows)


@pytest.mark.slow
def test_every_search_reads_one_viewers_rows(file: Path) -> None:
    """In the order of the page, from where it begins: nothing is sorted, and no other table is read."""
    with closing(Store(file)) as opened, opened.reading() as connection:
        for before, asked, only_of in questions(100, 6):
            found = plan(connection, queries.cases_query(LIMIT, before, asked, only_of))
            assert found == f"SEARCH cases USING PRIMARY KEY (viewer=?{' AND seq<?' if before else ''})", (asked, found)


@pytest.mark.slow
def test_every_list_of_work_is_a_range_of_one_index(file: Path) -> None:
    """In its order, from where the page before ended, and no row of the table is read."""
    with closing(Store(file)) as opened, opened.reading() as connection:
        for after in (None, ("2023-01-01", 7)):
            for mine in (False, True):
                found = plan(connection, queries.work_query(OPEN, "ann", LIMIT, after, mine))
                assert found.startswith("SEARCH cases USING COVERING INDEX cases_by_queue (viewer=? AND state=? AND ")
                assert "SORT" not in found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asked", "index"),
    [
        ({"by": "ann"}, "entries_by_person (by=?)"),
        ({"by": "ann", "kind": "decided"}, "entries_by_person (by=?)"),
        ({"by": "ann", "decision": "decline", "kind": "decided"}, "entries_by_person (by=?)"),
        ({"decision": "decline"}, "entries_by_decision (decision=?)"),
        ({"decision": "decline", "kind": "decided"}, "entries_by_decision (decision=?)"),
        ({"kind": "decided"}, "entries_by_kind (kind=?)"),
        ({"reference": "x", "by": "ann", "decision": "decline"}, "personal_by_reference (reference=?)"),
    ],
)
def test_the_list_of_records_has_an_index_for_every_question(file: Path, asked: dict[str, str], index: str) -> None:
    """The one that compares all that is asked of a record, or the rarest of it."""
    with closing(Store(file)) as opened, opened.reading() as connection:
        assert f"USING INDEX {index}" in plan(connection, queries.newest_query(LIMIT, None, asked))
        found = queries.newest(connection, 1000, None, **asked)
        every = [one for one in queries.records(connection) if asked.items() <= flat(one).items()]
        assert found == every[::-1]


def flat(record: Any) -> dict[str, Any]:
    return {**(record.personal_json or {}), **record.body_json}


@pytest.mark.slow
def test_overrides_are_counted_from_an_index(file: Path) -> None:
    """By month, direction and reason, as the records say."""
    with closing(Store(file)) as opened, opened.reading() as connection:
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {queries.DIRECTIONS}").all()
        assert [row[3] for row in rows] == ["SEARCH entries USING INDEX entries_by_direction (kind=?)"]
        counted: dict[tuple[str, str, str | None], int] = {}
        for one in queries.records(connection, ["decided"]):
            said = one.event
            assert isinstance(said, Decided)
            name = (said.time[:7], said.direction, said.reason_code)
            counted[name] = counted.get(name, 0) + 1
        found = queries.directions(connection)
    assert {row[:3]: row[3] for row in found} == counted
    assert len(counted) > 10
    assert [row[0] for row in found] == sorted((row[0] for row in found), reverse=True)
