"""What changed between two profiles, or two sets of timings, with intervals; and whether it is too slow."""

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference.errors import TenfoldError
from profiling.output import write_text
from profiling.study.intervals import Interval, factors, quantile, ratio, verdict
from profiling.study.names import label, title
from profiling.study.prof_reader import Cost, Profile, added
from profiling.study.timings import Timings

NOISE = 0.1  # how far one profile of a program is assumed to be off, where there is no other to compare it with


class NoSuchFunction(TenfoldError):
    """A function that a profile does not have."""


@dataclass(frozen=True, slots=True)
class Change:
    """A figure before and after, their ratio (after over before) with its interval, and what the interval rests on."""

    what: str
    before: float  # seconds, or of `unit`
    after: float
    ratio: Interval
    basis: str
    unit: str = "s"

    @property
    def verdict(self) -> str:
        """The change in words."""
        return verdict(self.ratio, *(("more", "less") if self.what.startswith(("CPU", "memory")) else ()))

    @property
    def figures(self) -> tuple[str, str]:
        """Before and after, for people."""
        if self.unit == "s":
            return ms(self.before), ms(self.after)
        return f"{self.before:,.1f} {self.unit}", f"{self.after:,.1f} {self.unit}"


def of_timings(before: Timings, after: Timings, *, q: float = 0.5) -> list[Change]:
    """How a call's time and CPU changed, by bootstrap."""
    changes = []
    for what, old, new in ((f"p{q * 100:.0f}", before.wall, after.wall), ("CPU", before.cpu, after.cpu)):
        if old and new:
            basis = f"{len(old):,} and {len(new):,} calls without a profiler, 95 % intervals"
            figures = [quantile(sorted(values), q) for values in (old, new)]
            if min(len(old), len(new)) < 5:
                changes.append(extremes(what, old, new, f"{len(old)} and {len(new)} runs, the extremes"))
            else:
                changes.append(Change(what, figures[0], figures[1], ratio(old, new, q), basis))
    return changes


def of_profiles(
    before: Sequence[Profile], after: Sequence[Profile], function: str | None = None, noise: float = NOISE
) -> Change:
    """How the time of one function, or of all, changed; per call if the numbers of calls differ.

    Several profiles of each side give an interval by their extremes; with one profile each, an assumed noise gives it.
    """
    costs = [[cost_of(profile, function) for profile in side] for side in (before, after)]
    per_call = function is not None and len({cost.calls for side in costs for cost in side}) > 1
    old, new = ([c.cumulative / (max(c.calls, 1) if per_call else 1) for c in side] for side in costs)
    what = f"{function or 'all'}{', a call' if per_call else ''}"
    if len(old) > 1 or len(new) > 1:
        basis = f"{len(old)} and {len(new)} profiles, the extremes"
        return extremes(what, old, new, basis)
    value = max(new[0], 1e-12) / max(old[0], 1e-12)
    basis = (
        f"one profile each, ± {noise:.0%} assumed for noise; several profiles, or timings by profile run, "
        "are more precise"
    )
    return Change(what, old[0], new[0], Interval(value, value / (1 + noise), value * (1 + noise)), basis)


