"""The ten fields of the form: what each accepts, and how an answer becomes a number.

Every answer is encoded as one float64: a number as itself, a choice as its index in the field's list, and "not stated"
in a number field as NaN. No text gets past this module.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta, Struct, convert

from inference.errors import Problem
from inference.languages import Text, Words
from inference.number_format import write_exactly, write_number
from inference.numbers import DECIMAL, THOUSANDS, TROUBLES, Grammar, Number, UnreadNumber, plain
from inference.units import Unit

NOT_STATED = "not_stated"
HIGH, LOW, ANY = "high", "low", "any"  # kinds of answer, see `Reason.when`
NO_ANSWER = {"en": "not stated", "fr": "non précisé"}
# A manifest's numbers keep their type, 1000 or 1000.5, so that the API shows them unchanged. JSON has no NaN. Integers
# beyond 64 bits are refused, since not every client of the API can represent them.
Integer = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Bound = Integer | float


class AnswerRefused(Exception):
    """An answer is refused. Internal to this package: callers get `InvalidApplication`."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(str(problem))


class Reason(Struct, frozen=True, kw_only=True):
    """A reason why an answer raises the risk, written for the applicant.

    `when` is the kind of answer that it applies to: for a number `high` or `low` (compared with the reference
    applicant) or `not_stated`; for a choice its code, or `any` for every code without a reason of its own. A reason
    with `columns` (of the model) is about how the answer combines with another one, such as the amount for the price.
    A reason without them is about the answer itself.
    """

    code: str
    when: str = ""  # the same as the code if left empty
    columns: tuple[str, ...] = ()
    text: Words

    def __post_init__(self) -> None:
        if not self.when:
            msgspec.structs.force_setattr(self, "when", self.code)


class Described(Struct, frozen=True, kw_only=True, dict=True, omit_defaults=True, tag_field="kind"):
    """What number and choice fields have in common, as in a release's manifest.

    `actionable` is the direction in which an applicant can change the answer, or None; `reasons` are the texts for
    applicants, empty in releases of format 1.
    """

    name: str
    group: str
    label: Text
    help: Text
    unit: Text
    actionable: Literal["down", "up", "either"] | None
    reasons: tuple[Reason, ...] = ()

    def plain_reason(self, kind: str) -> Reason | None:
        """The reason for an answer of this kind by itself; None if the release has none."""
        plain = [reason for reason in self.reasons if not reason.columns]
        return next((reason for when in (kind, ANY) for reason in plain if reason.when == when), None)


