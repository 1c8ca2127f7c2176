"""verify sees what pages see: indexes, keys, triggers; on any medium, without writing a byte; old ledgers too."""

import gzip
import hashlib
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from ledger_cases import writing_to

from ledger import cases
from ledger.__main__ import main
from ledger.errors import LedgerUnavailable
from ledger.ledger import Ledger
from ledger.readonly import ReadOnlyStore
from ledger.records import Draft, Key
from ledger.store import Store
from ledger.verify import verify

DATA = Path(__file__).with_name("data")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed ledger: three cases, two of them decided, a key each."""
    file = tmp_path_factory.mktemp("verified") / "ledger.sqlite3"
    with writing_to(file) as write:
        write.decide("2026-01-02", write.score("2026-01-01", "one"))
        write.decide("2026-01-02", write.score("2026-01-02", "two"))
        write.score("2026-01-03", "three")
    return file


def problem(file: Path) -> str:
    opened = ReadOnlyStore(file)
    with closing(opened):
        return verify(opened).problem or ""


# --- indexes, keys, triggers ---


MISSTATED = "the table of cases misstates the case of record {}:"
EDITS = {
    # The index is built without a record, and its SQL says afterwards that it holds all.
    "a decision is hidden by the index of what refers to what": (
        "DROP INDEX entries_by_origin;"
        'CREATE INDEX entries_by_origin ON entries ("of", seq) WHERE seq <> 3;'
        "PRAGMA writable_schema=ON;"
        "UPDATE sqlite_master SET sql = 'CREATE INDEX entries_by_origin ON entries (\"of\", seq)' "
        "WHERE name = 'entries_by_origin';",
        "row 3 missing from index entries_by_origin",
    ),
    "a case is hidden by the index of kinds": (
        "DROP INDEX entries_by_kind;"
        "CREATE INDEX entries_by_kind ON entries (kind, seq) WHERE seq <> 4;"
        "PRAGMA writable_schema=ON;"
        "UPDATE sqlite_master SET sql = 'CREATE INDEX entries_by_kind ON entries (kind, seq)' "
        "WHERE name = 'entries_by_kind';",
        "row 4 missing from index entries_by_kind",
    ),
    "an index is of another kind": (
        "DROP INDEX entries_by_id; CREATE UNIQUE INDEX entries_by_id ON entries (id) WHERE seq <> 2;",
        "the index entries_by_id was changed",
    ),
    "an index is gone": ("DROP INDEX entries_by_time;", "the index entries_by_time is missing"),
    "a trigger is gone": ("DROP TRIGGER personal_update;", "the trigger personal_update is missing"),
    "a trigger does something else": (
        "DROP TRIGGER entries_delete;CREATE TRIGGER entries_delete BEFORE DELETE ON entries BEGIN SELECT 1; END;",
        "the trigger entries_delete was changed",
    ),
    "a trigger is there that was not": (
        "CREATE TRIGGER more AFTER INSERT ON personal BEGIN DELETE FROM idempotency WHERE seq < NEW.seq; END;",
        "the trigger more is unknown",
    ),
    "a view is there that was not": ("CREATE VIEW v AS SELECT 1;", "the view v is unknown"),
    "a case is hidden from all": ("DELETE FROM cases WHERE seq = 4;", MISSTATED.format(4)),
    "a case is hidden from one officer": ("DELETE FROM cases WHERE seq = 2 AND viewer = 'ann';", MISSTATED.format(2)),
    "a case is shown to an officer without a part in it": (
        "INSERT INTO cases SELECT 'eve', seq, day, decision, decided_by, overridden, state, mine, queue_day, reference "
        "FROM cases WHERE seq = 4 AND viewer = '';",
        MISSTATED.format(4),
    ),
    "a case is listed that never was": (
        "INSERT INTO cases SELECT viewer, 3, day, decision, decided_by, overridden, state, mine, queue_day, reference "
        "FROM cases WHERE seq = 4 AND viewer = '';",
        MISSTATED.format(3),
    ),
    "a case is listed as another's": ("UPDATE cases SET reference = 'x' WHERE seq = 6;", MISSTATED.format(6)),
    "a case is listed without a reference": ("UPDATE cases SET reference = NULL WHERE seq = 6;", MISSTATED.format(6)),
    "a case is listed as decided otherwise": ("UPDATE cases SET decision = 'decline';", MISSTATED.format(2)),
    "a case is listed as decided by another": ("UPDATE cases SET decided_by = 'eve';", MISSTATED.format(2)),
    "a case is listed as decided": ("UPDATE cases SET decision = 'decline' WHERE seq = 6;", MISSTATED.format(6)),
    "a case is listed on another day": ("UPDATE cases SET day = '2020-01-01' WHERE seq = 4;", MISSTATED.format(4)),
    "a case is listed as overridden": ("UPDATE cases SET overridden = NOT overridden;", MISSTATED.format(2)),
    "a case is listed as waiting": ("UPDATE cases SET state = 'waiting' WHERE seq = 6;", MISSTATED.format(6)),
    "a case is in nobody's work": ("UPDATE cases SET queue_day = NULL WHERE seq = 6;", MISSTATED.format(6)),
    "a case is due later": ("UPDATE cases SET queue_day = '2030-01-01' WHERE seq = 6;", MISSTATED.format(6)),
    "a case is not in an officer's own work": (
        "UPDATE cases SET mine = 0 WHERE seq = 6 AND viewer = 'api';",
        MISSTATED.format(6),
    ),
    "the table of cases is gone": ("DROP TABLE cases;", "the index cases_by_queue is missing"),
    "a key leads to another applicant's record": (
        "UPDATE idempotency SET seq = 4 WHERE seq = 2;",
        "record 4: an Idempotency-Key leads to it that was not made for it",
    ),
    "a key takes another request": (
        "UPDATE idempotency SET digest = zeroblob(31) WHERE seq = 2;",
        "record 2: an Idempotency-Key leads to it that was not made for it, or was changed",
    ),
    "a key is another client's": (
        "UPDATE idempotency SET client = 'ann' WHERE seq = 2;",
        "record 2: an Idempotency-Key leads to it",
    ),
    "a key more": (
        "INSERT INTO idempotency VALUES ('api', 'more', zeroblob(32), 4);",
        "record 4: an Idempotency-Key leads to it",
    ),
    "a key is gone": ("DELETE FROM idempotency WHERE seq = 2;", "record 2: its Idempotency-Key is missing"),
    "a key to nowhere": (
        "UPDATE idempotency SET seq = 99 WHERE seq = 2;",
        "an Idempotency-Key leads to record 99, which is missing",
    ),
}


def edited(written: Path, folder: Path, sql: str) -> Path:
    """The ledger after somebody with the file in hand has run SQL on it."""
    copy = Path(shutil.copy(written, folder / "edited.sqlite3"))
    with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
        connection.executescript(sql)
    return copy


@pytest.mark.parametrize("name", EDITS)
def test_what_leads_to_records_is_verified(written: Path, tmp_path: Path, name: str) -> None:
    """The chain is whole after each of these, and what pages or the API would show is not."""
    sql, said = EDITS[name]
    assert said in problem(edited(written, tmp_path, sql))
    assert problem(written) == ""


def test_an_edited_index_does_hide_a_decision(written: Path, tmp_path: Path) -> None:
    """So that the test above is about something: the case's page would say that nobody has decided."""
    name = "a decision is hidden by the index of what refers to what"
    with closing(Store(edited(written, tmp_path, EDITS[name][0]))) as opened, opened.reading() as connection:
        case = cases.find(connection, "one")
    assert case is not None
    assert case.decision is None


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("UPDATE idempotency SET client = 'ann' WHERE client = 'api'", "an Idempotency-Key leads to it"),
        ("INSERT INTO idempotency VALUES ('api', 'more', zeroblob(32), 2)", "record 2: an Idempotency-Key leads to it"),
    ],
)
def test_keys_of_an_old_ledger_are_verified(tmp_path: Path, sql: str, said: str) -> None:
    """Records of format 1 do not name their key: its client must be who scored, and what is erased has none."""
    old = tmp_path / "old.sqlite3"
    old.write_bytes(gzip.decompress((DATA / "ledger-1.sqlite3.gz").read_bytes()))
    assert problem(old) == ""
    assert said in problem(edited(old, tmp_path, sql))


