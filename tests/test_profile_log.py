"""Logs as people have them: any keys, encodings, compressions, folders, line ends; and what changed, with intervals."""

import bz2
import gzip
import io
import json
import lzma
import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from parts import Time
from perflog_lines import line

from inference.errors import InvalidApplication
from inference.measure import Clock
from inference.perflog import PerformanceLog
from inference.scorer import Scorer
from inference.settings import ROOT
from profiling.__main__ import main
from profiling.study.log import split
from profiling.study.log_reader import BadMap, LogReader, Scores, form, seconds, stretches
from profiling.study.log_views import plot, round_ticks

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()
OLDER = b'{"timestamp": "2024-05-01 10:00:59,123", "duration": 0.0525, "cpu_percent": 12.5, "memory_usage_MB": 310.25, '
OLDER += b'"prediction": 1, "input": {"AMT_CREDIT": 424242.0}}'


def read(*lines: bytes) -> LogReader:
    reader = LogReader()
    for number, one in enumerate(lines, 1):
        reader.take(one, "scores.jsonl", number)
    return reader


def read_file(file: Path) -> LogReader:
    reader = LogReader()
    reader.read(file)
    return reader


def test_what_the_scorer_writes_is_what_is_read(scorer: Scorer, tmp_path: Path) -> None:
    """Every figure of every score, with its time, release and engine; refusals are counted."""
    time = Time(NOON)
    log = PerformanceLog(tmp_path / "scores.jsonl", 0, Clock(utc=time.utc))
    logged = Scorer(scorer.release, scorer.engine, log)
    example = logged.release.form.example
    scores = [logged.score(example) for _ in range(3)]
    time.now += 180
    scores.append(logged.score(example))
    with pytest.raises(InvalidApplication):
        logged.score({})
    reader = read_file(tmp_path / "scores.jsonl")
    found = reader.scores
    assert found.names == [(logged.release.name, "xgboost")]
    assert list(found.times) == pytest.approx([NOON] * 3 + [NOON + 180])
    for name in ("total", "validate", "row", "predict", "policy"):
        assert list(found.columns[name]) == pytest.approx([score.milliseconds[name] for score in scores], abs=1e-3)
    assert reader.errors == {"InvalidApplication": 1}
    assert not reader.skipped


def test_the_older_kind_is_read() -> None:
    """Seconds become milliseconds; what it does not say is not known."""
    epoch = b'{"timestamp": 1714557659.5, "duration": 0.05, "cpu_percent": null, "memory_usage_MB": 2, "prediction": 0}'
    found = read(OLDER, epoch).scores
    assert list(found.columns["total"]) == pytest.approx([52.5, 50.0])
    assert found.ordered("cpu_percent") == [12.5]
    assert found.ordered("rss_mb") == [2, 310.25]
    assert found.ordered("predict") == []
    assert found.times[1] == 1714557659.5


LINES = b"".join(
    b'{"timestamp": "2026-01-0%dT10:00:00+00:00", "duration": 0.00%d, "cpu_percent": 1.0, "memory_usage_MB": 200.0}\r\n'
    % (day, day)
    for day in (1, 2, 3)
)


