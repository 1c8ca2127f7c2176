"""How good probabilities are: discrimination, calibration, and intervals."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score, roc_curve

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int8]


def ks(bad: Labels, pd: Floats) -> float:
    """Kolmogorov-Smirnov: the largest distance between the score distributions of good and bad."""
    false_positive, true_positive, _ = roc_curve(bad, pd)
    return float(np.max(true_positive - false_positive))


MEASURES: dict[str, Callable[[Labels, Floats], float]] = {
    "auc": lambda bad, pd: float(roc_auc_score(bad, pd)),
    "ks": ks,
    "brier": lambda bad, pd: float(brier_score_loss(bad, pd)),
    "log_loss": lambda bad, pd: float(log_loss(bad, np.clip(pd, 1e-9, 1 - 1e-9))),
    "mean_pd": lambda _, pd: float(pd.mean()),
    "bad_rate": lambda bad, _: float(bad.mean()),
}


class Decile(NamedTuple):
    """Loans between two deciles of PD."""

    low: float
    high: float
    loans: int
    bad: int
    mean_pd: float


def measures(bad: Labels, pd: Floats) -> dict[str, float]:
    """AUC, KS, Brier score, log loss, mean PD and observed rate; `bad` and `pd` have shape (m,)."""
    return {name: measure(bad, pd) for name, measure in MEASURES.items()}


def intervals(bad: Labels, pds: list[Floats], resamples: int = 500, seed: int = 0) -> dict[str, list[float]]:
    """Percentile bootstrap intervals (95 %) over loans, each measure averaged over the repeats in `pds`.

    A resample is one weight per loan; loans are sorted once, so that a resample needs a few passes and no sort.
    """
    generator = np.random.default_rng(seed)
    ranked = [np.unique(pd, return_inverse=True)[1] for pd in pds]
    losses = [np.where(bad, -np.log(np.maximum(pd, 1e-9)), -np.log(np.maximum(1 - pd, 1e-9))) for pd in pds]
    samples: dict[str, list[float]] = {name: [] for name in MEASURES}
    for _ in range(resamples):
        weight = np.bincount(generator.integers(0, len(bad), len(bad)), minlength=len(bad)).astype(np.float64)
        observed = dict.fromkeys(MEASURES, 0.0)
        for pd, rank, loss in zip(pds, ranked, losses, strict=True):
            bads = np.bincount(rank, weights=weight * bad)  # by distinct PD, rising
            goods = np.bincount(rank, weights=weight * (1 - bad))
            below = np.cumsum(goods) - goods
            observed["auc"] += float((bads * (below + goods / 2)).sum() / (bads.sum() * goods.sum()))
            gap = np.cumsum(goods) / goods.sum() - np.cumsum(bads) / bads.sum()
            observed["ks"] += float(np.abs(gap).max())
            observed["brier"] += float(weight @ (pd - bad) ** 2 / len(bad))
            observed["log_loss"] += float(weight @ loss / len(bad))
            observed["mean_pd"] += float(weight @ pd / len(bad))
            observed["bad_rate"] += float(weight @ bad / len(bad))
        for name, total in observed.items():
            samples[name].append(total / len(pds))
    return {name: [float(q) for q in np.quantile(values, [0.025, 0.975])] for name, values in samples.items()}


def deciles(bad: Labels, pd: Floats, n: int = 10) -> list[Decile]:
    """Loans cut into `n` groups of equal size by PD, with predicted and observed rates."""
    groups = np.array_split(np.argsort(pd, kind="stable"), n)
    return [
        Decile(
            float(pd[places[0]]), float(pd[places[-1]]), len(places), int(bad[places].sum()), float(pd[places].mean())
        )
        for places in groups
    ]