def test_an_erased_part_that_is_back_is_found(written: Path, tmp_path: Path) -> None:
    """Whoever kept an erased part cannot put it back unseen."""
    copy = Path(shutil.copy(written, tmp_path / "purged.sqlite3"))
    assert main(["--ledger", str(copy), "purge", "--before", "2026-06-01", "--months", "0"]) == 0
    assert problem(copy) == ""
    with closing(sqlite3.connect(copy)) as connection:
        connection.execute("ATTACH ? AS before", (str(written),))
        connection.execute(
            "INSERT INTO main.personal (seq, salt, body) SELECT seq, salt, body FROM before.personal WHERE seq = 2"
        )
        connection.commit()
    assert problem(copy) == "record 2: its personal part is there, and a record says that it was erased"


def test_a_verification_says_what_it_covers(written: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """How many records, from when to when, which head."""
    assert main(["--ledger", str(written), "verify"]) == 0
    said = capsys.readouterr().out
    assert "6 records are whole and in order" in said
    assert "from 2019-01-01T09:00:00.000000Z to 2026-01-03T09:00:00.000000Z" in said
    with closing(ReadOnlyStore(written)) as opened:
        assert f"head {verify(opened).head}" in said


# --- without writing a byte ---


def everything(folder: Path) -> dict[str, tuple[str, int]]:
    """Names, contents (as digests) and times of all files of a folder."""
    files = sorted(folder.iterdir())
    return {one.name: (hashlib.sha256(one.read_bytes()).hexdigest(), one.stat().st_mtime_ns) for one in files}


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """A ledger of a process that was killed: its last records are in the log alone."""
    file = tmp_path / "killed" / "ledger.sqlite3"
    program = (
        "import os, sys; from pathlib import Path; from ledger.ledger import Ledger; from ledger.records import Draft\n"
        "ledger = Ledger(Path(sys.argv[1]))\n"
        "for at in range(5): ledger.append(Draft('scored', f'r{at}', {}, {'answers': {}}))\n"
        "os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", program, str(file)]).returncode == -9
    assert Path(f"{file}-wal").stat().st_size
    return file


