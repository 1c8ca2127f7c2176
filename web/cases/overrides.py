"""The page Overrides: what was decided over time, and how often against the suggestion. Never a ranking of persons."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import ClassVar

from inference.intervals import wilson
from inference.number_format import write_number, write_percent
from ledger.overrides import DISTANCES, DecisionCounts, Month
from web.lender import Lender
from web.pages.answers import labelled
from web.pages.charts import Chart, Figure, Table, column, rounded_up
from web.pages.figures import integer
from web.pages.texts import Texts

MONTHS = 12  # of the charts and the breakdowns, this one among them
FEWEST = 10  # decisions of which a share is shown
OVERRIDDEN = ("more_lenient", "stricter")
DRAWN = (("approve", "approve_changed"), ("refer",), ("decline",))


@dataclass(frozen=True)
class OverrideRow:
    """The decisions of a month, or those with one reason in it."""

    total: bool
    month: str
    words: str
    count: str
    share: str


@dataclass(frozen=True)
class Breakdown:
    """How often the suggestion was overridden, in the groups of one kind."""

    title: str
    table: Table


@dataclass(frozen=True)
class OverridesPage:
    """Charts and breakdowns of the last months, and all months with their reasons."""

    template: ClassVar[str] = "cases/overrides.html"
    figures: tuple[Figure, ...]
    over_time: Table
    breakdowns: tuple[Breakdown, ...]
    few: str
    columns: tuple[str, ...]
    rows: tuple[OverrideRow, ...]


def overrides_page(
    directions: Sequence[tuple[str, str, str | None, int]], counts: DecisionCounts, months: Sequence[str],
    lender: Lender, texts: Texts,
) -> OverridesPage:  # fmt: skip
    """The page. `months` are those of the charts, the oldest first."""
    columns = tuple(texts(f"overrides.{name}") for name in ("month", "reason", "count", "share"))
    return OverridesPage(
        figures(counts, months, texts) if counts.months else (),
        over_time(counts, months, texts),
        breakdowns(counts, lender, texts) if counts.months else (),
        texts("overrides.few", least=FEWEST),
        columns,
        by_month(directions, lender, texts),
    )


def last_months(today: date, count: int = MONTHS) -> list[str]:
    """The month of a day and those before it, such as 2026-11, the oldest first."""
    numbers = range(today.year * 12 + today.month - count, today.year * 12 + today.month)
    return [f"{number // 12:04d}-{number % 12 + 1:02d}" for number in numbers]


def figures(counts: DecisionCounts, months: Sequence[str], texts: Texts) -> tuple[Figure, ...]:
    """Decisions by month, stacked; and the mean PD that they were listed on."""
    names = [texts(f"decided.{group[0]}") for group in DRAWN]
    parts = [[float(drawn(counts.months.get(month), group)) for group in DRAWN] for month in months]
    means = [mean_pd(counts.months.get(month)) for month in months]
    top = rounded_up(max(sum(row) for row in parts))
    pd_top = rounded_up(max((mean for mean in means if mean is not None), default=1.0))
    width = 1 / len(months)
    captions = [
        f"{month}: " + ", ".join(f"{name} {integer(int(n), texts)}" for name, n in zip(names, row, strict=True))
        for month, row in zip(months, parts, strict=True)
    ]
    pd_captions = [f"{month}: {percent(mean, texts)}" for month, mean in zip(months, means, strict=True)]
    ends = (months[0], months[-1])
    stacked = tuple(column(index * width, width, top, row, [], captions[index]) for index, row in enumerate(parts))
    single = tuple(
        column(index * width, width, pd_top, [mean], [], pd_captions[index]) for index, mean in enumerate(means)
    )
    decided, pds = texts("overrides.decided"), texts("overrides.mean_pd")
    legend = tuple((f"part-{index}", name) for index, name in enumerate(names))
    chart = Chart("decided", f"{decided}. {captions[-1]}", stacked, integer(int(top), texts), ends)
    chart_of_pds = Chart("single", f"{pds}. {pd_captions[-1]}", single, percent(pd_top, texts), ends)
    return Figure(decided, legend, chart), Figure(pds, (), chart_of_pds)


def drawn(month: Month | None, group: Iterable[str]) -> int:
    return sum(month.decisions[name] for name in group) if month else 0


def mean_pd(month: Month | None) -> float | None:
    return month.mean_pd if month else None


def percent(share: float | None, texts: Texts) -> str:
    return "–" if share is None else write_percent(share, texts.language)


def over_time(counts: DecisionCounts, months: Sequence[str], texts: Texts) -> Table:
    """The charts' figures and the overrides of each month, the newest first."""
    heads = (
        texts("overrides.month"), texts("overrides.count"), *(texts(f"decided.{group[0]}") for group in DRAWN),
        texts("overrides.mean_pd"), *(texts(f"direction.{way}") for way in OVERRIDDEN), texts("overrides.share"),
    )  # fmt: skip
    rows = []
    for name in reversed(months):
        month = counts.months.get(name) or Month()
        numbers = (month.total, *(drawn(month, group) for group in DRAWN))
        written = [integer(number, texts) for number in numbers]
        mean = mean_pd(month) if month.total else None
        rows.append((name, *written, percent(mean, texts), *row(name, month.directions, texts)[2:]))
    return Table(heads, tuple(rows))


