"""The ten questions: what each accepts, and how an answer becomes a number.

Every answer is held as one float64: a number as itself, a choice as its index in the field's list, and
"not stated" as NaN where the field is a number. Texts end here.
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
HIGH, LOW, ANY = "high", "low", "any"  # what a reason is for: see `Reason`
NO_ANSWER = {"en": "not stated", "fr": "non précisé"}
# Numbers of a manifest stay as they were written, 1000 or 1000.5, so that the API shows the same again. JSON has no
# NaN; an integer that leaves 64 bits is refused, since not every reader of the API could hold it.
Whole = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Bound = Whole | float


class AnswerRefused(Exception):
    """One answer refused. Never leaves this package: callers see `InvalidApplication`."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(str(problem))


class Reason(Struct, frozen=True, kw_only=True):
    """What is wrong with an answer, written for the applicant.

    `when` is the answer it is for: of a number `high` or `low` (beside the reference applicant's) or `not_stated`, of a
    choice its code, or `any` for all codes without one. With `columns` it is for what the answer makes of another
    one, such as the amount for the price: columns of the model. Without, it is for the answer itself.
    """

    code: str
    when: str = ""  # the code where it is not said
    columns: tuple[str, ...] = ()
    text: Words

    def __post_init__(self) -> None:
        if not self.when:
            msgspec.structs.force_setattr(self, "when", self.code)


class Described(Struct, frozen=True, kw_only=True, dict=True, omit_defaults=True, tag_field="kind"):
    """What both kinds of field have, as a release's manifest holds it. `Field` is what a form is made of.

    `actionable` is the direction in which an applicant can move the answer, or None; `reasons` are the texts for
    applicants, empty in releases of the first format.
    """

    name: str
    group: str
    label: Text
    help: Text
    unit: Text
    actionable: Literal["down", "up", "either"] | None
    reasons: tuple[Reason, ...] = ()

    def plain_reason(self, standing: str) -> Reason | None:
        """The reason for an answer itself that is so; None where the release has no such reason."""
        plain = [reason for reason in self.reasons if not reason.columns]
        return next((one for when in (standing, ANY) for one in plain if one.when == when), None)


class NumberField(Described, frozen=True, kw_only=True, tag="number"):
    """A number with a unit and bounds (both allowed values); `usual` is the 0.5–99.5 % range in training.

    `unit_one` is the unit beside one: "month" where `unit` is "months". `example` is a raw answer.
    """

    minimum: Bound
    maximum: Bound
    whole: bool
    optional: bool
    unit_one: Text | None = None  # in releases of the first format nothing says the singular
    typical: tuple[Bound, Bound]
    usual: tuple[Bound, Bound]
    example: Bound | str | None
    reference_answer: Bound | None = msgspec.field(name="reference")

    def __post_init__(self) -> None:
        for what, (low, high) in {
            "minimum and maximum": (self.minimum, self.maximum),
            "typical": self.typical,
            "usual": self.usual,
        }.items():
            if not -math.inf < low <= high < math.inf:
                raise ValueError(f"{what}: finite numbers are needed, the lower first, got {low!r} and {high!r}")

    @cached_property
    def reference(self) -> float:
        """The reference applicant's value, encoded; NaN where it is unset."""
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
        # The comparison is also false for NaN, and safe for integers too large for a float.
        if self.minimum <= number <= self.maximum:
            value = float(number) + 0.0  # + 0.0 turns -0.0 into 0.0
            if not self.whole or value.is_integer():
                return value
        raise self._refusal(number)

    def answer(self, value: float) -> float | int | None:
        """The inverse of `parse`: the canonical answer for an encoded value; None for not stated or unset."""
        if math.isnan(value):
            return None
        return int(value) if self.whole else value

    def standing(self, value: float) -> str:
        """What an encoded answer is beside the reference's: `high`, `low` or `not_stated`."""
        if math.isnan(value):
            return NOT_STATED
        return LOW if value < self.reference else HIGH

    @property
    def standings(self) -> tuple[str, ...]:
        """All that `standing` can say of answers other than the reference's: each can raise the PD."""
        possible = {HIGH: not self.reference >= self.maximum, LOW: not self.reference <= self.minimum}
        return tuple(side for side, there in (possible | {NOT_STATED: self.optional}).items() if there)

    def show(self, value: float, language: str) -> str:
        """An encoded value for a person: the number with its unit."""
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
        return float(self.typical[0] if self.example is None or isinstance(self.example, str) else self.example)

    def _unmistakable(self, number: str, language: str) -> str:
        """With one more digit where exactly three after the decimal mark would be asked about: 18.125 as 18.1250."""
        if len(number.partition(DECIMAL[language])[2]) != 3:
            return number
        ungrouped = number.replace(THOUSANDS[language], "")
        asked = any(isinstance(self.read(text, language), UnreadNumber) for text in (number, ungrouped))
        return number + "0" if asked else number

    @property
    def allowed(self) -> str:
        """What the field accepts, as one English phrase."""
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
                replace(problem_of(self, raw.kind, raw.text), hint=hint, extra=raw.extra, readings=raw.readings)
            )
        problem = problem_of(self, "not_stated" if raw is None else "not_a_number", raw)
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

    def _refusal(self, raw: float) -> AnswerRefused:
        if isinstance(raw, float) and not math.isfinite(raw):
            return AnswerRefused(problem_of(self, "not_finite", raw))
        if raw < self.minimum:
            return AnswerRefused(problem_of(self, "too_small", raw))
        if raw > self.maximum:
            return AnswerRefused(problem_of(self, "too_large", raw))
        return AnswerRefused(problem_of(self, "not_whole", raw))


