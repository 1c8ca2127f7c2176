"""Why this PD: exact Shapley values of the fields, in calibrated log-odds, against the reference applicant.

Shapley 1953; as attributions of a model's output, Strumbelj & Kononenko 2014 and Lundberg & Lee 2017. The players are
the fields of the form and not the model's columns: a field that is left out takes the reference applicant's answer, and
all that derives from it (ratios, flags, history looked up) is built anew by the same row builder. With ten fields all
1,024 coalitions fit into one batch, so nothing is sampled and nothing is assumed about the model. Fields that are as
the reference's change nothing in any coalition: their value is 0, and they are left out of the batch.
"""

from functools import lru_cache
from math import factorial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from inference.application import Application
from inference.calibration import logit
from inference.engines import Engine
from inference.release import Release

LEAST_PRINCIPAL = np.log(1.05)  # log-odds: what moved the odds by less than a twentieth is nobody's principal reason
MOST_PRINCIPAL = 4  # reasons on a notice: what Regulation B's commentary calls enough
MOST_FIELDS = 16  # 65,536 coalitions; a form with more would need another method


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
        if len(release.form.fields) > MOST_FIELDS:
            raise ValueError(f"{len(release.form.fields)} fields: exact reasons are for at most {MOST_FIELDS}")
        self._release, self._engine = release, engine
        self._reference = np.array(release.form.reference.values, np.float64)

    def explain(self, application: Application) -> Explanation:
        """All coalitions of the fields that differ from the reference, in one batch."""
        values = np.array(application.values, np.float64)
        # NaN, for not stated or unset, equals NaN here.
        moved = np.flatnonzero(~((values == self._reference) | (np.isnan(values) & np.isnan(self._reference))))
        present = coalitions(len(moved))
        batch = np.tile(self._reference, (len(present), 1))
        batch[:, moved] = np.where(present, values[moved], self._reference[moved])
        pds = self.pds(batch)
        effects = np.zeros(len(values))
        effects[moved] = weights(len(moved)) @ logit(pds)
        return Explanation(float(pds[-1]), float(pds[0]), tuple(effects.tolist()))

    def pds(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """PDs of encoded applications, (m, n_fields) float64 -> (m,) float64; nothing is logged or recorded."""
        p = self._engine.predict_proba(self._release.rows.build(values))
        return self._release.calibration.pds(p.astype(np.float64))

    def principal(self, explanation: Explanation, application: Application) -> list[str]:
        """The principal reasons, the strongest first: `field/code` of up to four fields that raised the risk most, and
        enough to matter. None is left out, whatever the field. The code says what is wrong with the answer."""
        ranked = sorted(enumerate(explanation.effects), key=lambda one: -one[1])
        chosen = [at for at, effect in ranked if effect >= LEAST_PRINCIPAL][:MOST_PRINCIPAL]
        return [f"{self._release.form.names[at]}/{self._cause(at, application)}" for at in chosen]

    def _cause(self, at: int, application: Application) -> str:
        """Which of a field's reasons it was: the answer itself, or the columns that a reason names. That whose change
        to what it would be with the reference applicant's answer lowers the PD most, all else being the applicant's."""
        field, value = self._release.form.fields[at], application.values[at]
        standing = field.standing(value)
        plain = field.plain_reason(standing)
        code = plain.code if plain else standing
        named = [reason for reason in field.reasons if reason.columns and reason.when == standing]
        if not named:
            return code
        columns = self._release.rows.columns
        own, other = self._release.rows.build(
            np.array([application.values, (*application.values[:at], field.reference, *application.values[at + 1 :])])
        )
        sets = [[columns.index(name) for name in reason.columns] for reason in named]
        rest = np.setdiff1d(np.flatnonzero(own != other), np.concatenate(sets))
        rows = np.tile(own, (len(sets) + 1, 1))
        for row, changed in zip(rows, [rest, *sets], strict=True):
            row[changed] = other[changed]
        p = self._engine.predict_proba(rows)
        return [code, *(reason.code for reason in named)][int(np.argmin(p))]


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