def breakdowns(counts: DecisionCounts, lender: Lender, texts: Texts) -> tuple[Breakdown, ...]:
    """By distance to the cut-off, by amount, by reason, by officer; officers in the order of the alphabet."""
    groups: dict[str, list[tuple[str, Counter[str]]]] = {
        "distance": [(distance(band, texts), directions) for band, directions in in_order(counts.distances)],
        "amount": [(amount(band, texts), directions) for band, directions in in_order(counts.amounts)],
        "officer": sorted(counts.officers.items(), key=lambda pair: pair[0].casefold()),
    }
    listed = [by_reason(counts, lender, texts)] if counts.reasons else []
    for kind, rows in groups.items():
        heads = (
            texts(f"overrides.{kind}"), texts("overrides.count"), texts("direction.more_lenient"),
            texts("direction.stricter"), texts("overrides.share"),
        )  # fmt: skip
        listed.append(
            Breakdown(texts(f"overrides.by_{kind}"), Table(heads, tuple(row(*group, texts) for group in rows)))
        )
    return tuple(listed)


def by_reason(counts: DecisionCounts, lender: Lender, texts: Texts) -> Breakdown:
    """Reasons crossed with directions, the most frequent first, with their share of all overrides."""
    ways = [*OVERRIDDEN, *(["incomplete"] if any(ways["incomplete"] for ways in counts.reasons.values()) else [])]
    total = sum(ways.total() for ways in counts.reasons.values())
    rows = []
    for code, directions in sorted(counts.reasons.items(), key=lambda pair: (-pair[1].total(), pair[0])):
        way = next(way for way in ways if directions[way])
        numbers = [integer(directions[way], texts) for way in ways]
        of_reason = directions.total()
        words = lender.reason(way, code, texts.language)
        rows.append((words, *numbers, integer(of_reason, texts), share(of_reason, total, texts)))
    heads = (
        texts("overrides.reason"), *(texts(f"direction.{way}") for way in ways), texts("overrides.together"),
        texts("overrides.share_of_all"),
    )  # fmt: skip
    return Breakdown(texts("overrides.by_reason_direction"), Table(heads, tuple(rows)))


def row(name: str, directions: Counter[str], texts: Texts) -> tuple[str, ...]:
    """A group: its decisions, those more lenient and stricter, and their share unless there are too few."""
    total, lenient, strict = directions.total(), *(directions[way] for way in OVERRIDDEN)
    return (name, *(integer(n, texts) for n in (total, lenient, strict)), share(lenient + strict, total, texts))


def share(part: int, total: int, texts: Texts) -> str:
    """A share with its 95 % interval; a dash if it is one of too few."""
    if total < FEWEST:
        return "–"
    low, high = wilson(part, total)
    values = {name: write_percent(value, texts.language) for name, value in (("low", low), ("high", high))}
    return texts("overrides.interval", share=write_percent(part / total, texts.language), **values)


def in_order(groups: Mapping[int | None, Counter[str]]) -> list[tuple[int | None, Counter[str]]]:
    """Bands from the lowest up, what is not known last."""
    return sorted(groups.items(), key=lambda pair: (pair[0] is None, pair[0] or 0))


def distance(band: int | None, texts: Texts) -> str:
    """A band of distances between PD and cut-off, in percentage points."""
    if band is None:
        return texts("overrides.unknown")
    edges = [write_number(100 * edge, texts.language) for edge in DISTANCES]
    if band == 0:
        return texts("overrides.below", high=edges[0])
    if band == len(edges):
        return texts("overrides.from", low=edges[-1])
    return texts("overrides.between", low=edges[band - 1], high=edges[band])


def amount(band: int | None, texts: Texts) -> str:
    """A band of amounts, in the unit of the release's amount."""
    return texts("overrides.unknown") if band is None else texts("overrides.amount_from", low=integer(band, texts))


def by_month(
    counts: Sequence[tuple[str, str, str | None, int]], lender: Lender, texts: Texts
) -> tuple[OverrideRow, ...]:
    """For each month a total, then its reasons, the most frequent first."""
    rows = []
    for month in dict.fromkeys(row[0] for row in counts):
        in_month = [row[1:] for row in counts if row[0] == month]
        total = sum(count for *_, count in in_month)
        overridden = sum(count for way, _, count in in_month if way in OVERRIDDEN)
        figures = f"{write_number(overridden, texts.language)} / {write_number(total, texts.language)}"
        rows.append(OverrideRow(True, month, texts("overrides.rate"), figures, share(overridden, total, texts)))
        for way, code, count in sorted(in_month, key=lambda row: -row[2]):
            if way == "as_suggested":
                continue
            words = labelled(texts(f"direction.{way}"), lender.reason(way, code or "", texts.language), texts)
            rows.append(OverrideRow(False, "", words, write_number(count, texts.language), share(count, total, texts)))
    return tuple(rows)