@pytest.mark.slow
@pytest.mark.parametrize(
    "written",
    [
        lambda lines: lines,
        lambda lines: b"\xef\xbb\xbf" + lines,
        lambda lines: lines.decode().encode("utf-16"),
        lambda lines: b"\xfe\xff" + lines.decode().encode("utf-16-be"),
        lambda lines: lines.decode().encode("utf-16-le"),
        lambda lines: lines.decode().encode("utf-32"),
        gzip.compress,
        bz2.compress,
        lzma.compress,
        lambda lines: gzip.compress(lines[: len(lines) // 3]) + gzip.compress(lines[len(lines) // 3 :]),
        lambda lines: gzip.compress(b"\xef\xbb\xbf" + lines),
        lambda lines: gzip.compress(lines.decode().encode("utf-16")),
    ],
    ids=[
        "CRLF",
        "mark",
        "UTF-16",
        "UTF-16 BE",
        "UTF-16 unmarked",
        "UTF-32",
        "gz",
        "bz2",
        "xz",
        "gz twice",
        "gz of mark",
        "gz of UTF-16",
    ],
)
def test_a_log_is_read_however_it_was_written(written: Callable[[bytes], bytes], tmp_path: Path) -> None:
    """Whatever its name says; a file and a pipe alike."""
    file = tmp_path / "scores.jsonl"
    file.write_bytes(written(LINES))
    reader = read_file(file)
    assert list(reader.scores.columns["total"]) == pytest.approx([1, 2, 3])
    assert not reader.skipped
    command = [sys.executable, "-m", "profiling", "log", "-"]
    done = subprocess.run(command, input=written(LINES), capture_output=True, check=True, cwd=ROOT)
    assert b"3 scores." in done.stdout


def test_what_is_no_text_costs_its_line_and_no_other(tmp_path: Path) -> None:
    """Half a character in UTF-16, and half of its bytes at the end; the lines around it are read."""
    text = LINES.decode()
    file = tmp_path / "scores.jsonl"
    file.write_bytes(b"\xff\xfe" + text.encode("utf-16-le") + b"\x00\xd8\n\0" + text.encode("utf-16-le") + b"{")
    reader = read_file(file)
    assert len(reader.scores) == 6
    assert {reason: skipped.lines for reason, skipped in reader.skipped.items()} == {
        "not JSON: cut short, two lines in one, or other text": 2
    }


@pytest.mark.parametrize("magic", [b"\x28\xb5\x2f\xfd", b"PK\x03\x04", b"7z\xbc\xaf\x27\x1c", b"\x04\x22\x4d\x18"])
def test_a_compression_that_is_not_read_is_named(
    magic: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And other files are read all the same."""
    (tmp_path / "a.jsonl.zst").write_bytes(magic + b"more")
    (tmp_path / "b.jsonl").write_bytes(LINES)
    assert main(["log", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "3 scores, in 2 files." in said
    assert "1 line without a score:" in said
    assert re.search(r"1: compressed by .+, which is not read here: unpack it first \(first in .+a\.jsonl\.zst", said)


@pytest.mark.slow
@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_a_compressed_log_that_is_cut_is_read_up_to_there(compress: Callable[[bytes], bytes], tmp_path: Path) -> None:
    """And that is said."""
    random = np.random.default_rng(0)
    many = b"".join(
        b'{"timestamp": %d, "duration": %.9f}\n' % (1714557659 + at, one) for at, one in enumerate(random.random(20000))
    )
    file = tmp_path / "scores.jsonl.gz"
    whole = compress(many)
    file.write_bytes(whole[: len(whole) - 40])
    reader = read_file(file)
    assert [what for what in reader.skipped if "damaged or cut short" in what]
    assert compress is lzma.compress or len(reader.scores) > 1000


def test_a_folder_and_its_rotated_files_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each once, a link to one of them too; what is no log is left alone."""
    (tmp_path / "scores-1.jsonl").write_bytes(LINES)
    (tmp_path / "scores.jsonl.1").write_bytes(LINES)
    (tmp_path / "scores.jsonl.2.gz").write_bytes(gzip.compress(LINES))
    (tmp_path / "app.log-20261123").write_bytes(LINES)
    (tmp_path / "2026-11").mkdir()
    (tmp_path / "2026-11" / "APP.LOG-20261122.gz").write_bytes(gzip.compress(LINES))
    (tmp_path / ".trash").mkdir()
    (tmp_path / ".trash" / "scores.jsonl").write_bytes(LINES)
    (tmp_path / "catalog.txt").write_bytes(LINES)
    (tmp_path / "README.md").write_text("no log")
    (tmp_path / "scores.jsonl").symlink_to("scores-1.jsonl")
    assert main(["log", str(tmp_path), str(tmp_path / "scores-1.jsonl")]) == 0
    assert "15 scores, in 5 files." in capsys.readouterr().out
    empty = tmp_path / "empty"
    empty.mkdir()
    assert main(["log", str(empty)]) == 2
    assert "a folder without a log" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("entry", "ms"),
    [
        ({"ts": 1767261600123, "took_ms": 3}, 3),
        ({"@timestamp": "2026-01-01T10:00:00Z", "latency": 0.5, "level": "INFO"}, 500),
        ({"time": "2026-01-01T10:00:00", "elapsed_us": 1500}, 1.5),
        ({"asctime": "2026-01-01 10:00:00,123", "durationMs": "12.5"}, 12.5),
    ],
)
def test_common_keys_are_recognised(entry: dict[str, object], ms: float) -> None:
    """With the unit that they end in; and it is said which were taken."""
    reader = read(json.dumps(entry).encode())
    assert list(reader.scores.columns["total"]) == pytest.approx([ms])
    assert reader.scores.times[0] == pytest.approx(1767261600, abs=1)
    assert sum(reader.forms.values()) == 1


def test_any_keys_can_be_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Those within objects too; the unit after a colon."""
    file = tmp_path / "app.log"
    entry = {"at": "2026-01-01T10:00:00Z", "http": {"spent": 1500}, "load": 7, "mb": 80, "v": "1.2"}
    file.write_text(json.dumps(entry) + "\n" + json.dumps({**entry, "http": {}}) + "\n")
    given_map = "time=at,duration=http.spent:us,cpu=load,memory=mb,release=v"
    assert main(["log", str(file), "--map", given_map]) == 0
    said = capsys.readouterr().out
    assert [part for part in said.splitlines()[2].split() if part != "–"] == [
        "2026-01-01", "1.2", "1", "1.500", "1.500", "1.500", "1.500", "7.0", "80.0",
    ]  # fmt: skip
    assert f"1: no duration under 'http.spent' (first in {file}, line 2)" in said
    for wrong in ("time=at", "duration=x", "time=at,duration=x:h", "when=at", "time"):
        assert main(["log", str(file), "--map", wrong]) == 2
        assert f"--map {wrong}" in capsys.readouterr().err
    with pytest.raises(BadMap):
        form("")


@pytest.mark.parametrize(
    ("broken", "what"),
    [
        (line()[:-20], "not JSON: cut short, two lines in one, or other text"),
        (line() + line()[1:], "not JSON: cut short, two lines in one, or other text"),
        (b"\xff\xfe", "not JSON: cut short, two lines in one, or other text"),
        (line(time=...), "no time that was recognised: name its key with --map time=KEY,duration=KEY"),
        (line(ms=...), "no duration that was recognised: name its key with --map time=KEY,duration=KEY"),
        (line(ms={"validate": 1.0}), "a duration that is no number"),
        (line(ms=3), "a duration that is no number"),
        (line(time="yesterday"), "a time that cannot be read"),
        (line(time=7), "a time that cannot be read"),
        (b"[1, 2]", "JSON, but no object"),
        (b"null", "JSON, but no object"),
        (OLDER.replace(b"0.0525", b'"slow"'), "a duration that is no number"),
        (OLDER.replace(b"0.0525", b"null"), "no duration under 'duration'"),
        (OLDER.replace(b"0.0525", b"-1"), "a duration below zero"),
        (OLDER.replace(b"0.0525", b"NaN"), "a duration that is no number"),
    ],
)
def test_a_line_that_is_no_score_is_counted_and_nothing_of_it_kept(broken: bytes, what: str) -> None:
    """By what is wrong with it, with the place of the first; the lines around it are read."""
    reader = read(line(), b"\n", broken, line(), broken)
    assert len(reader.scores) == 2
    assert reader.skipped == {what: (2, "scores.jsonl", 3)}


def test_what_is_not_known_is_not_zero() -> None:
    """Null, missing, text and NaN of CPU and memory lose no line; neither do a release or engine of another kind."""
    reader = read(
        line(cpu_percent=None), line(cpu_percent=...), line(rss_mb="much"), line(rss_mb=1e400), line(release=["a"]),
        line(engine=...), OLDER.replace(b"12.5", b"NaN"), line(cpu_percent=50),
    )  # fmt: skip
    assert len(reader.scores) == 8
    assert not reader.skipped
    assert reader.scores.ordered("cpu_percent") == [50]


@pytest.mark.slow
@given(st.lists(st.one_of(st.binary(max_size=60), st.sampled_from([line(), OLDER, line(error="X")])), max_size=8))
def test_no_bytes_stop_the_reading(lines: list[bytes]) -> None:
    """Every line is a score, an error, blank, or counted."""
    reader = read(*lines)
    good = sum(one in (line(), OLDER, line(error="X")) for one in lines)
    assert len(reader.scores) + reader.errors.total() >= good
    assert sum(one.lines for one in reader.skipped.values()) <= len(lines) - good


@given(st.binary(max_size=300))
def test_no_file_stops_the_reading(content: bytes) -> None:
    """Whatever it begins with."""
    from profiling.study.log_reader import lines

    try:
        found = list(lines(io.BufferedReader(io.BytesIO(content))))
    except UnicodeError:
        return
    assert read(*(one if isinstance(one, bytes) else one.encode("utf-8", "replace") for one in found)) is not None


def test_times_are_read_as_they_are_written() -> None:
    """ISO with and without a zone, and numbers of any unit; nothing else."""
    assert seconds("2026-11-23T12:00:00Z") == NOON
    assert seconds("2026-11-23 13:00:00+01:00") == NOON
    assert seconds("2026-11-23 12:00:00,500") == NOON + 0.5
    assert [seconds(one) for one in [NOON, NOON * 1e3, NOON * 1e6, int(NOON) * 10**9, str(NOON)]] == [NOON] * 5
    nothing: list[object] = ["", "noon", 3, True, None, [], 1e300, -NOON]
    assert [seconds(one) for one in nothing] == [None] * len(nothing)


def scores_of(groups: list[tuple[str, str, list[float]]]) -> Scores:
    """Measurements of ours: a time, a release, milliseconds."""
    stages = {"validate": 0, "row": 0, "predict": 0, "policy": 0}
    return read(
        *(
            line(time=time, release=release, ms={"total": ms, **stages})
            for time, release, every in groups
            for ms in every
        )
    ).scores


@pytest.mark.slow
def test_before_and_after_a_date_or_a_release() -> None:
    """The ratio of a log that became twice as quick is a half, its interval says so, and CPU is unchanged."""
    random = np.random.default_rng(5)
    slow, quick = random.lognormal(0, 0.2, 500).tolist(), (random.lognormal(0, 0.2, 500) / 2).tolist()
    scores = scores_of(
        [("2026-11-23T23:59:59.000000Z", "a-1", slow), ("2026-11-24T00:00:00.000000Z", "b-2", quick)]
    )  # fmt: skip
    for where in ("2026-11-24", "2026-11-24T00:00:00", "b-2", "b"):
        changes, moment = split(scores, where)
        assert changes[0].what == "p50"
        assert changes[0].ratio.low < 0.5 < changes[0].ratio.high < 0.6
        assert changes[0].verdict.startswith("faster by ")
        assert next(one for one in changes if one.what == "CPU").verdict == "unchanged"
        assert moment == scores.times[-1]
        assert plot(scores, stretches(scores, 100)[1], moment).mark is not None
    mixed = scores_of([(f"2026-11-23T12:00:0{second}Z", name, [1.0]) for second, name in enumerate("aba")])
    assert split(mixed, "b")[1] is None


def test_a_split_of_nothing_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All on one side, or neither a date nor a release: with the releases that there are."""
    file = tmp_path / "scores.jsonl"
    file.write_bytes(line() + line())
    assert main(["log", str(file), "--split", "2020-01-01"]) == 2
    assert "all 2 scores lie on one side" in capsys.readouterr().err
    assert main(["log", str(file), "--split", "next"]) == 2
    assert "neither a date nor a release; releases are: small-1" in capsys.readouterr().err


def test_the_stretches_of_time_hold_all_scores() -> None:
    """Each score in the stretch it belongs to, by the shortest length that gives few enough."""
    times = ["2026-11-23T00:00:00.000000Z", "2026-11-23T00:59:00.000000Z", "2026-11-23T09:30:00.000000Z"]
    scores = scores_of([(one, "a", [1.0]) for one in times])
    length, parts = stretches(scores, 48)
    assert length == 15 * 60
    assert list(parts.values()) == [[0], [1], [2]]
    offsets = [scores.times[place] - start for start, places in parts.items() for place in places]
    assert len(offsets) == 3
    assert max(offsets) < length
    length, parts = stretches(scores, 2)
    assert length == 24 * 60 * 60
    assert list(parts.values()) == [[0, 1, 2]]


@given(st.floats(1e-6, 1e12))
def test_an_axis_has_round_numbers(most: float) -> None:
    """From 0 to the largest value or just over, few of them."""
    ticks = round_ticks(most)
    assert ticks[0] == 0
    assert ticks[-1] >= most * (1 - 1e-6)
    assert 2 <= len(ticks) <= 6


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Tables, the comparison, what was skipped, the plot and the page."""
    file = tmp_path / "scores.jsonl"
    lines = [line(), line(time="2026-11-24T08:00:00.000000Z", engine="onnx"), line(error="InvalidApplication")]
    file.write_bytes(b"".join([*lines, line(dropped=3, ms=...), b"\nhalf of a li", b"\n", OLDER]))
    picture, page, change = (tmp_path / name for name in ("plot.svg", "<b>.html", "change.json"))
    words = ["--split", "2026-11-24", "--plot", str(picture), "--html", str(page), "--json", str(change)]
    assert main(["log", str(file), *words]) == 0
    said = capsys.readouterr().out
    rows = [" ".join(row.split()[:4]) for row in said.splitlines()]
    assert {"2026-11-23 small-1 xgboost 1", "2026-11-24 small-1 onnx 1", "2024-05-01 – – 1"} <= set(rows)
    assert "3 scores.\n1 of them by the keys time 'timestamp', duration 'duration' in s.\n" in said
    assert "1 refused: InvalidApplication 1.\n3 lines that the log could not write" in said
    assert f"1: not JSON: cut short, two lines in one, or other text (first in {file}, line 6)" in said
    assert "half of" not in said
    assert picture.read_text().startswith("<svg")
    assert "424242" not in page.read_text("utf-8") + said
    assert "<svg" in page.read_text("utf-8")
    assert json.loads(change.read_text())["changes"][0]["what"] == "p50"
    assert main(["log", str(tmp_path / "missing.jsonl")]) == 2
    assert "missing.jsonl: No such file" in capsys.readouterr().err


@pytest.mark.slow
def test_a_closed_pipe_leaves_the_files(tmp_path: Path) -> None:
    """No traceback, and what was to be written is."""
    file, page = tmp_path / "scores.jsonl", tmp_path / "a.html"
    file.write_bytes(LINES * 50)
    command = [sys.executable, "-m", "profiling", "log", str(file), "--html", str(page)]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(command, cwd=ROOT, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")
    assert "<svg" in page.read_text("utf-8")
