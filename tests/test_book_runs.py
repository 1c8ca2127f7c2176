"""Runs of `tenfold book`: what is written, what is resumed, what is refused."""

import json
import math
import os
import re
import resource
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq
import pytest
from book_files import applications, contents, csv_text, form_of_release, parquet, rejected, score, scores, scores_in
from parts import newest, some

import tenfold
from inference.application import Form
from inference.book.batches import BatchScorer
from inference.book.columns import check
from inference.book.parts import RunFolder
from inference.book.pieces import Piece
from inference.book.run import FORMAT, Book
from inference.book.sources import Told, open_source
from inference.engines import XGBoostEngine
from inference.reasons import Reasons
from inference.release import open_release
from inference.scorer import Scorer

pytestmark = pytest.mark.slow
ROWS = applications(400)


@pytest.fixture(scope="module")
def form() -> Form:
    return form_of_release()


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """A file of 400 applications, three of which are refused."""
    rows = [dict(row) for row in ROWS]
    rows[10] |= {"amount": -1.0, "job": "juggler"}
    rows[150] |= {"price": math.nan}
    rows[399] |= {"term": None}
    return parquet(tmp_path / "in.parquet", rows, 100)


def test_each_row_has_the_score_of_the_desk(book: Path, tmp_path: Path, form: Form) -> None:
    """In the order of the file, with its own columns first."""
    assert score(book, tmp_path / "out", "--rows-a-part", 100) == 0
    release = open_release(newest("consumer"))
    alone = Scorer(release, XGBoostEngine(release))
    found = {row["loan_id"]: row for row in scores(tmp_path / "out").to_pylist()}
    assert list(found) == [row["loan_id"] for at, row in enumerate(ROWS) if at not in (10, 150, 399)]
    for row in ROWS:
        if row["loan_id"] in found:
            one = alone.score({name: row[name] for name in form.names})
            got = found[row["loan_id"]]
            assert (got["pd"], got["points"], got["decision"]) == (one.pd, one.points, one.decision)
            assert (got["unusual"], got["release"], got["engine"]) == (" ".join(one.unusual), one.release, "xgboost")


def test_pieces_of_any_size_are_checked_in_a_threads_own_memory(book: Path, tmp_path: Path) -> None:
    """Larger than any before, or smaller than the last: what was there before is in none of them."""
    release = open_release(newest("consumer"))
    source, folder = open_source(str(book), release.form, {}, Told()), RunFolder(tmp_path / "out", "parquet")
    of_run = Book(BatchScorer(release, XGBoostEngine(release)), source, {}, folder)
    batch = next(pq.ParquetFile(book).iter_batches(400))
    for rows in (400, 3, 70_000, 399):
        some_rows = batch.take(np.arange(rows) % 400)
        checked = of_run.checked(Piece("in.parquet", some_rows, np.arange(rows)))
        expected = check(some_rows, release.form)
        assert checked.good.tolist() == expected.good.tolist()
        assert checked.refused == expected.refused
        np.testing.assert_array_equal(checked.values[checked.good], expected.values[expected.good])


