"""From a lender's file to a draft: what each column is, what leaks, which fields the form asks, and what must be asked.

`look` reads the file and gives the first questions; `draft` does the rest.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from inference.errors import TenfoldError
from models.draft.codes import find_codes
from models.draft.columns import (
    CHOICE,
    CODE,
    CONSTANT,
    DAY,
    IDENTIFIER,
    LONG_LIST,
    NUMBER,
    PERSONAL,
    TEXT,
    Column,
    column,
    names_customer,
    names_each,
)  # fmt: skip
from models.draft.detect import Detection, detect
from models.draft.directions import Directions, verify
from models.draft.form import Field, fields
from models.draft.judging import Auc, Labels, Table, auc, auc_alone, table, unseen
from models.draft.leaks import ALONE, PRICED, Leak, filled_auc, leaks_alone, leaks_together, sounds_later
from models.draft.outcome import Outcome, find_outcome
from models.draft.questions import Question, first_questions, more_questions
from models.draft.selection import MOST_FIELDS, MOST_LOANS, Later, Selection, judge_later, sample, select, steps
from models.export import month_text
from models.loans_file import Reading, sha256
from models.own_loans import later_from
from models.prohibited import aged, answered, named, words

FIELDS, FEW_FIELDS = 10, 5  # that a draft proposes; where few loans went bad
FEWEST_BAD, FEW_BAD = 30, 100  # below the first nothing can be learnt, below the second a scorecard at most
MOSTLY = 0.02  # share of the loans that may lack the day of application
EMPTY = 0.98  # share of missing cells above which a column says nothing
BEST_SHARE = 0.7  # of the loans would be approved, for a look at groups
ASKED, NOT_ASKED, LEFT_OUT, LOOKED_AT = "asked", "not asked", "left out", "kept to look at"


class TooFewBad(TenfoldError):
    """Too few loans went bad to learn anything."""


class Progress(Protocol):
    """Reports how far a draft has got."""

    def stage(self, name: str, ticks: int) -> Callable[[], None]:
        """Begin a stage of so many ticks; call the returned function at each tick."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the analyst gave on the command line."""

    file: Path
    target: str
    bad: tuple[str, ...] = ()
    date: str = ""
    ask: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A file as it was read, column by column."""

    request: Request
    digest: str
    reading: Reading
    notes: tuple[str, ...]
    decimal_evidence: str
    outcome: Outcome
    columns: Mapping[str, Column]  # of the loans with a known outcome; the outcome is not among them
    verdicts: Mapping[str, tuple[str, str]]  # column -> what becomes of it, and why; without candidates
    candidates: tuple[str, ...]
    alone: Mapping[str, float]  # candidate -> AUC
    filled: Mapping[str, float]  # candidate -> AUC of whether it is filled, 0.5 and above
    leaks: tuple[Leak, ...]
    questions: tuple[Question, ...]
    customers: str  # the column that names customers with several loans; "" without one

    @property
    def bad(self) -> Labels:
        return self.outcome.labels

    @property
    def few(self) -> bool:
        """Whether so few loans went bad that they support no more than a short scorecard."""
        return int(self.bad.sum()) < FEW_BAD


@dataclass(frozen=True, slots=True)
class Group:
    """How the proposed fields treat two groups of a column that no model may see."""

    column: str
    answers: tuple[str, str]
    loans: tuple[int, int]
    bad_rates: tuple[float, float]
    approved: tuple[float, float]  # share, where the best 70 % of all loans are approved
    auc: float  # AUC with which the proposed fields tell one group from the other

    @property
    def ratio(self) -> float:
        """Of the approval rates, the smaller one above."""
        return min(self.approved) / max(self.approved)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """All that a draft found; the recipe and the report are written from it."""

    look: Look
    leaks: tuple[Leak, ...]
    all_columns: float  # AUC of all usable columns, on a sample where the file is large
    worth: Mapping[str, float]  # usable column -> fall of that AUC when the column is shuffled
    selection: Selection
    directions: Directions
    fields: tuple[Field, ...]
    verdicts: Mapping[str, tuple[str, str]]
    groups: tuple[Group, ...]
    questions: tuple[Question, ...]
    sampled: int  # loans that choices were made on; all of them if the file is small
    later: Later | None  # the proposal judged by time, where the loans are dated

    @property
    def expected(self) -> Auc:
        """The AUC to expect: by later loans if they are dated, else with the choice repeated in each fold."""
        return self.later.auc if self.later else self.selection.nested

    @property
    def judged_by(self) -> str:
        """What `expected` was found on, in words."""
        if self.later is None:
            return "loans that neither the choice nor the model has seen"
        return (
            f"{self.later.loans:,} later loans ({self.later.bad:,} bad), from {month_text(self.later.start)} on, which "
            "neither the choice nor the model has seen"
        )


def look(request: Request, progress: Progress) -> Look:
    """Read the file and look at each column by itself."""
    tick = progress.stage("reading the file", 2)
    detection = detect(request.file)
    tick()
    for name in (request.target, *([request.date] if request.date else []), *request.ask):
        if name not in detection.frame.columns:
            near = [other for other in detection.frame if other.strip().lower() == name.strip().lower()]
            listed = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(map(repr, detection.frame.columns))}"
            raise TenfoldError(f"{request.file} has no column {name!r}; {listed}")
    outcome = find_outcome(request.target, detection.frame[request.target], request.bad)
    if (went_bad := int(np.nansum(outcome.values))) < FEWEST_BAD:
        raise TooFewBad(
            f"{request.file}: {went_bad} loans went bad. Below {FEWEST_BAD} nothing can be learnt from them "
            "that chance does not explain"
        )
    frame, bad = detection.frame[outcome.known].reset_index(drop=True), outcome.labels
    first = ~frame.duplicated()  # not the same as an earlier line
    digest = sha256(request.file)
    tick()
    names = [name for name in frame if name != request.target]
    tick = progress.stage("looking at each column", 2 * len(names))
    columns: dict[str, Column] = {}
    twice = ""  # an identifier that names some loans twice
    for name in names:
        described = column(
            name,
            frame[name],
            detection.reading.decimal,
            as_number=name in request.ask,
            as_day=name == request.date != "",
        )
        if not first.all() and described.kind != IDENTIFIER and names_each(described, frame.loc[first, name]):
            described, twice = replace(described, kind=IDENTIFIER), name
        columns[name] = (
            replace(described, codes=find_codes(described.values)) if described.kind == NUMBER else described
        )
        tick()
    if request.date and (kind := columns[request.date].kind) != DAY:
        raise TenfoldError(
            f"--date {request.date}: its cells cannot be read as dates in one form; it looks like a column of the kind "
            f"{kind}. Write them all as 2026-01-31, or leave --date out"
        )
    customers = customers_of(columns, len(bad))
    verdicts = left_out(columns, request, customers)
    if cannot := [f"{name} ({verdicts[name][1]})" for name in request.ask if name in verdicts]:
        raise TenfoldError(f"--ask: cannot be asked: {'; '.join(cannot)}")
    candidates = tuple(name for name in columns if name not in verdicts)
    alone, filled = {}, {}
    for name in names:
        if name in candidates:
            alone[name] = auc_alone(columns[name], bad)
            presence_auc = filled_auc(columns[name], bad)
            filled[name] = max(presence_auc, 1 - presence_auc)
        tick()
    leaks = tuple(leaks_alone([columns[name] for name in candidates], alone, bad))
    # A date of birth is no day of application, and a day that only some loans have is not theirs all.
    days = [column for name, column in columns.items() if column.kind == DAY and not aged(name)]
    days.sort(key=lambda column: column.missing > MOSTLY)
    questions = first_questions(outcome, detection.decimal_evidence, detection.reading.decimal, days, request.date)
    if twice:
        lines = f"{int((~first).sum()):,} lines repeat an earlier one, its {twice} included"
        why = "a loan that is there twice is on both sides of a split: all figures flatter"
        questions.append(Question("loans.read", f"{lines}. Is each a loan of its own?", "yes, kept", why))
    return Look(
        request=request, digest=digest, reading=with_words(detection, columns, request), notes=detection.notes,
        decimal_evidence=detection.decimal_evidence, outcome=outcome, columns=columns, verdicts=verdicts,
        candidates=candidates, alone=alone, filled=filled, leaks=leaks, questions=tuple(questions),
        customers=customers,
    )  # fmt: skip


def with_words(detection: Detection, columns: Mapping[str, Column], request: Request) -> Reading:
    """The reading, with words among numbers added as missing, and with the date format."""
    extra = [word for column in columns.values() for word in column.words if word not in detection.reading.missing]
    forms = [
        column.form
        for column in columns.values()
        if column.kind == DAY and (column.name == request.date or not request.date)
    ]
    missing = (*detection.reading.missing, *dict.fromkeys(extra))
    return replace(detection.reading, missing=missing, dates=forms[0] if forms else "")


def left_out(columns: Mapping[str, Column], request: Request, customers: str) -> dict[str, tuple[str, str]]:
    """Columns that cannot be asked, however useful, and why. A column may have no name."""
    verdicts: dict[str, tuple[str, str]] = {}
    seen: dict[int, str] = {}
    for name, described in columns.items():
        why = ""
        shown = prohibited(described)
        if described.kind == CONSTANT:
            why = "empty" if described.missing == 1 else "the same in every loan"
            why += ", where it is filled" if 0 < described.missing < 1 else ""
        elif shown and name not in request.ask:
            can = described.kind in (CHOICE, NUMBER)
            verdicts[name] = (LOOKED_AT if can else LEFT_OUT, f"shows a prohibited attribute: {', '.join(shown)}")
            continue
        elif name == request.date != "":
            verdicts[name] = (LEFT_OUT, "the day of application")
            continue
        elif name == customers != "":
            verdicts[name] = (LEFT_OUT, "names the customer, who has several loans")
            continue
        elif described.kind == IDENTIFIER:
            why = "identifier: one value per loan"
        elif described.kind == DAY:
            why = "a date: durations from it would have to be computed"
        elif set(words(name)) & PERSONAL and described.kind in (CODE, TEXT, LONG_LIST):
            why = "a place or a person"
        elif described.kind in (CODE, TEXT, LONG_LIST):
            kind = "codes" if described.kind == CODE else "texts"
            why = described.doubt or f"{described.distinct:,} different {kind}: too many for a list"
        elif described.missing > EMPTY:
            why = f"missing in {described.missing:.1%} of the loans"
        elif (same := same_as(described, columns, seen)) is not None:
            why = f"the same as {same}"
        elif aged(name) and name not in request.ask:
            why = f"an age: to ask it, draft again with --ask {name!r}, and say why the law allows it"
        if why:
            verdicts[name] = (LEFT_OUT, why)
    return verdicts


def prohibited(described: Column) -> list[str]:
    """What a column's name or answers show of attributes that credit must not be decided on."""
    return named(described.name) or (answered(described.answers) if described.kind == CHOICE else [])


