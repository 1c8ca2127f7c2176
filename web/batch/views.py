"""What the pages of files show: the list of one's files, and a file from its columns to its scores. Views only."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from inference.application import Form
from inference.errors import Problem
from inference.number_format import write_number, write_percent
from inference.policy import DECISIONS
from inference.release import Release
from web.batch.exchange import BINS, Check, Outcome, Progress, Row
from web.batch.jobs import CHECKING, DONE, FAILED, READY, SCORING, Job, Jobs
from web.batch.row_list import KINDS, PAGE, RowList
from web.cards.problem_card import explain
from web.pages.answers import labelled
from web.pages.charts import Chart, column, rounded_up
from web.pages.figures import write_points
from web.pages.texts import Texts

ERRORS = ("time", "disk", "broken", "ledger")  # that have texts; others are what `tenfold book` says
FEWEST_BINS = 4


@dataclass(frozen=True)
class FileRow:
    """One of one's files."""

    path: str
    name: str
    state: str
    rows: str
    ends: str
    delete: str


@dataclass(frozen=True)
class FilesPage:
    """Where a file is dropped, and the files that are there."""

    template: ClassVar[str] = "batch/files.html"
    problem: str  # why none can be taken, or nothing
    install: Sequence[str]  # commands of which each installs what is missing
    upload: str  # URL
    lead: str
    limits: str
    accepted: str
    columns: str  # URL of a file with the columns
    rows: tuple[FileRow, ...]


@dataclass(frozen=True)
class Option:
    """A column that can be chosen."""

    value: str
    text: str
    chosen: bool


@dataclass(frozen=True)
class ColumnChoice:
    """The column of a field."""

    name: str
    label: str
    options: tuple[Option, ...]
    samples: str
    problem: str


@dataclass(frozen=True)
class Cell:
    """A cell of the preview, with what is wrong with it."""

    text: str
    problem: str


@dataclass(frozen=True)
class PreviewRow:
    """A row of the preview."""

    number: str
    cells: tuple[Cell, ...]
    problem: str  # of the row, not of a cell


@dataclass(frozen=True)
class Mapping:
    """Which column holds which field, and the first rows as they would be read."""

    reading: str
    fields: tuple[ColumnChoice, ...]
    reference: tuple[Option, ...]
    decimals: tuple[Option, ...]  # none where the file has no texts for numbers
    problem: str
    heads: tuple[str, ...]
    rows: tuple[PreviewRow, ...]
    counts: str
    score: str  # the button's text; nothing where no row can be scored
    is_remembered: bool


@dataclass(frozen=True)
class Working:
    """A file that is being checked or scored, or waits."""

    text: str
    done: int
    of: int  # 0: not known
    can_cancel: bool


@dataclass(frozen=True)
class ScoredRow:
    """A row of the file; `path` opens it in the form."""

    path: str
    number: str
    reference: str
    decision: str
    decision_text: str
    pd: str
    points: str
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Tab:
    """The rows of one decision."""

    path: str
    text: str
    is_current: bool


@dataclass(frozen=True)
class Summary:
    """What came of a file."""

    figures: tuple[tuple[str, str], ...]
    download: str
    rejected: str  # the link's text; nothing where no row was refused
    chart: Chart | None
    legend: tuple[tuple[str, str], ...]
    bins: tuple[tuple[str, ...], ...]  # the chart as a table
    tabs: tuple[Tab, ...]
    rows: tuple[ScoredRow, ...]
    has_references: bool
    are_refused: bool
    newer: str
    older: str
    pages: str
    recorded: str  # that the ledger has a record of the file, or nothing


@dataclass(frozen=True)
class FilePage:
    """A file, from its columns to its scores: one of `working`, `mapping`, `summary`, or an error."""

    template: ClassVar[str] = "batch/file.html"
    path: str  # of this page, from the language's root
    name: str
    state: str
    ends: str
    error: str
    working: Working | None
    mapping: Mapping | None
    summary: Summary | None


