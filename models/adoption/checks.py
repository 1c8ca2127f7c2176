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
    *,
    named: bool = True,
) -> list[Verdict]:
    """All of them. `expected` (m,) is what the model itself said of the encoded applications `values`; `named`: whether
    it knows its columns' names."""
    return [
        same(scorer, values, expected),
        names_compared(named, len(fields.builder.columns)),
        decisions(scorer, fields, forest),
        directions(scorer, fields, forest),
        level(fields, forest),
        scales(fields, forest),
        never_set(fields, forest),
        not_stated(fields, forest),
        prohibited(fields, forest),
    ]


def same(scorer: Scorer, values: npt.NDArray[np.float64], expected: npt.NDArray[np.float32]) -> Verdict:
    """Whether the release gives the probabilities that the model's own file gives."""
    predicted = scorer.engine.predict_proba(scorer.release.rows.build(values))
    difference = float(np.abs(predicted.astype(np.float64) - expected).max())
    text = f"{len(values)} applications; largest difference of the probabilities {difference:.2g}."
    return Verdict("same as the source", PASSES if difference <= SAME else FAILS, text, {"difference": difference})


def names_compared(named: bool, count: int) -> Verdict:
    """Whether the list of features could be held against the model's own names."""
    if named:
        return Verdict("names of the features", PASSES, f"{count} features, as the model names them.", {"named": True})
    text = (
        f"The model was trained without names, so only the count of its features ({count}) could be compared: a list "
        "in another order would put answers into the wrong columns, and nothing here would show it."
    )
    return Verdict("names of the features", WARNS, text, {"named": False})


def level(fields: FieldsFile, forest: Forest) -> Verdict:
    """Whether training weighted one class, which moves every PD: scale_pos_weight w multiplies the odds by about w."""
    question, stated = "level of the PDs", fields.manifest["calibration"]
    figures = {"scale_pos_weight": forest.weight, "calibration": stated}
    if forest.weight == 1 or forest.weight <= 0:
        return Verdict(question, PASSES, "Training weighted neither class (scale_pos_weight is 1).", figures)
    shift = (1 if fields.good else -1) * float(np.log(forest.weight))
    figures["intercept"] = shift
    counted = "good" if fields.good else "bad"
    text = f"Trained with scale_pos_weight = {forest.weight:g}: each {counted} loan counted so often."
    if stated["intercept"] != 0:
        return Verdict(question, PASSES, f"{text} The file's calibration has an intercept that may mend it.", figures)
    text += (
        f"\nSo the PDs are not at the level of its training loans: the odds are multiplied by about "
        f"{np.exp(-shift):.3g}. This in the fields file mends it: calibration = {{ intercept = {shift:.4f} }}"
    )
    return Verdict(question, WARNS, text, figures)


def not_stated(fields: FieldsFile, forest: Forest) -> Verdict:
    """Whether the model learnt what a missing value means, and is given a number in its place."""
    names = fields.builder.columns
    learnt = {names[column] for column in forest.seen_missing}
    filled = {column for columns in fields.columns.values() for column in columns}
    optional = {
        column: fields.unstated.get(name, 0.0)
        for name, column in fields.number_columns.items()
        if optional_number(fields, name)
    }
    left_open = sorted(learnt & optional.keys())
    undefined = sorted(learnt & set(fields.computed.columns))
    never_asked = sorted(learnt - filled - fields.stated)
    question = "missing values"
    figures = {"learnt": sorted(learnt), "optional": left_open, "undefined": undefined, "unasked": never_asked}
    lines = []
    if left_open:
        with_numbers = ", ".join(f"{name} ({optional[name]:g})" for name in left_open)
        lines.append(
            "Trained with missing values, but where an answer is left open the row holds a number: "
            f'{with_numbers}. if_not_stated = "missing" serves it as missing, exactly.'
        )
    if undefined:
        lines.append(
            f"Trained with missing values, but 0 where it is undefined: {listed(undefined)}. "
            'undefined = "missing" serves it as missing.'
        )
    if never_asked:
        lines.append(
            f"Trained with missing values, but served with zeros, since nobody is asked: {listed(never_asked)}. "
            'unasked = "missing" serves them as missing.'
        )
    if lines:
        return Verdict(question, WARNS, "\n".join(lines), figures)
    text = "No column that may be missing here was trained with missing values."
    if fields.missing:
        names_of = listed(sorted(fields.missing))
        text = f"Where an answer is left open the model gets a missing value, as in training: {names_of}."
    return Verdict(question, PASSES, text, figures)