def same_as(column: Column, columns: Mapping[str, Column], seen: dict[int, str]) -> str | None:
    """An earlier column with the same values."""
    values = np.nan_to_num(column.values, nan=-1.5e300)
    key = int(pd.util.hash_array(values).sum())
    earlier = seen.setdefault(key, column.name)
    if earlier != column.name and np.array_equal(values, np.nan_to_num(columns[earlier].values, nan=-1.5e300)):
        return earlier
    return None


def draft(look: Look, progress: Progress, workers: int = 2) -> Draft:
    """Choose the fields, and measure them on loans that the choice has not seen."""
    request, bad = look.request, look.bad
    leaking = {leak.name for leak in look.leaks} - set(request.ask)
    usable = [look.columns[name] for name in look.candidates if name not in leaking]
    if len(usable) < 2:
        raise TenfoldError(f"{request.file}: fewer than two columns can be asked")
    customers = look.customers
    every = table(usable, bad, people_of(look.columns[customers]) if customers else None)
    some = every.of(every.names, sample(bad, MOST_LOANS))
    tick = progress.stage("looking for leaks that only work together", 3)
    joint_leaks, all_columns, worth = leaks_together(usable, some, look.alone, request.ask, tick)
    leaks = (*look.leaks, *joint_leaks)
    remaining = [column for column in usable if column.name not in {leak.name for leak in joint_leaks}]
    every = every.of([column.name for column in remaining])
    number = min(FEW_FIELDS if look.few else FIELDS, len(remaining))
    chosen = select(every, number, workers, progress.stage("choosing fields, five times and once", steps(every)))
    later = by_time(look, every, number, progress)
    chosen_columns = [look.columns[name] for name in chosen.fields]
    judged = every.of(chosen.fields, sample(bad, MOST_LOANS))
    tick = progress.stage("verifying directions", len(chosen_columns) + 2)
    directions = verify(chosen_columns, judged, bad, workers, tick)
    form = fields(chosen_columns, directions.accepted)
    verdicts = final_verdicts(look, leaks, chosen)
    groups = looked_at(look, table(chosen_columns, bad), chosen, verdicts)
    more = more_questions(
        form, look.columns, leaks, look.filled, customers, bad,
        [column.name for column in chosen_columns if aged(column.name)],
    )  # fmt: skip
    more += [
        Question(
            "loans.not_prohibited", f"Why does {name} show no attribute that credit must not be decided on "
            f"({', '.join(shown)})?", "none, training refuses until it is said",
        )
        for name, shown in confirmed(look).items()
    ]  # fmt: skip
    expected = later.auc if later else chosen.nested
    if expected.value > ALONE:
        text = f"Why can these fields tell good from bad with AUC {expected}, which hardly any loans allow?"
        more.append(Question("model.accept_auc", text, "none, training refuses until it is said"))
    return Draft(
        look=look, leaks=leaks, all_columns=all_columns, worth=worth, selection=chosen, directions=directions,
        fields=tuple(form), verdicts=verdicts, groups=groups, questions=(*look.questions, *more),
        sampled=min(len(bad), MOST_LOANS), later=later,
    )  # fmt: skip


