"""Explains a PD: exact Shapley values of the fields, in calibrated log-odds, against the reference applicant.

Exact means that nothing is sampled or approximated, for this model and this reference applicant. The values describe
how the model arrives at the PD, not what causes a default.

Shapley 1953; as attributions of a model's output, Strumbelj & Kononenko 2014 and Lundberg & Lee 2017. The players are
the fields of the form, not the model's columns: a field outside a coalition takes the reference applicant's answer, and
the row builder recomputes everything derived from it (ratios, flags, history). With ten fields all 1,024 coalitions fit
into one batch, so nothing is sampled and nothing is assumed about the model. Fields that equal the reference change no
coalition: their value is 0, and they are left out of the batch. For a form of more than 16 fields, where many of them
differ from the reference, the values are computed from the trees (inference/tree_reasons.py); both ways agree. Only
where a feature comes from several answers as well, which the trees cannot divide, are they estimated
(inference/sampled_reasons.py): such an explanation has errors, and gives no principal reasons.
"""

from functools import lru_cache
from math import factorial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from inference.application import Application
from inference.engines import BinsEngine, Engine, predict_answers
from inference.fields import ANY, Field
from inference.release import Release
from inference.sampled_reasons import estimate
from inference.tree_reasons import TreeReasons, is_divisible

Row = npt.NDArray[np.float32]  # (n_features,)
Answers = npt.NDArray[np.float64]  # (m, n_fields)
Places = npt.NDArray[np.intp]
ROWS_AT_ONCE = 8192  # coalitions of many applications, or rows
LEAST_PRINCIPAL = np.log(1.05)  # log-odds: a change of the odds by less than 5 % is not a principal reason
MOST_PRINCIPAL = 4  # reasons on a notice, the number that Regulation B's commentary recommends
MOST_FIELDS = 16  # 65,536 coalitions
MOST_DIFFERING = 10  # in a form with more fields: if more fields differ from the reference, the trees are faster


class Explanation(NamedTuple):
    """The effect of each field on the PD of one application."""

    pd: float
    reference_pd: float  # of the reference applicant
    effects: tuple[float, ...]  # in field order, log-odds; they sum to logit(pd) - logit(reference_pd)
    errors: tuple[float, ...] = ()  # standard errors of the effects if these are estimated; () if they are exact

    @property
    def is_exact(self) -> bool:
        """Whether a notice may name what raised the risk."""
        return not self.errors


