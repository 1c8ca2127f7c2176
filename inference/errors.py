"""What can go wrong in scoring, each with what the reader needs to mend it."""

from dataclasses import dataclass


class TenfoldError(Exception):
    """Base of every error that Tenfold raises on purpose."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One answer that cannot be used.

    `kind` is a stable word for machines and for translation: `missing`, `unknown_field`, `not_a_number`,
    `not_a_text`, `not_finite`, `not_whole`, `too_small`, `too_large`, `not_a_choice`, `not_stated`; of a text that is
    not read as a number one of `inference.numbers.TROUBLES`, with the part that has to go (`extra`) and the numbers
    that the text can mean (`readings`). `hint` says what to do, where the rest does not. `got` is a short `repr` of the
    answer, for the person who gave it: it belongs in no log.
    """

    field: str
    kind: str
    allowed: str
    got: str
    unit: str = ""
    hint: str = ""
    extra: str = ""
    readings: tuple[int | float, ...] = ()

    def __str__(self) -> str:
        unit = f" ({self.unit})" if self.unit else ""
        hint = f"; {self.hint}" if self.hint else ""
        return f"{self.field}{unit}: {self.kind.replace('_', ' ')}; allowed: {self.allowed}; got: {self.got}{hint}"


class InvalidApplication(TenfoldError, ValueError):
    """The answers cannot be scored; `problems` names every bad field at once."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


class BadRelease(TenfoldError):
    """A release folder that must not be used: which file, what was expected, what was found."""

    def __init__(self, file: object, expected: object, found: object) -> None:
        self.file, self.expected, self.found = str(file), str(expected), str(found)
        super().__init__(
            f"release refused: {file}: expected {expected}, found {found}. "
            "Restore the folder from where it came, or train it again with 'make train'."
        )


class BadSetting(TenfoldError):
    """An environment variable that means nothing or holds a value that cannot be used."""


class EngineUnavailable(TenfoldError):
    """The engine asked for is not known or not installed here."""