def confirmed(look: Look) -> dict[str, list[str]]:
    """Columns that the analyst asks although they seem to show a prohibited attribute -> which."""
    return {name: shown for name in look.request.ask if (shown := prohibited(look.columns[name]))}


def by_time(look: Look, every: Table, number: int, progress: Progress) -> Later | None:
    """The proposal judged by the last quarter of the loans by time; None without a date, or with too few loans."""
    if not look.request.date:
        return None
    months = look.columns[look.request.date].values
    start = later_from(months[np.isfinite(months)].astype(np.int32))
    tick = progress.stage("choosing on earlier loans, judging by later ones", min(MOST_FIELDS, len(every.names)))
    return judge_later(every, months, start, number, tick)


def final_verdicts(look: Look, leaks: Sequence[Leak], chosen: Selection) -> dict[str, tuple[str, str]]:
    """What becomes of each column, in the file's order."""
    verdicts = dict(look.verdicts)
    for leak in leaks:
        verdicts[leak.name] = (LEFT_OUT, f"leak: {leak.why}")
    for name in look.candidates:
        if name in chosen.fields:
            times = chosen.chosen.get(name, 0)
            verdicts[name] = (ASKED, f"chosen in {times} of {chosen.folds} folds" + warnings(name))
        elif name not in verdicts:
            verdicts[name] = (
                NOT_ASKED,
                f"chosen in {chosen.chosen.get(name, 0)} of {chosen.folds} folds" + warnings(name),
            )
    return {name: verdicts[name] for name in look.columns}


