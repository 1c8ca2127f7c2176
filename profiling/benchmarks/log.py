"""How long `python -m profiling log` takes over a million lines, and how much memory.

`python -m profiling.benchmarks.log`. The lines are what this machine's scorer writes for real applications, repeated
with new times over thirty days. Measured in the same run is the least that any reader in Python does: parse every line
as JSON and keep nothing.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson

from inference.engines import open_engine
from inference.perflog import PerformanceLog
from inference.release import open_release
from inference.scorer import Scorer
from profiling import results
from profiling.workload import applications, embedded

PARSE = "import orjson, sys\nfor line in open(sys.argv[1], 'rb'): line.isspace() or orjson.loads(line)"
LAUNCHER = """
import resource, subprocess, sys
status = subprocess.run(sys.argv[2:]).returncode
with open(sys.argv[1], "w") as file:
    file.write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(status)
"""
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 30


def main() -> int:
    """Print and keep the figures; exit status 1 where the report does not count every line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "million.jsonl"
        write(file, options.lines, Path(folder) / "template.jsonl")
        command = [sys.executable, "-m", "profiling", "log", str(file)]
        runs, parses = [], []
        for _ in range(options.rounds):
            text, *figures = run(command)
            if f"{options.lines:,} scores." not in text:
                print(text)
                return 1
            runs.append(figures)
            parses.append(run([sys.executable, "-c", PARSE, str(file)])[1:])
        seconds, rss = min(run[0] for run in runs), max(run[1] for run in runs)
        size = file.stat().st_size
    parse = min(run[0] for run in parses)
    print(f"{options.lines:,} lines ({size / 1e6:.0f} MB): {seconds:.1f} s, at most {rss:.0f} MB RSS")
    print(
        f"only parsed, nothing kept: {parse:.1f} s; ratio {seconds / parse:.2f} (the least of {options.rounds} rounds)"
    )
    section = {"lines": options.lines, "bytes": size, "seconds": seconds, "rss_mb": rss, "parse_only_seconds": parse}
    results.merge("log", section, {"log_over_parse_only": seconds / parse})
    return 0


def write(file: Path, lines: int, template: Path) -> None:
    """Lines as the scorer of the first release writes them, evenly over DAYS."""
    release = open_release(embedded()[0])
    log = PerformanceLog(template, 1)
    scorer = Scorer(release, open_engine("xgboost", release), log)
    for answers in applications(release, 1000):
        scorer.score(answers)
    log.close()
    entries = [orjson.loads(line) for line in template.resolve().read_bytes().split()]
    step = timedelta(days=DAYS) / lines
    with file.open("wb") as stream:
        for index in range(lines):
            when = FIRST + index * step
            entry = {**entries[index % len(entries)], "time": f"{when:%Y-%m-%dT%H:%M:%S.%f}Z"}
            stream.write(b"\n" + orjson.dumps(entry))


def run(command: list[str], folder: Path | None = None) -> tuple[str, float, float]:
    """A command's output, seconds and largest resident memory in MB, as the kernel counted it.

    A small process starts it, since the kernel also counts the memory of the process that was replaced by the program.
    """
    started = time.perf_counter()
    with tempfile.TemporaryFile("w+") as output, tempfile.NamedTemporaryFile("r") as memory:
        launch = [sys.executable, "-S", "-c", LAUNCHER, memory.name, *command]
        status = subprocess.run(launch, stdout=output, cwd=folder).returncode
        took = time.perf_counter() - started
        output.seek(0)
        text = output.read()
        if status:
            raise SystemExit(f"{command}: exit status {status}\n{text}")
        return text, took, int(memory.read()) / 1024


if __name__ == "__main__":
    sys.exit(main())