class Choice(Struct, frozen=True, kw_only=True):
    """One answer of a list; `count` is how many training loans gave it."""

    code: str
    label: Text
    count: Count


class ChoiceField(Described, frozen=True, kw_only=True, tag="choice"):
    """One of a list of codes; `example` is one of them.

    With `digits` the list is a hierarchy of digit codes such as NAICS: an answer has exactly that many
    digits, and one that is not in the list stands for its longest known prefix (at least two digits).
    """

    choices: tuple[Choice, ...]
    digits: Count | None
    example: str | None
    reference_answer: str | None = msgspec.field(name="reference")

    def __post_init__(self) -> None:
        if len(self.index) < len(self.choices):
            raise ValueError("choices: one is listed twice")
        if self.reference_answer is not None and self.reference_answer not in self.index:
            raise ValueError(f"reference: {shorten(self.reference_answer)} is not one of the choices")

    @cached_property
    def index(self) -> Mapping[str, int]:
        """Code -> the number that stands for it."""
        return {choice.code: at for at, choice in enumerate(self.choices)}

    @cached_property
    def reference(self) -> float:
        """The reference applicant's choice, encoded; NaN where it is unset."""
        return math.nan if self.reference_answer is None else float(self.index[self.reference_answer])

    def parse(self, raw: object) -> float:
        """The answer's number in the list as one float64, or `AnswerRefused`."""
        if type(raw) is str:
            if self.digits is None or len(raw) == self.digits:
                found = self.index.get(raw)
                if found is not None:
                    return float(found)
                if self.digits is not None and raw.isascii() and raw.isdigit():
                    return self._prefix(raw)
            raise AnswerRefused(problem_of(self, "not_a_choice", raw))
        if raw is None and NOT_STATED in self.index:
            return float(self.index[NOT_STATED])
        if isinstance(raw, str):  # numpy.str_ and other subclasses
            return self.parse(str(raw))
        raise AnswerRefused(problem_of(self, "not_stated" if raw is None else "not_a_text", raw))

    def _prefix(self, raw: str) -> float:
        for length in range(len(raw) - 1, 1, -1):
            found = self.index.get(raw[:length])
            if found is not None:
                return float(found)
        raise AnswerRefused(problem_of(self, "not_a_choice", raw))

    def answer(self, value: float) -> str | None:
        """The inverse of `parse`: the code of an encoded value; None for unset."""
        return None if math.isnan(value) else self.choices[int(value)].code

    def standing(self, value: float) -> str:
        """The code of an encoded answer, or `not_stated`."""
        return NOT_STATED if math.isnan(value) else self.choices[int(value)].code

    @property
    def standings(self) -> tuple[str, ...]:
        """All that `standing` can say of answers other than the reference's: each can raise the PD."""
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
        """An encoded value for a person: the label of the choice."""
        return NO_ANSWER[language] if math.isnan(value) else self.choices[int(value)].label[language]

    @property
    def allowed(self) -> str:
        """What the field accepts, as one English phrase."""
        if self.digits is not None:
            return f"a code of {self.digits} digits that begins with a known sector"
        codes = [choice.code for choice in self.choices]
        return "one of " + ", ".join(codes if len(codes) <= 60 else [*codes[:60], "…"])


Field = NumberField | ChoiceField


def problem_of(field: Field, kind: str, raw: object) -> Problem:
    """A `Problem` with this answer."""
    return Problem(field.name, kind, field.allowed, shorten(raw), field.unit.en)


def untold(field: Field) -> list[str]:
    """The standings that no reason is for."""
    return [standing for standing in field.standings if field.plain_reason(standing) is None]


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


def field_from_json(spec: Mapping[str, object]) -> Field:
    """A field as a manifest describes it, or a ValueError that names the field and the part that is wrong."""
    try:
        found: Field = convert(spec, Field)
    except msgspec.ValidationError as error:
        raise ValueError(f"field {spec.get('name')}: {located(error)}") from None
    return found


def located(error: msgspec.MsgspecError) -> str:
    """What msgspec found wrong, its path first: `fields[3].minimum: Expected `float`, got `str``."""
    text, _, path = str(error).rpartition(" - at `$")
    return f"{path.removesuffix('`').removeprefix('.')}: {text}" if text else str(error)
