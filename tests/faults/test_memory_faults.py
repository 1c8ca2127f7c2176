"""What Gradio's API can be made to hold: a real server's memory before an attack, at its peak, and a minute after."""

import http.client
import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from scale import FULL, report, times

from inference.release import open_release
from inference.settings import default_release
from profiling.benchmarks.serving import running
from web.desk import waiting_answers

GROWTH = 60  # MB that all attacks together may cost; before there were bounds it was 1 MB for each request
EXAMPLE = list(open_release(default_release()).form.example.values())
MEGABYTE = "x" * 1_000_000
LONG = "x" * 1400  # ten of these are as much as a call may be
NAMED = "predict_credit_score"
ELSEWHERE = (
    "upload", "component_server", "cancel", "reset", "heartbeat/{}", "stream/{}", "stream/{}/close",
    f"run/{NAMED}/{{}}",
    f"call/v2/{NAMED}", f"api/{NAMED}", "queue/status", "startup-events", "process_recording", "vibe-edit", "login",
)  # fmt: skip

Call = tuple[str, str, Any]  # method, path, body


def posted(path: str, **body: Any) -> Call:
    return "POST", f"/gradio_api/{path}", body


# Each makes one request of its number; the largest answers come first, as long as there is room for them. Sessions and
# events are invented; nobody reads what is answered.
ATTACKS: dict[str, Callable[[int], Call]] = {
    "sessions with long names": lambda at: posted("queue/join", data=EXAMPLE, session_hash=f"{at}{MEGABYTE}"),
    "large joins": lambda at: posted("queue/join", data=[LONG] * 10, fn_index=5, session_hash=f"l{at}"),
    "sessions nobody listens to": lambda at: posted("queue/join", data=EXAMPLE, fn_index=5, session_hash=f"s{at}"),
    "one session": lambda at: posted("queue/join", data=EXAMPLE, fn_index=5, session_hash="one"),
    "large events": lambda at: posted("queue/join", data=EXAMPLE, session_hash=f"e{at}", event_data=LONG * 9),
    "sessions of plain calls": lambda at: posted(f"run/{NAMED}", data=EXAMPLE, session_hash=f"r{at}", event_id=f"{at}"),
    "calls nobody fetches": lambda at: posted(f"call/{NAMED}", data=EXAMPLE),
    "streams of nothing": lambda at: ("GET", f"/gradio_api/queue/data?session_hash=nobody{at}", None),
    "results of nothing": lambda at: ("GET", f"/gradio_api/call/{NAMED}/{at:032x}", None),
    "pages with links": lambda at: ("GET", f"/?deep_link=d{at}&page=p{at}&__theme=t{at}", None),
    "configurations": lambda at: ("GET", f"/config?deep_link=d{at}&page=p{at}", None),
    "descriptions": lambda at: ("GET", f"/gradio_api/info?page=p{at}&all_endpoints=a{at}", None),
    "files": lambda at: ("GET", f"/static/f{at}", None),
    "other routes": lambda at: posted(ELSEWHERE[at % len(ELSEWHERE)].format(at), data=[LONG], session_hash=f"o{at}"),
}


def attack(port: int, one: Callable[[int], Call], count: int) -> Counter[int]:
    """So many requests over one connection; the statuses that came back."""
    statuses: Counter[int] = Counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for at in range(count):
        method, path, body = one(at)
        try:
            connection.request(method, path, json.dumps(body), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            statuses[answer.status] += 1
            answer.read()
        except (BrokenPipeError, ConnectionResetError):  # refused before all of it was sent
            statuses[0] += 1
            connection.close()
    connection.close()
    return statuses


def test_what_gradios_api_holds(tmp_path: Path, record_property: Any) -> None:
    """One after another on one server that is open to its own computer, where nothing is counted by client: what they
    leave behind is little, and a minute later no answer waits."""
    environment = {"TENFOLD_LOG": str(tmp_path / "p.jsonl"), "TENFOLD_LEDGER": str(tmp_path / "l.sqlite3")}
    environment["TENFOLD_USERS"] = "off"
    count = times(60, 1500)
    with running([sys.executable, "app.py"], "/readyz", environment) as (url, process):
        port = int(url.rpartition(":")[2])
        for name in ("one session", "pages with links", "configurations", "descriptions"):  # warm, all legal
            attack(port, ATTACKS[name], 20)
        before = peak = memory(process)
        refused: Counter[int] = Counter()
        for name, one in ATTACKS.items():
            found = attack(port, one, count)
            peak = max(peak, memory(process))
            assert found.total() == count
            assert 500 not in found, name
            if name == "other routes":
                assert set(found) == {404}
            refused += Counter({status: times for status, times in found.items() if status != 200})
        if FULL:
            time.sleep(waiting_answers.SECONDS + 5)
        after = memory(process)
    report(
        "memory_gradio", record_property, requests=count * len(ATTACKS), refused=refused.total(),
        before_mb=round(before), peak_mb=round(peak), minute_after_mb=round(after),
    )  # fmt: skip
    assert peak - before < GROWTH
    assert after - before < GROWTH


def memory(process: psutil.Process) -> float:
    """Resident memory, in MB."""
    return float(process.memory_info().rss) / 2**20
