"""`adopt --draft`: a fields file to be corrected, from what a model itself shows: its columns, and where it splits."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from keyword import iskeyword
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.adoption.fields_file import MOST_FIELDS
from models.adoption.folding import LARGEST
from models.adoption.input_steps import has_value
from models.adoption.trees import Forest
from models.adoption.unpickle import About
from models.prohibited import aged
from models.prohibited import named as prohibited_in

HEAD = """\
# Drafted from a model: names, ranges and choices are guesses from where its trees split. Read every line.
# Lines marked ASK must be answered, and the mark taken away. models/adoption/ADOPT.md explains all keys.
# A text is one for both languages, or {{ en = "…", fr = "…" }}.
name = {name}
title = {title}
date = 2000-01-01       # ASK of the model
threshold = 0.5         # ASK the PD at which a loan breaks even
positive = "bad"        # ASK what the model's 1 means; "good" turns it round
"""


# Names of columns that people compute: debt_to_income, log_amount, IncomeRatio, age_bin.
COMPUTED = re.compile(r"(?i)ratio|_(to|per|over|div)_|(^|_)(log|log1p|sqrt|diff|bin|bucket|band|squared?)(_|$)")
COMPUTED_HINT = "computed of other answers: then ask for those, and say how under [[features]] in place of this field"


class Group(NamedTuple):
    """One question that the model's columns suggest."""

    stem: str  # the raw column
    columns: tuple[str, ...]
    gain: float  # of all its columns in the model


def draft(names: Sequence[str], forest: Forest, about: About, title: str) -> str:
    """The text of a fields file for a model with these columns."""
    thresholds = dict(zip(names, forest.thresholds(), strict=True))
    gains = dict(zip(names, forest.gains().tolist(), strict=True))
    choices = {raw: dict(codes) for raw, codes in about.choices.items()}
    from_encoders = {column for codes in choices.values() for column in codes.values()} | about.codes.keys()
    choices |= dummies([name for name in names if name not in from_encoders], thresholds)
    owner = {column: raw for raw, codes in choices.items() for column in codes.values() if column}
    columns_by_stem: dict[str, list[str]] = {}
    for name in names:
        columns_by_stem.setdefault(owner.get(name, name), []).append(name)
    groups = [
        Group(stem, tuple(columns), sum(gains[name] for name in columns)) for stem, columns in columns_by_stem.items()
    ]
    banned = [group for group in groups if any(map(prohibited_in, (group.stem, *group.columns)))]
    idle = [group for group in groups if group not in banned and group.gain == 0]
    useful = [group for group in groups if group not in banned and group not in idle]
    most_useful = sorted(useful, key=lambda group: -group.gain)[:MOST_FIELDS]
    lines = [HEAD.format(name=json.dumps(named(title, set())), title=quoted(title))]
    if any(aged(group.stem) for group in most_useful):
        lines.append('why_age = "…"           # ASK why age is asked, or take the field out\n')
    too_many = [group for group in useful if group not in most_useful]
    for why, left in (
        ("named for what credit must not be decided on", banned),
        ("the model never splits on them", idle),
        (f"a form has at most {MOST_FIELDS} fields, and these matter least", too_many),
    ):
        if left:
            lines.append(f"# Not asked, since {why}; 0 for everyone: {', '.join(group.stem for group in left)}\n")
    taken: set[str] = set()
    seen = {names[column] for column in forest.seen_missing} | about.fills.keys()
    for group in (group for group in useful if group in most_useful):
        field = named(group.stem, taken)
        taken.add(field)
        lines.append(f"\n[fields.{field}]\nlabel = {quoted(label(group.stem))}\n")
        if group.stem in choices:
            lines.append(choice(field, group.stem, choices[group.stem]))
        elif group.stem in about.codes:
            lines.append(coded(field, group.stem, about.codes[group.stem]))
        else:
            if COMPUTED.search(group.stem):
                lines.append(f"# ASK whether {group.stem} is {COMPUTED_HINT}\n")
            optional, functions = group.stem in seen, about.functions.get(group.stem, ())
            missing = optional and group.stem not in about.fills
            lines.append(
                number(
                    field, group.stem, thresholds[group.stem], optional=optional, missing=missing, functions=functions
                )
            )
    return "".join(lines)


