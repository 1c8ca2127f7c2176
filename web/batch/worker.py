"""Checks or scores a file in a process of its own: `python -m web.batch.worker check|score FOLDER`.

Files that people send are parsed only here, confined and with a low priority: neither a crash nor a long file reaches
the server. Scores are those of `tenfold book`, which this calls.
"""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from inference.application import Form
from inference.book import command
from inference.book.batches import BatchScorer
from inference.book.columns import Checked, check, raw_answer
from inference.book.csv_files import SEPARATORS
from inference.book.errors import BadBook
from inference.book.pieces import Piece, Source, Told
from inference.book.sources import open_source
from inference.engines import open_engine
from inference.errors import Problem, TenfoldError
from inference.fields import AnswerRefused
from inference.lender_option import OfLender
from inference.policy import DECISIONS
from inference.release import Release, open_release
from inference.rules import LenderRules
from inference.settings import Settings
from web.batch.exchange import BINS, REFUSED, Check, Column, Order, Outcome, Row
from web.pages.texts import LANGUAGES

SAMPLED = 3  # values of each column
SHOWN = 10  # rows of the preview
LONGEST_CELL = 60  # characters of a cell that a page shows
ROWS_A_PART = 5000  # so that progress is seen
NICENESS = 10
NO_FORM = Form(())
REFERENCES = {"reference", "id", "loanid", "applicationid", "ref", "référence", "numéro", "dossier"}


class TooManyRows(BadBook):
    """More than the page takes."""


def main(arguments: Sequence[str]) -> int:
    """Exit status: 0 done, 1 it cannot be done, and standard error says why."""
    os.nice(NICENESS)
    what, folder = arguments[0], Path(arguments[1])
    order = msgspec.json.decode((folder / "order.json").read_bytes(), type=Order)
    settings = Settings.from_environment()
    try:
        release = open_release(settings.release, settings.release_digest)
        if what == "check":
            write(folder / "check.json", checked_file(folder / "input" / order.file, order, release))
            return 0
        return score(folder, order, release, settings.engine)
    except TenfoldError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1


def write(file: Path, content: msgspec.Struct) -> None:
    """The file is complete or not there."""
    temporary = file.with_suffix(".tmp")
    temporary.write_bytes(msgspec.json.encode(content))
    temporary.replace(file)


# --- the first reading ---


def checked_file(path: Path, order: Order, release: Release) -> Check:
    """Columns, a mapping, and the first rows with their problems; all rows are counted."""
    form = release.form
    options = with_separator(path, order)
    header = open_source(str(path), NO_FORM, {}, options)
    names = list(header.schema.names)
    columns = [Column(name, values) for name, values in zip(names, samples(header), strict=True)]
    mapping = (
        {name: order.mapping.get(name, "") for name in form.names} if order.mapping else proposed(form, names, order)
    )
    reference = order.reference if order.reference is not None else next(
        (name for name in names if simple(name) in REFERENCES and name not in mapping.values()), ""
    )  # fmt: skip
    reading = {name: str(value) for name, value in header.reading().items()}
    result = Check(columns=columns, mapping=mapping, reference=reference, reading=reading)
    if missing := [name for name in form.names if mapping[name] not in names]:
        return msgspec.structs.replace(result, problem="missing", detail=" ".join(missing))
    chosen = list(mapping.values())
    if twice := next((column for column in chosen if chosen.count(column) > 1), ""):
        return msgspec.structs.replace(result, problem="twice", detail=twice)
    try:
        source = open_source(str(path), form, renamed(mapping), options)
        rows = refused = 0
        sample: list[Row] = []
        for piece, answers in checked_pieces(source, form, mapping, order.most_rows):
            rows += piece.batch.num_rows + len(piece.ragged)
            refused += len(answers.refused) + len(piece.ragged)
            if len(sample) < SHOWN:
                sample += rows_of(
                    piece.batch.slice(0, SHOWN), piece, answers, form, mapping, reference, source.language
                )
    except BadBook as error:
        problem = "too_many" if isinstance(error, TooManyRows) else "unreadable"
        return msgspec.structs.replace(result, problem=problem, detail=cleaned(str(error), path))
    reading = {name: str(value) for name, value in source.reading().items()}
    sample = sorted(sample, key=lambda row: row.row)[:SHOWN]
    return msgspec.structs.replace(result, reading=reading, rows=rows, refused=refused, sample=sample)


