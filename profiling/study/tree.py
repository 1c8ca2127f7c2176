"""The calls of a profile as nested boxes, the widest first: what an icicle draws.

A sampled profile has true stacks. cProfile has only callers: the time of a function under one caller is spread over
that caller's own callers in proportion. Recursion is folded: a box contains no box of the same function, and the time
of the inner call counts for the outer box. In the end the boxes of a function share exactly its own time.
"""

import heapq
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from profiling.study.prof_reader import Function, Profile

MOST = 10_000  # boxes of a picture
NARROWEST = 2e-6  # of the total: narrower boxes are left out


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
    covered: float  # share of the profile's own time that the boxes hold: 0 to 1


def tree(profile: Profile, most: int = MOST) -> Tree:
    """The widest boxes of a profile, at most `most`."""
    boxes = of_stacks(profile.stacks, most) if profile.stacks else settled(of_callers(profile, most), profile)
    drawn = {box.function for box in boxes}
    own = sum(entry.cost.own for function, entry in profile.entries.items() if function in drawn)
    if profile.stacks:
        own = sum(box.own for box in boxes)
    total = profile.seconds
    return Tree(boxes, sum(box.seconds for box in boxes if box.parent < 0), own / total if total else 1.0)


def settled(boxes: list[Box], profile: Profile) -> list[Box]:
    """The same boxes, with each function's own time shared out among its boxes, and seconds that add up."""
    own_of: dict[Function, float] = {}
    for box in boxes:
        own_of[box.function] = own_of.get(box.function, 0.0) + box.own
    seconds = [0.0] * len(boxes)
    shared = list(boxes)
    for index in range(len(boxes) - 1, -1, -1):
        box = boxes[index]
        known = profile.entries.get(box.function)
        total = own_of[box.function]
        own = box.own / total * known.cost.own if known and total else 0.0
        seconds[index] += own
        if box.parent >= 0:
            seconds[box.parent] += seconds[index]
        shared[index] = box._replace(seconds=seconds[index], own=own)
    return shared


def of_stacks(stacks: Mapping[tuple[Function, ...], float], most: int) -> list[Box]:
    """Boxes of true stacks."""
    inner: list[dict[Function, int]] = [{}]  # by path, the first being that of no function: callee -> its path
    function_of = [Function("", 0, "")]
    caller_of, seconds, own = [-1], [0.0], [0.0]
    for stack, took in stacks.items():
        path = 0
        for function in stack:
            callee = inner[path].setdefault(function, len(inner))
            if callee == len(inner):
                inner.append({})
                function_of.append(function)
                caller_of.append(path)
                seconds.append(0.0)
                own.append(0.0)
            path = callee
            seconds[path] += took
        own[path] += took
    index_of = {0: -1}
    boxes: list[Box] = []
    for path in sorted(range(1, len(inner)), key=lambda path: -seconds[path])[:most]:  # a caller's is the earlier one
        index_of[path] = len(boxes)
        boxes.append(Box(function_of[path], index_of[caller_of[path]], seconds[path], own[path]))
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
    waiting = [
        (-seconds, index, function, -1) for index, (function, seconds) in enumerate(outermost) if seconds >= least
    ]
    heapq.heapify(waiting)
    while waiting and len(boxes) < most:
        less, _, function, parent = heapq.heappop(waiting)
        seconds = -less
        above = paths[parent] if parent >= 0 else frozenset()
        known = profile.entries.get(function)
        own = known.cost.own if known else 0.0
        inner = [(callee, took) for callee, took in called.get(function, ()) if callee not in above]
        total = max(own + sum(took for _, took in inner), known.cost.cumulative if known and not inner else 0.0)
        share = seconds / total if total else 0.0
        boxes.append(Box(function, parent, seconds, own * share if inner else seconds))
        paths.append(above | {function})
        for callee, took in inner:
            if took * share > least:
                number += 1
                heapq.heappush(waiting, (-took * share, number, callee, len(boxes) - 1))
    return boxes


def roots(profile: Profile) -> Iterator[tuple[Function, float]]:
    """The outermost functions and their seconds: those with calls that no recorded caller made.

    `exec` is called by the import machinery that it runs, so it has a caller and is outermost all the same. If some
    functions cannot be reached from these (a cycle that the profiler entered midway), the one with most time is added.
    """
    entries, circle = profile.entries, circles(profile)
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
            callee = ahead.pop()
            if callee not in reached:
                reached.add(callee)
                ahead += called.get(callee, [])

    for function, entry in entries.items():
        known = {caller: cost for caller, cost in entry.callers.items() if caller in entries}
        if entry.cost.calls > sum(cost.calls for cost in known.values()) or not known:
            outside = sum(cost.cumulative for caller, cost in known.items() if circle[caller] != circle[function])
            # A function that had not returned when the profiler stopped has no time of its own, but its callees have.
            total = entry.cost.cumulative or below.get(function, 0.0)
            yield function, max(total - outside, 0.0)
            reach(function)
    for function, entry in sorted(entries.items(), key=lambda item: -item[1].cost.cumulative):
        if function not in reached:
            yield function, entry.cost.cumulative
            reach(function)


def circles(profile: Profile) -> dict[Function, int]:
    """A number for each function; functions that call each other in a cycle have the same number.

    Tarjan's strongly connected components (SIAM J. Comput. 1, 1972), without recursion.
    """
    callers = {
        function: [c for c in entry.callers if c in profile.entries] for function, entry in profile.entries.items()
    }
    circle_of: dict[Function, int] = {}
    order: dict[Function, int] = {}
    low: dict[Function, int] = {}
    open_functions: list[Function] = []
    for start in callers:
        if start in order:
            continue
        order[start] = low[start] = len(order)
        open_functions.append(start)
        work = [(start, iter(callers[start]))]
        while work:
            function, ahead = work[-1]
            for caller in ahead:
                if caller not in order:
                    order[caller] = low[caller] = len(order)
                    open_functions.append(caller)
                    work.append((caller, iter(callers[caller])))
                    break
                if caller not in circle_of:
                    low[function] = min(low[function], order[caller])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[function])
                if low[function] == order[function]:
                    while function not in circle_of:
                        circle_of[open_functions.pop()] = order[function]
    return circle_of
