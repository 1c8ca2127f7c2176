"""Profilers side by side on the same five programs: `python -m profiling.benchmarks.profilers` (make bench-profile).

What each adds to the program's time, which of the program's own functions its report shows, how large the report is,
and how long it takes from there to a picture in a browser. cProfile with our report, and with SnakeViz;
pyinstrument and py-spy, which sample, each with its own report. Then what a log of 200 MB and a .prof of 100,000
functions cost us, and how long `tenfold profile` takes to start. `make figures` writes the table of docs/profiling.md.
"""

import argparse
import ast
import marshal
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from playwright.sync_api import Browser, sync_playwright

from inference.settings import ROOT
from profiling import results
from profiling.benchmarks import log
from profiling.benchmarks.chromium import launch
from profiling.benchmarks.peers_installed import library

PROGRAMS = Path(__file__).with_name("programs")
PROFILERS = ("Tenfold", "SnakeViz", "pyinstrument", "py-spy")
NAMES = ("short_calls", "deep_recursion", "threads", "async_tasks", "numpy_heavy")
FUNCTIONS = 100_000
LOG_LINES = 650_000  # 200 MB
PATIENCE = 120_000  # ms


class Profiler(NamedTuple):
    """How a profiler is run on a program, and how its report is opened."""

    record: Callable[[Path, Path], list[str]]  # program, file → command
    file: str  # the file it writes
    report: str  # the file a person opens
    make: Callable[[Path, Path], list[str]] | None  # file, report → command
    drawn: str  # a selector of its picture


def main() -> int:
    """Print and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--functions", type=int, default=FUNCTIONS)
    parser.add_argument("--lines", type=int, default=LOG_LINES)
    parser.add_argument("--dry", action="store_true", help="keep nothing")
    options = parser.parse_args()
    python = os.pathsep.join(str(library(name)) for name in ("pyinstrument", "py-spy"))
    environment = {**os.environ, "PYTHONPATH": python}
    figures: dict[str, Any] = {"rounds": options.rounds, "programs": {}}
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = launch(playwright)
        for name in NAMES:
            figures["programs"][name] = compared(name, Path(folder), options.rounds, environment, browser)
            print(as_lines(name, figures["programs"][name]), flush=True)
        figures["large"] = large(Path(folder), options.functions, options.lines, browser)
        figures["starts"] = starts(Path(folder), options.rounds)
        browser.close()
    for what, row in {**figures["large"], **figures["starts"]}.items():
        print(f"{what}: " + ", ".join(f"{key} {value:,.2f}" for key, value in row.items()))
    if not options.dry:
        results.merge("profilers", figures)
    return 0


def profilers() -> dict[str, Profiler]:
    """Those that are compared. py-spy samples a thousand times a second, as pyinstrument does by default."""
    spy = str(library("py-spy") / "bin" / "py-spy")

    def cprofile(program: Path, file: Path) -> list[str]:
        return [sys.executable, "-m", "cProfile", "-o", str(file), str(program)]

    def ours(file: Path, report: Path) -> list[str]:
        return [sys.executable, "-m", "profiling", "report", str(file), "--html", str(report)]

    def pyinstrument(program: Path, file: Path) -> list[str]:
        return [sys.executable, "-m", "pyinstrument", "-r", "html", "-o", str(file), str(program)]

    def py_spy(program: Path, file: Path) -> list[str]:
        return [spy, "record", "-r", "1000", "-o", str(file), "--", sys.executable, str(program)]

    return {
        "Tenfold": Profiler(cprofile, "ours.prof", "ours.html", ours, "#icicle [role=treeitem]"),
        "SnakeViz": Profiler(cprofile, "snake.prof", "snake.prof", None, "#chart rect"),
        "pyinstrument": Profiler(pyinstrument, "pyinstrument.html", "pyinstrument.html", None, "text=main"),
        "py-spy": Profiler(py_spy, "py-spy.svg", "py-spy.svg", None, "#frames rect, g rect"),
    }


def compared(
    name: str, folder: Path, rounds: int, environment: dict[str, str], browser: Browser
) -> dict[str, dict[str, Any]]:
    """Every profiler on one program, in turn with the program alone; the minimum of the rounds."""
    program = PROGRAMS / f"{name}.py"
    every = profilers()
    plain: list[float] = []
    took: dict[str, list[float]] = {group: [] for group in every}
    failed: dict[str, str] = {}
    for _ in range(rounds):
        plain.append(seconds([sys.executable, str(program)], environment))
        for kind, profiler in every.items():
            if kind in failed:
                continue
            file = folder / f"{name}-{profiler.file}"
            try:
                took[kind].append(seconds(profiler.record(program, file), environment))
            except subprocess.CalledProcessError as error:
                failed[kind] = (error.stderr or error.stdout or "").strip().splitlines()[-1:][0]
    figures: dict[str, dict[str, Any]] = {"alone": {"seconds": min(plain)}}
    wanted = functions_of(program)
    for kind, profiler in every.items():
        if kind in failed:
            figures[kind] = {"failed": failed[kind]}
            continue
        file, report = folder / f"{name}-{profiler.file}", folder / f"{name}-{profiler.report}"
        started = time.perf_counter()
        if profiler.make:
            subprocess.run(profiler.make(file, report), check=True, cwd=ROOT, capture_output=True)
        with shown(kind, report) as url:
            shown_functions = opened(browser, url, profiler.drawn, report, wanted)
            opening = time.perf_counter() - started
        figures[kind] = {
            "added": min(took[kind]) / min(plain) - 1,
            "functions": len(shown_functions),
            "of": len(wanted),
            "bytes": report.stat().st_size,
            "opening_s": opening,
        }
    return figures


def seconds(command: list[str], environment: dict[str, str]) -> float:
    """A command's wall time. Raises `subprocess.CalledProcessError` where it fails."""
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return time.perf_counter() - started