def files_page(jobs: Jobs, mine: Sequence[Job], install: Sequence[str], upload: str, texts: Texts) -> FilesPage:
    """The list. Each command of `install` installs what is missing."""
    missing = jobs.missing
    rows = []
    for job in mine:
        outcome = jobs.outcome_of(job) if job.state == DONE else None
        check = jobs.check_of(job)
        count = outcome.rows if outcome else check.rows if check else 0
        rows.append(
            FileRow(
                f"batch/{job.id}", job.name, texts(f"batch.state.{job.state}"),
                write_number(count, texts.language) if count else "", ends(jobs, job, texts),
                texts("batch.delete_named", name=job.name),
            )
        )  # fmt: skip
    return FilesPage(
        problem=texts(f"batch.missing_{missing}") if missing else "",
        install=install if missing == "extra" else (),
        upload=upload,
        lead=texts("batch.lead"),
        limits=texts(
            "batch.limits_demo" if jobs.is_demo else "batch.limits", rows=write_number(jobs.page_rows, texts.language),
            hours=write_number(jobs.keep_seconds / 3600, texts.language), minutes=round(jobs.keep_seconds / 60),
        ),
        accepted=".csv,.tsv,.txt,.xlsx,.parquet",
        columns="batch/columns.csv",
        rows=tuple(rows),
    )  # fmt: skip


def ends(jobs: Jobs, job: Job, texts: Texts) -> str:
    """How long a file is still there."""
    minutes = max(1, round((jobs.ends(job) - jobs.now) / 60))
    if minutes >= 90:
        return texts("batch.hours_left", hours=round(minutes / 60))
    return texts("batch.minutes_left", minutes=minutes)


def file_page(jobs: Jobs, job: Job, release: Release, texts: Texts, home: str, show: str, page: int) -> FilePage:
    """The page of a file. `home` is the way to the desk; `show` and `page` say which rows are listed."""
    check = jobs.check_of(job)
    summary = None
    if job.state == DONE and (outcome := jobs.outcome_of(job)) is not None:
        rows = RowList(jobs.folder(job)) if job.by_page else None
        summary = summarised(job, outcome, rows, release.form, texts, home, show, page)
    error = texts(f"batch.error.{job.error}") if job.error in ERRORS else job.error
    return FilePage(
        path=f"batch/{job.id}",
        name=job.name,
        state=job.state,
        ends=texts("batch.file_kept", ends=ends(jobs, job, texts)),
        error=error if job.state == FAILED else "",
        working=None if job.state in (READY, DONE, FAILED) else working(job, jobs.progress_of(job), texts),
        mapping=mapped(job, check, release.form, texts, is_demo=jobs.is_demo) if job.state == READY and check else None,
        summary=summary,
    )


def working(job: Job, progress: Progress, texts: Texts) -> Working:
    """How far a file is."""
    if job.state != SCORING:
        return Working(texts(f"batch.now.{job.state}"), 0, 0, job.state != CHECKING)
    count = write_number(progress.rows, texts.language)
    if progress.of is None:
        return Working(texts("batch.now.scoring", rows=count), progress.rows, 0, True)
    of = write_number(progress.of, texts.language)
    return Working(texts("batch.now.scoring_of", rows=count, of=of), progress.rows, progress.of, True)


def mapped(job: Job, check: Check, form: Form, texts: Texts, *, is_demo: bool) -> Mapping:
    """The columns of a file and its first rows."""
    names = [column.name for column in check.columns]
    samples = {column.name: " · ".join(text for text in column.samples if text) for column in check.columns}
    missing = check.detail.split() if check.problem == "missing" else []
    twice = check.detail if check.problem == "twice" else None

    def options(chosen: str, nothing: str) -> tuple[Option, ...]:
        return (Option("", nothing, chosen not in names), *(Option(name, name, name == chosen) for name in names))

    fields = tuple(
        ColumnChoice(
            field.name, field.label[texts.language], options(check.mapping[field.name], texts("batch.choose_column")),
            samples.get(check.mapping[field.name], ""),
            texts("batch.problem.missing") if field.name in missing else
            texts("batch.problem.twice") if check.mapping[field.name] == twice else "",
        )
        for field in form.fields
    )  # fmt: skip
    mark = check.reading.get("decimal", "")
    decimals = tuple(Option(sign, texts(f"batch.decimal_{key}"), sign == mark) for sign, key in MARKS.items())
    usable = check.rows - check.refused if not check.problem else 0
    counts = ""
    if not check.problem:
        key = "batch.counts" if check.refused else "batch.counts_all_good"
        figures = {
            name: write_number(value, texts.language)
            for name, value in (("rows", check.rows), ("refused", check.refused))
        }
        counts = texts(key, **figures)
    return Mapping(
        reading=read_as(job, check, texts),
        fields=fields,
        reference=options(check.reference, texts("batch.no_reference")),
        decimals=decimals if job.ending not in ("parquet", "xlsx") else (),
        problem=problem_text(check, texts),
        heads=tuple(field.label[texts.language] for field in form.fields),
        rows=tuple(preview(row, form, texts) for row in check.sample),
        counts=counts,
        score=texts("batch.score_one" if usable == 1 else "batch.score", count=write_number(usable, texts.language))
        if usable
        else "",
        is_remembered=not is_demo,
    )


