"""What the report's script draws: functions, their figures and callers, and the boxes of the icicle, as plain JSON.

One or two profiles; the functions of both stand in one list, a function of both once.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from profiling.study.names import BUILTIN, Group, label, package, short_file, title
from profiling.study.prof_reader import Cost, Function, Profile
from profiling.study.tree import tree

MOST = 4000  # functions with their figures; of the others only how many there are and what they hold

Facts = dict[str, Any]


def facts(profiles: Sequence[Profile], group: Group = package) -> Facts:
    """Of one or two profiles, the baseline first. Seconds throughout."""
    trees = [tree(profile) for profile in profiles]
    numbers = matched(profiles)
    drawn = [{box.function for box in one.boxes} for one in trees]
    chosen = [most_of(profile, boxes) for profile, boxes in zip(profiles, drawn, strict=True)]
    kept: dict[int, Function] = {}
    for number_of, functions in zip(numbers, chosen, strict=True):
        for function in functions:
            kept.setdefault(number_of[function], function)
    place = {number: at for at, number in enumerate(sorted(kept))}
    listed = [kept[number] for number in sorted(kept)]
    return {
        "functions": {
            "name": [label(one) for one in listed],
            "place": [f"{short_file(one)}:{one.line}" if short_file(one) else "" for one in listed],
            "file": [one.file if one.file != "~" else "" for one in listed],
            "group": [group(one) or BUILTIN for one in listed],
        },
        "profiles": [
            facts_of(profile, one, {function: place[at] for function, at in number_of.items() if at in place})
            for profile, one, number_of in zip(profiles, trees, numbers, strict=True)
        ],
    }


def facts_of(profile: Profile, drawn: Any, place: Mapping[Function, int]) -> Facts:
    """Those of one profile; functions by their place in the list."""
    shown = [(function, entry) for function, entry in profile.entries.items() if function in place]
    held = sum(entry.cost.own for _, entry in shown)
    whole = profile.seconds
    return {
        "name": profile.name,
        "sampled": profile.sampled,
        "stacks": bool(profile.stacks),
        "seconds": whole,
        "calls": profile.calls,
        "all": len(profile.entries),
        "listed": len(shown),
        "held": held / whole if whole else 1.0,
        "covered": drawn.covered,
        "figures": {place[function]: cost(entry.cost) for function, entry in shown},
        "callers": {
            place[function]: found
            for function, entry in shown
            if (found := [(place[one], *cost(share)) for one, share in entry.callers.items() if one in place])
        },
        "boxes": {
            "function": [place[box.function] for box in drawn.boxes],
            "parent": [box.parent for box in drawn.boxes],
            "seconds": [rounded(box.seconds) for box in drawn.boxes],
        },
    }


def cost(of: Cost) -> tuple[int, float, float]:
    """Calls, own and cumulative seconds."""
    return of.calls, rounded(of.own), rounded(of.cumulative)


def rounded(seconds: float) -> float:
    """To six figures: a report of many boxes is a third of the size."""
    return float(f"{seconds:.6g}")


def most_of(profile: Profile, drawn: set[Function]) -> list[Function]:
    """Those in the picture, and of the others those with most time of their own or in all."""
    if len(profile.entries) <= MOST:
        return [*profile.entries, *(drawn - profile.entries.keys())]
    by_own = sorted(profile.entries, key=lambda one: -profile.entries[one].cost.own)[: MOST // 2]
    by_all = sorted(profile.entries, key=lambda one: -profile.entries[one].cost.cumulative)[: MOST // 2]
    return list(dict.fromkeys([*sorted(drawn), *by_own, *by_all]))


def matched(profiles: Sequence[Profile]) -> list[dict[Function, int]]:
    """A number for each function of each profile, the same for one function in both.

    That is one with the same file, from its package on, and the same name; where a file has several of that name, in
    order of their lines if both have as many, and else those on the same line.
    """
    by_title: list[dict[str, list[Function]]] = []
    for profile in profiles:
        found: dict[str, list[Function]] = {}
        for function in sorted({*profile.entries, *(one for e in profile.entries.values() for one in e.callers)}):
            found.setdefault(title(function), []).append(function)
        by_title.append(found)
    counts = [Counter({name: len(ones) for name, ones in found.items()}) for found in by_title]
    keys: dict[tuple[str, int, int], int] = {}
    numbers: list[dict[Function, int]] = []
    for found in by_title:
        mine: dict[Function, int] = {}
        for name, ones in found.items():
            alike = len({count[name] for count in counts}) == 1
            for at, function in enumerate(ones):
                key = (name, at, 0) if alike else (name, function.line, 1)
                mine[function] = keys.setdefault(key, len(keys))
        numbers.append(mine)
    return numbers