def dummies(names: Sequence[str], thresholds: Mapping[str, npt.NDArray[np.float32]]) -> dict[str, dict[str, str]]:
    """Columns of 0 and 1 by the longest beginning that at least two share: raw column -> code -> column."""
    flags = [name for name in names if is_flag(thresholds[name])]
    idle = [name for name in names if not len(thresholds[name])]
    beginnings: dict[str, list[str]] = {}
    for name in (*flags, *idle):
        parts = name.split("_")
        for count in range(1, len(parts)):
            beginnings.setdefault("_".join(parts[:count]), []).append(name)
    codes_by_stem: dict[str, dict[str, str]] = {}
    for name in names:
        if name not in flags and name not in idle:
            continue
        shared = [
            beginning for beginning, columns in beginnings.items()
            if name in columns and len(columns) > 1 and any(other in flags for other in columns)
        ]  # fmt: skip
        if shared:
            stem = max(shared, key=len)
            codes_by_stem.setdefault(stem, {})[name[len(stem) + 1 :]] = name
        elif name in flags:
            codes_by_stem[name] = {"no": "", "yes": name}
    return {stem: codes if len(codes) > 1 else {"no": "", **codes} for stem, codes in codes_by_stem.items()}


def is_flag(thresholds: npt.NDArray[np.float32]) -> bool:
    """Whether all its splits tell 0 from 1."""
    return (
        bool(len(thresholds))
        and bool(thresholds.min() > 0)
        and bool(thresholds.max() <= 1)
        and (len(np.unique(thresholds)) == 1)
    )


def named(text: str, taken: set[str]) -> str:
    """A field's name: small letters, digits and _, and not one that is taken."""
    name = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_") or "field"
    if iskeyword(name) or not name[0].isalpha():
        name = f"field_{name}"
    while name in taken:
        name += "_2"
    return name


def label(stem: str) -> str:
    words = re.sub(r"[_\s]+", " ", stem).strip()
    return words[:1].upper() + words[1:] or stem


def quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def number(
    field: str,
    column: str,
    thresholds: npt.NDArray[np.float32],
    *,
    optional: bool,
    missing: bool,
    functions: Sequence[str],
) -> str:
    """A number from where the model splits: those are values of its training loans."""
    thresholds = thresholds[np.abs(thresholds) < LARGEST] if (np.abs(thresholds) < LARGEST).any() else thresholds * 0
    least, most = float(thresholds.min()), float(thresholds.max())
    is_whole = bool((thresholds == np.round(thresholds)).all())
    span = most - least or max(abs(most), 1.0)
    low = 0.0 if least >= 0 else -rounded_up(-least + span / 2)
    high = rounded_up(most + span / 2) if most > 0 else 0.0
    widest = [10 * low, 10 * high]
    if low <= 0 and any(not has_value(function, low) for function in functions):
        low = widest[0] = 1.0 if is_whole else float(f"{min(least, high) / 10:.1g}")
    middle = float(np.median(thresholds))
    example = str(round(middle)) if is_whole else f"{middle:.4g}"
    lines = [
        f"range = [{widest[0]:.15g}, {widest[1]:.15g}]\n",
        f"usual = [{low:.15g}, {high:.15g}]   # it splits from {least:.6g} to {most:.6g}\n",
        f"example = {float(example):.15g}\n",
        "whole = true\n" if is_whole else "",
        "optional = true\n" if optional else "",
        'if_not_stated = "missing"   # as in training\n' if missing else "",
        '# direction = "up"      # "up" where more of it should raise the PD, else "down"\n',
        f"feature = {quoted(column)}\n" if column != field else "",
        f"reasons.high = {quoted(f'{label(column)}: high')}\nreasons.low = {quoted(f'{label(column)}: low')}\n",
        f"reasons.not_stated = {quoted(f'{label(column)}: not stated')}\n" if optional else "",
    ]
    return "".join(lines)


def rounded_up(value: float) -> float:
    """To two significant digits, upwards."""
    step = 10.0 ** (math.floor(math.log10(value)) - 1)
    return float(f"{math.ceil(value / step) * step:.12g}")


def choice(field: str, stem: str, codes: Mapping[str, str]) -> str:
    """A choice that sets a column a code; "" for a code that sets none."""
    listed = ", ".join(f"{quoted(code)} = {quoted(label(code))}" for code in codes)
    text = f"example = {quoted(next(iter(codes)))}\nchoices = {{ {listed} }}\n"
    text += f"reasons.any = {quoted(label(stem))}\n"
    if any(column != f"{field}_{code}" for code, column in codes.items()):
        own = ", ".join(f"{quoted(code)} = {quoted(column)}" for code, column in codes.items() if column)
        text += f"features = {{ {own} }}\n"
    return text


def coded(field: str, column: str, codes: Mapping[str, float]) -> str:
    """A choice that sets one column to the number of its code."""
    listed = ", ".join(f"{quoted(code)} = {quoted(label(code))}" for code in codes)
    numbers = ", ".join(f"{quoted(code)} = {value:.15g}" for code, value in codes.items())
    text = f"example = {quoted(next(iter(codes)))}\nchoices = {{ {listed} }}\ncodes = {{ {numbers} }}\n"
    text += f"reasons.any = {quoted(label(column))}\n"
    return text + (f"feature = {quoted(column)}\n" if column != field else "")
