"""`score` takes many applications, from a file or a pipe, and ends quietly where nobody reads on."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from book_files import applications, csv_text
from parts import newest

from inference.__main__ import main
from inference.engines import XGBoostEngine
from inference.release import open_release
from inference.scorer import Scorer
from inference.settings import ROOT

pytestmark = pytest.mark.slow
RELEASE = str(newest("consumer"))
ROWS = [{name: value for name, value in row.items() if name != "loan_id"} for row in applications(30)]


@pytest.fixture(autouse=True)
def no_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENFOLD_LOG", "off")
    monkeypatch.setenv("TENFOLD_LEDGER", "off")


@pytest.fixture(scope="module")
def expected() -> list[float]:
    release = open_release(newest("consumer"))
    scorer = Scorer(release, XGBoostEngine(release))
    return [scorer.score(row).pd for row in ROWS]


def json_lines(rows: list[dict[str, object]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def piped(text: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", "inference", "score", "--release", RELEASE, *words]
    return subprocess.run(command, cwd=ROOT, input=text, capture_output=True, text=True)


def pds(text: str) -> list[float]:
    return [json.loads(line)["pd"] for line in text.splitlines()]


@pytest.mark.parametrize(
    ("name", "write"),
    [("in.jsonl", json_lines), ("in.csv", csv_text), ("in.ndjson", lambda rows: "\n" + json_lines(rows))],
)
def test_files_of_many(
    tmp_path: Path, name: str, write: object, expected: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    """A line of JSON for each, in their order."""
    (tmp_path / name).write_text(write(ROWS), "utf-8")  # type: ignore[operator]
    assert main(["score", str(tmp_path / name), "--release", RELEASE]) == 0
    assert pds(capsys.readouterr().out) == expected


@pytest.mark.parametrize("write", [json_lines, csv_text])
def test_a_pipe(write: object, expected: list[float]) -> None:
    """`-` is standard input, whatever of the two comes."""
    done = piped(write(ROWS), "-")  # type: ignore[operator]
    assert (done.returncode, done.stderr) == (0, "")
    assert pds(done.stdout) == expected


def test_one_object_over_several_lines_from_a_pipe(expected: list[float]) -> None:
    """As people print JSON."""
    done = piped(json.dumps(ROWS[0], indent=2), "-")
    assert (done.returncode, pds(done.stdout)) == (0, expected[:1])


def test_refused_applications_are_lines_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With their line and every bad answer; the others are scored; other columns come back; status 2."""
    rows = [{"id": f"00{at}", **row} for at, row in enumerate(ROWS)]
    rows[3] |= {"amount": "many", "job": "juggler"}
    (tmp_path / "in.csv").write_text(csv_text(rows))
    assert main(["score", str(tmp_path / "in.csv"), "--release", RELEASE]) == 2
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [problem["field"] for problem in lines[3]["problems"]] == ["amount", "job"]
    assert lines[3]["line"] == 5
    assert sum("pd" in line for line in lines) == 29
    assert [line["columns"]["id"] for line in lines] == [row["id"] for row in rows]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("in.csv", "amount,price\n1,2\n", "no column for term"),
        ("in.csv", csv_text(ROWS) + "1,2\n", "line 32 has 2 columns"),
        ("in.csv", "amount,amount\n1,2\n", "two columns are called 'amount'"),
        ("in.csv", csv_text(ROWS).replace("\n", '\n"', 1) + "\n", "line"),
        ("in.csv", "", "no column for amount"),
        ("in.jsonl", json_lines(ROWS) + "{", "line 31 is not JSON"),
        ("in.jsonl", json_lines(ROWS) + "[1]\n", "line 31: a JSON object"),
        ("in.jsonl", '{"amount": 1, "amount": 2}\n', "'amount' is given twice"),
        ("gone.jsonl", None, "No such file"),
    ],
)
def test_what_cannot_be_read_says_where(
    tmp_path: Path, name: str, text: str | None, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 1, and no traceback."""
    if text is not None:
        (tmp_path / name).write_text(text, "utf-8")
    assert main(["score", str(tmp_path / name), "--release", RELEASE]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("module", ["inference", "tenfold"])
def test_a_closed_pipe_is_no_traceback(tmp_path: Path, module: str) -> None:
    """`… | head -1`: the reader goes, and the command ends as a program ended by SIGPIPE."""
    (tmp_path / "in.jsonl").write_text(json_lines(ROWS * 100), "utf-8")
    command = [sys.executable, "-m", module, "score", str(tmp_path / "in.jsonl"), "--release", RELEASE]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert "pd" in json.loads(process.stdout.readline())
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 141
