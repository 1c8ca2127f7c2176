"""Two releases on the same loans: who would be decided otherwise, how many of them went bad, and what that earns."""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from inference.policy import DECISIONS
from models.draft.report import percent
from models.evidence.decisions import Decided, Swap, suggestions, swap
from models.evidence.figures import Measure, discrimination
from models.evidence.scored_loans import LATER, SEEN, STANDING, Mask, NoLoans, ScoredLoans

COMPARED = ("auc", "gini", "ks", "brier", "mean_pd", "bad_rate")


@dataclass(frozen=True, slots=True)
class Comparison:
    """An old and a new release on loans that judge both."""

    old: str
    new: str
    source: str
    standing: str
    months: str
    loans: int
    measures: tuple[Mapping[str, Measure], Mapping[str, Measure]]  # of the old and of the new one
    margin: float  # the terms of the new one's policy, by which money is counted
    lgd: float
    guaranteed: bool  # whether a guarantee covers a part of each loss
    same_terms: bool
    amount: str  # the field and unit of what was lent; empty: each loan counts as 1
    swap: Swap


def judging_both(old: ScoredLoans, new: ScoredLoans) -> Mask:
    """(m,): loans that neither release was trained on, if there are any; else all. Raises `NoLoans`."""
    if len(old) != len(new) or not np.array_equal(old.bad, new.bad):
        raise NoLoans("the two releases do not read the same loans from this file")
    unseen = ~old.trained_on & ~new.trained_on
    return unseen if unseen.any() else np.ones(len(new), bool)


def standing_of(old: ScoredLoans, new: ScoredLoans) -> str:
    """What the loans that judge both are to the two releases."""
    trained_on = old.trained_on | new.trained_on
    if not trained_on.any():
        return new.standing
    return SEEN if trained_on.all() else LATER


def compare(old: ScoredLoans, new: ScoredLoans) -> Comparison:
    """Compare two releases on the same loans, in the same order. Raises `NoLoans` if they are not the same."""
    chosen = judging_both(old, new)
    before, after = old.where(chosen), new.where(chosen)
    policy, field = new.release.policy, new.release.policy.amount
    terms = [
        (scored.release.policy.margin, scored.release.policy.lgd, scored.release.policy.guaranteed)
        for scored in (old, new)
    ]
    unit = "" if field is None else field.unit["en"]
    return Comparison(
        old.release.name, new.release.name, new.source, STANDING[standing_of(old, new)], after.span, len(after),
        (discrimination(before.bad, before.pds), discrimination(after.bad, after.pds)),
        policy.margin, policy.lgd, policy.guaranteed, terms[0] == terms[1],
        "" if field is None else f"{field.label['en']}{f' ({unit})' if unit else ''}", swap(before, after),
    )  # fmt: skip


def text(comparison: Comparison) -> str:
    """The comparison as Markdown."""
    months = f" of {comparison.months}" if comparison.months else ""
    lines = [
        f"{comparison.old} → {comparison.new}, on {comparison.loans:,} loans{months}",
        f"{comparison.source}: {comparison.standing}.",
        "",
        "| | " + " | ".join(name.replace("_", " ") for name in COMPARED) + " |",
        "| --- |" + " ---: |" * len(COMPARED),
    ]
    for name, measures in zip((comparison.old, comparison.new), comparison.measures, strict=True):
        cells = [f"{m.value:.3f} ({m.low:.3f}–{m.high:.3f})" for m in (measures[measure] for measure in COMPARED)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    changed = comparison.swap
    lines += [
        "",
        *sentences(comparison),
        "",
        *table("suggested", [m.decided for m in changed.moved if m.decided.rates.loans]),
    ]
    approvals = [changed.both, changed.only_old, changed.only_new, changed.neither]
    return "\n".join([*lines, "", *table("approved", approvals), "", terms(comparison)])


def sentences(comparison: Comparison) -> Iterator[str]:
    """What changes."""
    changed = comparison.swap
    before, after = changed.approved_bad_rates
    part = percent(changed.otherwise / changed.loans)
    yield f"{changed.otherwise:,} of {changed.loans:,} loans ({part}) would be decided otherwise."
    yield (
        f"Approved by the old release only: {named(changed.only_old)}. By the new one only: {named(changed.only_new)}. "
        f"The bad rate of what is approved goes from {percent(before)} to {percent(after)}."
    )
    gained = changed.only_new.earned - changed.only_old.earned
    if changed.otherwise:
        more = "less" if gained < 0 else "more"
        yield f"Approving the latter in place of the former earns {abs(gained):,.0f} {more}."


def named(decided: Decided) -> str:
    """Loans and their bad rate."""
    rates = decided.rates
    if not rates.loans:
        return "none"
    return f"{rates.loans:,}, of which {percent(rates.rate)} went bad ({percent(rates.low)}–{percent(rates.high)})"


def table(head: str, rows: list[Decided]) -> Iterator[str]:
    """Loans, bad rates and money."""
    yield f"| {head} | loans | bad | mean PD | bad rate (95 %) | lent | earned if granted |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    for row in rows:
        rates = row.rates
        shown = f"{rates.mean_pd:.1%} | {rates.rate:.1%} ({rates.low:.1%}–{rates.high:.1%})" if rates.loans else " | "
        yield f"| {rates.label} | {rates.loans:,} | {rates.bad:,} | {shown} | {row.lent:,.0f} | {round(row.earned):,} |"


def terms(comparison: Comparison) -> str:
    """How money is counted."""
    what = (
        f"Lent: {comparison.amount}." if comparison.amount else "Each loan counts as 1, as the form asks for no amount."
    )
    covered = " of what no guarantee covers" if comparison.guaranteed else ""
    other = "" if comparison.same_terms else " These are the terms of the new release; the old one has others."
    return (
        f"{what} A repaid loan earns {percent(comparison.margin)} of it, a bad one loses "
        f"{percent(comparison.lgd)}{covered}: assumptions of the policy, not what was earned.{other}"
    )


def write_list(file: Path, old: ScoredLoans, new: ScoredLoans) -> int:
    """Write a CSV of the loans that would be decided otherwise, by their place among the loans that were read.

    It holds no answer. Returns the number of lines below the header.
    """
    chosen = judging_both(old, new)
    before, after = suggestions(old), suggestions(new)
    places = np.flatnonzero((before != after) & chosen)
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["loan", "old", "new", "old_pd", "new_pd", "bad"])
        for place in places.tolist():
            writer.writerow([
                place + 1, DECISIONS[before[place]], DECISIONS[after[place]], f"{old.pds[place]:.6f}",
                f"{new.pds[place]:.6f}", int(new.bad[place]),
            ])  # fmt: skip
    return len(places)
