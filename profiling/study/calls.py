"""What to profile: a function of a module or file, and the arguments of its calls."""

import argparse
import asyncio
import csv
import importlib
import importlib.util
import inspect
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from inference.errors import TenfoldError


class BadTarget(TenfoldError):
    """A missing function or unreadable arguments; the message says which and what is needed."""


class Call(NamedTuple):
    """The arguments of one call."""

    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Target:
    """A function to measure: `call` runs it to its end, a coroutine or generator too. `close` it after use."""

    name: str
    call: Callable[[Call], Any]
    function: Callable[..., Any]
    close: Callable[[], None] = lambda: None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where calls come from, and how many."""
    parser.add_argument(
        "--args", type=Path, metavar="FILE.json", help="one call's arguments: an object (by name) or a list"
    )
    parser.add_argument("--rows", type=Path, metavar="FILE", help="one call per row: .csv with a header, or .jsonl")
    parser.add_argument("-n", type=int, metavar="CALLS", help="calls that are timed (200; a script runs once)")


def target(text: str) -> Target:
    """The function named by `package.module:function` or `file.py:function`. Raises `BadTarget`.

    The current folder comes first on the path, as with `python -m`.
    """
    module, _, name = text.rpartition(":")
    if not module or not name:
        raise BadTarget(f"{text}: name a function (package.module:function or file.py:function) or a script (file.py)")
    sys.path[:0] = [folder for folder in [str(Path.cwd())] if folder not in sys.path]
    function: Any = of_file(Path(module)) if module.endswith(".py") else of_module(module)
    for part in name.split("."):
        try:
            function = getattr(function, part)
        except AttributeError:
            names = sorted(
                name for name in dir(function) if not name.startswith("_") and callable(getattr(function, name))
            )
            near = get_close_matches(part, names) or names[:8]
            alternatives = f"; there are {', '.join(near)}" if near else ""
            raise BadTarget(f"{text}: nothing is called {part!r} in {module}{alternatives}") from None
    if not callable(function):
        raise BadTarget(f"{text}: a {type(function).__name__}, which cannot be called")
    return prepared(text, function)


def of_module(name: str) -> object:
    """Import a module. Errors inside it are passed on."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise BadTarget(f"{name}: no such module in {Path.cwd()} or among installed packages") from None
        raise


def of_file(file: Path) -> object:
    """The module in a file, imported under its own name."""
    if not file.is_file():
        raise BadTarget(f"{file}: no such file")
    sys.path[:0] = [folder for folder in [str(file.resolve().parent)] if folder not in sys.path]
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        raise BadTarget(f"{file}: cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    return module


def prepared(name: str, function: Callable[..., Any]) -> Target:
    """A function ready to be called: coroutines are awaited on one event loop, generators read to their end."""
    inner = function if inspect.isroutine(function) else getattr(function, "__call__", function)  # noqa: B004
    if inspect.iscoroutinefunction(inner):
        runner = asyncio.Runner()
        run_to_the_end = runner.get_loop().run_until_complete
        return Target(name, lambda call: run_to_the_end(function(*call.args, **call.kwargs)), function, runner.close)
    if inspect.isasyncgenfunction(inner):
        runner = asyncio.Runner()
        run_to_the_end = runner.get_loop().run_until_complete

        async def collected(call: Call) -> list[Any]:
            return [item async for item in function(*call.args, **call.kwargs)]

        return Target(name, lambda call: run_to_the_end(collected(call)), function, runner.close)
    if inspect.isgeneratorfunction(inner):
        return Target(name, lambda call: list(function(*call.args, **call.kwargs)), function)
    return Target(name, lambda call: function(*call.args, **call.kwargs), function)


def calls(options: argparse.Namespace, functions: Sequence[Callable[..., Any]]) -> list[Call]:
    """The calls listed in the files; without a file, one call without arguments. Raises `BadTarget`."""
    if options.args and options.rows:
        raise BadTarget("give --args or --rows, not both")
    if options.args:
        listed = [as_call(parsed(options.args, options.args.read_text, "one JSON value"), str(options.args))]
    elif options.rows:
        listed = rows(options.rows)
    else:
        listed = [Call()]
    for function in functions:
        fit(function, listed[0])
    return listed


def parsed(file: Path, read: Callable[[str], str], what: str) -> Any:
    """Parse a file. Raises `BadTarget`."""
    try:
        return json.loads(read("utf-8-sig"))
    except OSError as error:
        raise BadTarget(f"{file}: {error.strerror or error}") from None
    except ValueError as error:
        raise BadTarget(f"{file}: not {what}: {error}") from None


def rows(file: Path) -> list[Call]:
    """One call per row: CSV by column names, JSON lines by name or in order."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            if file.suffix.lower() in (".jsonl", ".ndjson"):
                listed = [
                    as_call(json.loads(line), f"{file}: line {number}")
                    for number, line in enumerate(stream, 1)
                    if line.strip()
                ]
            else:
                listed = [
                    Call((), {name: value(text or "") for name, text in row.items() if name})
                    for row in csv.DictReader(stream)
                ]
    except OSError as error:
        raise BadTarget(f"{file}: {error.strerror or error}") from None
    except (ValueError, csv.Error) as error:
        raise BadTarget(f"{file}: cannot be read as rows: {error}") from None
    if not listed:
        raise BadTarget(f"{file}: no rows")
    return listed


def value(text: str) -> Any:
    """A cell as a number if it is written as one, else as text."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(text.lower(), text)


def as_call(value: Any, place: str) -> Call:
    """Arguments by name or in order."""
    if isinstance(value, dict):
        return Call((), value)
    if isinstance(value, list):
        return Call(tuple(value))
    raise BadTarget(f"{place}: an object (arguments by name) or a list (in order) is needed")


def fit(function: Callable[..., Any], call: Call) -> None:
    """Raises `BadTarget` if the arguments do not fit the function."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return  # some functions in C have no signature
    try:
        signature.bind(*call.args, **call.kwargs)
    except TypeError as error:
        name = getattr(function, "__name__", str(function))
        raise BadTarget(f"{name}{signature}: {error}. Say what to call it with: --args or --rows") from None
