"""A server replaced by one of another release under full load; and killed or stopped at every stage of it."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from scale import report, times

from inference.release import open_release
from inference.settings import RELEASES, ROOT, default_release
from profiling.benchmarks.restart import EARLIER, environment_of, restart
from profiling.benchmarks.serving import answers, running


def test_ten_thousand_requests(tmp_path: Path, record_property: Any) -> None:
    """None fails, whatever kind of client sends it, and the old server ends with status 0."""
    outcome = restart(times(500, 10_000), tmp_path, open_release(default_release()), open_release(RELEASES / EARLIER))
    assert (outcome.failed, outcome.complaints, outcome.status) == (0, [], 0)
    assert set(outcome.by_release) == {default_release().name, EARLIER}
    report(
        "restart", record_property, requests=outcome.requests, failed=outcome.failed,
        slowest_ms=round(outcome.slowest_ms), both_s=round(outcome.both_s, 1),
    )  # fmt: skip


def test_the_new_one_is_killed_on_its_way(tmp_path: Path, record_property: Any) -> None:
    """At a random moment before it answers: the old one answers on, and the next attempt succeeds."""
    kills, chance = times(2, 20), random.Random(0)
    environment = environment_of(open_release(default_release()), tmp_path)
    with running([sys.executable, "app.py"], "/readyz", environment) as (url, old):
        command = [sys.executable, "app.py", "--replace", str(old.pid)]
        for _ in range(kills):
            new = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
            time.sleep(chance.uniform(0.2, 3.0))
            new.send_signal(chance.choice([signal.SIGKILL, signal.SIGTERM]))
            new.wait()
            assert old.is_running()
            assert answers(f"{url}/readyz")
        new = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
        try:
            assert old.wait(300) == 0
            assert answers(f"{url}/readyz")
        finally:
            new.terminate()
            new.wait(60)
    report("restart_killed", record_property, kills=kills, old_gone=0)
