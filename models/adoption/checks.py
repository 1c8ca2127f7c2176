"""What is wrong with an adopted model, a verdict a question. Everything is asked of the release as it would serve."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from inference.application import Application
from inference.fields import NumberField
from inference.policy import APPROVE, DECLINE
from inference.scorer import Scorer
from models.adoption.fields_file import FieldsFile
from models.adoption.pd_range import Search, all_levels, reach
from models.adoption.trees import Forest
from models.prohibited import named as prohibited_in

PASSES, WARNS, FAILS = "passes", "warns", "fails"
SAME = 1e-6  # probabilities this near are equal
BASES = 32  # applications from which each field is swept
FOREIGN = 0.25  # a share of thresholds beyond a field's range that raw training values do not explain
TINY = 0.1  # of a field's usual reach: thresholds all smaller than that were made for other values
SCALED_WITHIN = 10.0  # standardised values lie within it


class Verdict(NamedTuple):
    """The answer to one question; `figures` are for machines."""

    question: str
    outcome: str  # passes, warns or fails
    text: str  # a line a finding
    figures: dict[str, Any]


def verdicts(
    scorer: Scorer,
    fields: FieldsFile,
    forest: Forest,
    values: npt.NDArray[np.float64],
    expected: npt.NDArray[np.float32],
) -> list[Verdict]:
    """All of them. `expected` (m,) is what the pickled model said of the encoded applications `values`."""
    return [
        same(scorer, values, expected),
        decisions(scorer, fields, forest),
        directions(scorer, fields, forest),
        scales(fields, forest),
        never_set(fields, forest),
        prohibited(fields, forest),
    ]


def same(scorer: Scorer, values: npt.NDArray[np.float64], expected: npt.NDArray[np.float32]) -> Verdict:
    """Whether the release gives the probabilities that the pickle gives."""
    found = scorer.engine.predict_proba(scorer.release.rows.build(values))
    difference = float(np.abs(found.astype(np.float64) - expected).max())
    text = f"{len(values)} applications; largest difference of the probabilities {difference:.2g}."
    return Verdict("same as the pickle", PASSES if difference <= SAME else FAILS, text, {"difference": difference})


def decisions(scorer: Scorer, fields: FieldsFile, forest: Forest) -> Verdict:
    """Whether the form can bring about every decision."""
    found = reach(scorer, fields, forest)
    cutoffs = scorer.release.policy.cutoffs(found.highest.application)
    least, most = found.bounds
    text = (
        f"Lowest PD found {found.lowest.pd:.1%} ({found.lowest.decision}), highest {found.highest.pd:.1%} "
        f"({found.highest.decision}); approves below {cutoffs.refer_from:.1%}, declines above "
        f"{cutoffs.decline_from:.1%}."
    )
    outcome = PASSES
    if found.highest.decision != DECLINE:
        outcome = FAILS
        proof = f"no usual answers give a PD above {most:.1%}"
        text += f"\nIt can decline nobody: {proven(proof, most <= cutoffs.decline_from)}"
    if found.lowest.decision != APPROVE:
        outcome = FAILS
        proof = f"no usual answers give a PD below {least:.1%}"
        text += f"\nIt can approve nobody: {proven(proof, least >= cutoffs.refer_from)}"
    if outcome == PASSES and not found.referred:
        outcome = WARNS
        text += "\nNo application was found that is referred."
    answers = scorer.release.form.answers
    figures = {
        "lowest": {"pd": found.lowest.pd, "answers": answers(found.lowest.application)},
        "highest": {"pd": found.highest.pd, "answers": answers(found.highest.application)},
        "proven": {"lowest": least, "highest": most},
        "refer_from": cutoffs.refer_from,
        "decline_from": cutoffs.decline_from,
    }
    return Verdict("decisions", outcome, text, figures)


def proven(proof: str, holds: bool) -> str:
    """How sure it is that a decision is out of reach."""
    if holds:
        return f"proven, since {proof}."
    return f"the search found none. That is no proof: all that is certain is that {proof}."


def directions(scorer: Scorer, fields: FieldsFile, forest: Forest) -> Verdict:
    """Whether the PD moves as the fields file says it should when one number grows and all else stays."""
    search = Search(scorer, all_levels(fields, forest))
    bases = search.draw(np.random.default_rng(1), BASES)
    bases[0] = scorer.release.form.parse(scorer.release.form.example).values
    outcome, idle, unsaid = PASSES, [], []
    sentences: list[str] = []
    figures: dict[str, dict[str, Any]] = {}
    for at, field in enumerate(fields.form.fields):
        swept = sweep(search, bases, at)
        if np.ptp(swept, axis=1).max() <= SAME:
            idle.append(field.name)
        if not isinstance(field, NumberField):
            continue
        sign = fields.directions.get(field.name)
        if sign is None:
            unsaid.append(field.name)
            continue
        along, _ = move(sign * swept)
        against, (base, start, end) = move(-sign * swept)
        figures[field.name] = {"along": along, "against": against}
        if against <= SAME:
            continue
        worse = against >= along
        outcome = FAILS if worse or outcome == FAILS else WARNS
        pair = [at_level(bases[base], at, search.levels[at][level]) for level in (start, end)]
        pds = [float(swept[base, level]) for level in (start, end)]
        figures[field.name] |= {
            "pds": pds,
            "answers": [scorer.release.form.answers(one) for one in pair],
        }
        went = "raises" if sign < 0 else "lowers"
        sentences.append(
            f"{field.name}: more of it {'mostly ' if worse else ''}{went} the PD, from {pds[0]:.1%} at "
            f"{field.show(pair[0].values[at], 'en')} to {pds[1]:.1%} at {field.show(pair[1].values[at], 'en')}."
            + ("" if worse else f" The largest move as it should is {along:.1%}.")
        )
    if idle:
        most = 2 * len(idle) > len(fields.form.fields)
        outcome = FAILS if most else WARNS if outcome == PASSES else outcome
        sentences.append(f"Whatever the answer, it changes nothing: {', '.join(idle)}.")
    if unsaid:
        sentences.append(f"No direction is stated for {', '.join(unsaid)}.")
    if len(figures) and outcome == PASSES:
        sentences.insert(0, f"{len(figures)} number fields move the PD only as they should, from {BASES} applications.")
    return Verdict("directions", outcome, "\n".join(sentences), {"fields": figures, "idle": idle})


def sweep(search: Search, bases: npt.NDArray[np.float64], at: int) -> npt.NDArray[np.float64]:
    """PDs (n_bases, n_levels) along the levels of one field; not stated, which stands nowhere, is left out."""
    levels = search.levels[at][~np.isnan(search.levels[at])]
    trial = np.repeat(bases, len(levels), axis=0)
    trial[:, at] = np.tile(levels, len(bases))
    return search.pds(trial).reshape(len(bases), len(levels))


def move(swept: npt.NDArray[np.float64]) -> tuple[float, tuple[int, int, int]]:
    """The largest rise from a level to a later one, and where: (base, from level, to level)."""
    rises = swept - np.minimum.accumulate(swept, axis=1)
    base, end = (int(one) for one in np.unravel_index(int(rises.argmax()), rises.shape))
    return float(rises[base, end]), (base, int(swept[base, : end + 1].argmin()), end)


def at_level(base: npt.NDArray[np.float64], at: int, value: float) -> Application:
    """The application with one answer changed."""
    return Application((*base[:at].tolist(), float(value), *base[at + 1 :].tolist()))


def scales(fields: FieldsFile, forest: Forest) -> Verdict:
    """Whether the model splits where the answers lie, or was trained on values scaled to another range.

    Trees trained on raw values split between values that they have seen, so within the field's range.
    """
    thresholds = dict(zip(fields.builder.columns, forest.thresholds(), strict=True))
    scaled: list[str] = []
    elsewhere: list[str] = []
    figures, used = {}, 0
    for field in fields.form.fields:
        if not isinstance(field, NumberField):
            continue
        at = thresholds[fields.columns[field.name][0]].astype(np.float64)
        if not len(at):
            continue
        used += 1
        outside = float(np.mean((at <= field.minimum) | (at > field.maximum)))
        largest, reach = float(np.abs(at).max()), max(abs(end) for end in field.usual)
        figures[field.name] = {"thresholds": [float(at.min()), float(at.max())], "outside": outside}
        if outside > FOREIGN or (largest <= SCALED_WITHIN and largest < TINY * reach):
            (scaled if largest <= SCALED_WITHIN else elsewhere).append(
                f"{field.name}: splits from {at.min():.3g} to {at.max():.3g}, answers from {field.minimum:,.10g} to "
                f"{field.maximum:,.10g} ({outside:.0%} of splits beyond them)."
            )
    text = f"{used - len(scaled) - len(elsewhere)} of {used} number fields that it uses are split where answers lie."
    if scaled:
        text += (
            f"\n{len(scaled)} look trained on scaled values, and the form gives raw ones. Train on the raw values; "
            "trees need no scaling."
        )
    if elsewhere:
        text += f"\n{len(elsewhere)} are split elsewhere. Another unit, or a form narrower than the training loans?"
    text = "\n".join([text, *scaled, *elsewhere])
    return Verdict("scaled inputs", FAILS if scaled else WARNS if elsewhere else PASSES, text, {"fields": figures})


def never_set(fields: FieldsFile, forest: Forest) -> Verdict:
    """Which columns are 0 for everyone, and how much of the model hangs on them."""
    reached = {column for columns in fields.columns.values() for column in columns}
    names = fields.builder.columns
    gains, splits = forest.gains(), [len(one) for one in forest.thresholds()]
    missed = [at for at, name in enumerate(names) if name not in reached]
    used = sorted((at for at in missed if splits[at]), key=lambda at: -gains[at])
    gain = float(gains[missed].sum() / gains.sum()) if gains.sum() else 0.0
    share = sum(splits[at] for at in missed) / sum(splits)
    text = (
        f"{len(missed)} of {len(names)} features are 0 for every applicant; {share:.0%} of the splits and {gain:.0%} "
        "of the gain hang on them"
    )
    text += f", most on {', '.join(names[at] for at in used[:5])}." if used else "."
    outcome = FAILS if gain > 0.5 else WARNS if used else PASSES
    if outcome == FAILS:
        text += "\nMost of what the model learnt cannot be told to it: train one on the form's own answers."
    figures = {"features": [names[at] for at in missed], "used": len(used), "share_of_splits": share, "gain": gain}
    return Verdict("features never set", outcome, text, figures)


def prohibited(fields: FieldsFile, forest: Forest) -> Verdict:
    """Whether the model has columns named for what credit must not be decided on. A field of that name is refused."""
    splits = dict(zip(fields.builder.columns, (len(one) for one in forest.thresholds()), strict=True))
    named = [name for name in splits if prohibited_in(name)]
    if not named:
        return Verdict("prohibited attributes", PASSES, "No feature is named for one.", {"features": []})
    used = [name for name in named if splits[name]]
    text = f"Named for one: {listed(named)}. The form sets none of them, so no applicant is told apart by it"
    text += f"; but the model was trained with it, and splits on {listed(used)}." if used else "."
    return Verdict("prohibited attributes", WARNS, text, {"features": named, "used": used})


def listed(names: Sequence[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
