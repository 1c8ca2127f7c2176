"""The command line: a card for a person, JSON for a pipe, and an exit status that says what was wrong."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from inference.__main__ import main
from inference.release import Release, open_release
from inference.scorer import Scorer
from inference.settings import ROOT, default_release

COMMAND = [sys.executable, "-W", "error", "-m", "inference", "score"]


@pytest.fixture(autouse=True)
def no_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here writes into the repository's logs."""
    monkeypatch.setenv("TENFOLD_LOG", "off")


@pytest.fixture(scope="module")
def default() -> Release:
    return open_release(default_release())


def words(answers: dict[str, object]) -> list[str]:
    return [f"{name}={answer}" for name, answer in answers.items()]


# --- as a process ---


@pytest.mark.slow
def test_in_a_pipe_the_example_is_json(default: Release) -> None:
    """`python -m inference score --example` prints one JSON object, without the answers, and exits with 0."""
    done = subprocess.run([*COMMAND, "--example"], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    score = json.loads(done.stdout)
    assert score["release"] == default.name
    assert score["pd"] == pytest.approx(default.manifest.golden[0].pd, abs=1e-6)
    assert score["decision"] in ("approve", "refer", "decline")
    assert "application" not in score


@pytest.mark.slow
def test_on_a_terminal_the_example_is_a_card(default: Release) -> None:
    """On a terminal the decision is in words, with PD, points, cut-offs, every answer with its unit, and the notice."""
    master, slave = pty.openpty()
    with subprocess.Popen([*COMMAND, "--example"], cwd=ROOT, stdout=slave, stderr=slave, stdin=slave) as process:
        os.close(slave)
        shown = b""
        try:
            while data := os.read(master, 1 << 16):
                shown += data
        except OSError:  # the other end of the terminal was closed
            pass
        os.close(master)
        assert process.wait() == 0
    text = shown.decode().replace("\r\n", "\n")
    first, second, *rest = text.splitlines()
    assert first.startswith(f"{default.manifest.title['en']}: the model suggests ")
    assert first.split()[-1] in ("APPROVE", "REFER", "DECLINE")
    assert second.startswith(f"PD {default.manifest.golden[0].pd:.1%}, ")
    assert "break-even" in second
    values = default.form.parse(default.form.example).values
    for field, value in zip(default.form.fields, values, strict=True):
        assert any(field.label["en"] in line and line.endswith(field.show(value, "en")) for line in rest)
    assert default.manifest.notice["en"] in text
    assert default.name in text


@pytest.mark.slow
def test_bad_answers_exit_with_2(default: Release) -> None:
    """Every bad field is named on stderr, nothing comes out on stdout, and the exit status is 2."""
    first, second, *others = default.form.names
    answers = [f"{first}=nan", f"{second}=abc", *words({name: default.form.example[name] for name in others[1:]})]
    done = subprocess.run([*COMMAND, *answers, "more=1"], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    refused = [line.split(" ")[0].split(":")[0] for line in done.stderr.splitlines()[1:]]
    assert refused == [first, second, others[0], "'more'"]


# --- in this process ---


def test_pairs_a_file_and_the_example_score_alike(
    release: Release, scorer: Scorer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """name=value pairs, a JSON file and --example give the PD that the scorer gives, for any release named."""
    (tmp_path / "application.json").write_text(json.dumps(release.form.example))
    for given in (["--example"], words(release.form.example), [str(tmp_path / "application.json")]):
        assert main(["score", "--release", str(release.folder), *given]) == 0
        score = json.loads(capsys.readouterr().out)
        assert score["pd"] == scorer.score(release.form.example).pd
        assert score["release"] == release.name


def test_not_stated_can_be_said(release: Release, scorer: Scorer, capsys: pytest.CaptureFixture[str]) -> None:
    """name=not_stated is the answer "not stated" wherever a field allows it, for numbers too."""
    optional = [field.name for field in release.form.fields if "not_stated" in field.allowed]
    assert optional
    answers = release.form.example | dict.fromkeys(optional, "not_stated")
    assert main(["score", "--release", str(release.folder), *words(answers)]) == 0
    assert json.loads(capsys.readouterr().out)["pd"] == scorer.score(answers).pd


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["no.json"], "no.json: No such file or directory"),
        (["{tmp}/text.json"], "is not JSON"),
        (["{tmp}/list.json"], "a JSON object of"),
        (["{tmp}/deep.json"], "is not JSON"),
        (["{tmp}"], "Is a directory"),
        (["a=1", "b"], "'b': name=value is needed"),
        (["a=1", "a=2"], "'a' is given twice"),
        (["{tmp}/twice.json"], "'a' is given twice"),
    ],
)
def test_answers_that_cannot_be_read_are_explained(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that is missing or no JSON object, or words that are no pairs: a sentence on stderr, no traceback."""
    (tmp_path / "text.json").write_text("amount: 1")
    (tmp_path / "twice.json").write_text('{"a": 1, "b": 2, "a": 3}')
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    assert main(["score", *(word.format(tmp=tmp_path) for word in words)]) != 0
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err


@pytest.mark.parametrize("words", [[], ["--example", "a=1"], ["--nothing"]])
def test_a_command_that_says_nothing_or_two_things_is_refused(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither the example nor answers, both, or an unknown option: usage on stderr, exit status 2."""
    with pytest.raises(SystemExit) as left:
        main(["score", *words])
    assert left.value.code == 2
    assert "usage" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("TENFOLD_RELEASE", "/gone-0123456789ab", "release refused: /gone-0123456789ab/manifest.json"),
        ("TENFOLD_RELEASE_DIGEST", "0" * 64, "expected sha256 0000"),
        ("TENFOLD_ENGINE", "abacus", "engine 'abacus' is not known"),
        ("TENFOLD_LOG_DAYS", "x", "TENFOLD_LOG_DAYS"),
        ("TENFOLD_COLOUR", "blue", "TENFOLD_COLOUR: no such setting"),
    ],
)
def test_what_cannot_be_used_exits_with_1(
    name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A release, engine or setting that cannot be used is one sentence on stderr and exit status 1."""
    monkeypatch.setenv(name, value)
    assert main(["score", "--example"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err


@pytest.mark.slow
def test_a_release_can_be_checked(release: Release, tmp_path: Path) -> None:
    """`check` opens it, in a process of its own since that one gets limits; what cannot be used has status 1."""
    command = [sys.executable, "-m", "inference", "check", "--release"]
    done = subprocess.run([*command, str(release.folder)], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"release {release.name} opens with xgboost; the PD of ")
    done = subprocess.run([*command, str(tmp_path)], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert "release refused" in done.stderr
