"""Small changes that must each make a named test fail: `make mutants`, or `make mutants ONLY=ledger`.

changes.toml lists them: `file`, `find` (a text that the file holds exactly once), `replace`, `test` (a pytest node) and
`why`. The tests run first on the code as it is, and must pass. Then each change is made alone, in a copy of the tree,
and its test must fail. Exit status 1 where one survives, or where a change can no longer be made.
"""

import argparse
import importlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
import traceback
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
CHANGES = Path(__file__).with_name("changes.toml")
AT_ONCE = 2
SECONDS = 900  # that one child may take
PASSED, FAILED = 0, 1  # exit statuses of pytest; others say that no test has judged
# What most tests import and no change is of. Each child is forked with it there: importing takes longer than a test.
HEAVY = ("numpy", "pandas", "sklearn", "xgboost", "sqlalchemy", "pyarrow.parquet", "fastapi", "gradio")

# FastAPI has imported a plugin of pytest already: no assertion of ours is in it.
OPTIONS = ("-q", "-x", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning")


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
    """Exit status 0 where every chosen change makes its test fail."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="*", help="parts of a file's name, a test's name or a reason")
    given = parser.parse_args(arguments)
    chosen = [one for one in mutants() if not given.only or any(part in str(one) for part in given.only)]
    if not chosen:
        print(f"No mutant is named by {' '.join(given.only)}.")
        return 1
    began = time.monotonic()
    os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "PYTHONDONTWRITEBYTECODE": "1"}
    for name in HEAVY:
        importlib.import_module(name)
    with tempfile.TemporaryDirectory(prefix="tenfold-mutants-") as folder:
        copies = [copy(Path(folder) / str(at)) for at in range(AT_ONCE)]
        if problem := fail_unchanged(copies, sorted({one.test for one in chosen})):
            print(f"The tests must pass before anything is changed:\n{problem}")
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


class Child:
    """pytest in a copy of the tree, in a process of its own."""

    def __init__(self, folder: Path, tests: Sequence[str]) -> None:
        self.folder, self._said = folder, folder.with_name(f"{folder.name}.txt")
        self._until = time.monotonic() + SECONDS
        sys.stdout.flush()
        self._pid = os.fork()
        if self._pid == 0:
            status = 70
            try:
                self._be(tests)
                status = int(pytest.main([*OPTIONS, *tests]))
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                sys.stdout.flush()
                os._exit(status)

    def _be(self, tests: Sequence[str]) -> None:
        """In the new process: a group and a place of its own, and its output in a file."""
        os.setsid()
        output = os.open(self._said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.chdir(self.folder)
        sys.dont_write_bytecode = True  # two versions of one second and size would be taken for one
        sys.path[:] = [str(self.folder), *(one for one in sys.path[1:] if Path(one) != ROOT)]

    def status(self) -> int | None:
        """pytest's exit status; None while it runs; -9 where it took too long and was ended."""
        if time.monotonic() > self._until:
            os.killpg(self._pid, signal.SIGKILL)
        pid, status = os.waitpid(self._pid, os.WNOHANG)
        return os.waitstatus_to_exitcode(status) if pid else None

    def wait(self) -> int:
        """The exit status, waited for."""
        while (status := self.status()) is None:
            time.sleep(0.05)
        return status

    @property
    def said(self) -> str:
        return self._said.read_text("utf-8", "replace")


def fail_unchanged(copies: Sequence[Path], tests: Sequence[str]) -> str | None:
    """What pytest says where one of the tests is not there, is left out, or fails without any change."""
    files = sorted({one.partition("::")[0] for one in tests})
    shares = [
        [one for one in tests if files.index(one.partition("::")[0]) % len(copies) == at] for at in range(AT_ONCE)
    ]
    children = [Child(folder, share) for folder, share in zip(copies, shares, strict=True) if share]
    for status, child in [(child.wait(), child) for child in children]:
        if status != PASSED or "SKIPPED" in child.said:
            return f"pytest ended with {status}: {child.said[-4000:]}"
    return None


def try_all(chosen: Sequence[Mutant], copies: Sequence[Path]) -> dict[Mutant, str]:
    """Each mutant's outcome: `killed`, `survived`, or why it was not judged."""
    outcomes: dict[Mutant, str] = {}
    waiting, free = list(chosen), list(copies)
    running: list[tuple[Mutant, Generator[str | None, None, None], Path]] = []
    while waiting or running:
        while waiting and free:
            mutant, folder = waiting.pop(0), free.pop()
            running.append((mutant, trying(mutant, folder), folder))
        for one in list(running):
            mutant, steps, folder = one
            if (outcome := next(steps)) is not None:
                steps.close()
                running.remove(one)
                free.append(folder)
                outcomes[mutant] = outcome
                print("." if outcome == "killed" else f"\n{outcome}: {mutant}", end="", flush=True)
        time.sleep(0.05)
    print()
    return {mutant: outcomes[mutant] for mutant in chosen}


def tried(mutant: Mutant, folder: Path) -> str:
    """One mutant's outcome, waited for."""
    steps = trying(mutant, folder)
    while (outcome := next(steps)) is None:
        time.sleep(0.05)
    steps.close()
    return outcome


def trying(mutant: Mutant, folder: Path) -> Generator[str | None, None, None]:
    """Make the change in a copy and run its test: None while it runs, then the outcome; the change is taken back."""
    try:
        with changed(mutant, folder):
            child = Child(folder, [mutant.test])
            while (status := child.status()) is None:
                yield None
    except ValueError as error:
        yield f"cannot be made: {error}"
    else:
        yield {PASSED: "survived", FAILED: "killed"}.get(status, f"not judged: {status}, {child.said[-300:]}")


@contextmanager
def changed(mutant: Mutant, folder: Path) -> Iterator[None]:
    """The copy with the change in it."""
    file = folder / mutant.file
    whole = file.read_text("utf-8")
    file.write_text(mutant.applied(whole), "utf-8")
    try:
        yield
    finally:
        file.write_text(whole, "utf-8")


if __name__ == "__main__":
    sys.exit(main())
