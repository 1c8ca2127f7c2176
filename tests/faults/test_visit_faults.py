"""What visitors of a demonstration can make a real server hold: its memory with all visits full, and after more have
come; and nothing of theirs in any file."""

import http.client
import json
import re
import sys
from pathlib import Path
from typing import Any

import psutil
from scale import report, times

from inference.release import open_release
from inference.settings import ROOT, default_release
from ledger.memory import MOST_BYTES, MOST_VISITS
from profiling.benchmarks.serving import running
from web.visits import HEADER, NEW

EXAMPLE = {name: str(value) for name, value in open_release(default_release()).form.example.items()}
GROWTH = 50  # MB that all visits together may cost
CANARY = "Canary-Qx7"
ENVIRONMENT = {
    "TENFOLD_PUBLIC_DEMO": "on", "TENFOLD_USERS": "off", "TENFOLD_LEDGER": "off", "TENFOLD_RATE": "0",
    "TENFOLD_BATCH": "off", "PYTHONDONTWRITEBYTECODE": "1",
}  # fmt: skip


def post(server: http.client.HTTPConnection, path: str, token: str, body: str, kind: str) -> tuple[Any, str]:
    server.request("POST", path, body, {"Content-Type": kind, HEADER: token})
    answer = server.getresponse()
    return answer.headers, answer.read().decode()


def fill(server: http.client.HTTPConnection) -> None:
    """A visit that takes no more: one case with the longest notes."""
    form = json.dumps({"answers": EXAMPLE, "key": "0" * 32, "reference": CANARY})
    headers, card = post(server, "/desk/score", NEW, form, "application/json")
    token, id = headers[HEADER], re.search(r'data-record="record/([^"]+)"', card)[1]  # type: ignore[index]
    seen = re.search(r'data-seen="([^"]+)"', card)[1]  # type: ignore[index]
    for _ in range(100):
        note = f"seen={seen.replace(' ', '+')}&name={CANARY}&case_note={CANARY}" + "%F0%9F%98%80" * 1900
        headers, html = post(server, f"/record/{id}/note", token, note, "application/x-www-form-urlencoded")
        if headers["X-Recorded"] != "yes":
            return
        seen = re.search(r'data-seen="([^"]+)"', html)[1]  # type: ignore[index]
    raise AssertionError("a visit is never full")


def resident(server: psutil.Process) -> float:
    """MB."""
    return float(server.memory_info().rss) / 1e6


def test_visits_take_bounded_memory_and_no_disk(tmp_path: Path, record_property: Any) -> None:
    """All that may be there at once, each filled to its limit; those that come then take the places of the first."""
    later_visits = times(20, 3 * MOST_VISITS)
    settings = ENVIRONMENT | {
        "TENFOLD_LOG": str(tmp_path / "log.jsonl"), "TENFOLD_SECURITY_LOG": str(tmp_path / "security.jsonl"),
        "TMPDIR": str(tmp_path), "HOME": str(tmp_path), "SQLITE_TMPDIR": str(tmp_path),
    }  # fmt: skip
    with running([sys.executable, "app.py"], "/readyz", settings, ROOT) as (url, process):
        server = http.client.HTTPConnection("127.0.0.1", int(url.rpartition(":")[2]), timeout=60)
        for _ in range(30):  # what any visitor's request brings into memory is there before
            post(server, "/desk/score", "", json.dumps({"answers": EXAMPLE}), "application/json")
        fill(server)
        before = resident(process)
        for _ in range(MOST_VISITS):
            fill(server)
        full = resident(process) - before
        for _ in range(later_visits):
            fill(server)
        later = resident(process) - before
        open_files = [file.path for file in process.open_files() if Path(file.path).is_relative_to(ROOT / "logs")]
        server.close()
    report(
        "visits", record_property, visits=MOST_VISITS, bytes_each=MOST_BYTES, megabytes=f"{full:.1f}",
        later=later_visits, megabytes_later=f"{later:.1f}",
    )  # fmt: skip
    assert full < GROWTH
    assert later < GROWTH
    assert open_files == []
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert (tmp_path / "log.jsonl") in files or any(file.name.startswith("log") for file in files)
    assert [file for file in files if CANARY.encode() in file.read_bytes()] == []
    assert [file.name for file in files if file.read_bytes().startswith(b"SQLite")] == []
