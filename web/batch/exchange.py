"""What the server and the process that reads a file tell each other: JSON files in the job's folder."""

from msgspec import Struct

from inference.errors import Problem
from inference.questions import Question
from inference.rules import Rulebook

REFUSED = 3  # beside the places in policy.DECISIONS, in `kinds`
BINS = 20  # of the histogram, each a share of the PD


class Order(Struct, frozen=True, kw_only=True):
    """What is to be done with a file (order.json)."""

    file: str  # its name in `input/`
    most_rows: int | None
    mapping: dict[str, str] = {}  # field -> column, of every field; empty: to be proposed
    remembered: dict[str, str] = {}  # the mapping of an earlier file
    reference: str | None = None  # the column with the client's own number of each application; None: to be proposed
    separator: str | None = None
    encoding: str | None = None
    decimal: str | None = None
    reasons: str = "none"
    rulebook: Rulebook = Rulebook()  # the lender's rules
    questions: tuple[Question, ...] = ()  # the lender's, beside those of the release
    lists_rows: bool = False  # whether a page lists the rows afterwards


class Column(Struct, frozen=True):
    """A column of the file, with values of its first rows."""

    name: str
    samples: list[str]


class Row(Struct, frozen=True, kw_only=True):
    """A row of the file. Without problems it has a PD where it was scored; with them the cells as they are."""

    row: int
    reference: str
    answers: dict[str, float | int | str | None]  # canonical; of a refused row those that can be used
    cells: dict[str, str] = {}
    problems: list[Problem] = []
    pd: float | None = None
    points: float | None = None
    decision: str = ""
    outcome: str = ""  # with the lender's rules


class Check(Struct, frozen=True, kw_only=True):
    """What a first reading of the file says (check.json)."""

    columns: list[Column]
    mapping: dict[str, str]  # proposed, or as ordered; a field without a column has an empty text
    reference: str
    reading: dict[str, str]
    problem: str = ""  # why the file cannot be scored as it is mapped, as a text's key; `detail` says more
    detail: str = ""
    rows: int = 0
    refused: int = 0
    sample: list[Row] = []


class Outcome(Struct, frozen=True, kw_only=True):
    """What came of the scoring (outcome.json)."""

    rows: int
    scored: int
    rejected: int
    decisions: dict[str, int]
    histogram: list[list[int]] = []  # BINS, each with a count for every decision


class Progress(Struct, frozen=True):
    """How far the scoring is; `of` is None where nobody knows."""

    rows: int = 0
    rejected: int = 0
    of: int | None = None