def in_use(killed: Path) -> Iterator[Path]:
    """Another process has it open."""
    program = (
        "import sys; from pathlib import Path; from ledger.ledger import Ledger; from ledger.records import Draft\n"
        "ledger = Ledger(Path(sys.argv[1])); ledger.append(Draft('scored', 'r5', {}, {'answers': {}}))\n"
        "print('open', flush=True); sys.stdin.read(); ledger.close()"
    )
    command = [sys.executable, "-c", program, str(killed)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "open\n"
        yield killed


def closed(killed: Path) -> Iterator[Path]:
    Ledger(killed).close()
    yield killed


def log_without_index(killed: Path) -> Iterator[Path]:
    """As a copy has it that took the log along."""
    Path(f"{killed}-shm").unlink()
    yield killed


def left_behind(killed: Path) -> Iterator[Path]:
    yield killed


def read_only(killed: Path) -> Iterator[Path]:
    """A file system that takes no byte, with all that a killed process left on it."""
    folder = killed.parent
    for command in (["mount", "--bind", folder, folder], ["mount", "-o", "remount,ro,bind", folder]):
        if subprocess.run([str(part) for part in command], capture_output=True).returncode:
            pytest.skip("no read-only file system can be mounted here: needs root and CAP_SYS_ADMIN")
    try:
        with pytest.raises(OSError, match="Read-only"):
            (folder / "new").touch()
        yield killed
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("state", [in_use, closed, log_without_index, left_behind, read_only])
def test_reading_changes_no_byte(
    killed: Path, tmp_path: Path, state: Callable[[Path], Iterator[Path]], capsys: pytest.CaptureFixture[str]
) -> None:
    """Every command that only reads, whatever lies beside the file, sees all records; no file is written or made."""
    states = state(killed)
    file = next(states)
    before = everything(file.parent)
    records = 7 if state is in_use else 6
    for arguments in (
        ["verify"], ["head"], ["show", "r4"], ["stamp", str(tmp_path / "stamps.jsonl")],
        ["export", str(tmp_path / "out.csv")], ["backup", str(tmp_path / "backup.sqlite3")],
    ):  # fmt: skip
        assert main(["--ledger", str(file), *arguments]) == 0, arguments
        if arguments == ["verify"]:
            assert f"{records} records are whole" in capsys.readouterr().out
    assert everything(file.parent) == before
    assert list(states) == []
    with closing(ReadOnlyStore(tmp_path / "backup.sqlite3")) as copy:
        assert verify(copy).records == records


def test_a_file_that_is_written_to_meanwhile_is_read_again(written: Path, tmp_path: Path) -> None:
    """A file that nobody had open is read as one that does not change; if it does, that is noticed."""
    copy = Path(shutil.copy(written, tmp_path / "ledger.sqlite3"))
    with closing(ReadOnlyStore(copy)) as opened:
        assert not opened.changed()
        with closing(Ledger(copy)) as ledger:
            ledger.append(Draft("scored", "new", {}))
            assert opened.changed()
        assert opened.changed()


def test_what_is_not_a_ledger_is_refused(tmp_path: Path) -> None:
    for file, content in (("none", None), ("text", b"text"), ("empty", b"")):
        if content is not None:
            (tmp_path / file).write_bytes(content)
        with pytest.raises(LedgerUnavailable):
            ReadOnlyStore(tmp_path / file)
    with pytest.raises(LedgerUnavailable, match="a folder"):
        ReadOnlyStore(tmp_path)


# --- old ledgers go on ---


def test_an_old_ledger_goes_on(tmp_path: Path) -> None:
    """Opened for writing it is raised; its records stay as they are, and new ones follow; older programs refuse it."""
    old = tmp_path / "old.sqlite3"
    old.write_bytes(gzip.decompress((DATA / "ledger-1.sqlite3.gz").read_bytes()))
    with closing(ReadOnlyStore(old)) as opened:
        before = verify(opened)
    with closing(sqlite3.connect(old)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    with closing(Ledger(old)) as ledger:
        ledger.append(Draft("scored", "new", {"by": "api"}, {"answers": {}}, Key("api", "k", b"d")))
    with closing(ReadOnlyStore(old)) as opened:
        after = verify(opened, before.head)
        assert after.problem is None
        # The purge of then may have left something: the first program that writes cleans up, and says so.
        assert after.after_head in (1, 2)
    with closing(sqlite3.connect(old)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (3,)


def test_unknown_kinds_are_shown_and_exported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a later program recorded of a case is verified, shown, exported, and erased with its case."""
    file = tmp_path / "ledger.sqlite3"
    with writing_to(file) as write:
        id = write.score("2022-01-01", "one")
        write.add("2022-01-02", Draft("mused", "m1", {"of": id, "mood": {"good": True}}, {"thought": "canary-thought"}))
        write.decide("2022-01-03", id)
    command = ["--ledger", str(file)]
    assert main([*command, "verify"]) == 0
    assert main([*command, "show", id]) == 0
    assert "canary-thought" in capsys.readouterr().out
    for name in ("out.csv", "out.parquet"):
        assert main([*command, "export", str(tmp_path / name)]) == 0
    assert "canary-thought" in (tmp_path / "out.csv").read_text("utf-8")
    assert main([*command, "purge", "--before", "2023-01-01"]) == 0
    assert b"canary-thought" not in file.read_bytes()
    assert main([*command, "verify"]) == 0
