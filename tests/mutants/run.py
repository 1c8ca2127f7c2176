"""Small changes that must each make a named test fail: `make mutants`, or `make mutants ONLY=ledger`.

changes.toml lists them: `file`, `find` (a text that the file holds exactly once), `replace`, `test` (a pytest node) and
`why`. The tests run first on the code as it is, and must pass. Then each change is made alone, in a copy of the tree,
and its test must fail. Exit status 1 where one survives, or where a change can no longer be made.
"""

import argparse
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent.parent
CHANGES = Path(__file__).with_name("changes.toml")
AT_ONCE = 2
SECONDS = 600  # that one test may take
PASSED, FAILED = 0, 1  # exit statuses of pytest; others say that no test has judged


class Mutant(NamedTuple):
    """One change, and the test that must notice it."""

    file: str
    find: str
    replace: str
    test: str
    why: str

    def __str__(self) -> str:
        return f"{self.file}: {self.why} ({self.test})"

    def applied(self, text: str) -> str:
        """The file's text with the change made; `ValueError` where `find` is not there exactly once."""
        if (count := text.count(self.find)) != 1:
            raise ValueError(f"{self}: {self.find!r} is there {count} times, once is needed")
        return text.replace(self.find, self.replace)


def mutants() -> list[Mutant]:
    """All changes of the list."""
    return [Mutant(**one) for one in tomllib.loads(CHANGES.read_text("utf-8"))["mutant"]]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="*", help="parts of a file's name, a test's name or a reason")
    given = parser.parse_args(arguments)
    chosen = [one for one in mutants() if not given.only or any(part in str(one) for part in given.only)]
    if not chosen:
        print(f"No mutant is named by {' '.join(given.only)}.")
        return 1
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tenfold-mutants-") as folder:
        copies = [copy(Path(folder) / str(at)) for at in range(AT_ONCE)]
        if problem := fail_unchanged(copies[0], sorted({one.test for one in chosen})):
            print(problem)
            return 1
        outcomes = try_all(chosen, copies)
    counts = Counter(outcome.partition(":")[0] for outcome in outcomes.values())
    for mutant, outcome in outcomes.items():
        if outcome != "killed":
            print(f"{outcome.upper()}  {mutant}")
    print(
        f"{len(chosen)} mutants: {counts['killed']} killed, {counts['survived']} survived, "
        f"{len(chosen) - counts['killed'] - counts['survived']} not judged; {time.monotonic() - began:.0f} s"
    )
    return int(counts["killed"] < len(chosen))


def copy(folder: Path) -> Path:
    """The tree's files as they are now, committed or not; without what git ignores."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    return folder


def run_pytest(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """pytest in a copy. No compiled files: two versions of one second and size would be taken for one."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *words]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS)


def fail_unchanged(folder: Path, tests: list[str]) -> str | None:
    """What pytest says where one of the tests is not there, is left out, or fails without any change."""
    done = run_pytest(folder, *tests, "-n", str(AT_ONCE), "--dist", "loadfile")
    last = (done.stdout.strip().splitlines() or [done.stderr])[-1]
    if done.returncode != PASSED or "skipped" in last:
        return f"The tests must pass before anything is changed:\n{done.stdout[-4000:]}{done.stderr[-1000:]}"
    return None


def try_all(chosen: list[Mutant], copies: list[Path]) -> dict[Mutant, str]:
    """Each mutant's outcome: `killed`, `survived`, or why it was not judged."""
    free: queue.SimpleQueue[Path] = queue.SimpleQueue()
    for folder in copies:
        free.put(folder)

    def one(mutant: Mutant) -> str:
        folder = free.get()
        try:
            outcome = tried(mutant, folder)
        finally:
            free.put(folder)
        print("." if outcome == "killed" else f"\n{outcome}: {mutant}", end="", flush=True)
        return outcome

    with ThreadPoolExecutor(len(copies)) as pool:
        outcomes = dict(zip(chosen, pool.map(one, chosen), strict=True))
    print()
    return outcomes


def tried(mutant: Mutant, folder: Path) -> str:
    """Make the change in a copy, run its test, and take it back."""
    file = folder / mutant.file
    whole = file.read_text("utf-8")
    try:
        file.write_text(mutant.applied(whole), "utf-8")
        status = run_pytest(folder, mutant.test).returncode
    except ValueError as error:
        return f"cannot be made: {error}"
    except subprocess.TimeoutExpired:
        return f"not judged: no end after {SECONDS} s"
    finally:
        file.write_text(whole, "utf-8")
    return {PASSED: "survived", FAILED: "killed"}.get(status, f"not judged: pytest ended with {status}")


if __name__ == "__main__":
    sys.exit(main())
