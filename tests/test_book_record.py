"""A run of `tenfold book` is one record in the ledger, which says how to repeat it and holds no row."""

import hashlib
import json
import shlex
import sqlite3
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from book_files import applications, contents, csv_text, parquet
from parts import newest

import tenfold
from inference.version import VERSION
from ledger.__main__ import main as ledger_command
from ledger.readonly import ReadOnlyStore
from ledger.retention import os_user
from ledger.verify import verify

pytestmark = pytest.mark.slow
ROWS = applications(120)


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "ledger.sqlite3"
    monkeypatch.setenv("TENFOLD_LEDGER", str(file))
    monkeypatch.chdir(tmp_path)
    return file


def book(*words: object) -> int:
    release = [] if "--release" in words else ["--release", str(newest("consumer"))]
    return tenfold.main(["book", *map(str, words), *release])


def recorded(ledger: Path) -> list[dict[str, object]]:
    """The records beside the first, with their personal parts."""
    with sqlite3.connect(f"file:{ledger}?mode=ro", uri=True) as connection:
        rows = connection.execute(
            "SELECT e.body, p.body FROM entries e LEFT JOIN personal p USING (seq) WHERE seq > 1 ORDER BY seq"
        ).fetchall()
    return [{**json.loads(body), **json.loads(personal)} for body, personal in rows]


def test_a_run_is_one_record(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Digests, counts and who; none of its rows; the ledger is whole."""
    rows = [row | {"amount": -1.0} if at == 5 else row for at, row in enumerate(ROWS)]
    (ledger.parent / "in.csv").write_text(csv_text(rows))
    assert book("in.csv", "out", "--max-bad", 3) == 0
    (record,) = recorded(ledger)
    said = capsys.readouterr().out
    assert f"record in the ledger: {record['id']}" in said
    success = json.loads((ledger.parent / "out" / "_SUCCESS").read_bytes())
    assert record["kind"] == "book_scored"
    assert record["by"] == os_user()
    assert record["input"] == hashlib.sha256((ledger.parent / "in.csv").read_bytes()).hexdigest()
    assert record["output"] == success["sha256"]
    assert (record["rows"], record["scored"], record["rejected"]) == (120, 119, 1)
    assert (record["files"], record["engine"]) == (["in.csv"], "xgboost")
    assert "000000000007" not in json.dumps(record)
    store = ReadOnlyStore(ledger)
    assert verify(store).problem is None
    store.close()


def test_show_says_how_to_repeat_it(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command that it names gives the same bytes, whatever the environment says by then."""
    rows = [{"Sum" if name == "amount" else name: value for name, value in row.items()} for row in ROWS]
    (ledger.parent / "in.csv").write_text(csv_text(rows, separator=";"))
    assert book("in.csv", "first", "--map", "amount=Sum", "--rows-a-part", 50, "--reasons", "not-approved") == 0
    (record,) = recorded(ledger)
    capsys.readouterr()
    assert ledger_command(["show", str(record["id"])]) == 0
    (shown,) = json.loads(capsys.readouterr().out)
    words = shlex.split(shown["repeat"])
    assert words[:2] == ["tenfold", "book"]
    assert book(*[{"OUT": "again"}.get(word, word) for word in words[2:]]) == 0
    assert contents(ledger.parent / "again") == contents(ledger.parent / "first")
    second = recorded(ledger)[1]
    assert (second["input"], second["output"]) == (record["input"], record["output"])
    assert str(record["input"]) in shown["expected"]
    assert str(record["output"]) in shown["expected"]


def test_a_run_that_is_ended_again_is_one_record(
    ledger: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """--resume of a run that has ended gives the first one's record, by another version too; what stopped is no
    record."""
    parquet(ledger.parent / "in.parquet", [row | {"term": None} for row in ROWS[:50]] + ROWS[50:], 50)
    assert book("in.parquet", "out", "--max-bad", 3, "--rows-a-part", 50) == 1
    assert recorded(ledger) == []
    for version in (VERSION, "9.9.9"):
        monkeypatch.setattr("ledger.books.VERSION", version)
        assert book("in.parquet", "out", "--rows-a-part", 50, "--resume") == 0
    (record,) = recorded(ledger)
    assert record["version"] == VERSION
    assert capsys.readouterr().out.count(str(record["id"])) == 2


def test_files_of_a_folder_have_the_digest_of_their_digests(ledger: Path) -> None:
    """As `sha256sum * | sha256sum` gives it."""
    folder = ledger.parent / "in"
    folder.mkdir()
    for name, start in (("a", 0), ("b", 60)):
        pq.write_table(pa.Table.from_pylist(ROWS[start : start + 60]), folder / f"{name}.parquet")
    assert book("in", "out") == 0
    (record,) = recorded(ledger)
    lines = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in sorted(folder.iterdir())]
    assert record["input"] == hashlib.sha256("".join(lines).encode()).hexdigest()


def test_a_ledger_that_cannot_be_opened_stops_the_run_first(
    ledger: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is scored that could not be recorded; without a ledger nothing is recorded."""
    parquet(ledger.parent / "in.parquet", ROWS)
    ledger.write_bytes(b"this is no ledger, and longer than a header of SQLite is" * 10)
    assert book("in.parquet", "out") == 1
    assert "ledger.sqlite3" in capsys.readouterr().err
    assert not (ledger.parent / "out").exists()
    monkeypatch.setenv("TENFOLD_LEDGER", "off")
    assert book("in.parquet", "out") == 0
    assert "record" not in capsys.readouterr().out
