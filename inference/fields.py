"""The ten questions: what each accepts, and how an answer becomes a number.

Every answer is held as one float64: a number as itself, a choice as its index in the field's list, and
"not stated" as NaN where the field is a number. Texts end here.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import numpy as np

from inference.errors import Problem
from inference.number_format import write_exactly, write_number
from inference.numbers import DECIMAL, THOUSANDS, TROUBLES, Grammar, Number, UnreadNumber, plain
from inference.units import Unit

NOT_STATED = "not_stated"
HIGH, LOW, ANY = "high", "low", "any"  # what a reason is for: see `Reason`
NO_ANSWER = {"en": "not stated", "fr": "non précisé"}
Texts = Mapping[str, str]  # language code -> text


class AnswerRefused(Exception):
    """One answer refused. Never leaves this package: callers see `InvalidApplication`."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(str(problem))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """What is wrong with an answer, written for the applicant.

    `when` is the answer it is for: of a number `high` or `low` (beside the reference applicant's) or `not_stated`, of a
    choice its code, or `any` for all codes without one. With `columns` it is for what the answer makes of another
    one, such as the amount for the price: columns of the model. Without, it is for the answer itself.
    """

    code: str
    when: str
    columns: tuple[str, ...]
    text: Texts


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """What every field has, whatever its kind.

    `actionable` is the direction in which an applicant can move the answer (`down`, `up`, `either`) or None;
    `reasons` are the texts for applicants, empty in releases of the first format. `reference` is the reference
    applicant's value in the encoded form above (NaN: unset), `example` a raw answer.
    """

    name: str
    group: str
    label: Texts
    help: Texts
    actionable: str | None
    reasons: tuple[Reason, ...]
    unit: Texts
    reference: float
    example: Any

    def parse(self, raw: object) -> float:
        """The answer as one float64, or `AnswerRefused`."""
        raise NotImplementedError

    def answer(self, value: float) -> float | int | str | None:
        """The inverse of `parse`: the canonical answer for an encoded value; None for not stated or unset."""
        raise NotImplementedError

    def show(self, value: float, language: str) -> str:
        """An encoded value for a person: the number with its unit, or the label of the choice."""
        raise NotImplementedError

    def standing(self, value: float) -> str:
        """What an encoded answer is beside the reference's: `high`, `low`, `not_stated`, or a choice's code."""
        raise NotImplementedError

    @property
    def standings(self) -> tuple[str, ...]:
        """All that `standing` can say of answers other than the reference's: each can raise the PD."""
        raise NotImplementedError

    @property
    def untold(self) -> list[str]:
        """The standings that no reason is for."""
        return [standing for standing in self.standings if self.plain_reason(standing) is None]

    def plain_reason(self, standing: str) -> Reason | None:
        """The reason for an answer itself that is so; None where the release has no such reason."""
        plain = [reason for reason in self.reasons if not reason.columns]
        return next((one for when in (standing, ANY) for one in plain if one.when == when), None)

    @property
    def allowed(self) -> str:
        """What the field accepts, as one English phrase."""
        raise NotImplementedError

    def problem(self, kind: str, raw: object) -> Problem:
        """A `Problem` with this answer."""
        return Problem(self.name, kind, self.allowed, shorten(raw), self.unit["en"])


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberField(Field):
    """A number with a unit and bounds (both allowed values); `usual` is the 0.5–99.5 % range in training.

    `unit_one` is the unit beside one: "month" where `unit` is "months".
    """

    minimum: float
    maximum: float
    whole: bool
    optional: bool
    unit_one: Texts
    typical: tuple[float, float]
    usual: tuple[float, float]
    _unit: Unit = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_unit", Unit(self.unit, self.unit_one))

    def parse(self, raw: object) -> float:
        kind = type(raw)
        if kind is not int and kind is not float:
            if self.optional and (raw is None or (isinstance(raw, str) and raw == NOT_STATED)):
                return math.nan
            raw = self._number(raw)
        # The comparison is also false for NaN, and safe for integers too large for a float.
        if self.minimum <= raw <= self.maximum:  # type: ignore[operator]
            value = float(raw) + 0.0  # type: ignore[arg-type]  # + 0.0 turns -0.0 into 0.0
            if not self.whole or value.is_integer():
                return value
        raise self._refusal(raw)

    def answer(self, value: float) -> float | int | None:
        if math.isnan(value):
            return None
        return int(value) if self.whole else value

    def standing(self, value: float) -> str:
        if math.isnan(value):
            return NOT_STATED
        return LOW if value < self.reference else HIGH

    @property
    def standings(self) -> tuple[str, ...]:
        possible = {HIGH: not self.reference >= self.maximum, LOW: not self.reference <= self.minimum}
        return tuple(side for side, there in (possible | {NOT_STATED: self.optional}).items() if there)

    def show(self, value: float, language: str) -> str:
        if math.isnan(value):
            return NO_ANSWER[language]
        return self._unit.beside(self._unmistakable(write_number(value, language), language), value, language)

    def read(self, text: str, language: str, *, exponents: bool = False) -> Number | UnreadNumber:
        """A written text as a raw answer for `parse`, which refuses an `UnreadNumber`; see `inference.numbers`."""
        return Grammar(language, self._unit, self.whole, self.maximum, exponents).read(text)

    def write(self, value: float, language: str) -> str:
        """The number without its unit and with all its digits, as `read` reads it again."""
        return self._unmistakable(write_exactly(value, language), language)

    def beside(self, value: float, language: str) -> tuple[str, str]:
        """What stands before and after a number in its box."""
        return self._unit.sign(language), self._unit.after(value, language)

    @property
    def typical_answer(self) -> float:
        """The example, or where it is not stated the least that is typical."""
        return float(self.example) if type(self.example) in (int, float) else self.typical[0]

    def _unmistakable(self, number: str, language: str) -> str:
        """With one more digit where exactly three after the decimal mark would be asked about: 18.125 as 18.1250."""
        if len(number.partition(DECIMAL[language])[2]) != 3:
            return number
        ungrouped = number.replace(THOUSANDS[language], "")
        asked = any(isinstance(self.read(text, language), UnreadNumber) for text in (number, ungrouped))
        return number + "0" if asked else number

    @property
    def allowed(self) -> str:
        what = "a whole number" if self.whole else "a number"
        return f"{what} from {self.minimum:,.10g} to {self.maximum:,.10g}" + (
            f", or {NOT_STATED}" if self.optional else ""
        )

    def _number(self, raw: object) -> int | float:
        """NumPy's numbers as Python's; anything else is refused, `numpy.ma.masked` (0.0 to NumPy) too."""
        if isinstance(raw, np.generic) and raw.dtype.kind in "iuf":
            return float(raw) if raw.dtype.kind == "f" else int(raw)  # item() leaves a longdouble one
        if isinstance(raw, UnreadNumber):
            hint = TROUBLES[raw.kind] + (f": {either(raw.readings)}" if raw.readings else "")
            raise AnswerRefused(
                replace(self.problem(raw.kind, raw.text), hint=hint, extra=raw.extra, readings=raw.readings)
            )
        problem = self.problem("not_stated" if raw is None else "not_a_number", raw)
        raise AnswerRefused(replace(problem, hint=self._instead(raw)) if isinstance(raw, str) else problem)

    def _instead(self, text: str) -> str:
        """What to send instead of a text, and what that can mean where the languages do not agree on one number."""
        meant: set[Number] = set()
        for language in DECIMAL:
            found = self.read(text, language, exponents=True)
            meant |= set(found.readings if isinstance(found, UnreadNumber) else (found,))
        example = meant.pop() if len(meant) == 1 else plain(self.typical_answer)
        can_mean = f"; this text can mean {either(sorted(meant))}" if meant else ""
        return f"send a number such as {either([example])}, in JSON without quotes, not a text{can_mean}"

    def _refusal(self, raw: Any) -> AnswerRefused:
        if isinstance(raw, float) and not math.isfinite(raw):
            return AnswerRefused(self.problem("not_finite", raw))
        if raw < self.minimum:
            return AnswerRefused(self.problem("too_small", raw))
        if raw > self.maximum:
            return AnswerRefused(self.problem("too_large", raw))
        return AnswerRefused(self.problem("not_whole", raw))


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One answer of a list; `count` is how many training loans gave it."""

    code: str
    label: Texts
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceField(Field):
    """One of a list of codes.

    With `digits` the list is a hierarchy of digit codes such as NAICS: an answer has exactly that many
    digits, and one that is not in the list stands for its longest known prefix (at least two digits).
    """

    choices: tuple[Choice, ...]
    digits: int | None
    index: Mapping[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "index", {choice.code: i for i, choice in enumerate(self.choices)})

    def parse(self, raw: object) -> float:
        if type(raw) is str:
            if self.digits is None or len(raw) == self.digits:
                found = self.index.get(raw)
                if found is not None:
                    return float(found)
                if self.digits is not None and raw.isascii() and raw.isdigit():
                    return self._prefix(raw)
            raise AnswerRefused(self.problem("not_a_choice", raw))
        if raw is None and NOT_STATED in self.index:
            return float(self.index[NOT_STATED])
        if isinstance(raw, str):  # numpy.str_ and other subclasses
            return self.parse(str(raw))
        raise AnswerRefused(self.problem("not_stated" if raw is None else "not_a_text", raw))

    def _prefix(self, raw: str) -> float:
        for length in range(len(raw) - 1, 1, -1):
            found = self.index.get(raw[:length])
            if found is not None:
                return float(found)
        raise AnswerRefused(self.problem("not_a_choice", raw))

    def answer(self, value: float) -> str | None:
        return None if math.isnan(value) else self.choices[int(value)].code

    def standing(self, value: float) -> str:
        return NOT_STATED if math.isnan(value) else self.choices[int(value)].code

    @property
    def standings(self) -> tuple[str, ...]:
        return tuple(choice.code for at, choice in enumerate(self.choices) if at != self.reference)

    @property
    def groups(self) -> tuple[str, ...]:
        """What answers are compared by: the choices, of a hierarchy of digit codes its shortest ones."""
        if self.digits is None:
            return tuple(choice.code for choice in self.choices)
        shortest = min(len(choice.code) for choice in self.choices)
        return tuple(choice.code for choice in self.choices if len(choice.code) == shortest)

    def group_of(self, value: float) -> str:
        """The group of an encoded answer, which is not unset."""
        code = self.choices[int(value)].code
        return code if self.digits is None else code[: min(len(choice.code) for choice in self.choices)]

    def show(self, value: float, language: str) -> str:
        return NO_ANSWER[language] if math.isnan(value) else self.choices[int(value)].label[language]

    @property
    def allowed(self) -> str:
        if self.digits is not None:
            return f"a code of {self.digits} digits that begins with a known sector"
        codes = [choice.code for choice in self.choices]
        return "one of " + ", ".join(codes if len(codes) <= 60 else [*codes[:60], "…"])


def either(numbers: Sequence[Number]) -> str:
    """Numbers as a program writes them: "18 or 18000"."""
    return " or ".join(f"{Decimal(repr(number)):f}" for number in numbers)


def shorten(raw: object) -> str:
    """A `repr` of at most 40 characters that cannot fail, for the person who typed it."""
    if isinstance(raw, int) and not isinstance(raw, bool) and raw.bit_length() > 128:
        return f"an integer of {raw.bit_length()} bits"
    if isinstance(raw, (str, bytes)):
        raw = raw[:40]
    elif not isinstance(raw, (int, float, type(None))):
        return f"a {type(raw).__name__}"
    text = repr(raw)
    return text if len(text) <= 40 else text[:39] + "…"


def field_from_json(spec: Mapping[str, Any]) -> Field:
    """A field as a release's manifest describes it.

    Raises KeyError, TypeError or ValueError where the description is not whole; the release turns these
    into `BadRelease`.
    """
    common = {key: spec[key] for key in ("name", "group", "label", "help", "unit", "actionable", "example")}
    common["reasons"] = tuple(reason_from_json(spec["name"], one) for one in spec.get("reasons", ()))
    unit_one = spec.get("unit_one", spec["unit"])  # in releases of the first format nothing says the singular
    for text in (spec["label"], spec["help"], spec["unit"], unit_one):
        if not (isinstance(text, dict) and text.keys() >= {"en", "fr"}):
            raise ValueError(f"field {spec['name']}: texts are needed in en and fr")
    if spec["kind"] == "number":
        reference = float("nan") if spec["reference"] is None else float(spec["reference"])
        minimum, maximum = _pair((spec["minimum"], spec["maximum"]))
        return NumberField(
            **common,
            reference=reference,
            minimum=minimum,
            maximum=maximum,
            whole=bool(spec["whole"]),
            optional=bool(spec["optional"]),
            unit_one=unit_one,
            typical=_pair(spec["typical"]),
            usual=_pair(spec["usual"]),
        )
    if spec["kind"] == "choice":
        codes = [choice["code"] for choice in spec["choices"]]
        if len(set(codes)) != len(codes):
            raise ValueError(f"field {spec['name']}: a choice is listed twice")
        reference = float("nan") if spec["reference"] is None else float(codes.index(spec["reference"]))
        return ChoiceField(
            **common,
            reference=reference,
            choices=tuple(Choice(code=c["code"], label=c["label"], count=int(c["count"])) for c in spec["choices"]),
            digits=spec["digits"],
        )
    raise ValueError(f"field {spec['name']}: kind {spec['kind']!r} is not known")


def reason_from_json(field: str, spec: Mapping[str, Any]) -> Reason:
    """A reason as a manifest describes it; `when` is its code where it is not said."""
    text = spec["text"]
    said = [text.get(language) for language in ("en", "fr")] if isinstance(text, dict) else [None]
    if not all(isinstance(words, str) and words.strip() for words in said):
        raise ValueError(f"field {field}: reason {spec['code']}: texts are needed in en and fr")
    code = str(spec["code"])
    return Reason(code=code, when=spec.get("when", code), columns=tuple(spec.get("columns", ())), text=text)


def _pair(values: Any) -> tuple[float, float]:
    low, high = values
    if not -math.inf < float(low) <= float(high) < math.inf:
        raise ValueError(f"a range needs finite low <= high, got {values!r}")
    return float(low), float(high)
