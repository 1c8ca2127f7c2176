"""Many clients at once, for long: no answer differs from the serial one; memory and descriptors stay where they are.

What was measured is drawn into docs/ by a full run.
"""

import json
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from load_plot import median, plot
from scale import FULL, report, times

from inference.engines import ENGINES
from inference.release import open_release
from inference.scorer import open_scorer
from inference.settings import ROOT, Settings, default_release
from ledger import queries
from ledger.events import SCORED
from ledger.store import Store
from ledger.verify import verify
from profiling.benchmarks.serving import running
from profiling.workload import applications

CLIENT = Path(__file__).with_name("load_client.py")
DISTINCT = times(100, 500)  # applications
GROWTH = 0.05  # that memory may differ between the third and the last quarter of a full run


def load(url: str, pid: int, clients: int, **orders: Any) -> dict[str, Any]:
    """What the clients found."""
    asked = {
        "port": int(url.rpartition(":")[2]),
        "pid": pid,
        "clients": clients,
        "applications": applications(open_release(default_release()), DISTINCT),
        "interval": 1.0 if FULL else 0.02,
        **orders,
    }
    done = subprocess.run(
        [sys.executable, CLIENT], input=json.dumps(asked, default=str), capture_output=True, text=True, timeout=7200
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["differing"], found["errors"]) == (0, 0), found["complaints"]
    assert found["ids"] == found["answered"]
    assert found["descriptors_after"] <= found["descriptors_before"]
    return found  # type: ignore[no-any-return]


def draw(found: dict[str, Any], name: str, title: str, tmp_path: Path) -> None:
    """Into docs/ in full, else where pytest keeps things."""
    file = (ROOT / "docs" if FULL else tmp_path) / f"load-{name}.svg"
    file.write_text(plot(found["samples"], title), encoding="utf-8")


def quarter(found: dict[str, Any], number: int, of: str) -> float:
    """The median of what was sampled in a quarter of the run, 0 to 3."""
    values = [one[of] for one in found["samples"]]
    return median(values[number * len(values) // 4 : (number + 1) * len(values) // 4])


def growth(found: dict[str, Any]) -> float:
    """Of memory over the last half: its median in the last quarter over that in the third.

    Medians, for collections and the write-ahead log make it breathe; only in full, for a run of seconds is all start.
    """
    grown = quarter(found, 3, "rss") / quarter(found, 2, "rss") - 1
    assert not FULL or abs(grown) <= GROWTH
    return grown


def held(found: dict[str, Any]) -> dict[str, int]:
    """Memory at the end and descriptors before, during and after."""
    return {
        "memory_mb": round(found["samples"][-1]["rss"] / 2**20),
        "descriptors_before": found["descriptors_before"],
        "descriptors_under_load": round(quarter(found, 2, "descriptors")),
        "descriptors_after": found["descriptors_after"],
    }


def compare(serial: list[str], engine: str) -> None:
    """The serial answers are what the scorer says in this process: the very same numbers, through HTTP and JSON."""
    settings = replace(Settings(release=default_release()), engine=engine, log=None)
    scorer = open_scorer(settings)
    for answers, said in zip(applications(scorer.release, DISTINCT), map(json.loads, serial), strict=True):
        score = scorer.score(answers)
        assert (said["pd"], said["points"], said["decision"]) == (score.pd, score.points, score.decision)
        assert said["engine"] == engine


# In small the quickest: xgboost is under load in the soak, and tests/test_engines.py compares all three.
@pytest.mark.parametrize("engine", ENGINES if FULL else ["onnx"])
def test_64_clients(engine: str, tmp_path: Path, record_property: Any) -> None:
    """No answer differs from the serial one, which is what the scorer says in this process; memory stays."""
    each = times(15, 10_000)
    environment = {"TENFOLD_ENGINE": engine, "TENFOLD_LEDGER": "off", "TENFOLD_LOG": str(tmp_path / "p.jsonl")}
    with running([sys.executable, "app.py"], "/readyz", environment) as (url, process):
        found = load(url, process.pid, 64, each=each)
    assert found["answered"] == 64 * each
    compare(found["serial"], engine)
    logged = sum(file.read_bytes().count(b'"pd":') for file in tmp_path.glob("p-*.jsonl"))
    assert logged == found["answered"] + DISTINCT
    draw(found, engine, f"64 clients × {each:,} requests, {engine}", tmp_path)
    report(
        f"load_{engine}", record_property, clients=64, requests=found["answered"], differing=0, errors=0,
        p50_ms=round(found["p50"], 1), p99_ms=round(found["p99"], 1),
        memory_growth_percent=round(100 * growth(found), 2), **held(found),
    )  # fmt: skip


def test_soak(tmp_path: Path, record_property: Any) -> None:
    """For half an hour with a ledger: each answer is the serial one and is on record, and memory stays."""
    seconds = times(1, 1800)
    file = tmp_path / "ledger.sqlite3"
    environment = {"TENFOLD_LEDGER": str(file), "TENFOLD_LOG": str(tmp_path / "p.jsonl")}
    with running([sys.executable, "app.py"], "/readyz", environment) as (url, process):
        found = load(url, process.pid, 16, seconds=seconds)
    with closing(Store(file)) as opened:
        whole = verify(opened)
        assert whole.problem is None
        with opened.reading() as connection:
            recorded = sum(1 for _ in queries.records(connection, [SCORED]))
    assert recorded == found["answered"] + DISTINCT
    for left in tmp_path.glob("ledger.sqlite3*"):  # gigabytes after a full run
        left.unlink()
    draw(found, "soak", f"16 clients for {seconds:,} s, with a ledger", tmp_path)
    report(
        "soak", record_property, seconds=seconds, answered=found["answered"], differing=0, errors=0,
        records=whole.records, p50_ms_first_quarter=round(quarter(found, 0, "p50"), 1),
        p50_ms_last_quarter=round(quarter(found, 3, "p50"), 1), p99_ms_first_quarter=round(quarter(found, 0, "p99"), 1),
        p99_ms_last_quarter=round(quarter(found, 3, "p99"), 1), memory_growth_percent=round(100 * growth(found), 2),
        **held(found),
    )  # fmt: skip
