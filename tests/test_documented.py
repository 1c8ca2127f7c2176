"""Every setting, every command and every kind of error is in a document, and no document has one that is not there."""

import ast
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import fields
from functools import cache

import pytest
from parts import some

import tenfold
from inference.settings import DERIVED, ROOT, WITHOUT_PREFIX, Settings

pytestmark = pytest.mark.slow  # each starts programs or reads every module

# Set here for Gradio, before it is imported; nobody else sets them.
FOR_GRADIO = {"GRADIO_ANALYTICS_ENABLED", "GRADIO_ANALYTICS_MAX_EVENTS"}
SERVING = ("app.py", "tenfold.py", "inference", "ledger", "web")
# By a supervisor, for programs that it starts; by every program, for its temporary files.
OF_OTHERS = {"LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID", "NOTIFY_SOCKET", "TMPDIR"}
# Lists of everything there is, not what somebody looks a command up in.
LISTS = {"CHANGELOG.md", "docs/architecture.md"}


@cache
def trees() -> tuple[ast.Module, ...]:
    """Every module that serves, as its syntax tree."""
    files = [
        file
        for name in SERVING
        for file in some([ROOT / name] if name.endswith(".py") else (ROOT / name).rglob("*.py"))
    ]
    return tuple(ast.parse(file.read_text("utf-8")) for file in files)


def variables() -> set[str]:
    """Environment variables that the code reads: what it takes out of an environment by name, and the settings'."""
    read = {f"TENFOLD_{field.name.upper()}" for field in fields(Settings) if field.name not in WITHOUT_PREFIX + DERIVED}
    for tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and re.fullmatch(r"TENFOLD_[A-Z_]*[A-Z]", str(node.value)):
                read.add(str(node.value))
            elif isinstance(node, ast.Subscript) and "environ" in ast.unparse(node.value):
                key = node.slice
            elif isinstance(node, ast.Call) and re.search(r"environ\.(get|pop)$|getenv$", ast.unparse(node.func)):
                key = node.args[0]
            else:
                continue
            if not isinstance(node, ast.Constant) and isinstance(key, ast.Constant):
                read.add(str(key.value))
    return {name for name in read - OF_OTHERS - FOR_GRADIO if name.isupper()}


def test_every_setting_is_in_operate() -> None:
    """In its table, one row or part of a row each; and the table has no other."""
    page = (ROOT / "docs" / "operate.md").read_text("utf-8")
    table = page.partition("## Settings")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.+?`) \|", table, re.MULTILINE)
    listed = [name for row in rows for name in re.findall(r"`([A-Z_]+)`", row)]
    assert len(listed) == len(set(listed))
    assert set(listed) == variables()


def commands() -> Iterator[tuple[str, str]]:
    """Each command and each command of a command, as `tenfold` takes it; and as `python -m` does."""
    for name, command in {**tenfold.FIRST, **tenfold.OTHERS}.items():
        package = command.module.removesuffix(".__main__")
        yield f"tenfold {name}", f"python -m {' '.join([package, *command.words])}"
        if name in ("ledger", "profile", "users", "tokens"):
            for under in some(commands_under(command.module, command.words)):
                if under in tenfold.OTHERS:
                    continue  # a command of its own too
                yield f"tenfold {name} {under}", f"python -m {' '.join([package, *command.words, under])}"


def commands_under(module: str, words: tuple[str, ...]) -> list[str]:
    """What its own help lists."""
    done = subprocess.run(
        [sys.executable, "-m", module.removesuffix(".__main__"), *words, "--help"],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    listed = re.search(r"\{([a-z,-]+)\}", done.stdout)
    return listed[1].split(",") if listed else []


@cache
def documents() -> str:
    """All that is written for people, with single spaces."""
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    names = some(name for name in listed.split() if name not in LISTS)
    return " ".join(" ".join((ROOT / name).read_text("utf-8") for name in names).split())


def test_every_command_is_in_a_document() -> None:
    """As one types it; of `make` it is the Makefile's own list that tells."""
    missing = [
        names[0] for names in commands() if not any(re.search(rf"{name}(?![\w-])", documents()) for name in names)
    ]
    assert missing == []


def test_no_document_has_a_command_that_is_not_there() -> None:
    """`tenfold WORD` in code style is a command."""
    named = set(re.findall(r"`tenfold ([a-z]+)\b", documents()))
    assert named - {**tenfold.FIRST, **tenfold.OTHERS}.keys() == set()
    assert len(named) > 10


def problem_kinds() -> dict[str, set[int]]:
    """Kind of each refusal in the code -> its statuses."""
    kinds: dict[str, set[int]] = defaultdict(set)
    others = set()
    for tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("Refusal", "RequestRefused"):
                status, kind = node.args[:2]
                if isinstance(kind, ast.Constant) and isinstance(status, ast.Constant):
                    kinds[str(kind.value)].add(int(str(status.value)))
                else:
                    others.add(ast.unparse(node.args[1]))
            elif isinstance(node, ast.Call) and ast.unparse(node.func) == "NoRoom":
                kind, status = node.args
                kinds[ast.literal_eval(kind).replace("_", "-")].add(ast.literal_eval(status))
    # One refusal as the other's problem; NoRoom's; and what Starlette says of paths and methods that there are not.
    assert others == {"refused.kind", "error.key.replace('_', '-')", "'no-such-route'"}
    kinds["no-such-route"].add(405)
    return kinds


def test_every_kind_of_error_is_in_api() -> None:
    """With its status, once; and no other."""
    page = (ROOT / "docs" / "api.md").read_text("utf-8")
    rows = re.findall(r"^\| `urn:tenfold:([a-z-]+)` \| ([0-9, ]+) \| \S.* \|$", page, re.MULTILINE)
    listed = {kind: {int(status) for status in statuses.split(",")} for kind, statuses in rows}
    assert len(rows) == len(listed)
    assert listed == problem_kinds()
