"""Performance logs read back: ours as the scorer writes it, the older kind, and whatever else stands in a file."""

import math
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from parts import Time
from perflog_lines import line

from inference.errors import InvalidApplication
from inference.measure import Clock
from inference.perflog import PerformanceLog
from inference.perflog_lines import FIGURES, bucket_of
from inference.perflog_reader import (
    LEAST,
    REFUSED,
    TOOK,
    LogReader,
    counted_quantiles,
    in_intervals,
    known_quantiles,
    quantiles,
)
from inference.scorer import Scorer
from web.operations.log_tail import LogTail

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()
OLDER = b'{"timestamp": "2024-05-01 10:00:59,123", "duration": 0.0525, "cpu_percent": 12.5, "memory_usage_MB": 310.25, '
OLDER += b'"prediction": 1, "input": {"AMT_CREDIT": 424242.0}}'


@pytest.fixture
def time() -> Time:
    return Time(NOON)


@pytest.fixture
def logged(scorer: Scorer, tmp_path: Path, time: Time) -> Scorer:
    """A scorer that writes a log at the test's own time."""
    log = PerformanceLog(tmp_path / "scores.jsonl", 0, Clock(utc=time.utc))
    return Scorer(scorer.release, scorer.engine, log)


def read(*lines: bytes) -> LogReader:
    reader = LogReader()
    reader.read(lines, "scores.jsonl")
    return reader