def optional_number(fields: FieldsFile, name: str) -> bool:
    """Whether a number may be left open, and then is a number for the model."""
    field = fields.form.fields[fields.form.position(name)]
    return isinstance(field, NumberField) and field.optional and name not in fields.missing


def decisions(scorer: Scorer, fields: FieldsFile, forest: Forest) -> Verdict:
    """Whether the form can bring about every decision."""
    extremes = reach(scorer, fields, forest)
    cutoffs = scorer.release.policy.cutoffs(extremes.highest.application)
    least, most = extremes.bounds
    text = (
        f"Lowest PD found {extremes.lowest.pd:.1%} ({extremes.lowest.decision}), highest {extremes.highest.pd:.1%} "
        f"({extremes.highest.decision}); approves below {cutoffs.refer_from:.1%}, declines above "
        f"{cutoffs.decline_from:.1%}."
    )
    outcome = PASSES
    if extremes.highest.decision != DECLINE:
        outcome = FAILS
        proof = f"no usual answers give a PD above {most:.1%}"
        text += f"\nIt can decline nobody: {proven(proof, most <= cutoffs.decline_from)}"
    if extremes.lowest.decision != APPROVE:
        outcome = FAILS
        proof = f"no usual answers give a PD below {least:.1%}"
        text += f"\nIt can approve nobody: {proven(proof, least >= cutoffs.refer_from)}"
    if outcome == PASSES and not extremes.referred:
        outcome = WARNS
        text += "\nNo application was found that is referred."
    answers = scorer.release.form.answers
    figures = {
        "lowest": {"pd": extremes.lowest.pd, "answers": answers(extremes.lowest.application)},
        "highest": {"pd": extremes.highest.pd, "answers": answers(extremes.highest.application)},
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
    contrary = 0
    sentences: list[str] = []
    figures: dict[str, dict[str, Any]] = {}
    for position, field in enumerate(fields.form.fields):
        swept = sweep(search, bases, position)
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
        contrary += worse
        outcome = FAILS if worse or outcome == FAILS else WARNS
        pair = [with_answer(bases[base], position, search.levels[position][level]) for level in (start, end)]
        pds = [float(swept[base, level]) for level in (start, end)]
        figures[field.name] |= {
            "pds": pds,
            "answers": [scorer.release.form.answers(application) for application in pair],
        }
        shown = [field.show(application.values[position], "en") for application in pair]
        went = "raises" if sign < 0 else "lowers"
        sentences.append(
            f"{field.name}: more of it {'mostly ' if worse else ''}{went} the PD, from {pds[0]:.1%} at "
            f"{shown[0]} to {pds[1]:.1%} at {shown[1]}."
            + ("" if worse else f" The largest move as it should is {along:.1%}.")
        )
    if idle:
        most = 2 * len(idle) > len(fields.form.fields)
        outcome = FAILS if most else WARNS if outcome == PASSES else outcome
        sentences.append(f"Whatever the answer, it changes nothing: {', '.join(idle)}.")
    if unsaid:
        sentences.append(f"No direction is stated for {', '.join(unsaid)}.")
    if unsaid and not figures:
        outcome = WARNS if outcome == PASSES else outcome
        sentences.append(
            "So nothing says whether 1 means bad in this model: state the direction of at least one number whose "
            "effect is known, such as income or arrears."
        )
    if contrary and 2 * contrary > len(figures):
        sentences.append(
            f"{contrary} of {len(figures)} stated directions are reversed, as if 1 meant good in this model."
            + ("" if fields.good else ' If so, positive = "good" in the fields file turns it round.')
        )
    if len(figures) and outcome == PASSES:
        sentences.insert(0, f"{len(figures)} number fields move the PD only as they should, from {BASES} applications.")
    return Verdict("directions", outcome, "\n".join(sentences), {"fields": figures, "idle": idle, "reversed": contrary})


def sweep(search: Search, bases: npt.NDArray[np.float64], position: int) -> npt.NDArray[np.float64]:
    """PDs (n_bases, n_levels) along the levels of one field; not stated, which stands nowhere, is left out."""
    levels = search.levels[position][~np.isnan(search.levels[position])]
    trial = np.repeat(bases, len(levels), axis=0)
    trial[:, position] = np.tile(levels, len(bases))
    return search.pds(trial).reshape(len(bases), len(levels))


def move(swept: npt.NDArray[np.float64]) -> tuple[float, tuple[int, int, int]]:
    """The largest rise from a level to a later one, and where: (base, from level, to level)."""
    rises = swept - np.minimum.accumulate(swept, axis=1)
    base, end = map(int, np.unravel_index(int(rises.argmax()), rises.shape))
    return float(rises[base, end]), (base, int(swept[base, : end + 1].argmin()), end)


def with_answer(base: npt.NDArray[np.float64], position: int, value: float) -> Application:
    """The application with one answer changed."""
    return Application((*base[:position].tolist(), float(value), *base[position + 1 :].tolist()))


def scales(fields: FieldsFile, forest: Forest) -> Verdict:
    """Whether the model splits where the answers lie, or was trained on values scaled to another range.

    Trees trained on raw values split between values that they have seen, so within the field's range.
    """
    thresholds = dict(zip(fields.builder.columns, forest.thresholds(), strict=True))
    scaled: list[str] = []
    elsewhere: list[str] = []
    figures, used = {}, 0
    for field in fields.form.fields:
        if not isinstance(field, NumberField) or field.name not in fields.number_columns:
            continue
        splits = thresholds[fields.number_columns[field.name]].astype(np.float64)
        if field.name in fields.missing:  # what is missing is told apart at the range's lower end
            splits = splits[splits != np.float32(field.minimum)]
        if not len(splits):
            continue
        used += 1
        outside = float(np.mean((splits <= field.minimum) | (splits > field.maximum)))
        largest, farthest = float(np.abs(splits).max()), max(abs(end) for end in field.usual)
        figures[field.name] = {"thresholds": [float(splits.min()), float(splits.max())], "outside": outside}
        if outside > FOREIGN or (largest <= SCALED_WITHIN and largest < TINY * farthest):
            (scaled if largest <= SCALED_WITHIN else elsewhere).append(
                f"{field.name}: splits from {splits.min():.3g} to {splits.max():.3g}, answers from "
                f"{field.minimum:,.10g} to {field.maximum:,.10g} ({outside:.0%} of splits beyond them)."
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
    gains, splits = forest.gains(), [len(numbers) for numbers in forest.thresholds()]
    missed = [column for column, name in enumerate(names) if name not in reached | fields.stated]
    used = sorted((column for column in missed if splits[column]), key=lambda column: -gains[column])
    gain = float(gains[missed].sum() / gains.sum()) if gains.sum() else 0.0
    share = sum(splits[column] for column in missed) / sum(splits)
    text = (
        f"{len(missed)} of {len(names)} features are 0 for every applicant; {share:.0%} of the splits and {gain:.0%} "
        "of the gain hang on them"
    )
    text += f", most on {', '.join(names[column] for column in used[:5])}." if used else "."
    outcome = FAILS if gain > 0.5 else WARNS if used else PASSES
    text += zeros_mean(fields, forest, used)
    if outcome == FAILS:
        text += "\nMost of what the model learnt cannot be told to it: train one on the form's own answers."
    figures = {
        "features": [names[column] for column in missed],
        "used": len(used),
        "share_of_splits": share,
        "gain": gain,
    }
    return Verdict("features never set", outcome, text, figures)


def zeros_mean(fields: FieldsFile, forest: Forest, used: Sequence[int]) -> str:
    """What 0 says of an applicant, in columns of 0 and 1 that nobody is asked about."""
    names, thresholds = fields.builder.columns, forest.thresholds()
    flags = [
        names[column]
        for column in used
        if len(thresholds[column]) and 0 < thresholds[column].min() <= thresholds[column].max() <= 1
    ]
    text = ""
    for stem, group in grouped(flags).items():
        if len(group) > 1:
            text += f"\nAt 0 in all of {listed(group)}, every applicant is one of no {stem} that these name."
        else:
            text += f"\nAt 0 in {group[0]}, every applicant is taken for one of whom that is not so."
    return text


def grouped(names: Sequence[str]) -> dict[str, list[str]]:
    """Names by what stands before the last `_`, where several share it; any other name alone."""
    by_stem: dict[str, list[str]] = {}
    for name in names:
        by_stem.setdefault(name.rpartition("_")[0] or name, []).append(name)
    return {stem if len(group) > 1 else group[0]: group for stem, group in by_stem.items()}


def prohibited(fields: FieldsFile, forest: Forest) -> Verdict:
    """Whether the model has columns named for what credit must not be decided on. A field of that name is refused."""
    splits = dict(zip(fields.builder.columns, map(len, forest.thresholds()), strict=True))
    named = [name for name in splits if prohibited_in(name)]
    if not named:
        return Verdict("prohibited attributes", PASSES, "No feature is named for one.", {"features": []})
    used = [name for name in named if splits[name]]
    text = f"Named for one: {listed(named)}. The form sets none of them, so no applicant is told apart by it"
    text += f"; but the model was trained with it, and splits on {listed(used)}." if used else "."
    return Verdict("prohibited attributes", WARNS, text, {"features": named, "used": used})


def listed(names: Sequence[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
