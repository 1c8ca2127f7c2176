"""Profiles of sampled stacks, as pyinstrument saves them; and opening a profile of either kind."""

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from profiling.output import printable
from profiling.study.prof_reader import (
    MOST_SECONDS,
    NOTHING,
    BadProfile,
    Cost,
    Entry,
    Function,
    Profile,
    read,
    read_profile,
)

SYNTHETIC = {"[self]": "", "<built-in>": "~", "<thread>": "~"}  # what pyinstrument writes for a file, and what we do


def open_profile(file: Path) -> Profile:
    """The profile in a file: what cProfile or pyinstrument wrote. Raises `BadProfile`."""
    content = read(file)
    if content[:1] == b"{" and b'"frame_records"' in content:
        return session(content, str(file))
    return read_profile(file)


def session(content: bytes, file: str) -> Profile:
    """A session of pyinstrument (`-r session`, `Session.save`), JSON. Raises `BadProfile`."""
    try:
        stacks = stacks_of(json.loads(content)["frame_records"])
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError):
        raise BadProfile(f"{file}: not a session as pyinstrument saves it") from None
    if not stacks:
        raise BadProfile(f"{file}: a session without any sample")
    return of_stacks(printable(Path(file).name), stacks)


def stacks_of(records: Iterable[tuple[Sequence[str], float]]) -> dict[tuple[Function, ...], float]:
    """Seconds by stack, from pyinstrument's records: frames, the outermost first, and seconds."""
    stacks: dict[tuple[Function, ...], float] = {}
    for frames, seconds in records:
        stack = tuple(function for frame in frames if (function := of_frame(frame)) is not None)
        if not 0 <= seconds <= MOST_SECONDS:
            raise ValueError("seconds that no program takes")
        stacks[stack] = stacks.get(stack, 0.0) + float(seconds)
    return stacks


def of_frame(frame: str) -> Function | None:
    """A function from pyinstrument's identifier: name, file and line with a zero byte between, then attributes."""
    name, file, line = frame.partition("\x01")[0].split("\x00")
    if file == "<thread>":
        return None
    return Function(SYNTHETIC.get(file, file), 0 if file in SYNTHETIC else int(line), name)


def of_stacks(name: str, stacks: Mapping[tuple[Function, ...], float]) -> Profile:
    """The profile of stacks with their seconds: each function's own and cumulative time, and that by caller.

    Numbers of samples take the place of calls, which a sampler does not count.
    """
    own: dict[Function, float] = {}
    cumulative: dict[Function, float] = {}
    calls: dict[Function, int] = {}
    callers: dict[Function, dict[Function, Cost]] = {}
    for stack, seconds in stacks.items():
        for function in set(stack):
            cumulative[function] = cumulative.get(function, 0.0) + seconds
            calls[function] = calls.get(function, 0) + 1
        if stack:
            own[stack[-1]] = own.get(stack[-1], 0.0) + seconds
        for caller, callee in pairs(stack):
            mine = seconds if callee == stack[-1] else 0.0
            known = callers.setdefault(callee, {}).get(caller, NOTHING)
            callers[callee][caller] = Cost(
                known.primitive + 1, known.calls + 1, known.own + mine, known.cumulative + seconds
            )
    entries = {
        function: Entry(
            Cost(calls[function], calls[function], own.get(function, 0.0), seconds), callers.get(function, {})
        )
        for function, seconds in cumulative.items()
    }
    return Profile(name, entries, True, stacks)


def pairs(stack: tuple[Function, ...]) -> Iterable[tuple[Function, Function]]:
    """Caller and callee, each pair once per stack."""
    return dict.fromkeys(pairwise(stack))
