"""A file of outcomes: CSV with the columns `id` or `reference`, `outcome`, `date`; all bad lines are named at once.

`outcome` is a word for repaid, bad or running: those three, and what a recipe or the lender calls them. `date` is the
day on which the loan was repaid or became bad (ISO); a loan that still runs has no outcome yet, and may have none.
Other columns are left alone. Messages give lines, never what stands in them.
"""

import csv
import hashlib
import io
import tomllib
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

from inference.errors import TenfoldError
from ledger.events import BAD, REPAID

COLUMNS = ("id", "reference", "outcome", "date")
SHOWN = 50  # problems that a message has
SEPARATORS = (",", ";", "\t")
RUNNING = "running"  # neither repaid nor bad yet: nothing is recorded of it
OURS: Mapping[str, str] = {REPAID: REPAID, BAD: BAD, RUNNING: RUNNING}


class BadOutcomes(TenfoldError):
    """Nothing of a file is recorded; the message has a line for each problem."""

    def __init__(self, file: Path, problems: Sequence[str]) -> None:
        head = f"{file}: nothing was recorded, because of {len(problems):,} problem{'s' if len(problems) > 1 else ''}"
        rest = [f"and {len(problems) - SHOWN:,} more"] if len(problems) > SHOWN else []
        super().__init__("\n".join([head, *problems[:SHOWN], *rest]))
        self.problems = tuple(problems)


class Line(NamedTuple):
    """One line that can be read; `id` or `reference` is empty, or neither is."""

    number: int  # in the file, from 1
    id: str
    reference: str
    outcome: str  # repaid, bad or running
    day: str  # ISO date; empty where a running loan has none


class OutcomeFile(NamedTuple):
    """What a file says, and what is wrong with its other lines."""

    file: Path
    sha256: str
    lines: tuple[Line, ...]
    problems: tuple[str, ...]


def words_of(
    recipe: Path | None, bad: Sequence[str] = (), repaid: Sequence[str] = (), running: Sequence[str] = ()
) -> dict[str, str]:
    """Word -> repaid, bad or running: ours, those of a recipe's [loans], and others by hand. Raises `BadOutcomes`."""
    words = dict(OURS)
    by_hand = ((BAD, bad), (REPAID, repaid), (RUNNING, running))
    pairs = [(word, outcome) for outcome, given in by_hand for word in given]
    if recipe is not None:
        try:
            loans = tomllib.loads(recipe.read_text("utf-8")).get("loans", {})
            pairs += [(str(word), BAD) for word in loans.get("bad", ())]
            pairs += [(str(word), REPAID) for word in loans.get("good", ())]
        except OSError as error:
            raise BadOutcomes(recipe, [f"the recipe cannot be read: {error.strerror}"]) from None
        except (UnicodeDecodeError, tomllib.TOMLDecodeError, AttributeError, TypeError) as error:
            raise BadOutcomes(recipe, [f"this is not a recipe: {error}"]) from None
    for word, outcome in pairs:
        if words.setdefault(word, outcome) != outcome:
            raise BadOutcomes(
                recipe or Path("--bad, --repaid, --running"), [f"{word!r} means both {words[word]} and {outcome}"]
            )
    return words


def read_outcomes(file: Path, words: Mapping[str, str], today: date) -> OutcomeFile:
    """All lines of a file. Raises `BadOutcomes` where it cannot be read at all; `problems` name single lines."""
    try:
        content = file.read_bytes()
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise BadOutcomes(file, [str(error.strerror)]) from None
    except UnicodeDecodeError:
        raise BadOutcomes(file, ["the file is not UTF-8. Save it as 'CSV UTF-8'"]) from None
    first = text.partition("\n")[0]
    separator = max(SEPARATORS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        places = places_of(file, header)
        lines, problems = [], []
        for cells in reader:
            number = reader.line_num
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                problems.append(f"line {number:,}: {len(cells)} columns, and the header has {len(header)}")
                continue
            read = line_of(number, {name: cells[place].strip() for name, place in places.items()}, words, today)
            if isinstance(read, Line):
                lines.append(read)
            else:
                problems += read
    except csv.Error as error:
        raise BadOutcomes(file, [f"line {reader.line_num:,}: {error}"]) from None
    if not lines and not problems:
        raise BadOutcomes(file, ["there is a header and no line"])
    return OutcomeFile(file, hashlib.sha256(content).hexdigest(), tuple(lines), tuple(problems))


def places_of(file: Path, header: Sequence[str]) -> dict[str, int]:
    """Column -> place. Raises `BadOutcomes`."""
    problems = [f"two columns are called {name}" for name in COLUMNS if header.count(name) > 1]
    problems += [f"no column is called {name}" for name in COLUMNS[2:] if name not in header]
    if not {"id", "reference"} & set(header):
        problems.append("no column is called id or reference")
    if problems:
        raise BadOutcomes(file, problems)
    return {name: header.index(name) for name in COLUMNS if name in header}


def line_of(number: int, cells: Mapping[str, str], words: Mapping[str, str], today: date) -> Line | list[str]:
    """A line, or all that is wrong with it."""
    problems = []
    id, reference = cells.get("id", ""), cells.get("reference", "")
    if not id and not reference:
        problems.append(f"line {number:,}: neither an id nor a reference")
    outcome = words.get(cells["outcome"])
    if outcome is None:
        known = ", ".join(map(repr, words))
        problems.append(
            f"line {number:,}: the outcome is not one of {known}. Add words by --bad, --repaid, --running or --recipe"
        )
    day = ""
    if cells["date"] or outcome != RUNNING:
        try:
            day = date.fromisoformat(cells["date"]).isoformat()
            if day > today.isoformat():
                problems.append(f"line {number:,}: the date lies in the future")
        except ValueError:
            problems.append(f"line {number:,}: the date is not like {today.isoformat()}")
    if problems or outcome is None:
        return problems
    return Line(number, id, reference, outcome, day)