def test_what_the_scorer_writes_is_what_is_read(logged: Scorer, tmp_path: Path, time: Time) -> None:
    """Every figure of every score, to the precision of a float32, with its minute, release and engine."""
    example = logged.release.form.example
    scores = [logged.score(example) for _ in range(3)]
    time.now += 180
    scores.append(logged.score(example))
    with pytest.raises(InvalidApplication):
        logged.score({})
    reader = LogReader()
    with (tmp_path / "scores.jsonl").open("rb") as lines:
        reader.read(lines)
    records = reader.records
    assert records.names == [(logged.release.name, "xgboost")]
    assert records.minutes.tolist() == [NOON // 60] * 3 + [NOON // 60 + 3]
    for name in FIGURES[:5]:
        expected = np.array([score.milliseconds[name] for score in scores], np.float32)
        assert np.array_equal(records.column(name), expected)
    assert (records.column("thread_cpu") > 0).all()
    assert reader.errors == {"InvalidApplication": 1}
    assert reader.counts.of(REFUSED, ["InvalidApplication"])["minute"].tolist() == [NOON // 60 + 3]
    assert not reader.broken
    assert not reader.dropped


def test_the_older_kind_is_read() -> None:
    """Seconds become milliseconds; what it does not say is NaN; its input is not kept."""
    epoch = b'{"timestamp": 1714557659.5, "duration": 0.05, "cpu_percent": 1, "memory_usage_MB": 2, "prediction": 0}'
    reader = read(OLDER, epoch)
    records = reader.records
    assert records.minutes.tolist() == [datetime(2024, 5, 1, 10, tzinfo=UTC).timestamp() // 60] * 2
    assert records.column("total").tolist() == pytest.approx([52.5, 50.0])
    assert np.isnan(records.column("predict")).all()
    assert records.column("cpu_percent").tolist() == [12.5, 1]
    assert records.column("rss_mb").tolist() == [310.25, 2]
    assert b"424242" not in bytes(records.scores)


def test_an_unknown_figure_is_nan_and_not_zero() -> None:
    records = read(line(cpu_percent=None), line(cpu_percent=50)).records
    assert math.isnan(records.column("cpu_percent")[0])
    assert quantiles(records.column("cpu_percent"), (0.5,)) == [50.0]
    assert [math.isnan(one) for one in quantiles(records.column("cpu_percent")[:1], (0.5, 0.9))] == [True, True]


@pytest.mark.parametrize(
    ("broken", "what"),
    [
        (line()[:-20], "no JSON: cut short, or two lines in one"),
        (line() + line()[1:], "no JSON: cut short, or two lines in one"),
        (b"\xff\xfe", "no JSON: cut short, or two lines in one"),
        (line(time=...), "no time"),
        (line(ms=...), "no ms"),
        (line(release=...), "no release"),
        (line(rss_mb=...), "no rss_mb"),
        (line(ms={"total": 1.0}), "no validate"),
        (line(time="yesterday"), "a figure or a time that cannot be read"),
        (line(time=""), "a figure or a time that cannot be read"),
        (line(rss_mb="much"), "a figure or a time that cannot be read"),
        (line(rss_mb=1e300), "a figure or a time that cannot be read"),
        (line(release=["a"]), "a figure or a time that cannot be read"),
        (line(engine=7), "a figure or a time that cannot be read"),
        (b"[1, 2]", "a figure or a time that cannot be read"),
        (b"null", "a figure or a time that cannot be read"),
        (OLDER.replace(b"0.0525", b'"slow"'), "a figure or a time that cannot be read"),
        (OLDER.replace(b"0.0525", b"null"), "a figure or a time that cannot be read"),
    ],
)
def test_a_broken_line_is_counted_and_nothing_of_it_kept(broken: bytes, what: str) -> None:
    """With its place; the lines around it are read."""
    reader = read(line(), b"\n", broken, line())
    assert len(reader.records) == 2
    assert reader.broken == 1
    assert reader.broken_lines[0] == ("scores.jsonl", 3, what)


@pytest.mark.slow
@given(st.lists(st.one_of(st.binary(max_size=60), st.sampled_from([line(), OLDER, line(error="X")])), max_size=8))
def test_no_bytes_stop_the_reading(lines: list[bytes]) -> None:
    """Every line is a score, an error, blank, or counted as broken."""
    reader = read(*lines)
    good = sum(one in (line(), OLDER, line(error="X")) for one in lines)
    assert len(reader.records) + reader.errors.total() >= good
    assert reader.broken <= len(lines) - good


def test_the_intervals_hold_all_scores() -> None:
    """Each score in the interval it belongs to; an interval without a score is empty, and what lies outside is left
    out."""
    times = ["2026-11-23T00:00:00.000000Z", "2026-11-23T09:30:00.000000Z", "2026-11-23T00:59:00.000000Z"]
    minutes = read(*(line(time=one) for one in times)).records.minutes
    start = int(minutes[0])
    assert [part.tolist() for part in in_intervals(minutes, start, 60, 3)] == [[0, 2], [], []]
    assert [part.tolist() for part in in_intervals(minutes, start + 60, 9 * 60, 1)] == [[1]]


MINUTE = {"minute": int(NOON // 60), "took": {"page": {"8": 3, "-3": 1}}, "problems": {"no-json": 2}}


def test_the_counts_of_a_minute_are_read() -> None:
    """Beside scores, and by kind; those of a minute that was not written yet are added."""
    reader = read(line(), b"\n" + orjson.dumps({"time": "2026-11-23T12:01:00.000000Z", **MINUTE}))
    assert len(reader.records) == 1
    assert reader.counts.of(TOOK, ["page"])[["minute", "bucket", "count"]].tolist() == [
        (NOON // 60, 8, 3), (NOON // 60, -3, 1),
    ]  # fmt: skip
    assert reader.counts.of("problem")["count"].tolist() == [2]
    both = reader.counts_with({**MINUTE, "took": {"api": {"0": 1}}})
    assert both.of(TOOK)["count"].tolist() == [3, 1, 1]
    assert both.of("problem")["count"].tolist() == [2, 2]
    assert both.between(int(NOON // 60) + 1, int(NOON // 60) + 2).counts.tolist() == []
    assert len(reader.counts.counts) == 3  # they are not kept


@pytest.mark.parametrize(
    "wrong",
    [
        {"minute": 10**12}, {"minute": -1}, {"minute": "x"}, {"took": {"page": {"x": 1}}}, {"took": {"page": 3}},
        {"took": {"page": {"99999": 1}}}, {"problems": {"a": 2.5}}, {"problems": None}, {"took": ...},
    ],
)  # fmt: skip
def test_a_broken_minute_is_counted_and_nothing_of_it_kept(wrong: dict[str, object]) -> None:
    """As a broken score is."""
    entry = {"time": "2026-11-23T12:01:00.000000Z", **MINUTE, **wrong}
    reader = read(b"\n" + orjson.dumps({name: value for name, value in entry.items() if value is not ...}), line())
    assert reader.broken == 1
    assert len(reader.counts.counts) == 0
    assert len(reader.records) == 1


def test_only_so_many_counts_are_kept() -> None:
    """Ten times as many as scores."""
    reader = read(*(b"\n" + orjson.dumps({"time": "2026-11-23T12:01:00.000000Z", **MINUTE}) for _ in range(10)))
    assert not reader.keep_last(3)
    assert reader.keep_last(2)
    assert len(reader.counts.counts) == 20


@pytest.mark.parametrize("count", [1, 2, 9, 10, 99, 100, 999, 1000, 5000])
def test_quantiles_of_counted_times_are_those_of_the_times(count: int) -> None:
    """Right within 5 %, and known from as many values on."""
    times = np.random.default_rng(count).lognormal(1, 2, count)
    buckets: dict[str, int] = {}
    for ms in times:
        key = str(bucket_of(float(ms)))
        buckets[key] = buckets.get(key, 0) + 1
    entry = {**MINUTE, "took": {"api": buckets}, "problems": {}}
    counted = counted_quantiles(LogReader().counts_with(entry).of(TOOK))
    exact = np.quantile(times, list(LEAST), method="inverted_cdf")
    for share, one, other in zip(LEAST, counted, exact, strict=True):
        assert math.isnan(one) == (count < LEAST[share])
        assert math.isnan(one) or one == pytest.approx(other, rel=0.05)
    known = known_quantiles(times.astype(np.float32))
    assert [math.isnan(value) for value in known] == [math.isnan(value) for value in counted]


def test_the_tail_of_a_growing_log(tmp_path: Path) -> None:
    """What is there, then what is added, a cut line once it is whole, and the next day's file."""
    first, second = tmp_path / "scores-2026-11-23.jsonl", tmp_path / "scores-2026-11-24.jsonl"
    tail = LogTail(tmp_path / "scores.jsonl")
    assert len(tail.follow().records) == 0
    first.write_bytes(line() * 2)
    assert len(tail.follow().records) == 2
    with first.open("ab") as stream:
        stream.write(line()[:40])
        stream.flush()
        assert len(tail.follow().records) == 2
        stream.write(line()[40:])
    assert len(tail.follow().records) == 3
    with first.open("ab") as stream:
        stream.write(line())
    second.write_bytes(line())
    assert len(tail.follow().records) == 5
    assert len(tail.follow().records) == 5
    second.write_bytes(b"")  # another file in its place
    second.write_bytes(line(engine="onnx"))
    assert tail.follow().broken == 0
    first.unlink()
    assert len(tail.follow().records) >= 5


def test_the_tail_of_a_large_log_begins_near_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At whole lines, over the files of two days."""
    monkeypatch.setattr("web.operations.log_tail.FIRST_BYTES", 10 * len(line()) + 7)
    monkeypatch.setattr("web.operations.log_tail.MOST_SCORES", 8)
    (tmp_path / "scores-2026-11-22.jsonl").write_bytes(line(engine="onnx") * 1000)
    (tmp_path / "scores-2026-11-23.jsonl").write_bytes(line() * 4)
    reader = LogTail(tmp_path / "scores.jsonl").follow()
    assert not reader.broken
    assert len(reader.records) == 8
    engines = [reader.records.names[group][1] for group in reader.records.groups]
    assert engines == ["onnx"] * 4 + ["xgboost"] * 4


def test_an_older_line_beyond_all_measure_is_broken() -> None:
    """A duration that is infinite in milliseconds would make every quantile of its day no number."""
    older = {"timestamp": 1e9, "cpu_percent": 1.0, "memory_usage_MB": 1.0}
    reader = read(*(orjson.dumps({**older, "duration": seconds}) for seconds in (0.5, 1e306)))
    assert (len(reader.records), reader.broken) == (1, 1)
