"""What is to be profiled: a function of a module or file, and what it is called with."""

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
    """A function that is not there, or arguments that cannot be read: which, and what is needed."""


class Call(NamedTuple):
    """What a function is called with."""

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
    parser.add_argument("--rows", type=Path, metavar="FILE", help="a call a row: .csv with a header, or .jsonl")
    parser.add_argument("-n", type=int, metavar="CALLS", help="calls that are timed (200; a script runs once)")


def target(text: str) -> Target:
    """The function named by `package.module:function` or `file.py:function`. Raises `BadTarget`.

    The folder that one is in comes first on the path, as with `python -m`.
    """
    where, _, name = text.rpartition(":")
    if not where or not name:
        raise BadTarget(f"{text}: name a function (package.module:function or file.py:function) or a script (file.py)")
    sys.path[:0] = [one for one in [str(Path.cwd())] if one not in sys.path]
    found: Any = of_file(Path(where)) if where.endswith(".py") else of_module(where)
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            names = sorted(one for one in dir(found) if not one.startswith("_") and callable(getattr(found, one)))
            near = get_close_matches(part, names) or names[:8]
            there = f"; there are {', '.join(near)}" if near else ""
            raise BadTarget(f"{text}: nothing is called {part!r} in {where}{there}") from None
    if not callable(found):
        raise BadTarget(f"{text}: a {type(found).__name__}, which cannot be called")
    return prepared(text, found)


def of_module(name: str) -> object:
    """A module, imported. What goes wrong inside it is its own error."""
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
    sys.path[:0] = [one for one in [str(file.resolve().parent)] if one not in sys.path]
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
            return [one async for one in function(*call.args, **call.kwargs)]

        return Target(name, lambda call: run_to_the_end(collected(call)), function, runner.close)
    if inspect.isgeneratorfunction(inner):
        return Target(name, lambda call: list(function(*call.args, **call.kwargs)), function)
    return Target(name, lambda call: function(*call.args, **call.kwargs), function)


def calls(given: argparse.Namespace, functions: Sequence[Callable[..., Any]]) -> list[Call]:
    """The calls that the files say; one without arguments if there are no arguments. Raises `BadTarget`."""
    if given.args and given.rows:
        raise BadTarget("give --args or --rows, not both")
    if given.args:
        found = [as_call(parsed(given.args, given.args.read_text, "one JSON value"), str(given.args))]
    elif given.rows:
        found = rows(given.rows)
    else:
        found = [Call()]
    for function in functions:
        fit(function, found[0])
    return found


def parsed(file: Path, read: Callable[[str], str], what: str) -> Any:
    """JSON of a file."""
    try:
        return json.loads(read("utf-8-sig"))
    except OSError as error:
        raise BadTarget(f"{file}: {error.strerror or error}") from None
    except ValueError as error:
        raise BadTarget(f"{file}: not {what}: {error}") from None


def rows(file: Path) -> list[Call]:
    """A call a row: of CSV by the names of its columns, of JSON lines by name or in order."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            if file.suffix.lower() in (".jsonl", ".ndjson"):
                found = [
                    as_call(json.loads(line), f"{file}: line {at}") for at, line in enumerate(stream, 1) if line.strip()
                ]
            else:
                found = [
                    Call((), {name: value(text or "") for name, text in row.items() if name})
                    for row in csv.DictReader(stream)
                ]
    except OSError as error:
        raise BadTarget(f"{file}: {error.strerror or error}") from None
    except (ValueError, csv.Error) as error:
        raise BadTarget(f"{file}: cannot be read as rows: {error}") from None
    if not found:
        raise BadTarget(f"{file}: no rows")
    return found


def value(text: str) -> Any:
    """A cell: a number where it is written as one, else the text."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(text.lower(), text)


def as_call(found: Any, where: str) -> Call:
    """Arguments by name or in order."""
    if isinstance(found, dict):
        return Call((), found)
    if isinstance(found, list):
        return Call(tuple(found))
    raise BadTarget(f"{where}: an object (arguments by name) or a list (in order) is needed")


def fit(function: Callable[..., Any], call: Call) -> None:
    """Raises `BadTarget` where the arguments do not fit the function's."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return  # of some functions in C nobody knows
    try:
        signature.bind(*call.args, **call.kwargs)
    except TypeError as error:
        name = getattr(function, "__name__", str(function))
        raise BadTarget(f"{name}{signature}: {error}. Say what to call it with: --args or --rows") from None
