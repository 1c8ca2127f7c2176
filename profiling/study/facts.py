"""What the report's script draws: functions, their figures and callers, and the boxes of the icicle, as plain JSON.

One or two profiles share one list of functions; a function in both appears once.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from profiling.output import printable
from profiling.study.names import BUILTIN, Group, label, package, short_file, title
from profiling.study.prof_reader import Cost, Function, Profile
from profiling.study.tree import Tree, tree

MOST = 4000  # functions with their figures; for the others only their number and their time

Facts = dict[str, Any]


def facts(profiles: Sequence[Profile], group: Group = package) -> Facts:
    """The facts of one or two profiles, the baseline first. Times in seconds."""
    trees = [tree(profile) for profile in profiles]
    numbers = matched(profiles)
    drawn_functions = [{box.function for box in tree.boxes} for tree in trees]
    chosen = [most_of(profile, boxes) for profile, boxes in zip(profiles, drawn_functions, strict=True)]
    numbered: dict[int, Function] = {}
    for number_of, functions in zip(numbers, chosen, strict=True):
        for function in functions:
            numbered.setdefault(number_of[function], function)
    place = {number: index for index, number in enumerate(sorted(numbered))}
    listed = [numbered[number] for number in sorted(numbered)]
    return {
        "functions": {
            "name": [label(function) for function in listed],
            "place": [f"{short_file(function)}:{function.line}" if short_file(function) else "" for function in listed],
            "file": [printable(function.file) if function.file != "~" else "" for function in listed],
            "group": [printable(group(function) or BUILTIN) for function in listed],
        },
        "profiles": [
            facts_of(profile, boxes, {function: place[n] for function, n in number_of.items() if n in place})
            for profile, boxes, number_of in zip(profiles, trees, numbers, strict=True)
        ],
    }


def facts_of(profile: Profile, drawing: Tree, place: Mapping[Function, int]) -> Facts:
    """The facts of one profile; functions by their place in the list."""
    entries = [(function, entry) for function, entry in profile.entries.items() if function in place]
    accounted = sum(entry.cost.own for _, entry in entries)
    total = profile.seconds
    return {
        "name": profile.name,
        "sampled": profile.sampled,
        "stacks": bool(profile.stacks),
        "seconds": total,
        "calls": profile.calls,
        "all": len(profile.entries),
        "listed": len(entries),
        "held": accounted / total if total else 1.0,
        "covered": drawing.covered,
        "figures": {place[function]: cost(entry.cost) for function, entry in entries},
        "callers": {
            place[function]: callers
            for function, entry in entries
            if (
                callers := [(place[caller], *cost(share)) for caller, share in entry.callers.items() if caller in place]
            )
        },
        "boxes": {
            "function": [place[box.function] for box in drawing.boxes],
            "parent": [box.parent for box in drawing.boxes],
            "seconds": [rounded(box.seconds) for box in drawing.boxes],
        },
    }


def cost(cost: Cost) -> tuple[int, float, float]:
    """Calls, own and cumulative seconds."""
    return cost.calls, rounded(cost.own), rounded(cost.cumulative)


def rounded(seconds: float) -> float:
    """Rounded to six figures: this cuts a report of many boxes to a third."""
    return float(f"{seconds:.6g}")


def most_of(profile: Profile, drawn: set[Function]) -> list[Function]:
    """Functions in the picture, and of the others those with most own or cumulative time."""
    if len(profile.entries) <= MOST:
        return [*profile.entries, *(drawn - profile.entries.keys())]
    by_own = sorted(profile.entries, key=lambda function: -profile.entries[function].cost.own)[: MOST // 2]
    by_all = sorted(profile.entries, key=lambda function: -profile.entries[function].cost.cumulative)[: MOST // 2]
    return list(dict.fromkeys([*sorted(drawn), *by_own, *by_all]))


def matched(profiles: Sequence[Profile]) -> list[dict[Function, int]]:
    """A number for each function of each profile, the same for one function in both.

    The same function has the same file, from its package on, and the same name. Several of one name in a file match in
    the order of their lines if both profiles have as many, and else by line. A function of Python that is left over on
    both sides matches the only one of its name that is, whatever the file: it moved, or stands in a mended copy.
    """
    by_title: list[dict[str, list[Function]]] = []
    for profile in profiles:
        titles: dict[str, list[Function]] = {}
        for function in sorted({*profile.entries, *(caller for e in profile.entries.values() for caller in e.callers)}):
            titles.setdefault(title(function), []).append(function)
        by_title.append(titles)
    counts = [Counter({name: len(functions) for name, functions in named.items()}) for named in by_title]
    keys: dict[tuple[str, int, int], int] = {}
    numbers: list[dict[Function, int]] = []
    for named in by_title:
        mine: dict[Function, int] = {}
        for name, functions in named.items():
            alike = len({count[name] for count in counts}) == 1
            for index, function in enumerate(functions):
                key = (name, index, 0) if alike else (name, function.line, 1)
                mine[function] = keys.setdefault(key, len(keys))
        numbers.append(mine)
    if len(numbers) == 2:
        left_over = [only_names(mine, numbers[1 - side].values()) for side, mine in enumerate(numbers)]
        for name in left_over[0].keys() & left_over[1].keys():
            numbers[1][left_over[1][name]] = numbers[0][left_over[0][name]]
    return numbers


def only_names(mine: Mapping[Function, int], others: Collection[int]) -> dict[str, Function]:
    """The functions of Python without a match that have a name of their own and share it with none of these."""
    names: dict[str, list[Function]] = {}
    matched_numbers = set(others)
    for function, number in mine.items():
        if number not in matched_numbers and function.file != "~" and not function.name.startswith(("<", "__")):
            names.setdefault(function.name, []).append(function)
    return {name: functions[0] for name, functions in names.items() if len(functions) == 1}
