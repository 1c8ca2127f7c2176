"""Errors of scoring. Each says what the reader needs to fix it."""

from dataclasses import dataclass


class TenfoldError(Exception):
    """Base of every error that Tenfold raises on purpose."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One answer that cannot be used.

    `kind` is a stable word for machines and for translation: `missing`, `unknown_field`, `not_a_number`,
    `not_a_text`, `not_finite`, `not_whole`, `too_small`, `too_large`, `not_a_choice`, `not_stated`. For text
    that cannot be read as a number, it is one of `inference.numbers.TROUBLES`; `extra` is then the part to remove and
    `readings` are the numbers that the text can mean. `hint` says what to do where the kind does not. `got` is a short
    `repr` of the answer, for the person who gave it: never log it.
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
    """The answers cannot be scored; `problems` lists every bad field."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


class BadRelease(TenfoldError):
    """A release folder that must not be used: the file, what was expected, and what was found instead (`actual`)."""

    def __init__(self, file: object, expected: object, actual: object) -> None:
        self.file, self.expected, self.actual = str(file), str(expected), str(actual)
        super().__init__(
            f"release refused: {file}: expected {expected}, found {actual}. "
            "Restore the folder from where it came, or train it again with 'make train'."
        )


class BadSetting(TenfoldError):
    """An environment variable that is unknown or has an invalid value."""


class EngineUnavailable(TenfoldError):
    """The requested engine is unknown, not installed, or does not reproduce the release's golden PDs."""