def functions_of(program: Path) -> set[str]:
    """The functions that a program defines."""
    tree = ast.parse(program.read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@contextmanager
def shown(profiler: str, report: Path) -> Iterator[str]:
    """The address of a report; SnakeViz serves it."""
    if profiler != "SnakeViz":
        yield report.as_uri()
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "snakeviz",
        "--server",
        "--hostname",
        "127.0.0.1",
        "--port",
        str(port),
        str(report),
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            url = f"http://127.0.0.1:{port}/snakeviz/{quote(str(report), safe='')}"
            for _ in range(600):
                try:
                    urllib.request.urlopen(url, timeout=60).close()
                    break
                except OSError:
                    time.sleep(0.05)
            yield url
        finally:
            server.terminate()


def opened(browser: Browser, url: str, selector: str, report: Path, wanted: set[str]) -> set[str]:
    """Open a report until its picture is there; those of the functions that are in its file."""
    page = browser.new_page()
    page.goto(url, timeout=PATIENCE)
    page.locator(selector).first.wait_for(state="attached", timeout=PATIENCE)
    page.close()
    text = report.read_text(
        "utf-8", "replace"
    )  # of the page also SnakeViz's own scripts would count, which say "worker"
    return {name for name in wanted if re.search(rf"\b{name}\b", text)}


def large(folder: Path, functions: int, lines: int, browser: Browser) -> dict[str, dict[str, float]]:
    """Seconds and MB for a .prof of many functions, and for a log of many lines."""
    prof, page = folder / "large.prof", folder / "large.html"
    prof.write_bytes(marshal.dumps(many(functions)))
    took, rss = log.run([sys.executable, "-m", "profiling", "report", str(prof), "--html", str(page)], ROOT)[1:]
    started = time.perf_counter()
    opened(browser, page.as_uri(), "#icicle [role=treeitem]", page, set())
    showing = time.perf_counter() - started
    stats = "import pstats, sys; pstats.Stats(sys.argv[1])"
    by_pstats = log.run([sys.executable, "-c", stats, str(prof)])[1:]
    file = folder / "large.jsonl"
    log.write(file, lines, folder / "template.jsonl")
    command = [sys.executable, "-m", "profiling", "log", str(file), "--html", str(folder / "log.html")]
    reading, holding = log.run(command, ROOT)[1:]
    return {
        f".prof of {functions:,} functions": {
            "MB": prof.stat().st_size / 1e6, "seconds": took, "MB of memory": rss,
            "MB of report": page.stat().st_size / 1e6, "seconds to open": showing,
            "seconds of pstats": by_pstats[0], "MB of pstats": by_pstats[1],
        },
        f"log of {lines:,} lines": {
            "MB": file.stat().st_size / 1e6, "seconds": reading, "MB of memory": holding,
        },
    }  # fmt: skip


STARTED = """
import sys
from profiling.__main__ import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
heavy = sorted({"gradio", "xgboost", "numpy", "pandas"} & sys.modules.keys())
sys.exit(f"imported: {heavy}" if heavy else 0)
"""


def starts(folder: Path, rounds: int) -> dict[str, dict[str, float]]:
    """Seconds and MB of commands that have next to nothing to do, the least of the rounds.

    Each fails where it imports Gradio, XGBoost, NumPy or pandas.
    """
    file, lines, module = folder / "small.prof", folder / "small.jsonl", folder / "small_module.py"
    file.write_bytes(marshal.dumps(many(10)))
    lines.write_text('{"timestamp": "2026-01-01T00:00:00Z", "duration": 0.01}\n')
    module.write_text("def work():\n    return 1\n")
    commands = {
        "profile --help": ["--help"],
        "profile report FILE.prof": ["report", str(file)],
        "profile log FILE.jsonl": ["log", str(lines)],
        "profile run FILE.py:function -n 1": ["run", f"{module}:work", "-n", "1"],
        "python -c pass": [],
    }
    figures = {}
    for name, words in commands.items():
        command = [sys.executable, "-c", STARTED if words else "pass", *words]
        runs = [log.run(command, ROOT)[1:] for _ in range(rounds)]
        figures[name] = {"seconds": min(run[0] for run in runs), "MB of memory": max(run[1] for run in runs)}
    return figures


def many(functions: int) -> dict[Any, Any]:
    """A profile: a tree of calls, each function with ten below it and a second caller."""
    entries: dict[Any, Any] = {}
    cumulative = [1.0 + 10 / (1 + function) for function in range(functions)]

    def key(number: int) -> tuple[str, int, str]:
        return (f"/srv/app/part_{number % 997}/module_{number % 4999}.py", number, f"function_{number}")

    for function in range(functions):
        callers = {
            key(caller): (1, 1, 1e-5, cumulative[function] * 1e-5)
            for caller in {(function - 1) // 10, function // 3}
            if 0 <= caller < function
        }
        entries[key(function)] = (2, 2, 2e-5, cumulative[function] * 2e-5, callers)
    return entries


def as_lines(name: str, by_profiler: dict[str, dict[str, Any]]) -> str:
    """A program's figures for a terminal."""
    lines = [f"{name}: {by_profiler['alone']['seconds']:.2f} s alone"]
    for name, figures in by_profiler.items():
        if "failed" in figures:
            lines.append(f"  {name:13} failed: {figures['failed']}")
        elif "added" in figures:
            lines.append(
                f"  {name:13} +{figures['added']:7.0%}  functions {figures['functions']}/{figures['of']}  "
                f"{figures['bytes'] / 1e3:9,.0f} KB  opens in {figures['opening_s']:.2f} s"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