class NumberField(Described, frozen=True, kw_only=True, tag="number"):
    """A number with a unit and inclusive bounds; `usual` is the 0.5–99.5 % range in training.

    `unit_one` is the singular: "month" if `unit` is "months". `example` is a raw answer.
    """

    minimum: Bound
    maximum: Bound
    whole: bool
    optional: bool
    unit_one: Text | None = None  # releases of format 1 have no singular
    typical: tuple[Bound, Bound]
    usual: tuple[Bound, Bound]
    example: Bound | str | None
    reference_answer: Bound | None = msgspec.field(name="reference")

    def __post_init__(self) -> None:
        for name, (low, high) in {
            "minimum and maximum": (self.minimum, self.maximum),
            "typical": self.typical,
            "usual": self.usual,
        }.items():
            if not -math.inf < low <= high < math.inf:
                raise ValueError(f"{name}: finite numbers are needed, the lower first, got {low!r} and {high!r}")

    @cached_property
    def reference(self) -> float:
        """The reference applicant's answer, encoded; NaN if it is unset."""
        return math.nan if self.reference_answer is None else float(self.reference_answer)

    @cached_property
    def _unit(self) -> Unit:
        return Unit(self.unit, self.unit_one or self.unit)

    def parse(self, raw: object) -> float:
        """The answer as one float64, or `AnswerRefused`."""
        if type(raw) is int or type(raw) is float:
            number: int | float = raw
        elif self.optional and (raw is None or (isinstance(raw, str) and raw == NOT_STATED)):
            return math.nan
        else:
            number = self._number(raw)
        # This comparison is false for NaN, and safe for integers too large for a float.
        if self.minimum <= number <= self.maximum:
            value = float(number) + 0.0  # + 0.0 turns -0.0 into 0.0
            if not self.whole or value.is_integer():
                return value
        raise self._refusal(number)

    def answer(self, value: float) -> float | int | None:
        """The inverse of `parse`: the canonical answer of an encoded value; None if it is not stated or unset."""
        if math.isnan(value):
            return None
        return int(value) if self.whole else value

    def answer_kind(self, value: float) -> str:
        """`high` or `low`, compared with the reference applicant, or `not_stated`; takes an encoded answer."""
        if math.isnan(value):
            return NOT_STATED
        return LOW if value < self.reference else HIGH

    @property
    def adverse_kinds(self) -> tuple[str, ...]:
        """The kinds of answer that differ from the reference applicant's, each of which can raise the PD."""
        can_occur = {HIGH: not self.reference >= self.maximum, LOW: not self.reference <= self.minimum}
        return tuple(kind for kind, can in (can_occur | {NOT_STATED: self.optional}).items() if can)

    def show(self, value: float, language: str) -> str:
        """Format an encoded answer for a person: the number with its unit."""
        if math.isnan(value):
            return NO_ANSWER[language]
        return self._unit.beside(self._unmistakable(write_number(value, language), language), value, language)

    def read(self, text: str, language: str, *, exponents: bool = False) -> Number | UnreadNumber:
        """Read text as a raw answer for `parse`, which refuses an `UnreadNumber`; see `inference.numbers`."""
        return Grammar(language, self._unit, self.whole, self.maximum, exponents).read(text)

    def write(self, value: float, language: str) -> str:
        """Format the number without its unit and with all its digits, so that `read` returns it unchanged."""
        return self._unmistakable(write_exactly(value, language), language)

    def beside(self, value: float, language: str) -> tuple[str, str]:
        """The texts before and after the number in its input box."""
        return self._unit.sign(language), self._unit.after(value, language)

    @property
    def typical_answer(self) -> float:
        """The example, or the lowest typical answer if the example is not stated."""
        return float(self.typical[0] if self.example is None or isinstance(self.example, str) else self.example)

    def _unmistakable(self, number: str, language: str) -> str:
        """Add a digit where exactly three decimals would be ambiguous: 18.125 becomes 18.1250."""
        if len(number.partition(DECIMAL[language])[2]) != 3:
            return number
        ungrouped = number.replace(THOUSANDS[language], "")
        ambiguous = any(isinstance(self.read(text, language), UnreadNumber) for text in (number, ungrouped))
        return number + "0" if ambiguous else number

    @property
    def allowed(self) -> str:
        """What the field accepts, as an English phrase."""
        kind = "a whole number" if self.whole else "a number"
        return f"{kind} from {self.minimum:,.10g} to {self.maximum:,.10g}" + (
            f", or {NOT_STATED}" if self.optional else ""
        )

    def _number(self, raw: object) -> int | float:
        """Convert a NumPy number; refuse anything else, even `numpy.ma.masked`, which NumPy takes for 0.0."""
        if isinstance(raw, np.generic) and raw.dtype.kind in "iuf":
            return float(raw) if raw.dtype.kind == "f" else int(raw)  # item() does not convert a longdouble
        if isinstance(raw, UnreadNumber):
            hint = TROUBLES[raw.kind] + (f": {either(raw.readings)}" if raw.readings else "")
            raise AnswerRefused(
                replace(problem_of(self, raw.kind, raw.text), hint=hint, extra=raw.extra, readings=raw.readings)
            )
        problem = problem_of(self, "not_stated" if raw is None else "not_a_number", raw)
        raise AnswerRefused(replace(problem, hint=self._instead(raw)) if isinstance(raw, str) else problem)

    def _instead(self, text: str) -> str:
        """A hint: what to send instead of text, and which numbers the text can mean if the languages disagree."""
        readings: set[Number] = set()
        for language in DECIMAL:
            reading = self.read(text, language, exponents=True)
            readings |= set(reading.readings if isinstance(reading, UnreadNumber) else (reading,))
        example = plain(self.typical_answer)
        if len(readings) == 1 and self.minimum <= (only := readings.pop()) <= self.maximum:
            example = only
        can_mean = f"; this text can mean {either(sorted(readings))}" if readings else ""
        return f"send a number such as {either([example])}, in JSON without quotes, not a text{can_mean}"

    def _refusal(self, raw: float) -> AnswerRefused:
        if isinstance(raw, float) and not math.isfinite(raw):
            return AnswerRefused(problem_of(self, "not_finite", raw))
        if raw < self.minimum:
            return AnswerRefused(problem_of(self, "too_small", raw))
        if raw > self.maximum:
            return AnswerRefused(problem_of(self, "too_large", raw))
        return AnswerRefused(problem_of(self, "not_whole", raw))


class Choice(Struct, frozen=True, kw_only=True):
    """One choice of a list; `count` is the number of training loans with it."""

    code: str
    label: Text
    count: Count


