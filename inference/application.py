"""Validates raw answers: a frozen `Application`, or an error that lists every invalid answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from inference.errors import InvalidApplication, Problem
from inference.fields import AnswerRefused, Field, problem_of, shorten


class Application(NamedTuple):
    """The validated answers of one applicant.

    `values` holds one float64 per field, in field order, encoded as described in `inference.fields`.
    """

    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of a release, in order."""

    fields: tuple[Field, ...]

    def __post_init__(self) -> None:
        if len(set(self.names)) < len(self.names):
            raise ValueError(f"a field is listed twice: {', '.join(self.names)}")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(field.name for field in self.fields)

    def position(self, name: str) -> int:
        """The position of the field with this name; ValueError if no field has it."""
        if name not in self.names:
            raise ValueError(f"{name} is not a field")
        return self.names.index(name)

    def parse(self, answers: Mapping[str, object]) -> Application:
        """Validate a mapping of field name -> answer.

        Raises `InvalidApplication`, which lists every bad, missing or unknown field.
        """
        try:
            if len(answers) == len(self.fields):
                return Application(tuple([field.parse(answers[field.name]) for field in self.fields]))
        except (AnswerRefused, KeyError):
            pass  # collect every problem, not only the first
        raise InvalidApplication(tuple(self._problems(answers)))

    def _problems(self, answers: Mapping[str, object]) -> list[Problem]:
        problems = []
        for field in self.fields:
            if field.name not in answers:
                problems.append(replace(problem_of(field, "missing", None), got="no answer"))
                continue
            try:
                field.parse(answers[field.name])
            except AnswerRefused as refused:
                problems.append(refused.problem)
        known = ", ".join(self.names)
        problems += [
            Problem(shorten(name), "unknown_field", known, "an answer") for name in answers if name not in self.names
        ]
        return problems

    def name_answers(self, answers: Sequence[object], named: Mapping[str, object]) -> dict[str, object]:
        """Combine positional answers (in field order) and named ones into one mapping, as a Python call binds them.

        Surplus or duplicate answers get a name that no field has, so that `parse` refuses them with all other problems.
        """
        bound: dict[str, object] = dict(zip(self.names, answers, strict=False))
        bound |= {f"answer {number}": answers[number - 1] for number in range(len(self.fields) + 1, len(answers) + 1)}
        return bound | {f"{name} (twice)" if name in bound else name: answer for name, answer in named.items()}

    def encode(self, columns: Mapping[str, Sequence[object]]) -> npt.NDArray[np.float64]:
        """Encode columns of answers -> (m, n_fields) float64, with the same parsing as for one application.

        Raises `InvalidApplication` at the first invalid answer.
        """
        encoded = []
        for field in self.fields:
            try:
                encoded.append([field.parse(raw) for raw in columns[field.name]])
            except AnswerRefused as refused:
                raise InvalidApplication((refused.problem,)) from None
        return np.array(encoded, np.float64).T.copy()

    def answers(self, application: Application) -> dict[str, float | int | str | None]:
        """The canonical answers of an application, for records and replays."""
        return {field.name: field.answer(value) for field, value in zip(self.fields, application.values, strict=True)}

    @property
    def reference(self) -> Application:
        """The reference applicant: medians and most common answers; long lists are unset (NaN)."""
        return Application(tuple(field.reference for field in self.fields))

    @property
    def example(self) -> dict[str, object]:
        """A complete set of raw answers that the form accepts."""
        return {field.name: field.example for field in self.fields}