def with_separator(path: Path, order: Order) -> Told:
    """How the file is read. The separator of a CSV file is the one that finds most columns in its header."""
    options = Told(order.separator, order.encoding, order.decimal, rows_a_part=ROWS_A_PART)
    if options.separator is not None or path.suffix.lower() not in (".csv", ".tsv", ".txt"):
        return options
    counts = {}
    for mark in SEPARATORS:
        candidate = Told(mark, order.encoding, order.decimal, rows_a_part=ROWS_A_PART)
        try:
            counts[mark] = len(open_source(str(path), NO_FORM, {}, candidate).schema.names)
        except BadBook as error:
            failure = error
    if not counts:
        raise failure
    return Told(max(counts, key=lambda mark: counts[mark]), order.encoding, order.decimal, rows_a_part=ROWS_A_PART)


def samples(source: Source) -> list[list[str]]:
    """Of each column the values of the first rows."""
    for part in source.parts(()):
        for piece in part.read():
            if piece.batch.num_rows:
                return [
                    [cell_text(cell) for cell in column.slice(0, SAMPLED).to_pylist()] for column in piece.batch.columns
                ]
    return [[] for _ in source.schema.names]


def simple(name: str) -> str:
    """A name without case, spaces and marks, for comparing."""
    return "".join(mark for mark in name.casefold() if mark.isalnum())


def proposed(form: Form, names: Sequence[str], order: Order) -> dict[str, str]:
    """The column of each field: of the same name, as an earlier file had it, or with a name or label that is nearly the
    same; an empty text for a field that has none."""
    mapping = dict.fromkeys(form.names, "")
    free = dict.fromkeys(names)

    def take(field: str, column: str | None) -> None:
        if not mapping[field] and column in free:
            mapping[field] = column
            del free[column]

    for name in form.names:
        take(name, name)
    for name in form.names:
        take(name, order.remembered.get(name))
    for field in form.fields:
        wanted = {simple(field.name), *(simple(field.label[language]) for language in LANGUAGES)}
        take(field.name, next((name for name in free if simple(name) in wanted), None))
    return mapping


def renamed(mapping: Mapping[str, str]) -> dict[str, str]:
    """Only the fields whose column has another name, as `tenfold book` takes it."""
    return {field: column for field, column in mapping.items() if field != column}


def checked_pieces(
    source: Source, form: Form, mapping: Mapping[str, str], most: int | None
) -> Iterator[tuple[Piece, Checked]]:
    """The file piece by piece, with what the door says of each. Raises `TooManyRows`."""
    rows = 0
    for part in source.parts(()):
        for piece in part.read():
            rows += piece.batch.num_rows + len(piece.ragged)
            if most is not None and rows > most:
                raise TooManyRows(f"{most:,}")
            answers = piece.batch.select([mapping[name] for name in form.names]).rename_columns(list(form.names))
            yield piece, check(answers, form, source.language)


def rows_of(
    batch: object, piece: Piece, checked: Checked, form: Form, mapping: Mapping[str, str], reference: str, language: str
) -> list[Row]:
    """The rows of a piece as a page shows them; `batch` is the piece's, or its beginning."""
    columns = {name: batch.column(mapping[name]).to_pylist() for name in form.names}  # type: ignore[attr-defined]
    n = batch.num_rows  # type: ignore[attr-defined]
    numbered = (
        piece.batch.column(reference).slice(0, n).to_pylist() if reference in piece.batch.schema.names else [""] * n
    )
    refused = dict(checked.refused)
    rows = []
    for place in range(n):
        raw = {name: columns[name][place] for name in form.names}
        values = checked.values[place].tolist()
        answers = (
            usable(form, raw, language)
            if place in refused
            else {field.name: field.answer(value) for field, value in zip(form.fields, values, strict=True)}
        )
        rows.append(
            Row(
                row=int(piece.rows[place]),
                reference=cell_text(numbered[place]),
                answers=answers,
                cells={name: cell_text(cell) for name, cell in raw.items()},
                problems=list(refused.get(place, ())),
            )
        )
    rows += [
        Row(row=record.row, reference="", answers={},
            problems=[Problem("", "columns", str(record.expected), str(record.actual))])
        for record in piece.ragged
    ]  # fmt: skip
    return rows


def usable(form: Form, raw: Mapping[str, object], language: str) -> dict[str, float | int | str | None]:
    """The answers of a refused row that can be used."""
    answers = {}
    for field in form.fields:
        try:
            answers[field.name] = field.answer(field.parse(raw_answer(field, raw[field.name], language)))
        except AnswerRefused:
            continue
    return answers