def extremes(what: str, before: Sequence[float], after: Sequence[float], basis: str) -> Change:
    """The ratio of the middles, between the ratios of the extremes."""
    old, new = sorted(before), sorted(after)
    middles = old[len(old) // 2], new[len(new) // 2]
    least = 1e-12
    interval = Interval(
        max(middles[1], least) / max(middles[0], least),
        max(new[0], least) / max(old[-1], least),
        max(new[-1], least) / max(old[0], least),
    )
    return Change(what, *middles, interval, basis)


def cost_of(profile: Profile, function: str | None) -> Cost:
    """The cost of a function by its name, or of its file and name as reports print them; of all for None.

    Raises `NoSuchFunction`. Functions with the same name are added up.
    """
    if function is None:
        return Cost(profile.calls, profile.calls, profile.seconds, profile.seconds)
    costs = [
        entry.cost
        for named, entry in profile.entries.items()
        if function in (label(named), title(named), f"{named.file}:{named.line}")
        or title(named).endswith(f"/{function}")
    ]
    if not costs:
        near = [title(named) for named in profile.entries if function.lower() in title(named).lower()][:3]
        hint = f"; there are {', '.join(near)}" if near else ""
        raise NoSuchFunction(f"{profile.name}: no function {function!r}{hint}")
    return functools.reduce(added, costs)


def too_slow(changes: Sequence[Change], limit: float) -> list[Change]:
    """The changes that are certainly slower than the limit: the whole interval lies above it."""
    return [change for change in changes if change.ratio.low > limit]


def as_markdown(changes: Sequence[Change], title: str, limit: float | None) -> str:
    """A summary for a pull request."""
    lines = [
        f"### {escaped(title)}",
        "",
        f"**{escaped(summary(changes))}**",
        "",
        "| | before | after | change | interval | |",
        "| --- | ---: | ---: | --- | --- | --- |",
    ]
    for change in changes:
        mark = "" if limit is None else "over the limit" if change.ratio.low > limit else "within the limit"
        lines.append(
            f"| {escaped(change.what)} | {change.figures[0]} | {change.figures[1]} | {change.verdict} | "
            f"{factors(change.ratio)} | {mark} |"
        )
    return "\n".join(
        [*lines, "", *dict.fromkeys(f"{change.basis[0].upper()}{change.basis[1:]}." for change in changes), ""]
    )


def escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def as_json(changes: Sequence[Change], title: str, limit: float | None) -> dict[str, Any]:
    """The same for programs. Ratios are after over before."""
    return {
        "title": title,
        "summary": summary(changes),
        "fail_over": limit,
        "failed": bool(limit is not None and too_slow(changes, limit)),
        "changes": [
            {
                "what": change.what,
                "before": change.before,
                "after": change.after,
                "unit": change.unit,
                "ratio": change.ratio.value,
                "low": change.ratio.low,
                "high": change.ratio.high,
                "verdict": change.verdict,
                "basis": change.basis,
            }
            for change in changes
        ],
    }


def write_json(file: Path, changes: Sequence[Change], title: str, limit: float | None) -> None:
    """Write what changed for programs. Raises `CannotWrite`."""
    write_text(file, json.dumps(as_json(changes, title, limit), indent=1) + "\n")


def write_markdown(file: Path, changes: Sequence[Change], title: str, limit: float | None) -> None:
    """Write what changed for a pull request. Raises `CannotWrite`."""
    write_text(file, as_markdown(changes, title, limit))


def summary(changes: Sequence[Change]) -> str:
    """The first change, and that of CPU: faster by 3.1 to 3.4 times; CPU unchanged."""
    cpu = [f"CPU {change.verdict}" for change in changes[1:] if change.what.startswith("CPU")][:1]
    return "; ".join([changes[0].verdict, *cpu])


def as_text(changes: Sequence[Change]) -> str:
    """The summary, and a line for each."""
    lines = [
        f"{change.what}: {change.verdict} ({change.figures[0]} → {change.figures[1]}; {factors(change.ratio)})"
        for change in changes
    ]
    bases = [f"({basis})" for basis in dict.fromkeys(change.basis for change in changes)]
    return "\n".join([*([f"In all {summary(changes)}."] if len(changes) > 1 else []), *lines, *bases])


def ms(seconds: float) -> str:
    """A time for people."""
    if seconds >= 10:
        return f"{seconds:,.1f} s"
    return f"{seconds * 1e3:,.1f} ms" if seconds >= 0.01 else f"{seconds * 1e3:,.3f} ms" if seconds >= 1e-4 else (
        f"{seconds * 1e6:,.1f} µs"
    )  # fmt: skip
