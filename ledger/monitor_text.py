"""What `tenfold monitor` prints: sentences and tables, or the same as JSON."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from inference.watch.expected import LEAST_BAD, LIMIT, Month, month_name
from ledger.daily_counts import LEAST as LEAST_SCORES
from ledger.events import Json
from ledger.monitor import ALARM, HOLDS, LEAST, Monitored, Rate

VERDICTS = {
    "above": "ABOVE the PD", "below": "below the PD", "within": "as the PD", "too_early": "too early to say",
    "too_few": f"fewer than {LEAST} known",
}  # fmt: skip
NOT_LENT = {
    "declined": "declined: nothing is known of what they would have done",
    "open": "with neither a decision nor an outcome: if they were lent, too few bad loans are expected here",
    "withdrawn": "withdrawn",
    "declined_with_outcome": "declined here, yet an outcome came: lent elsewhere, and left out",
}
SHOWN = 12  # months of the newest, on the terminal


def as_json(monitored: Monitored) -> str:
    """Everything that was measured; what is not known is null."""
    watched = monitored.watched
    content = {
        **{name: value for name, value in asdict(monitored).items() if name not in ("watched", "drift")},
        "state": monitored.state,
        "first_alarm": monitored.first_alarm or None,
        "drift_alarms": list(monitored.drift_alarms),
        "dispersion": None if watched is None else watched.dispersion,
        "months": [
            {**row._asdict(), "month": month_name(row.month)} for row in (() if watched is None else watched.months)
        ],
        "drift": {
            "reference": monitored.drift.reference,
            "scores": monitored.drift.scores,
            "fields_counted": monitored.drift.form,
            "answers_erased": monitored.drift.erased,
            "months": [
                {
                    "month": month_name(row.month),
                    "scores": row.scores,
                    "alarm": row.alarm,
                    "series": {name: {**drift._asdict(), "alarm": drift.alarm} for name, drift in row.drift.items()},
                }
                for row in monitored.drift.months
            ],
        },
    }
    return json.dumps(without_nan(content), indent=2, ensure_ascii=False)


def without_nan(value: object) -> Json:
    """A value as JSON has it."""
    if isinstance(value, dict):
        return {str(name): without_nan(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(part) for part in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    raise TypeError(f"{type(value).__name__} has no JSON")


def sentences(monitored: Monitored) -> Iterator[str]:
    """The report."""
    drift = monitored.drift
    yield f"{monitored.release} ({monitored.digest[:12]}): {monitored.loans:,} loans lent"
    if monitored.other_cases:
        yield f"{monitored.other_cases:,} cases of other releases are left out (--release NAME)"
    for reason, count in sorted(monitored.not_lent.items()):
        yield f"{count:,} cases {NOT_LENT[reason]}"
    if monitored.erased:
        yield f"{monitored.erased:,} loans have their PD in whole per cent alone: their personal part is erased"
    yield ""
    yield from rates("PD band", monitored.bands)
    yield from rates("granted", monitored.quarters)
    yield from rates("decision", monitored.overrides)
    yield from expected(monitored)
    yield ""
    yield f"Drift against {drift.reference} ({drift.scores:,} scores)"
    yield from drift_lines(monitored)
    yield ""
    yield conclusion(monitored)


def rates(head: str, rows: Sequence[Rate]) -> Iterator[str]:
    """A table of bad rates."""
    if not rows:
        return
    yield f"{head:16}{'loans':>9}{'known':>9}{'bad':>8}{'mean PD':>9}{'bad rate':>10}  95 % interval"
    for row in rows:
        rate = (
            f"  at least {row.at_least:.1%}"
            if math.isnan(row.rate)
            else f"{row.rate:10.1%}  {row.low:.1%} – {row.high:.1%}"
        )
        rate = rate.replace("%", " %")
        yield (
            f"{row.name:16}{row.loans:9,}{row.known:9,}{row.bad:8,}{100 * row.mean_pd:7.1f} %{rate:28}  "
            f"{VERDICTS[row.verdict]}"
        )
    yield ""


def expected(monitored: Monitored) -> Iterator[str]:
    """Bad loans by month."""
    if monitored.watched is None:
        yield (
            f"Bad loans by month: not judged. A life table needs {LEAST_BAD} bad loans in the reference months, "
            f"{monitored.reference}, and outcomes up to their end; there are {monitored.reference_bad} "
            f"(--reference FIRST:LAST names other months)"
        )
        return
    yield (
        f"Bad loans by month, up to {monitored.until}; life table of {monitored.reference} "
        f"({monitored.reference_bad} bad loans), dispersion {monitored.watched.dispersion:.1f}"
    )
    yield f"{'month':10}{'observed':>9}{'expected':>10}{'O/E':>7}{'CUSUM':>8}"
    for row in [row for row in monitored.watched.months if not row.reference][-SHOWN:]:
        yield month_line(row)


def month_line(row: Month) -> str:
    alarm = f"  ALARM: above {LIMIT:g}" if row.alarm else ""
    ratio = row.observed / row.expected if row.expected else math.nan
    return f"{month_name(row.month):10}{row.observed:9,.0f}{row.expected:10,.1f}{ratio:7.2f}{row.cusum:8.1f}{alarm}"


def drift_lines(monitored: Monitored) -> Iterator[str]:
    """Months with what drifted."""
    drift = monitored.drift
    if drift.too_few:
        yield f"not judged: {LEAST_SCORES} scores are needed in the reference and in a month after it"
        return
    if not drift.form:
        yield "the release is not here, so its fields are not counted (--releases FOLDER)"
    if drift.erased:
        yield f"{drift.erased:,} scores have no answers left, and count for the score alone"
    for row in drift.months[-SHOWN:]:
        if not row.drift:
            yield f"{month_name(row.month)}  {row.scores:,} scores: too few"
            continue
        name, largest = max(row.drift.items(), key=lambda pair: pair[1].psi / pair[1].limit)
        alarms = ", ".join(
            f"{field} {series.psi:.2f} (limit {series.limit:.2f})"
            for field, series in row.drift.items()
            if series.alarm
        )
        rest = f"ALARM: {alarms}" if alarms else f"largest PSI {largest.psi:.2f}, {name} (limit {largest.limit:.2f})"
        yield f"{month_name(row.month)}  {row.scores:,} scores: {rest}"


def conclusion(monitored: Monitored) -> str:
    """The last line."""
    if monitored.state == ALARM:
        why = [f"more loans go bad than expected, since {monitored.first_alarm}"] if monitored.first_alarm else []
        why += [f"drift of {', '.join(monitored.drift_alarms)}"] if monitored.drift_alarms else []
        return f"ALARM: {'; '.join(why)}"
    if monitored.state == HOLDS:
        return "No alarm."
    return "Nothing can be said yet: too few outcomes."