def warnings(name: str) -> str:
    """Warnings about what a name may mean; nothing is decided by them."""
    remarks = ["; its name sounds like what came after"] if sounds_later(name) else []
    remarks += ["; its name sounds like the lender's own price or grade"] if PRICED.search(name) else []
    return "".join(remarks)


def customers_of(columns: Mapping[str, Column], loans: int) -> str:
    """The column that identifies customers with several loans, by its name and values; else ""."""
    for name, described in columns.items():
        many = described.kind in (CODE, TEXT, LONG_LIST, NUMBER) and 0.1 < described.distinct / loans < 0.98
        if many and names_customer(name):
            return name
    return ""


def people_of(column: Column) -> npt.NDArray[np.int64]:
    """The customer of each loan (n,), numbered; a loan without one is a customer's only one."""
    people = np.unique(column.values, return_inverse=True)[1].astype(np.int64)
    without = ~np.isfinite(column.values)
    people[without] = len(people) + np.arange(int(without.sum()))
    return people


def looked_at(
    look: Look, table: Table, chosen: Selection, verdicts: Mapping[str, tuple[str, str]]
) -> tuple[Group, ...]:
    """The two largest groups of each prohibited column, as the proposed fields treat them."""
    groups = []
    risk, bad = chosen.unseen_risk, look.bad
    cut = float(np.quantile(risk, BEST_SHARE))
    for name in [name for name, (role, _) in verdicts.items() if role == LOOKED_AT]:
        column = look.columns[name]
        distinct, loans = np.unique(column.values[np.isfinite(column.values)], return_counts=True)
        if not 2 <= len(distinct) <= 20 or np.sort(loans)[-2] < 100:
            continue
        two = distinct[np.argsort(-loans)[:2]]
        masks = [column.values == value for value in two]
        both = np.flatnonzero(masks[0] | masks[1])
        both = both[sample(masks[0][both].astype(np.int8), MOST_LOANS // 2)]
        member = masks[0][both].astype(np.int8)
        part = table.of(table.names, both)
        group_auc = auc(member, unseen(Table(part.names, part.values, part.kinds, member), number=2, rounds=80))
        names = [column.answers[int(value)] if column.kind == CHOICE else f"{value:g}" for value in two]
        groups.append(Group(
            name, (names[0], names[1]), (int(masks[0].sum()), int(masks[1].sum())),
            (float(bad[masks[0]].mean()), float(bad[masks[1]].mean())),
            (float((risk[masks[0]] < cut).mean()), float((risk[masks[1]] < cut).mean())), group_auc,
        ))  # fmt: skip
    return tuple(groups)


def more_loans_needed(look: Look) -> str:
    """How many bad loans there are, and when there will be enough at this rate; "" if there are enough."""
    went_bad = int(look.bad.sum())
    if not look.few:
        return ""
    more = FEW_BAD - went_bad
    loans = int(np.ceil(more / look.outcome.bad_rate))
    text = f"{went_bad} loans went bad; {FEW_BAD} are needed for a model of trees: {loans:,} more loans at this rate"
    if look.request.date:
        months = look.columns[look.request.date].values
        span = float(np.nanmax(months) - np.nanmin(months)) + 1
        wait = int(np.ceil(span * more / went_bad))
        last = int(np.nanmax(months)) + wait
        text += f", which is {wait} months of them, until {last // 12}-{last % 12 + 1:02d}"
    return text + f". Drafted is a scorecard of at most {FEW_FIELDS} fields."