MARKS = {".": "point", ",": "comma"}


def read_as(job: Job, check: Check, texts: Texts) -> str:
    """How the file is read, so that nothing is guessed in silence."""
    reading = check.reading
    parts = [{"csv": "CSV", "xlsx": "Excel", "parquet": "Parquet"}.get(reading.get("format", ""), job.ending.upper())]
    if "encoding" in reading:
        parts.append(reading["encoding"].upper())
    if "separator" in reading:
        mark = reading["separator"]
        parts.append(texts("batch.separator", mark=texts("batch.tab") if mark == "\t" else mark))
    return ", ".join(parts)


def problem_text(check: Check, texts: Texts) -> str:
    """Why a file cannot be scored as it is mapped."""
    if check.problem == "too_many":
        return texts("batch.problem.too_many", rows=check.detail)
    if check.problem == "unreadable":
        return texts("batch.problem.unreadable", detail=check.detail)
    return texts(f"batch.problem.{check.problem}_lead") if check.problem else ""


def preview(row: Row, form: Form, texts: Texts) -> PreviewRow:
    """A row with a message under each cell that is refused."""
    problems = {problem.field: problem for problem in row.problems}
    cells = tuple(
        Cell(
            row.cells.get(field.name, ""), explain(problems[field.name], field, texts) if field.name in problems else ""
        )
        for field in form.fields
    )
    return PreviewRow(write_number(row.row, texts.language), cells, ragged(problems.get(""), texts))


def ragged(problem: Problem | None, texts: Texts) -> str:
    """That a row has too many or too few cells."""
    return texts("batch.ragged", expected=problem.allowed, actual=problem.got) if problem else ""


