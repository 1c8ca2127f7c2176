"""The form that a draft proposes: a field for each column, with bounds or choices as a recipe writes them."""

import math
import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from keyword import iskeyword

import numpy as np

from models.draft.columns import CHOICE, NUMBER, YES, Column, Floats, yes_no
from models.draft.directions import UP

FEWEST_LOANS = 30  # loans that an answer needs to become a choice
FAR = 20  # times the 99.5 % quantile: what lies beyond is an outlier and not a bound
UNITS = {
    "years": ("years", "ans"),
    "months": ("months", "mois"),
    "weeks": ("weeks", "semaines"),
    "days": ("days", "jours"),
}
STEPS = (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)
OTHER, NOT_STATED = "other", "not_stated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of the form."""

    name: str
    column: str
    label: str
    kind: str  # number or choice
    unit: tuple[str, str] = ("", "")  # English, French
    range: tuple[float, float] = (0.0, 0.0)
    integers: bool = False
    optional: bool = False
    codes: tuple[float, ...] = ()
    example: float | str = ""
    direction: int = 0
    choices: Mapping[str, tuple[str, str]] = None  # type: ignore[assignment]  # code -> English, French; of a choice
    values: Mapping[str, tuple[str, ...]] = None  # type: ignore[assignment]  # code -> texts in the column
    outside: int = 0  # loans beyond the range, or with an answer too rare to be a choice
    furthest: float = 0.0  # the value that lies furthest outside
    digits: bool = False


def field(column: Column, direction: int, taken: Collection[str]) -> Field:
    """The field that asks for a column."""
    name, label = field_name(column.name, taken), label_of(column.name)
    if column.kind == NUMBER:
        return number_field(column, name, label, direction)
    return choice_field(column, name, label)


def number_field(column: Column, name: str, label: str, direction: int) -> Field:
    stated = column.clean[np.isfinite(column.clean)]
    low, high = bounds(stated)
    outside = stated[(stated < low) | (stated > high)]
    middle = float(np.quantile(stated, 0.5, method="inverted_cdf"))
    typical = middle if column.integers else float(f"{middle:.3g}")
    unit = UNITS.get(column.unit, (column.unit, column.unit))
    return Field(
        name=name, column=column.name, label=label, kind="number", unit=unit,
        range=(low, high), integers=column.integers, optional=len(stated) < len(column.values), codes=column.codes,
        example=min(max(typical, low), high), direction=direction, outside=len(outside),
        furthest=float(outside[np.argmax(np.abs(outside))]) if len(outside) else 0.0,
    )  # fmt: skip


def bounds(stated: Floats) -> tuple[float, float]:
    """Round bounds around all values except outliers, which are cut at ten times the 99.5 % quantile."""
    low, high = float(stated.min()), float(stated.max())
    first, last = (float(bound) for bound in np.quantile(stated, [0.005, 0.995]))
    top = rounded(high if high <= FAR * max(last, 1e-9) else 10 * last, up=True)
    bottom = 0.0 if low >= 0 else rounded(low if low >= FAR * min(first, -1e-9) else 10 * first, up=False)
    return bottom, max(top, bottom + (1 if top <= bottom else 0))


def rounded(value: float, *, up: bool) -> float:
    """A round number not below the value (`up`), or not above it."""
    if value == 0:
        return 0.0
    power = 10.0 ** math.floor(math.log10(abs(value)))
    size = abs(value) / power
    away = up == (value > 0)
    step = next(s for s in STEPS if s >= size - 1e-9) if away else max(s for s in STEPS if s <= size + 1e-9)
    return math.copysign(float(f"{step * power:.12g}"), value)


def choice_field(column: Column, name: str, label: str) -> Field:
    """Answers that enough loans gave are choices; all others become the choice "other". Answers that differ in small
    and capital letters or in blanks alone are one, and so are yes and no in several languages."""
    stated = column.values[np.isfinite(column.values)].astype(np.intp)
    alone = np.bincount(stated, minlength=len(column.answers))
    is_yes_no = yes_no(column.answers)
    groups: dict[str, list[int]] = {}
    for index, answer in enumerate(column.answers):
        plain = " ".join(answer.casefold().split())
        groups.setdefault(("yes" if plain in YES else "no") if is_yes_no else plain, []).append(index)
    loans = {plain: int(alone[same].sum()) for plain, same in groups.items()}
    own = [plain for plain in groups if loans[plain] >= FEWEST_LOANS] or [max(loans, key=lambda plain: loans[plain])]
    rare = sum(loans.values()) - sum(loans[plain] for plain in own)
    choices: dict[str, tuple[str, str]] = {}
    values: dict[str, tuple[str, ...]] = {}
    for plain in sorted(own) if column.digits else own:
        texts = tuple(column.answers[index] for index in groups[plain])
        if is_yes_no and len(own) == 2:
            choices[plain] = ("Yes", "Oui") if plain == "yes" else ("No", "Non")
            values[plain] = texts
            continue
        # An answer that the file itself calls "other" or "not stated" is that choice, and not a second one.
        code = field_name(texts[0], choices, before="v")
        if code not in (OTHER, NOT_STATED):
            code = field_name(texts[0], {*choices, OTHER, NOT_STATED}, before="v")
        choices[code] = (texts[0], texts[0])
        values[code] = texts
    if rare:
        choices.setdefault(OTHER, ("Other", "Autre"))
    if len(stated) < len(column.values):
        choices.setdefault(NOT_STATED, ("Not stated", "Non précisé"))
    counts = dict(zip(values, (loans[plain] for plain in (sorted(own) if column.digits else own)), strict=True))
    return Field(
        name=name, column=column.name, label=label, kind=CHOICE, choices=choices, values=values,
        example=max(counts, key=lambda code: counts[code]), outside=rare, optional=NOT_STATED in choices,
        digits=column.digits,
    )  # fmt: skip


def field_name(text: str, taken: Collection[str], before: str = "field") -> str:
    """A unique name of lower-case letters, digits and _."""
    plain = unicodedata.normalize("NFKD", parted(text)).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")
    if not name or not name[0].isalpha() or iskeyword(name):
        name = f"{before}_{name}".strip("_")
    unique, times = name, 1
    while unique in taken:
        times += 1
        unique = f"{name}_{times}"
    return unique


def label_of(column: str) -> str:
    """A column's name as words."""
    label = " ".join(parted(column).replace("_", " ").split())
    if label.isupper() or not re.search(r"\s", label):
        label = label.capitalize() if not label.isupper() or len(label) > 4 else label
    return (label[:1].upper() + label[1:]) or "Column without a name"


def parted(text: str) -> str:
    return re.sub(r"([a-zà-ÿ])([A-ZÀ-Þ])", r"\1 \2", text)


def fields(columns: Sequence[Column], directions: Mapping[str, int]) -> list[Field]:
    """The form's fields, in the columns' order."""
    drawn: list[Field] = []
    for column in columns:
        drawn.append(field(column, directions.get(column.name, 0), [field.name for field in drawn]))
    return drawn


def direction_word(direction: int) -> str:
    return "up" if direction == UP else "down"