class Reasons:
    """Explains scores of one release with one engine. Thread-safe, like these."""

    def __init__(self, release: Release, engine: Engine) -> None:
        many = len(release.form.fields) > MOST_FIELDS
        forest = engine.forest if isinstance(engine, BinsEngine) else None
        self._trees = TreeReasons(release, forest) if many and is_divisible(release) else None
        self._release, self._engine = release, engine
        self._reference = np.array(release.form.reference.values, np.float64)
        self._columns = {name: column for column, name in enumerate(release.rows.columns)}

    def compile(self) -> None:
        """Compile, or read, the loop that goes down the trees, where the form has so many fields and the engine one."""
        if self._trees is not None:
            (row,) = self._release.rows.build(self._reference[None])
            self._trees.effects(row, row)

    def explain(self, application: Application) -> Explanation:
        """What moved the PD from the reference applicant's to this application's."""
        return self._between(self._reference, application)

    def between(self, before: Application, after: Application) -> Explanation:
        """What moved the PD from one application to another: `before` takes the reference applicant's place, so only
        answers that differ have an effect."""
        return self._between(np.array(before.values, np.float64), after)

    def _between(self, reference: npt.NDArray[np.float64], application: Application) -> Explanation:
        """Predict all coalitions of the fields that differ from the reference in one batch, or use the trees."""
        values = np.array(application.values, np.float64)
        # Here NaN (not stated or unset) equals NaN.
        pairs = enumerate(zip(application.values, reference.tolist(), strict=True))
        differing = [position for position, (own, other) in pairs if own != other and (own == own or other == other)]
        if self._trees is not None and len(differing) > MOST_DIFFERING:
            both = np.stack([values, reference])
            pd, reference_pd = self.pds(both).tolist()
            effects = self._trees.effects(*self._release.rows.build(both))
            return Explanation(pd, reference_pd, tuple(effects.tolist()))
        if len(differing) > MOST_FIELDS:
            pd, reference_pd = self.pds(np.stack([values, reference])).tolist()
            effects, errors = estimate(reference, values, differing, self._log_odds)
            return Explanation(pd, reference_pd, tuple(effects.tolist()), tuple(errors.tolist()))
        p = self._coalitions(values[None], reference, differing)
        effects = np.zeros(len(values))
        effects[differing] = weights(len(differing)) @ self._release.calibration.log_odds(p)
        pd, reference_pd = self._release.calibration.pd(float(p[-1])), self._release.calibration.pd(float(p[0]))
        return Explanation(pd, reference_pd, tuple(effects.tolist()))

    def pds(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """PDs of encoded applications, (m, n_fields) float64 -> (m,) float64. Not logged or recorded."""
        p = predict_answers(self._engine, self._release, values)
        return self._release.calibration.pds(p.astype(np.float64))

    def _log_odds(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        p = predict_answers(self._engine, self._release, values)
        return self._release.calibration.log_odds(p.astype(np.float64))

    def principal(self, explanation: Explanation, application: Application) -> list[str]:
        """The principal reasons, the strongest first: `field/code` of up to four fields that raised the risk most, each
        by at least `LEAST_PRINCIPAL`. No field is exempt. The code says what is wrong with the answer. None are drawn
        from estimated effects."""
        if not explanation.is_exact:
            return []
        ranked = sorted(enumerate(explanation.effects), key=lambda pair: -pair[1])
        chosen = [position for position, effect in ranked if effect >= LEAST_PRINCIPAL][:MOST_PRINCIPAL]
        codes = self._codes(chosen, np.array(application.values, np.float64))
        return [f"{self._release.form.names[position]}/{code}" for position, code in zip(chosen, codes, strict=True)]

    def _codes(self, chosen: list[int], values: npt.NDArray[np.float64]) -> list[str]:
        """For each chosen field, the code of the reason that raised the risk: the answer itself, or a combination.

        For one reason at a time, the columns of that reason are set to their values with the reference applicant's
        answer, all else unchanged. The reason whose reset lowers the PD most is chosen. If none lowers it, because the
        field interacts with others, the reason is the answer itself.
        """
        fields = self._release.form.fields
        answers = np.tile(values, (len(chosen) + 2, 1))
        answers[range(len(chosen)), chosen] = self._reference[chosen]
        answers[-1] = self._reference
        *resets, own, reference = self._release.rows.build(answers)
        candidates = [
            self._candidate_rows(fields[position], values[position], own, reset, reference)
            for position, reset in zip(chosen, resets, strict=True)
        ]
        rows = [row for rows_of in candidates if len(rows_of) > 1 for row in rows_of.values()]
        p = iter(self._engine.predict_proba(np.stack([own, *rows])).tolist() if rows else [0.0])
        own_probability = next(p)
        codes = []
        for rows_of in candidates:
            lowest = {code: next(p) for code in rows_of} if len(rows_of) > 1 else {}
            best = min(lowest, key=lowest.__getitem__, default="")
            codes.append(best if best and lowest[best] < own_probability else next(iter(rows_of)))
        return codes

    def principal_of_many(self, values: Answers) -> list[list[str]]:
        """`principal` of `explain` of each: encoded answers (m, n_fields) float64 -> m lists. Equal where the engine
        predicts a row alike in every batch, as XGBoost and the engine on bits do. None from estimated effects."""
        exact = np.full(len(values), self._trees is not None) | (self._differ(values).sum(axis=1) <= MOST_FIELDS)
        effects = np.zeros(values.shape)
        effects[exact] = self.effects_of_many(values[exact])
        ranked = np.argsort(-effects, axis=1, kind="stable")[:, :MOST_PRINCIPAL]
        rows, ranks = np.nonzero(np.take_along_axis(effects, ranked, axis=1) >= LEAST_PRINCIPAL)
        chosen = ranked[rows, ranks]
        codes = self._codes_of_many(chosen, values[rows])
        names, principal = self._release.form.names, [list[str]() for _ in range(len(values))]
        for row, position, code in zip(rows.tolist(), chosen.tolist(), codes, strict=True):
            principal[row].append(f"{names[position]}/{code}")
        return principal

    def effects_of_many(self, values: Answers) -> Answers:
        """The effects of `explain` for each: encoded answers (m, n_fields) float64 -> (m, n_fields), to the last bit.

        Applications of which the same fields differ from the reference are predicted together.
        """
        effects = np.zeros(values.shape)
        if not len(values):
            return effects
        sets, set_of = np.unique(self._differ(values), axis=0, return_inverse=True)
        members = np.split(np.argsort(set_of.ravel(), kind="stable"), np.cumsum(np.bincount(set_of.ravel()))[:-1])
        for differing, applications in zip(map(np.flatnonzero, sets), members, strict=True):
            by_trees = self._trees is not None and len(differing) > MOST_DIFFERING
            at_once = ROWS_AT_ONCE if by_trees else max(1, ROWS_AT_ONCE >> len(differing))
            for start in range(0, len(applications), at_once):
                some = applications[start : start + at_once]
                if by_trees:
                    effects[some] = self._by_trees(values[some])
                elif len(differing) > MOST_FIELDS:
                    for place in some:
                        effects[place], _ = estimate(self._reference, values[place], differing.tolist(), self._log_odds)
                elif len(differing):
                    effects[np.ix_(some, differing)] = self._by_coalitions(values[some], differing)
        return effects

    def _differ(self, values: Answers) -> npt.NDArray[np.bool_]:
        """Whether each answer differs from the reference applicant's, (m, n_fields). Here NaN equals NaN."""
        differ: npt.NDArray[np.bool_] = (values != self._reference) & ~(np.isnan(values) & np.isnan(self._reference))
        return differ

    def _by_trees(self, values: Answers) -> Answers:
        assert self._trees is not None  # noqa: S101 - the caller's check
        (reference,) = self._release.rows.build(self._reference[None])
        return np.stack([self._trees.effects(own, reference) for own in self._release.rows.build(values)])

    def _by_coalitions(self, values: Answers, differing: Places) -> Answers:
        """The effects of the fields that differ, (m, n_differing), of applications in which the same ones do."""
        log_odds = self._release.calibration.log_odds(self._coalitions(values, self._reference, differing.tolist()))
        return np.stack([weights(len(differing)) @ of_one for of_one in log_odds.reshape(len(values), -1)])

    def _coalitions(self, values: Answers, reference: npt.NDArray[np.float64], differing: list[int]) -> Answers:
        """The model's probabilities, (m * 2^n_differing,) float64, of what applications become where the fields outside
        a coalition take the reference's answers: of one application after another, coalitions as `coalitions` has them.
        """
        columns = np.empty((len(reference), len(values) << len(differing)))
        columns[:] = reference[:, None]
        for player, position in enumerate(differing):
            halves = columns[position].reshape(len(values), -1, 2, 1 << player)  # without it, and with it
            halves[:, :, 1] = values[:, position, None, None]
        return predict_answers(self._engine, self._release, columns.T).astype(np.float64)

    def _codes_of_many(self, chosen: Places, values: Answers) -> list[str]:
        """`_codes` of one field each, (m,), in the answers (m, n_fields)."""
        codes = np.empty(len(chosen), object)
        for position in np.unique(chosen).tolist():
            field = self._release.form.fields[position]
            same_field = np.flatnonzero(chosen == position)
            kinds = np.array([field.answer_kind(value) for value in values[same_field, position].tolist()])
            for kind in np.unique(kinds).tolist():
                of_kind = same_field[kinds == kind]
                combined = [reason for reason in field.reasons if reason.columns and reason.when in (kind, ANY)]
                plain = field.plain_reason(kind)
                names = [plain.code if plain else kind, *(reason.code for reason in combined)]
                if len(set(names)) < len(names):
                    codes[of_kind] = [self._codes([position], values[row])[0] for row in of_kind]
                    continue
                codes[of_kind] = names[0]
                columns = [[self._columns[name] for name in reason.columns] for reason in combined]
                for start in range(0, len(of_kind) if combined else 0, ROWS_AT_ONCE):
                    some = of_kind[start : start + ROWS_AT_ONCE]
                    codes[some] = np.array(names, object)[self._lowest(position, columns, values[some])]
        return codes.tolist()

    def _lowest(self, position: int, columns: list[list[int]], values: Answers) -> Places:
        """Of reasons about the columns that are given, the one whose reset lowers the PD most, from 1 on, or 0 for the
        answer itself: `_candidate_rows` and the choice among them, for many applications (m, n_fields) -> (m,)."""
        before = values.copy()
        before[:, position] = self._reference[position]
        own, reset = self._release.rows.build(values), self._release.rows.build(before)
        (reference,) = self._release.rows.build(self._reference[None])
        of_answer = own != reset
        away = of_answer & (np.sign(own - reset) == np.sign(own - reference))
        candidates, there = [own], [np.ones(len(own), bool)]  # the first is filled last
        for of_reason in columns:
            moved = away[:, of_reason]
            row = own.copy()
            row[:, of_reason] = np.where(moved, reset[:, of_reason], own[:, of_reason])
            of_answer[:, of_reason] &= ~moved
            candidates.append(row)
            there.append(moved.any(axis=1))
        candidates[0] = np.where(of_answer, reset, own)
        p = self._engine.predict_proba(np.concatenate([own, *candidates])).reshape(len(candidates) + 1, -1)
        lowered = np.where(there, p[1:], np.inf)
        best = lowered.argmin(axis=0)
        return np.where(lowered.min(axis=0) < p[0], best, 0)

    def _candidate_rows(self, field: Field, value: float, own: Row, reset: Row, reference: Row) -> dict[str, Row]:
        """Reason code -> the applicant's row with the columns of that reason reset; the answer itself comes first.

        A column counts for its reason only if the answer moved it away from the reference applicant's value: an amount
        is not high for the price if its share of the price is lower than usual.
        """
        kind = field.answer_kind(value)
        plain = field.plain_reason(kind)
        own_code = plain.code if plain else kind
        own_columns = own != reset  # columns that count for the answer itself
        away = own_columns & (np.sign(own - reset) == np.sign(own - reference))
        rows = {own_code: own}
        for reason in field.reasons:
            columns = [self._columns[name] for name in reason.columns if away[self._columns[name]]]
            if columns and reason.when in (kind, ANY):
                rows[reason.code] = own.copy()
                rows[reason.code][columns] = reset[columns]
                own_columns[columns] = False
        rows[own_code] = np.where(own_columns, reset, own)
        return rows


@lru_cache
def coalitions(players: int) -> npt.NDArray[np.bool_]:
    """Which players are in each coalition, (2^players, players): the empty one first, the full one last."""
    return (np.arange(2**players)[:, None] >> np.arange(players) & 1).astype(bool)


@lru_cache
def weights(players: int) -> npt.NDArray[np.float64]:
    """Weights, (players, 2^players): their product with the coalitions' values gives the Shapley values.

    A coalition S with the player has weight (|S| - 1)! (n - |S|)! / n!, one without it -|S|! (n - |S| - 1)! / n!.
    """
    present = coalitions(players)
    sizes = present.sum(axis=1)
    by_size = np.array(
        [factorial(size) * factorial(players - size - 1) / factorial(players) for size in range(players)] + [0.0]
    )
    return np.asarray(np.where(present.T, by_size[sizes - 1], -by_size[sizes]))
