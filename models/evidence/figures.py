"""What PDs are worth on loans whose end is known: discrimination, calibration, gains, segments and quarters.

AUC, KS and intervals are those of models/metrics.py, drift is the monitor's (inference/watch). The parts of the Brier
score follow Murphy 1973, completed within groups by Stephenson, Coelho and Jolliffe 2008, so that they add up exactly.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import roc_auc_score

from inference.application import Form
from inference.fields import ChoiceField, Field
from inference.intervals import wilson
from inference.watch.drift import Drift, bins_of
from inference.watch.expected import quarter_name
from inference.watch.series import SCORE, reference
from models.evidence.scored_loans import Mask, ScoredLoans
from models.metrics import Decile, Floats, Labels, deciles, intervals, measures
from models.train import FEWEST

TENTHS = 10
CURVE = 100  # steps of the gains curve
FEWEST_OF_SEGMENT = 100
MOST_SEGMENTS = 12  # of one field
REFERENCE_QUARTERS = 4  # of loans that are all later than training


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Rates:
    """Loans, what was predicted of them and what happened."""

    label: str
    loans: int
    bad: int
    mean_pd: float
    rate: float
    low: float  # 95 % interval of the rate
    high: float

    @property
    def verdict(self) -> str:
        """Where the bad rate lies: `above` or `below` the mean PD, beyond its interval; else empty."""
        return "above" if self.low > self.mean_pd else "below" if self.high < self.mean_pd else ""


@dataclass(frozen=True, slots=True)
class Brier:
    """The Brier score and its parts: score = reliability - resolution + uncertainty + within."""

    score: float
    reliability: float  # how far the groups' mean PDs are from their bad rates: smaller is better
    resolution: float  # how far the groups' bad rates are from one another: larger is better
    uncertainty: float  # of the bad rate of all: no model changes it
    within: float  # what PDs inside of one group add or take away


@dataclass(frozen=True, slots=True)
class Gain:
    """The riskiest loans up to here, all tenths before included; shares of 0..1."""

    share: float  # of all loans
    caught: float  # of all bad loans
    lift: float  # their bad rate over that of all
    rate: float  # bad rate of those that remain, if these are not granted; NaN for the last tenth


@dataclass(frozen=True, slots=True)
class Quarter:
    """Loans granted in one quarter."""

    rates: Rates
    trained_on: bool  # all of them; a quarter with any later loan is not
    auc: float  # NaN with few loans of either outcome
    drift: dict[str, Drift]  # by series; empty in the reference and without one


@dataclass(frozen=True, slots=True)
class Segment:
    """Loans with one answer, or numbers that lie together."""

    field: str
    rates: Rates
    auc: float  # NaN with few loans of either outcome


def rates(label: str, bad: Labels, pds: Floats) -> Rates:
    """Mean PD and bad rate of loans (m,)."""
    loans, went_bad = len(bad), int(bad.sum())
    if not loans:
        return Rates(label, 0, 0, *[float("nan")] * 4)
    return Rates(label, loans, went_bad, float(pds.mean()), went_bad / loans, *wilson(went_bad, loans))


def auc(bad: Labels, pds: Floats) -> float:
    """AUC; NaN with fewer than `FEWEST` loans of either outcome."""
    few = min(int(bad.sum()), len(bad) - int(bad.sum())) < FEWEST
    return float("nan") if few else float(roc_auc_score(bad, pds))


def discrimination(bad: Labels, pds: Floats) -> dict[str, Measure]:
    """AUC, Gini (2 AUC - 1), KS, Brier score, log loss, mean PD and bad rate, with bootstrap intervals over loans."""
    values, ranges = measures(bad, pds), intervals(bad, [pds])
    rows = {name: Measure(value, *ranges[name]) for name, value in values.items()}
    of_auc = rows["auc"]
    gini = Measure(2 * of_auc.value - 1, 2 * of_auc.low - 1, 2 * of_auc.high - 1)
    return {"auc": of_auc, "gini": gini, **{name: rows[name] for name in rows if name != "auc"}}


def calibration(bad: Labels, pds: Floats) -> list[Rates]:
    """Tenths of the loans by PD."""
    return [of_decile(number, decile) for number, decile in enumerate(deciles(bad, pds, TENTHS), 1)]


def of_decile(number: int, decile: Decile) -> Rates:
    low, high = wilson(decile.bad, decile.loans)
    return Rates(str(number), decile.loans, decile.bad, decile.mean_pd, decile.bad / decile.loans, low, high)


def brier(bad: Labels, pds: Floats, groups: list[Rates]) -> Brier:
    """The Brier score of loans (m,) in its parts, by groups that hold each loan once."""
    overall = float(bad.mean())
    n = np.array([group.loans for group in groups]) / len(bad)
    mean_pd, rate = (np.array([getattr(group, name) for group in groups]) for name in ("mean_pd", "rate"))
    score = float(((pds - bad) ** 2).mean())
    reliability, resolution = float(n @ (mean_pd - rate) ** 2), float(n @ (rate - overall) ** 2)
    uncertainty = overall * (1 - overall)
    return Brier(score, reliability, resolution, uncertainty, score - reliability + resolution - uncertainty)


def gains(bad: Labels, pds: Floats) -> tuple[list[Gain], list[tuple[float, float]]]:
    """The riskiest tenths added up, and the curve: (share of loans, share of bad loans caught), from (0, 0) to (1, 1).

    Loans of one PD count alike, wherever they stand in the file.
    """
    distinct, places = np.unique(-pds, return_inverse=True)
    loans = np.concatenate([[0.0], np.cumsum(np.bincount(places, minlength=len(distinct)))])
    went_bad = np.concatenate([[0.0], np.cumsum(np.bincount(places, weights=bad, minlength=len(distinct)))])

    def caught(share: float) -> float:
        return float(np.interp(share * len(bad), loans, went_bad) / went_bad[-1])

    tenths = []
    for number in range(1, TENTHS + 1):
        share = number / TENTHS
        remain = (1 - caught(share)) / (1 - share) * float(bad.mean()) if number < TENTHS else float("nan")
        tenths.append(Gain(share, caught(share), caught(share) / share, remain))
    return tenths, [(step / CURVE, caught(step / CURVE)) for step in range(CURVE + 1)]


def quarters(scored: ScoredLoans) -> tuple[str, list[Quarter]]:
    """Every quarter of dated loans, and what its drift is measured against; nothing for undated ones.

    Drift is measured against the loans that the release was trained on; without such loans, against the first year.
    """
    if not scored.dated:
        return "", []
    of_loan = scored.months // 3
    numbers = np.unique(of_loan)
    calm = scored.trained_on if scored.trained_on.any() else of_loan < numbers[0] + REFERENCE_QUARTERS
    name = scored.where(calm).span
    form = scored.release.form
    against = reference(name, form, scored.values[calm], scored.pds[calm])
    rows = []
    for number in numbers.tolist():
        inside = of_loan == number
        part = scored.where(inside)
        drift = {} if calm[inside].any() else against.drift(against.counted(form, part.values, part.pds))
        quarter_rates = rates(quarter_name(number), part.bad, part.pds)
        rows.append(Quarter(quarter_rates, bool(part.trained_on.all()), auc(part.bad, part.pds), drift))
    return name, rows


def drifted(rows: list[Quarter]) -> list[tuple[str, int, float]]:
    """Each series, quarters above its limit and its largest PSI; the score first, then the largest."""
    after = [quarter.drift for quarter in rows if quarter.drift]
    names = list(after[0]) if after else []
    series = [
        (name, sum(drift[name].alarm for drift in after), max(drift[name].psi for drift in after)) for name in names
    ]
    return sorted(series, key=lambda row: (row[0] != SCORE, -row[2]))


def segments(form: Form, scored: ScoredLoans) -> list[Segment]:
    """Loans by each answer of the form; parts with few loans are left out."""
    rows = []
    for index, field in enumerate(form.fields):
        parts = [(label, mask) for label, mask in parts_of(field, scored.values[:, index])]
        large = sorted((part for part in parts if part[1].sum() >= FEWEST_OF_SEGMENT), key=lambda part: -part[1].sum())
        shown = {label for label, _ in large[:MOST_SEGMENTS]}
        for label, mask in parts:
            if label in shown:
                bad, pds = scored.bad[mask], scored.pds[mask]
                rows.append(Segment(field.name, rates(label, bad, pds), auc(bad, pds)))
    return rows


def parts_of(field: Field, values: Floats) -> Iterator[tuple[str, Mask]]:
    """The groups of a choice, or quarters of a number; what is not stated is apart."""
    stated = ~np.isnan(values)
    if isinstance(field, ChoiceField):
        groups = np.array([field.group_of(value) for value in values])
        labels = {choice.code: choice.label["en"] for choice in field.choices}
        for group in dict.fromkeys(field.groups):
            yield labels[group], groups == group
        return
    edges = bins_of(values, 4).edges.tolist()
    places = np.searchsorted(edges, values, side="right")
    shown = [field.show(edge, "en") for edge in edges]
    for number in range(len(edges) + 1):
        if number == 0:
            label = f"below {shown[0]}" if shown else "all"
        elif number == len(edges):
            label = f"{shown[-1]} and more"
        else:
            label = f"{shown[number - 1]} to below {shown[number]}"
        yield label, stated & (places == number)
    yield "not stated", ~stated
