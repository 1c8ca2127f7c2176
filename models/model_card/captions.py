"""A plain sentence for each of the model card's plots, from the same figures that are drawn."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from models.evaluation import Result
from models.model_card.decision_outcomes import SUGGESTIONS, Book, Group, by_decile


def percent(share: float) -> str:
    """A share as a person reads it."""
    return f"{share * 100:.1f} %"


def rate(group: Group) -> str:
    """A bad rate with its interval."""
    if not group.loans:
        return "–"
    low, high = group.interval
    return f"{percent(group.rate)} ({low * 100:.1f}–{high * 100:.1f})"


def roc(headline: Sequence[Result], simpler: Sequence[Result]) -> str:
    """What the AUC means, for each sample and beside the scorecard."""
    pairs = [f"{percent(result.measures['auc'])} ({result.sample})" for result in headline]
    grey = [f"{percent(result.measures['auc'])} ({result.sample})" for result in simpler]
    beside = f"; with the scorecard, in grey: {', '.join(grey)}" if grey else ""
    return (
        f"Of one bad and one good loan drawn at random, the bad one has the higher PD in {', '.join(pairs)} of "
        f"pairs{beside}. A coin would give 50 % (the diagonal)."
    )


def calibration(headline: Sequence[Result]) -> str:
    """The largest gap of each sample, and in how many deciles the PD lies within the interval."""
    sentences = []
    for result in headline:
        gaps = [group.rate - decile.mean_pd for group, decile in zip(by_decile(result), result.deciles, strict=True)]
        worst = int(np.argmax(np.abs(gaps)))
        inside = sum(
            group.interval[0] <= decile.mean_pd <= group.interval[1]
            for group, decile in zip(by_decile(result), result.deciles, strict=True)
        )
        way = "more" if gaps[worst] > 0 else "fewer"
        sentences.append(
            f"{result.sample}: the largest gap is in decile {worst + 1}, {abs(gaps[worst]) * 100:.1f} percentage "
            f"points {way} bad loans than predicted; in {inside} of 10 deciles the PD lies within the interval"
        )
    return "Above the line more loans went bad than predicted, below it fewer. " + ". ".join(sentences) + "."


def vintages(books: Sequence[Book]) -> str:
    """Mean PD against bad rate in each later vintage."""
    later = [book for book in books if not book.in_training]
    sentence = "; ".join(
        f"{book.label}: mean PD {percent(book.mean_pd)}, bad {percent(book.all.rate)}" for book in later
    )
    return (
        f"How far the level drifts after training: {sentence}. Vintages marked “in training” are "
        "loans that the model had seen; the calibration leans on the last of them."
    )


def score_bands(bands: Sequence[tuple[str, Sequence[Group]]], samples: Sequence[str]) -> str:
    """From the lowest band to the highest, and every step that goes the wrong way."""
    low, high = bands[0], bands[-1]
    sentences = [
        f"from {percent(low[1][n].rate)} to {percent(high[1][n].rate)} ({sample})" for n, sample in enumerate(samples)
    ]
    rises = [
        f"from {left[0]} to {right[0]} ({percent(before.rate)} to {percent(after.rate)}, {sample})"
        for left, right in pairwise(bands)
        for sample, before, after in zip(samples, left[1], right[1], strict=True)
        if after.rate > before.rate
    ]
    steps = f"except {', '.join(rises)}" if rises else "without exception"
    return (
        f"From the lowest band of points to the highest, the bad rate goes {', '.join(sentences)}. It falls from band "
        f"to band, {steps}. Under each band: the share of loans in it."
    )


def importance(gains: Sequence[tuple[str, float]], most: int) -> str:
    """How much the first column and the columns shown carry."""
    shown = gains[:most]
    carried = percent(sum(share for _, share in shown))
    return (
        f"`{gains[0][0]}` carries {percent(gains[0][1])} of what the splits of all trees gained; the {len(shown)} "
        f"columns shown carry {carried}, and {len(gains)} columns are used at all. Gain says what the trees used, not "
        "what causes a default."
    )


def decisions(book: Book) -> str:
    """Share and bad rate of each suggestion, for the book that says most about the future."""
    sentences = [
        f"{percent(book.share(name))} {word} ({percent(group.rate) if group.loans else 'none'} bad)"
        for name, word in zip(SUGGESTIONS, ("approved", "referred", "declined"), strict=True)
        for group in [book.groups[name]]
    ]
    return f"{book.label[:1].upper()}{book.label[1:]}: {', '.join(sentences)}."
