"""Who called whom as nested boxes, the widest first: what an icicle draws.

A sampled profile has true stacks. cProfile has only callers: what a function spent under one caller is spread over that
caller's own callers as all of its time is. Recursion is folded: within a box no box of the same function stands again,
and what it took there is counted to the outer one. In the end each function's boxes share its own time, to the last
nanosecond, whatever was spread or folded.
"""

import heapq
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from profiling.study.prof_reader import Function, Profile

MOST = 10_000  # boxes of a picture
NARROWEST = 2e-6  # of the whole: narrower boxes are left out


class Box(NamedTuple):
    """A function under one path of callers. Seconds."""

    function: Function
    parent: int  # its caller's box; -1 for none
    seconds: float  # with all that it called
    own: float


class Tree(NamedTuple):
    """The boxes, a caller's before those of what it called; the widest first."""

    boxes: list[Box]
    seconds: float  # of all outermost boxes
    covered: float  # of the profile's own time, how much the boxes hold: 0 to 1


def tree(profile: Profile, most: int = MOST) -> Tree:
    """The widest boxes of a profile, at most so many."""
    boxes = of_stacks(profile.stacks, most) if profile.stacks else settled(of_callers(profile, most), profile)
    drawn = {box.function for box in boxes}
    own = sum(one.cost.own for function, one in profile.entries.items() if function in drawn)
    if profile.stacks:
        own = sum(box.own for box in boxes)
    whole = profile.seconds
    return Tree(boxes, sum(box.seconds for box in boxes if box.parent < 0), own / whole if whole else 1.0)


def settled(boxes: list[Box], profile: Profile) -> list[Box]:
    """The same boxes, with each function's own time shared out among its boxes, and seconds that add up."""
    drawn: dict[Function, float] = {}
    for box in boxes:
        drawn[box.function] = drawn.get(box.function, 0.0) + box.own
    seconds = [0.0] * len(boxes)
    found = list(boxes)
    for at in range(len(boxes) - 1, -1, -1):
        box = boxes[at]
        known = profile.entries.get(box.function)
        whole = drawn[box.function]
        own = box.own / whole * known.cost.own if known and whole else 0.0
        seconds[at] += own
        if box.parent >= 0:
            seconds[box.parent] += seconds[at]
        found[at] = box._replace(seconds=seconds[at], own=own)
    return found


def of_stacks(stacks: Mapping[tuple[Function, ...], float], most: int) -> list[Box]:
    """Boxes of true stacks."""
    seconds: dict[tuple[Function, ...], float] = {}
    for stack, took in stacks.items():
        for depth in range(1, len(stack) + 1):
            seconds[stack[:depth]] = seconds.get(stack[:depth], 0.0) + took
    at: dict[tuple[Function, ...], int] = {(): -1}
    boxes: list[Box] = []
    for path, took in sorted(seconds.items(), key=lambda item: (-item[1], len(item[0])))[:most]:
        at[path] = len(boxes)
        boxes.append(Box(path[-1], at[path[:-1]], took, stacks.get(path, 0.0)))
    return boxes


def of_callers(profile: Profile, most: int) -> list[Box]:
    """Boxes made up from callers: the widest that is left is opened next, until there are `most`."""
    called: dict[Function, list[tuple[Function, float]]] = {}
    for function, entry in profile.entries.items():
        for caller, cost in entry.callers.items():
            if caller != function:
                called.setdefault(caller, []).append((function, cost.cumulative))
    boxes: list[Box] = []
    paths: list[frozenset[Function]] = []  # the functions of a box and of those around it
    outermost = list(roots(profile))
    number, least = len(outermost), NARROWEST * sum(seconds for _, seconds in outermost)
    waiting = [(-seconds, at, function, -1) for at, (function, seconds) in enumerate(outermost) if seconds >= least]
    heapq.heapify(waiting)
    while waiting and len(boxes) < most:
        less, _, function, parent = heapq.heappop(waiting)
        seconds = -less
        above = paths[parent] if parent >= 0 else frozenset()
        known = profile.entries.get(function)
        own = known.cost.own if known else 0.0
        inner = [(one, took) for one, took in called.get(function, ()) if one not in above]
        whole = max(own + sum(took for _, took in inner), known.cost.cumulative if known and not inner else 0.0)
        share = seconds / whole if whole else 0.0
        boxes.append(Box(function, parent, seconds, own * share if inner else seconds))
        paths.append(above | {function})
        for one, took in inner:
            if took * share > least:
                number += 1
                heapq.heappush(waiting, (-took * share, number, one, len(boxes) - 1))
    return boxes


def roots(profile: Profile) -> Iterator[tuple[Function, float]]:
    """The outermost functions and their seconds: those with calls that no recorded caller made.

    `exec` is called by the import machinery that it runs, and so has a caller and is outermost all the same. Of what
    cannot be reached from these (a circle that the profiler entered halfway) the function with most time comes in.
    """
    entries, together = profile.entries, circles(profile)
    called: dict[Function, list[Function]] = {}
    below: dict[Function, float] = {}
    for function, entry in entries.items():
        for caller, cost in entry.callers.items():
            called.setdefault(caller, []).append(function)
            below[caller] = below.get(caller, 0.0) + cost.cumulative
    reached: set[Function] = set()

    def reach(function: Function) -> None:
        ahead = [function]
        while ahead:
            one = ahead.pop()
            if one not in reached:
                reached.add(one)
                ahead += called.get(one, [])

    for function, entry in entries.items():
        known = {caller: cost for caller, cost in entry.callers.items() if caller in entries}
        if entry.cost.calls > sum(cost.calls for cost in known.values()) or not known:
            outside = sum(cost.cumulative for one, cost in known.items() if together[one] != together[function])
            # What had not returned when the profiler stopped has no time of its own, but what it called has.
            whole = entry.cost.cumulative or below.get(function, 0.0)
            yield function, max(whole - outside, 0.0)
            reach(function)
    for function, entry in sorted(entries.items(), key=lambda item: -item[1].cost.cumulative):
        if function not in reached:
            yield function, entry.cost.cumulative
            reach(function)


def circles(profile: Profile) -> dict[Function, int]:
    """A number for each function; those that call each other in a circle have the same.

    Tarjan's strongly connected components (SIAM J. Comput. 1, 1972), without recursion.
    """
    callers = {one: [c for c in entry.callers if c in profile.entries] for one, entry in profile.entries.items()}
    found: dict[Function, int] = {}
    order: dict[Function, int] = {}
    low: dict[Function, int] = {}
    open_ones: list[Function] = []
    for start in callers:
        if start in order:
            continue
        order[start] = low[start] = len(order)
        open_ones.append(start)
        work = [(start, iter(callers[start]))]
        while work:
            function, ahead = work[-1]
            for one in ahead:
                if one not in order:
                    order[one] = low[one] = len(order)
                    open_ones.append(one)
                    work.append((one, iter(callers[one])))
                    break
                if one not in found:
                    low[function] = min(low[function], order[one])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[function])
                if low[function] == order[function]:
                    while function not in found:
                        found[open_ones.pop()] = order[function]
    return found
