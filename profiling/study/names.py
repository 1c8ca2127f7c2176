"""What functions are called and which group they belong to: by a file of patterns, else by their package."""

import re
import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path

from inference.errors import TenfoldError
from profiling.study.prof_reader import Function, Profile

Group = Callable[[Function], str | None]  # the group of a function; None leaves it to its callers
LIBRARY = re.compile(r"(?:site|dist)-packages[/\\]([^/\\]+)")
STANDARD = re.compile(r"(?:^<frozen|[/\\]lib(?:64)?[/\\]python\d[^/\\]*[/\\]|[/\\]Lib[/\\])")
INSTALLED = re.compile(r".*(?:site|dist)-packages/|.*/lib(?:64)?/python\d[^/]*/|.*/Lib/")
LOOP = re.compile(r"[/\\]profiling[/\\]study[/\\](?:measuring|calls)\.py$")  # what calls a function that is profiled
BUILTIN = "built into Python"
TENFOLD = Path(__file__).with_name("groups") / "tenfold.toml"


class BadGroups(TenfoldError):
    """A file of groups that cannot be used: where, and what is wrong with it."""


@cache
def package(function: Function) -> str | None:
    """The package of a function: of what is installed its name, of all else the folder of its file."""
    if function.file in ("~", ""):
        # <method 'reduce' of 'numpy.ufunc' objects>, <built-in method numpy.array>
        found = re.search(r"(?:of '|method )([a-z_]\w*)\.\w", function.name)
        return found[1] if found and found[1] != "builtins" else None
    if found := LIBRARY.search(function.file):
        return found[1].removesuffix(".py")
    if LOOP.search(function.file):
        return "this loop"
    if STANDARD.search(function.file):
        return "standard library"
    return Path(function.file.replace("\\", "/")).parent.name or function.file


def read_groups(file: Path | None) -> Group:
    """The groups of a TOML file: `[groups]`, under it names, each with one regular expression or a list of them.

    The first that is found in the path of a function's file (folders joined by /), or of one in C in its name, says the
    group. What none is found in goes by its package, and C that says no package to its callers. Without a file all goes
    by package. Raises `BadGroups`.
    """
    if file is None:
        return package
    try:
        found = tomllib.loads(file.read_text("utf-8"))
        patterns = [
            (re.compile(pattern), name)
            for name, given in found["groups"].items()
            for pattern in ([given] if isinstance(given, str) else given)
        ]
    except OSError as error:
        raise BadGroups(f"{file}: {error.strerror or error}") from None
    except KeyError:
        raise BadGroups(f"{file}: no table [groups], with names and regular expressions") from None
    except (AttributeError, TypeError):
        raise BadGroups(f"{file}: under [groups] a name needs a regular expression or a list of them") from None
    except re.error as error:
        raise BadGroups(f"{file}: {error.pattern!r} is no regular expression: {error.msg}") from None
    except ValueError as error:
        raise BadGroups(f"{file}: {error}") from None

    def group(function: Function) -> str | None:
        place = function.name if function.file == "~" else function.file.replace("\\", "/")
        return next((name for pattern, name in patterns if pattern.search(place)), None) or package(function)

    return group


def groups(profile: Profile, group: Group = package) -> dict[str, float]:
    """Own seconds by group, the largest first.

    What a function in C took, that says nothing of its package, is its callers': by their shares of its time.
    """
    found: dict[str, float] = {}
    for function, entry in profile.entries.items():
        for name, part in shares(profile, function, group, frozenset()).items():
            found[name] = found.get(name, 0.0) + part * entry.cost.own
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def shares(profile: Profile, function: Function, group: Group, under: frozenset[Function]) -> dict[str, float]:
    """How a function's own time spreads over groups, summing to 1."""
    if (named := group(function)) is not None:
        return {named: 1.0}
    callers = profile.entries[function].callers if function in profile.entries else {}
    weights = {caller: cost.own or 1e-9 * cost.calls for caller, cost in callers.items() if caller not in under}
    total = sum(weights.values())
    if not total or len(under) > 4:
        return {BUILTIN: 1.0}
    found: dict[str, float] = {}
    for caller, weight in weights.items():
        for name, part in shares(profile, caller, group, under | {function}).items():
            found[name] = found.get(name, 0.0) + part * weight / total
    return found


@cache
def title(function: Function) -> str:
    """A function for people, the same from any machine and version: no folder of an installation, no line."""
    place = short_file(function)
    return f"{place}: {label(function)}" if place else label(function)


def label(function: Function) -> str:
    """Its name alone."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", function.name)


def short_file(function: Function) -> str:
    """Its file from the package on, at most three parts of it; nothing for a function in C."""
    if function.file in ("~", ""):
        return ""
    return "/".join(INSTALLED.sub("", function.file.replace("\\", "/")).split("/")[-3:])
