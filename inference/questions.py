"""Questions about answers that are possible but odd together, such as an amount above the price. Never a refusal."""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
from msgspec import Struct, to_builtins

from inference.application import Application, Form
from inference.fields import NumberField
from inference.languages import Words

CONFIRMED, OPEN = "confirmed", "open"  # what became of a question


class Question(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asked where the answer to `field` is above that to the field `above`; not where one of them is not stated."""

    name: str
    field: str
    above: str
    text: Words


class Questions:
    """The questions for one form. Raises ValueError, with the path of what the form does not have."""

    def __init__(self, questions: Sequence[Question], form: Form) -> None:
        self.questions = tuple(questions)
        self._places: list[tuple[Question, int, int]] = []
        for place, question in enumerate(questions):
            high = position(form, question.field, f"questions[{place}].field")
            self._places.append((question, high, position(form, question.above, f"questions[{place}].above")))
        names = [question.name for question in questions]
        for place, (question, high, low) in enumerate(self._places):
            if question.name in names[:place]:
                raise ValueError(f"questions[{place}].name: {question.name} is there twice")
            if high == low or form.fields[high].unit != form.fields[low].unit:
                raise ValueError(f"questions[{place}].above: another field with the unit of {question.field} is needed")

    def raised_by(self, application: Application) -> tuple[Question, ...]:
        """The questions that these answers raise, in their order."""
        values = application.values  # a comparison with NaN, which is not stated, is false
        return tuple([question for question, high, low in self._places if values[high] > values[low]])

    def raised_by_many(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Which questions encoded answers (m, n_fields) raise: (m, n_questions)."""
        raised = np.empty((len(values), len(self._places)), bool)
        for index, (_, high, low) in enumerate(self._places):
            raised[:, index] = values[:, high] > values[:, low]
        return raised


def warnings(raised: Iterable[Question]) -> list[dict[str, object]]:
    """Questions as answers in JSON have them, where nobody can be asked."""
    return [
        {"code": question.name, "fields": [question.field, question.above], "text": to_builtins(question.text)}
        for question in raised
    ]


def position(form: Form, name: str, path: str) -> int:
    """The position of a number field that a question names."""
    place = form.names.index(name) if name in form.names else -1
    if place < 0 or not isinstance(form.fields[place], NumberField):
        numbers = [field.name for field in form.fields if isinstance(field, NumberField)]
        raise ValueError(f"{path}: one of the number fields is needed, {', '.join(numbers)}; got {name!r}")
    return place