class ChoiceField(Described, frozen=True, kw_only=True, tag="choice"):
    """One of a list of codes; `example` is one of them.

    With `digits` the list is a hierarchy of digit codes such as NAICS: an answer has exactly that many digits, and a
    code that is not in the list is encoded as its longest known prefix (at least two digits).
    """

    choices: tuple[Choice, ...]
    digits: Count | None
    example: str | None
    reference_answer: str | None = msgspec.field(name="reference")

    def __post_init__(self) -> None:
        if len(self.index) < len(self.choices):
            raise ValueError("choices: a choice is listed twice")
        if self.reference_answer is not None and self.reference_answer not in self.index:
            raise ValueError(f"reference: {shorten(self.reference_answer)} is not one of the choices")

    @cached_property
    def index(self) -> Mapping[str, int]:
        """Code -> its position in the list."""
        return {choice.code: index for index, choice in enumerate(self.choices)}

    @cached_property
    def listed(self) -> Mapping[str, float]:
        """The codes that are answers as they stand in the list, and their encoded values."""
        return {code: float(place) for code, place in self.index.items() if self.digits in (None, len(code))}

    @cached_property
    def reference(self) -> float:
        """The reference applicant's choice, encoded; NaN if it is unset."""
        return math.nan if self.reference_answer is None else float(self.index[self.reference_answer])

    def parse(self, raw: object) -> float:
        """The choice's position in the list as a float64; raises `AnswerRefused`."""
        if type(raw) is str:
            value = self.listed.get(raw)
            if value is not None:
                return value
            if self.digits is not None and len(raw) == self.digits and raw.isascii() and raw.isdigit():
                return self._prefix(raw)
            raise AnswerRefused(problem_of(self, "not_a_choice", raw))
        if raw is None and NOT_STATED in self.index:
            return float(self.index[NOT_STATED])
        if isinstance(raw, str):  # numpy.str_ and other subclasses
            return self.parse(str(raw))
        raise AnswerRefused(problem_of(self, "not_stated" if raw is None else "not_a_text", raw))

    def _prefix(self, raw: str) -> float:
        for length in range(len(raw) - 1, 1, -1):
            index = self.index.get(raw[:length])
            if index is not None:
                return float(index)
        raise AnswerRefused(problem_of(self, "not_a_choice", raw))

    def answer(self, value: float) -> str | None:
        """The inverse of `parse`: the code of an encoded answer; None if it is unset."""
        return None if math.isnan(value) else self.choices[int(value)].code

    def answer_kind(self, value: float) -> str:
        """The code of an encoded answer, or `not_stated`."""
        return NOT_STATED if math.isnan(value) else self.choices[int(value)].code

    @property
    def adverse_kinds(self) -> tuple[str, ...]:
        """The codes that differ from the reference applicant's, each of which can raise the PD."""
        return tuple(choice.code for index, choice in enumerate(self.choices) if index != self.reference)

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups in which answers are compared: the choices, or the shortest codes of a hierarchy."""
        if self.digits is None:
            return tuple(choice.code for choice in self.choices)
        shortest = min(len(choice.code) for choice in self.choices)
        return tuple(choice.code for choice in self.choices if len(choice.code) == shortest)

    def group_of(self, value: float) -> str:
        """The group of an encoded answer that is set."""
        code = self.choices[int(value)].code
        return code if self.digits is None else code[: min(len(choice.code) for choice in self.choices)]

    def show(self, value: float, language: str) -> str:
        """Format an encoded answer for a person: the label of the choice."""
        return NO_ANSWER[language] if math.isnan(value) else self.choices[int(value)].label[language]

    @property
    def allowed(self) -> str:
        """What the field accepts, as an English phrase."""
        if self.digits is not None:
            return f"a code of {self.digits} digits that begins with a known sector"
        codes = [choice.code for choice in self.choices]
        return "one of " + ", ".join(codes if len(codes) <= 60 else [*codes[:60], "…"])


Field = NumberField | ChoiceField


def problem_of(field: Field, kind: str, raw: object) -> Problem:
    """A `Problem` that describes this answer."""
    return Problem(field.name, kind, field.allowed, shorten(raw), field.unit.en)


def without_reason(field: Field) -> list[str]:
    """The kinds of answer for which the field has no reason."""
    return [kind for kind in field.adverse_kinds if field.plain_reason(kind) is None]


def either(numbers: Sequence[Number]) -> str:
    """Numbers in program syntax: "18 or 18000"."""
    return " or ".join(f"{Decimal(repr(number)):f}" for number in numbers)


def shorten(raw: object) -> str:
    """A `repr` of at most 40 characters that never fails, for the person who gave the answer."""
    if isinstance(raw, int) and not isinstance(raw, bool) and raw.bit_length() > 128:
        return f"an integer of {raw.bit_length()} bits"
    if isinstance(raw, (str, bytes)):
        raw = raw[:40]
    elif not isinstance(raw, (int, float, type(None))):
        return f"a {type(raw).__name__}"
    text = repr(raw)
    return text if len(text) <= 40 else text[:39] + "…"


def field_from_json(spec: Mapping[str, object]) -> Field:
    """Build a field from a manifest's JSON; ValueError names the field and the part that is wrong."""
    try:
        field: Field = convert(spec, Field)
    except msgspec.ValidationError as error:
        raise ValueError(f"field {spec.get('name')}: {with_path(error)}") from None
    return field


def with_path(error: msgspec.MsgspecError) -> str:
    """A msgspec error with its path first: `fields[3].minimum: Expected `float`, got `str``."""
    text, _, path = str(error).rpartition(" - at `$")
    return f"{path.removesuffix('`').removeprefix('.')}: {text}" if text else str(error)