def summarised(
    job: Job, outcome: Outcome, row_list: RowList | None, form: Form, texts: Texts, home: str, show: str, page: int
) -> Summary:
    """Counts, the histogram, and a page of rows."""
    language = texts.language
    figures = [(texts("batch.rows"), write_number(outcome.rows, language))]
    for decision in DECISIONS:
        count = outcome.decisions[decision]
        share = f" · {write_percent(count / outcome.scored, language)}" if outcome.scored else ""
        figures.append((texts(f"decision.{decision}"), write_number(count, language) + share))
    figures.append((texts("batch.refused"), write_number(outcome.rejected, language)))
    here = f"batch/{job.id}"
    counts = {"": outcome.rows, **outcome.decisions, "refused": outcome.rejected}
    show = show if show in KINDS else ""
    tabs = tuple(
        Tab(f"{here}?show={kind}", f"{tab_text(kind, texts)} ({write_number(count, language)})", kind == show)
        for kind, count in counts.items()
    )
    rows: tuple[ScoredRow, ...] = ()
    pages = newer = older = ""
    if row_list is not None:
        page = max(0, min(page, (counts[show] - 1) // PAGE))
        places, count = row_list.places(show, page)
        rows = tuple(
            scored_row(row, f"{home}?lang={language}&row={job.id}.{place}", form, texts)
            for place, row in zip(places, row_list.rows(places), strict=True)
        )
        query = f"{here}?show={show}&page="
        newer = f"{query}{page - 1}" if page else ""
        older = f"{query}{page + 1}" if PAGE * (page + 1) < count else ""
        if count > PAGE:
            low, high = PAGE * page + 1, min(PAGE * (page + 1), count)
            values = {
                name: write_number(value, language) for name, value in (("low", low), ("high", high), ("count", count))
            }
            pages = texts("batch.pages", **values)
    return Summary(
        figures=tuple(figures),
        download=texts("batch.download", kind={"parquet": "Parquet", "xlsx": "Excel"}.get(job.ending, "CSV")),
        rejected=texts("batch.download_rejected") if outcome.rejected else "",
        chart=histogram(outcome, texts) if outcome.histogram and outcome.scored else None,
        legend=tuple((f"part-{place}", texts(f"decision.{decision}")) for place, decision in enumerate(DECISIONS)),
        bins=bins(outcome, texts),
        tabs=tabs,
        rows=rows,
        has_references=bool(job.order.reference),
        are_refused=show == "refused",
        newer=newer,
        older=older,
        pages=pages,
        recorded=texts("batch.recorded", id=job.record) if job.record else "",
    )


def tab_text(kind: str, texts: Texts) -> str:
    if kind == "":
        return texts("batch.all")
    return texts("batch.refused") if kind == "refused" else texts(f"decision.{kind}")


def scored_row(row: Row, path: str, form: Form, texts: Texts) -> ScoredRow:
    """A row with its score, or with what is wrong with it."""
    language = texts.language
    return ScoredRow(
        path=path,
        number=write_number(row.row, language),
        reference=row.reference,
        decision=row.outcome or row.decision,
        decision_text=outcome_text(row, texts),
        pd="" if row.pd is None else write_percent(row.pd, language),
        points="" if row.points is None else write_points(row.points, language),
        problems=tuple(wrong(problem, form, texts) for problem in row.problems),
    )


def outcome_text(row: Row, texts: Texts) -> str:
    """The outcome with the lender's rules, and the model's decision where that is another one."""
    if not row.decision:
        return texts("batch.refused_row")
    decision = texts(f"decision.{row.decision}")
    if row.outcome in ("", row.decision):
        return decision
    return texts("batch.outcome", outcome=texts(f"decision.{row.outcome}"), decision=decision)


def wrong(problem: Problem, form: Form, texts: Texts) -> str:
    """What is wrong with an answer, after its question; or with the row."""
    field = next((field for field in form.fields if field.name == problem.field), None)
    if field is None:
        return ragged(problem, texts)
    return labelled(field.label[texts.language], explain(problem, field, texts), texts)


def bins_shown(outcome: Outcome) -> int:
    """Up to the last bin that holds a row."""
    last = max((place for place, counts in enumerate(outcome.histogram) if sum(counts)), default=0)
    return min(BINS, max(FEWEST_BINS, last + 1))


def histogram(outcome: Outcome, texts: Texts) -> Chart:
    """How the PDs spread: a column for each 5 %, stacked by decision."""
    shown = outcome.histogram[: bins_shown(outcome)]
    top = rounded_up(max(sum(counts) for counts in shown))
    columns = tuple(
        column(
            place / len(shown), 1 / len(shown), top, counts, (),
            f"{bin_text(place, texts)}{texts('mark.colon')} {counted(counts, texts)}",
        )
        for place, counts in enumerate(shown)
    )  # fmt: skip
    says = texts("batch.chart_says", rows=write_number(outcome.scored, texts.language))
    edges = (write_percent(0, texts.language, 0), write_percent(len(shown) / BINS, texts.language, 0))
    return Chart("pds", says, columns, write_number(top, texts.language), edges)


def bin_text(place: int, texts: Texts) -> str:
    low, high = (write_percent(edge / BINS, texts.language, 0) for edge in (place, place + 1))
    return texts("batch.bin", low=low, high=high)


def counted(counts: Sequence[int], texts: Texts) -> str:
    """The counts of each decision in words."""
    return ", ".join(
        f"{texts(f'decision.{decision}')} {write_number(count, texts.language)}"
        for decision, count in zip(DECISIONS, counts, strict=True)
    )


def bins(outcome: Outcome, texts: Texts) -> tuple[tuple[str, ...], ...]:
    """The histogram as the rows of a table."""
    shown = outcome.histogram[: bins_shown(outcome)] if outcome.histogram else []
    return tuple(
        (bin_text(place, texts), *(write_number(count, texts.language) for count in counts))
        for place, counts in enumerate(shown)
    )
