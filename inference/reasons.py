"""Why this PD: exact Shapley values of the fields, in calibrated log-odds, against the reference applicant.

Exact means that nothing is sampled or approximated, for this model and this reference applicant. The values say how
the model came to the PD, never what causes a default.

Shapley 1953; as attributions of a model's output, Strumbelj & Kononenko 2014 and Lundberg & Lee 2017. The players are
the fields of the form and not the model's columns: a field that is left out takes the reference applicant's answer, and
all that derives from it (ratios, flags, history looked up) is built anew by the same row builder. With ten fields all
1,024 coalitions fit into one batch, so nothing is sampled and nothing is assumed about the model. Fields that are as
the reference's change nothing in any coalition: their value is 0, and they are left out of the batch. A form of more
than 16 fields has its values from the trees where many differ (inference/tree_reasons.py); both ways give the same.
"""

from functools import lru_cache
from math import factorial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from inference.application import Application
from inference.engines import Engine
from inference.fields import ANY, Field
from inference.release import Release
from inference.tree_reasons import TreeReasons

Row = npt.NDArray[np.float32]  # (n_features,)
LEAST_PRINCIPAL = np.log(1.05)  # log-odds: what moved the odds by less than a twentieth is nobody's principal reason
MOST_PRINCIPAL = 4  # reasons on a notice: what Regulation B's commentary calls enough
MOST_FIELDS = 16  # 65,536 coalitions
MOST_MOVED = 10  # of a form with more fields: where more differ from the reference, the trees are quicker


class Explanation(NamedTuple):
    """What each field did to the PD of one application."""

    pd: float
    reference_pd: float  # of the reference applicant
    effects: tuple[float, ...]  # in field order, log-odds; they sum to logit(pd) - logit(reference_pd)

    @property
    def odds_factors(self) -> tuple[float, ...]:
        """The same as factors of the odds of default: 2 doubles them, 0.5 halves them."""
        return tuple(np.exp(self.effects).tolist())


class Reasons:
    """Explains scores of one release by one engine. Thread-safe as these are."""

    def __init__(self, release: Release, engine: Engine) -> None:
        self._trees = TreeReasons(release) if len(release.form.fields) > MOST_FIELDS else None
        self._release, self._engine = release, engine
        self._reference = np.array(release.form.reference.values, np.float64)
        self._columns = {name: at for at, name in enumerate(release.rows.columns)}

    def explain(self, application: Application) -> Explanation:
        """All coalitions of the fields that differ from the reference, in one batch; or from the trees."""
        values = np.array(application.values, np.float64)
        # NaN, for not stated or unset, equals NaN here.
        moved = np.flatnonzero(~((values == self._reference) | (np.isnan(values) & np.isnan(self._reference))))
        if self._trees is not None and len(moved) > MOST_MOVED:
            both = np.stack([values, self._reference])
            pd, reference_pd = self.pds(both).tolist()
            found = self._trees.effects(*self._release.rows.build(both))
            return Explanation(pd, reference_pd, tuple(found.tolist()))
        present = coalitions(len(moved))
        batch = np.tile(self._reference, (len(present), 1))
        batch[:, moved] = np.where(present, values[moved], self._reference[moved])
        p = self._engine.predict_proba(self._release.rows.build(batch)).astype(np.float64)
        effects = np.zeros(len(values))
        effects[moved] = weights(len(moved)) @ self._release.calibration.log_odds(p)
        pd, reference = self._release.calibration.pd(float(p[-1])), self._release.calibration.pd(float(p[0]))
        return Explanation(pd, reference, tuple(effects.tolist()))

    def pds(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """PDs of encoded applications, (m, n_fields) float64 -> (m,) float64; nothing is logged or recorded."""
        p = self._engine.predict_proba(self._release.rows.build(values))
        return self._release.calibration.pds(p.astype(np.float64))

    def principal(self, explanation: Explanation, application: Application) -> list[str]:
        """The principal reasons, the strongest first: `field/code` of up to four fields that raised the risk most, and
        enough to matter. None is left out, whatever the field. The code says what is wrong with the answer."""
        ranked = sorted(enumerate(explanation.effects), key=lambda one: -one[1])
        chosen = [at for at, effect in ranked if effect >= LEAST_PRINCIPAL][:MOST_PRINCIPAL]
        codes = self._codes(chosen, np.array(application.values, np.float64))
        return [f"{self._release.form.names[at]}/{code}" for at, code in zip(chosen, codes, strict=True)]

    def _codes(self, chosen: list[int], values: npt.NDArray[np.float64]) -> list[str]:
        """For each chosen field which of its reasons raised the risk: the answer itself, or what it makes of others.

        Of the columns that a field moves, those of one reason at a time are set to what they would be with the
        reference applicant's answer, all else being the applicant's. The reason for which that lowers the PD most is
        the one; where it lowers it for none, since the field works together with others, it is the answer itself.
        """
        fields = self._release.form.fields
        answers = np.tile(values, (len(chosen) + 2, 1))
        answers[range(len(chosen)), chosen] = self._reference[chosen]
        answers[-1] = self._reference
        *resets, own, reference = self._release.rows.build(answers)
        tried = [
            self._tries(fields[at], values[at], own, reset, reference) for at, reset in zip(chosen, resets, strict=True)
        ]
        rows = [row for tries in tried if len(tries) > 1 for row in tries.values()]
        p = iter(self._engine.predict_proba(np.stack([own, *rows])).tolist() if rows else [0.0])
        unmoved = next(p)
        codes = []
        for tries in tried:
            lowest = {code: next(p) for code in tries} if len(tries) > 1 else {}
            best = min(lowest, key=lowest.__getitem__, default="")
            codes.append(best if best and lowest[best] < unmoved else next(iter(tries)))
        return codes

    def _tries(self, field: Field, value: float, own: Row, reset: Row, reference: Row) -> dict[str, Row]:
        """The applicant's row with the columns of one reason reset, by the reason's code; the answer itself first.

        A column counts for its reason where the answer has moved it away from the reference applicant's: an amount
        is not high for the price where its share of the price is lower than usual.
        """
        standing = field.standing(value)
        plain = field.plain_reason(standing)
        itself = plain.code if plain else standing
        left = own != reset  # columns for which the answer itself stands
        away = left & (np.sign(own - reset) == np.sign(own - reference))
        tries = {itself: own}
        for reason in field.reasons:
            at = [self._columns[name] for name in reason.columns if away[self._columns[name]]]
            if at and reason.when in (standing, ANY):
                tries[reason.code] = own.copy()
                tries[reason.code][at] = reset[at]
                left[at] = False
        tries[itself] = np.where(left, reset, own)
        return tries


@lru_cache
def coalitions(players: int) -> npt.NDArray[np.bool_]:
    """Which players are in each coalition, (2^players, players): nobody first, all last."""
    return (np.arange(2**players)[:, None] >> np.arange(players) & 1).astype(bool)


@lru_cache
def weights(players: int) -> npt.NDArray[np.float64]:
    """(players, 2^players): each player's Shapley value is this times the values of the coalitions.

    A coalition S with the player counts (|S| - 1)! (n - |S|)! / n!, one without it minus |S|! (n - |S| - 1)! / n!.
    """
    present = coalitions(players)
    sizes = present.sum(axis=1)
    by_size = np.array(
        [factorial(size) * factorial(players - size - 1) / factorial(players) for size in range(players)] + [0.0]
    )
    return np.asarray(np.where(present.T, by_size[sizes - 1], -by_size[sizes]))
