"""The content of a report as finished texts and numbers for the templates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from profiling.study.facts import facts
from profiling.study.intervals import UNCHANGED
from profiling.study.names import Group, groups, package
from profiling.study.prof_reader import Profile
from profiling.study.verdicts import Change


@dataclass(frozen=True, slots=True)
class Table:
    """A table: the first column is text, the others are figures."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    says: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A sentence that the report begins with, and what it rests on."""

    what: str
    verdict: str
    basis: str
    kind: Literal["better", "worse", "same"]


@dataclass(frozen=True, slots=True)
class BarPart:
    """One bar."""

    kind: Literal["before", "after"]
    percent: float  # of the room there is
    text: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A group's bars, one for each profile."""

    name: str
    parts: Sequence[BarPart]


@dataclass(frozen=True, slots=True)
class ProfileReport:
    """A report on one or two profiles."""

    template: ClassVar[str] = "profile.html"

    title: str
    names: Sequence[str]
    about: Sequence[tuple[str, str]]
    facts: Mapping[str, Any] = field(repr=False)
    verdicts: Sequence[Verdict] = ()
    notes: Sequence[str] = ()
    bars: Sequence[Bar] = ()
    tables: Sequence[Table] = ()


def profile_report(
    profiles: Sequence[Profile],
    group: Group = package,
    *,
    title: str = "",
    changes: Sequence[Change] = (),
    notes: Sequence[str] = (),
    tables: Sequence[Table] = (),
    about: Sequence[tuple[str, str]] = (),
) -> ProfileReport:
    """The report on one or two profiles, the baseline first."""
    names = [profile.name for profile in profiles]
    return ProfileReport(
        title or " and ".join(names), names, about, facts(profiles, group), [verdict_of(change) for change in changes],
        [*notes, *waiting(profiles)], bars(profiles, group), tables,
    )  # fmt: skip


def verdict_of(change: Change) -> Verdict:
    """A change as a sentence."""
    kind: Literal["better", "worse", "same"] = "same"
    if change.ratio.high < 1 and change.ratio.low < 1 / UNCHANGED:
        kind = "better"
    elif change.ratio.low > 1 and change.ratio.high > UNCHANGED:
        kind = "worse"
    return Verdict(f"{change.what}:", change.verdict, f"({change.basis})", kind)


def bars(profiles: Sequence[Profile], group: Group = package, most: int = 12) -> list[Bar]:
    """Own time by group, the largest first, on one scale."""
    by_group = [groups(profile, group) for profile in profiles]
    names = sorted({*(name for seconds in by_group for name in seconds)}, key=lambda name: -max(
        seconds.get(name, 0.0) for seconds in by_group))  # fmt: skip
    longest = max((seconds for groups_of in by_group for seconds in groups_of.values()), default=0.0) or 1.0
    kinds: tuple[Literal["before", "after"], ...] = ("before", "after") if len(profiles) > 1 else ("after",)
    return [
        Bar(
            name,
            [
                BarPart(
                    kind,
                    70 * seconds / longest,
                    f"{seconds * 1e3:,.1f} ms, {seconds / total:.1%}" if (total := profile.seconds) else "0 ms",
                )
                for kind, profile, own in zip(kinds, profiles, by_group, strict=True)
                for seconds in [own.get(name, 0.0)]
            ],
        )
        for name in names[:most]
    ]


WAITS = (
    "'acquire' of '_thread.lock'",
    "'acquire' of '_thread.RLock'",
    "'__enter__' of '_thread.lock'",
    "'join' of '_thread",
    "method time.sleep",
    "select.poll",
    "select.epoll",
    "select.select",
)


def waiting(profiles: Sequence[Profile]) -> list[str]:
    """A note for each profile that mostly waits: what it waits for is not in it."""
    notes = []
    for profile in profiles:
        waits = sum(
            entry.cost.own
            for function, entry in profile.entries.items()
            if function.file == "~" and any(name in function.name for name in WAITS)
        )
        if waits > 0.2 * profile.seconds:
            notes.append(
                f"{profile.name}: {waits / profile.seconds:.0%} of its time is waiting (locks, sockets, sleep). "
                "What other threads and processes did meanwhile is not in it: cProfile sees the thread that started it."
            )
    return notes