def cell_text(cell: object) -> str:
    """A cell on one line."""
    text = "" if cell is None else " ".join(str(cell)[: 2 * LONGEST_CELL].split())
    return text if len(text) <= LONGEST_CELL else f"{text[: LONGEST_CELL - 1]}…"


# --- the scores ---


def score(folder: Path, order: Order, release: Release, engine: str) -> int:
    """Score the file as `tenfold book` does; then list its rows, where a page shows them."""
    path = folder / "input" / order.file
    options = with_separator(path, order)
    if order.most_rows is not None:  # before a row is scored
        source = open_source(str(path), release.form, renamed(order.mapping), options)
        try:
            for _ in checked_pieces(source, release.form, order.mapping, order.most_rows):
                pass
        except TooManyRows:
            raise BadBook(f"{order.file} has more than {order.most_rows:,} rows") from None
    ending = path.suffix if path.suffix in (".parquet", ".xlsx") else ".csv"
    words = [str(path), str(folder / "result" / f"{path.stem}-scores{ending}"), "--json", "--workers", "1"]
    words += ["--rows-a-part", str(ROWS_A_PART), "--reasons", order.reasons]
    for field, column in renamed(order.mapping).items():
        words += ["--map", f"{field}={column}"]
    for name in ("separator", "encoding", "decimal"):
        if value := getattr(options, name):
            words += [f"--{name}", value]
    (folder / "result").mkdir()
    status = command.main(
        words, lambda scored: write(folder / "scored.json", scored), lambda _, release: of_lender(order, release)
    )
    if status == 0 and order.lists_rows:
        list_rows(folder, order, release, engine, options)
    return status


def of_lender(order: Order, release: Release) -> OfLender:
    """The lender's rules and questions as they were when the file was sent."""
    rules = None if order.rulebook.is_empty else LenderRules(order.rulebook, release.form, release.policy)
    return OfLender(rules, order.questions)


def list_rows(folder: Path, order: Order, release: Release, engine: str, options: Told) -> None:
    """Write every row with its score or problems (rows.jsonl), where each begins (8 bytes a row), what came of it
    (`kinds`, a byte a row), and the counts of the histogram."""
    scorer = BatchScorer(release, open_engine(engine, release), rules=of_lender(order, release).rules)
    form, mapping = release.form, order.mapping
    source = open_source(str(folder / "input" / order.file), form, renamed(mapping), options)
    histogram = [[0] * len(DECISIONS) for _ in range(BINS)]
    kinds, position = bytearray(), 0
    with (folder / "rows.jsonl").open("wb") as lines, (folder / "offsets").open("wb") as offsets:
        for piece, checked in checked_pieces(source, form, mapping, order.most_rows):
            scored = scorer.score(checked.values[checked.good])
            places = {place: number for number, place in enumerate(checked.good.nonzero()[0].tolist())}
            rows = rows_of(piece.batch, piece, checked, form, mapping, order.reference or "", source.language)
            listed = []
            for place, row in enumerate(rows):
                kind = REFUSED
                if place in places:
                    number = places[place]
                    kind, pd = int(scored.decisions[number]), float(scored.pds[number])
                    histogram[min(BINS - 1, int(pd * BINS))][kind] += 1
                    row = msgspec.structs.replace(
                        row, cells={}, pd=pd, points=float(scored.points[number]), decision=DECISIONS[kind],
                        outcome="" if scored.rulings is None else DECISIONS[scored.rulings.outcomes[number]],
                    )  # fmt: skip
                listed.append((row, kind))
            for row, kind in sorted(listed, key=lambda pair: pair[0].row):
                line = msgspec.json.encode(row) + b"\n"
                lines.write(line)
                offsets.write(position.to_bytes(8, "little"))
                kinds.append(kind)
                position += len(line)
    (folder / "kinds").write_bytes(kinds)
    counts = {decision: kinds.count(place) for place, decision in enumerate(DECISIONS)}
    refused = kinds.count(REFUSED)
    write(
        folder / "outcome.json",
        Outcome(rows=len(kinds), scored=len(kinds) - refused, rejected=refused, decisions=counts, histogram=histogram),
    )


def cleaned(message: str, path: Path) -> str:
    """A message without the folder of this server."""
    return message.replace(f"{path.parent}/", "")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
