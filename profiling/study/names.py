"""Names and groups of functions: groups by a file of patterns, else by package."""

import re
import sys
import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path

from inference.errors import TenfoldError
from profiling.output import printable
from profiling.study.prof_reader import Function, Profile

Group = Callable[[Function], str | None]  # the group of a function; None leaves it to its callers
LIBRARY = re.compile(r"(?:site|dist)-packages[/\\]([^/\\]+)")
STANDARD = re.compile(r"(?:^<frozen|[/\\]lib(?:64)?[/\\]python\d[^/\\]*[/\\]|[/\\]Lib[/\\])")
INSTALLED = re.compile(r"^(?:.*(?:site|dist)-packages/|.*/lib(?:64)?/python\d[^/]*/|.*/Lib/)")
LOOP = re.compile(r"[/\\]profiling[/\\]study[/\\](?:measuring|calls)\.py$")  # what calls a function that is profiled
BUILTIN = "built into Python"
TENFOLD = Path(__file__).with_name("groups") / "tenfold.toml"


class BadGroups(TenfoldError):
    """A file of groups that cannot be used; the message says where and why."""


@cache
def package(function: Function) -> str | None:
    """The package of a function: its name if installed, else the folder of its file."""
    if function.file in ("~", ""):
        # <method 'reduce' of 'numpy.ufunc' objects>, <built-in method numpy.array>
        match = re.search(r"(?:of '|method )([a-z_]\w*)\.\w", function.name)
        if not match or match[1] == "builtins":
            return None
        return "standard library" if match[1] in sys.stdlib_module_names else match[1]
    if match := LIBRARY.search(function.file):
        return match[1].removesuffix(".py")
    if LOOP.search(function.file):
        return "this loop"
    if STANDARD.search(function.file):
        return "standard library"
    return Path(function.file.replace("\\", "/")).parent.name or function.file


def read_groups(file: Path | None) -> Group:
    """The groups of a TOML file: `[groups]`, under it names, each with one regular expression or a list of them.

    The first pattern found in the path of a function's file (folders joined by /), or in the name of a function in C,
    gives the group. Other functions are grouped by package; functions in C without a package are counted with their
    callers. Without a file all are grouped by package. Raises `BadGroups`.
    """
    if file is None:
        return package
    try:
        content = tomllib.loads(file.read_text("utf-8"))
        patterns = [
            (re.compile(pattern), name)
            for name, listed in content["groups"].items()
            for pattern in ([listed] if isinstance(listed, str) else listed)
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

    The time of a function in C without a package is split among its callers by their shares.
    """
    seconds: dict[str, float] = {}
    for function, entry in profile.entries.items():
        for name, part in shares(profile, function, group, frozenset()).items():
            seconds[name] = seconds.get(name, 0.0) + part * entry.cost.own
    return dict(sorted(seconds.items(), key=lambda item: -item[1]))


def shares(profile: Profile, function: Function, group: Group, descendants: frozenset[Function]) -> dict[str, float]:
    """How a function's own time spreads over groups, summing to 1."""
    if (named := group(function)) is not None:
        return {named: 1.0}
    callers = profile.entries[function].callers if function in profile.entries else {}
    weights = {caller: cost.own or 1e-9 * cost.calls for caller, cost in callers.items() if caller not in descendants}
    total = sum(weights.values())
    if not total or len(descendants) > 4:
        return {BUILTIN: 1.0}
    seconds: dict[str, float] = {}
    for caller, weight in weights.items():
        for name, part in shares(profile, caller, group, descendants | {function}).items():
            seconds[name] = seconds.get(name, 0.0) + part * weight / total
    return seconds


@cache
def title(function: Function) -> str:
    """A readable name, the same on any machine and version: without installation folder and line."""
    place = short_file(function)
    return f"{place}: {label(function)}" if place else label(function)


def label(function: Function) -> str:
    """The function's name alone."""
    return printable(re.sub(r" at 0x[0-9a-fA-F]+", "", function.name))


def short_file(function: Function) -> str:
    """Its file from the package on, at most three parts; empty for a function in C."""
    if function.file in ("~", ""):
        return ""
    return printable("/".join(INSTALLED.sub("", function.file.replace("\\", "/")).split("/")[-3:]))