@pytest.mark.parametrize(
    ("engine", "packages"),
    [
        ("xgboost", {"xgboost"}),
        ("onnx", {"onnxruntime"}),
        ("onedal", {"xgboost", "daal4py"}),
        ("bins", {"xgboost", "numba"}),
    ],
)
def test_every_engine_scores_a_book(
    book: Path, tmp_path: Path, engine: str, packages: set[str], form: Form, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine told, or else set, scores and is named in each row; the manifest states its package's version."""
    if engine == "onnx":
        monkeypatch.setenv("TENFOLD_ENGINE", engine)
    assert score(book, tmp_path / "out", *([] if engine == "onnx" else ["--engine", engine])) == 0
    release = open_release(newest("consumer"))
    alone = Scorer(release, XGBoostEngine(release))
    by_id = {row["loan_id"]: row for row in ROWS}
    found = scores(tmp_path / "out").to_pylist()
    assert len(found) == 397
    for got in found:
        one = alone.score({name: by_id[got["loan_id"]][name] for name in form.names})
        assert got["engine"] == engine
        assert got["pd"] == pytest.approx(one.pd, abs=1e-6)
    versions = json.loads((tmp_path / "out" / "manifest.json").read_bytes())["versions"]
    assert set(versions) == {"numpy", "pyarrow", *packages}  # whatever else this process has loaded
    assert all(re.fullmatch(r"\d+(\.\d+)+", stated) for stated in some(versions.values()))


def test_refused_rows_are_listed_with_every_bad_field(book: Path, tmp_path: Path) -> None:
    """Row number, field, what is allowed, what was there; the counts add up and are the log's."""
    assert score(book, tmp_path / "out", "--rows-a-part", 100) == 0
    shown = ("file", "row", "field", "problem", "got")
    assert [tuple(line[name] for name in shown) for line in rejected(tmp_path / "out")] == [
        ("in.parquet", "11", "amount", "too_small", "-1.0"),
        ("in.parquet", "11", "job", "not_a_choice", "'juggler'"),
        ("in.parquet", "151", "price", "not_finite", "nan"),
        ("in.parquet", "400", "term", "not_stated", "None"),
    ]  # fmt: skip
    totals = json.loads((tmp_path / "out" / "_SUCCESS").read_bytes())
    logs = [json.loads(file.read_bytes()) for file in sorted((tmp_path / "out" / "logs").iterdir())]
    assert [(log["rows"], log["scored"], log["rejected"]) for log in logs] == [
        (100, 99, 1), (100, 99, 1), (100, 100, 0), (100, 99, 1)
    ]  # fmt: skip
    assert (totals["rows"], totals["scored"], totals["rejected"]) == (400, 397, 3)
    assert totals["decisions"] == Counter(scores(tmp_path / "out")["decision"].to_pylist())


def test_too_many_refused_rows_stop_the_run(book: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 1, no _SUCCESS; with a higher limit the run goes on."""
    assert score(book, tmp_path / "out", "--rows-a-part", 100, "--max-bad", 1) == 1
    assert "2 rows are refused, more than --max-bad 1" in capsys.readouterr().err
    assert not (tmp_path / "out" / "_SUCCESS").exists()
    assert score(book, tmp_path / "out", "--rows-a-part", 100, "--max-bad", 3, "--resume") == 0


def test_a_run_resumes_only_its_own(book: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Another input, part size, mapping or release is refused by the first thing that differs, and nothing changes."""
    out = tmp_path / "out"
    assert score(book, out) == 0
    before = contents(out)
    assert score(book, out) == 1
    assert "is not empty: --resume goes on" in capsys.readouterr().err
    assert score(book, out, "--resume", "--rows-a-part", 10) == 1
    assert "output.rows_a_part is 131072 there and 10 now" in capsys.readouterr().err
    other = parquet(tmp_path / "other.parquet", ROWS)
    assert score(other, out, "--resume") == 1
    assert "input.files[0].name is" in capsys.readouterr().err
    book.write_bytes(other.read_bytes())
    assert score(book, out, "--resume") == 1
    assert "input.files[0].bytes is" in capsys.readouterr().err
    assert contents(out) == before
    manifest = out / "manifest.json"
    manifest.write_text(manifest.read_text().replace(f'"format": {FORMAT},', '"format": 1,', 1))
    assert score(book, out, "--resume") == 1
    says = f"{out} was begun by another version of Tenfold, whose parts differ. Name another folder"
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(("chosen", "pool"), [({}, "system"), ({"ARROW_DEFAULT_MEMORY_POOL": "mimalloc"}, "mimalloc")])
def test_arrow_gives_back_what_was_freed(chosen: dict[str, str], pool: str) -> None:
    """Its memory is the system's in a program that scores books, unless the user chose another."""
    words = "import inference.book.command, pyarrow; print(pyarrow.default_memory_pool().backend_name)"
    without = {name: value for name, value in os.environ.items() if name != "ARROW_DEFAULT_MEMORY_POOL"}
    done = subprocess.run(
        [sys.executable, "-c", words], env=without | chosen, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == pool


def test_a_part_that_was_altered_is_done_again(book: Path, tmp_path: Path) -> None:
    """A part without a log, with another content, or gone; the bytes are those of the first run."""
    out = tmp_path / "out"
    assert score(book, out, "--rows-a-part", 100) == 0
    before = contents(out)
    (out / "_SUCCESS").unlink()
    (out / "logs" / "part-000000.json").unlink()
    (out / "parts" / "part-000001.parquet").write_bytes(b"altered")
    (out / "parts" / "part-000002.parquet").unlink()
    (out / "rejected" / "part-000003.csv").unlink()
    (out / "parts" / ".part-000002.parquet.tmp").write_bytes(b"half")
    assert score(book, out, "--rows-a-part", 100, "--resume") == 0
    assert contents(out) == before


def test_one_process_at_a_time(book: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A second one is refused while the first writes."""
    import fcntl

    (tmp_path / "out").mkdir()
    with (tmp_path / "out" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert score(book, tmp_path / "out") == 1
    assert "another process is writing" in capsys.readouterr().err


def test_one_csv_file(book: Path, tmp_path: Path) -> None:
    """Joined from parts, which go; its floats read as the same bits."""
    assert score(book, tmp_path / "out", "--rows-a-part", 100) == 0
    assert score(book, tmp_path / "scores.csv", "--rows-a-part", 100) == 0
    texts = pcsv.ConvertOptions(column_types={"loan_id": pa.string()}, strings_can_be_null=False)
    found = pcsv.read_csv(tmp_path / "scores.csv", convert_options=texts)
    expected = scores(tmp_path / "out")
    assert found.column_names == expected.column_names
    for name in found.column_names:
        assert found[name].to_pylist() == expected[name].to_pylist()
    assert not (tmp_path / "scores.csv.parts" / "parts").exists()
    assert len(rejected(tmp_path / "scores.csv.parts")) == 4
    assert score(book, tmp_path / "scores.csv") == 1  # it is there already


def test_one_parquet_file(book: Path, tmp_path: Path) -> None:
    """Joined from parts."""
    assert score(book, tmp_path / "out", "--rows-a-part", 100) == 0
    assert score(book, tmp_path / "scores.parquet", "--rows-a-part", 100) == 0
    assert scores_in(tmp_path / "scores.parquet").equals(scores(tmp_path / "out"))


def test_columns_by_other_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--map gives a field another column's; what is mapped is no longer carried through."""
    rows = [{"LoanAmt" if name == "amount" else name: value for name, value in row.items()} for row in ROWS]
    (tmp_path / "in.csv").write_text(csv_text(rows))
    assert score(tmp_path / "in.csv", tmp_path / "out") == 1
    assert "no column for 'amount'" in capsys.readouterr().err
    assert score(tmp_path / "in.csv", tmp_path / "out", "--map", "amount=LoanAmt") == 0
    assert scores(tmp_path / "out").column_names[:2] == ["loan_id", "pd"]
    assert scores(tmp_path / "out").num_rows == len(ROWS)
    for words, message in (
        (["--map", "amt=LoanAmt"], "FIELD=COLUMN is needed"),
        (["--map", "amount=price"], "'price' would be read for two fields"),
        (["--map", "amount=LoanAmt", "--map", "amount=x"], "amount is mapped twice"),
    ):
        assert score(tmp_path / "in.csv", tmp_path / "more", *words) == 1
        assert message in capsys.readouterr().err


def test_a_column_with_the_name_of_a_score_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It would be there twice."""
    book = parquet(tmp_path / "in.parquet", [row | {"pd": 0.5} for row in ROWS])
    assert score(book, tmp_path / "out") == 1
    assert "column 'pd' would be there twice" in capsys.readouterr().err


def test_carried_columns_keep_their_types(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nested ones too, in Parquet; CSV cannot hold those, which is said at once."""
    more = {"big": 2**63 - 1, "tags": ["a", "b"], "nothing": None, "bytes": b"\xff"}
    book = parquet(tmp_path / "in.parquet", [row | more for row in ROWS])
    assert score(book, tmp_path / "out") == 0
    assert {name: scores(tmp_path / "out")[name][5].as_py() for name in more} == more
    assert score(book, tmp_path / "out2", "--format", "csv") == 1
    assert "column 'tags' holds list" in capsys.readouterr().err


def test_progress_for_machines(book: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One JSON object a line, the counts last."""
    assert score(book, tmp_path / "out", "--rows-a-part", 100, "--json") == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["event"] for event in events] == ["reading", *["part"] * 5, "done"]
    assert [event["rows"] for event in events[1:-1]] == [0, 100, 200, 300, 400]
    assert (events[-1]["rows"], events[-1]["scored"], events[-1]["rejected"]) == (400, 397, 3)


def test_the_command_by_both_of_its_names(capsys: pytest.CaptureFixture[str]) -> None:
    """`tenfold book` and `python -m inference book`."""
    with pytest.raises(SystemExit):
        tenfold.main(["book", "--help"])
    assert "tenfold book" in capsys.readouterr().out


def test_ctrl_c_stops_cleanly(tmp_path: Path) -> None:
    """Status 130, no traceback, and how to go on; going on ends as a run that nobody stopped."""
    book = parquet(tmp_path / "in.parquet", applications(3000), 50)
    out = tmp_path / "out"
    words = ["--rows-a-part", "50", "--json", "--release", str(newest("consumer"))]
    command = [sys.executable, "-m", "inference", "book", str(book), str(out), *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for _ in range(5):
            process.stdout.readline()
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
    assert process.returncode == 130
    assert "the same command with --resume goes on" in said
    assert "Traceback" not in said
    assert 0 < len(list((out / "logs").iterdir())) < 60
    assert score(book, out, "--rows-a-part", 50, "--resume") == 0
    assert score(book, tmp_path / "alone", "--rows-a-part", 50) == 0
    assert contents(out) == contents(tmp_path / "alone")


def test_reasons_are_those_of_the_desk(tmp_path: Path, form: Form, capsys: pytest.CaptureFixture[str]) -> None:
    """The principal ones, for all rows or those that are not approved; what it costs is said first."""
    book = parquet(tmp_path / "in.parquet", ROWS[:40])
    release = open_release(newest("consumer"))
    explain = Reasons(release, XGBoostEngine(release))
    for which in ("all", "not-approved"):
        assert score(book, tmp_path / which, "--reasons", which) == 0
        assert "a row with reasons costs as much as" in capsys.readouterr().err
        found = scores(tmp_path / which).to_pylist()
        assert {row["decision"] for row in found} > {"approve"}
        for row, got in zip(ROWS, found, strict=False):
            application = form.parse({name: row[name] for name in form.names})
            principal = " ".join(explain.principal(explain.explain(application), application))
            assert got["reasons"] == (principal if which == "all" or got["decision"] != "approve" else "")
    assert score(book, tmp_path / "none") == 0
    assert "reasons" not in scores(tmp_path / "none").column_names


def test_a_full_disk_says_so_and_resumes(book: Path, tmp_path: Path) -> None:
    """A file that may not grow further: a message, no traceback; with room the run ends as one that always had it."""
    assert score(book, tmp_path / "out", "--rows-a-part", 100) == 0
    full = tmp_path / "full"
    command = [
        sys.executable,
        "-m",
        "inference",
        "book",
        str(book),
        str(full),
        "--rows-a-part",
        "100",
        "--workers",
        "2",
    ]
    command += ["--release", str(newest("consumer"))]

    def small() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))

    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=small)
    assert done.returncode == 1
    assert "there is no room left: make room, then --resume goes on" in done.stderr
    assert "Traceback" not in done.stderr
    assert score(book, full, "--rows-a-part", 100, "--resume") == 0
    assert contents(full) == contents(tmp_path / "out")
