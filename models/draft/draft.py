"""From a lender's file to a draft: what each column is, what leaks, which fields the form asks, and what must be asked.

`look` reads the file and gives the first questions; `draft` does the rest.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from inference.errors import TenfoldError
from models.draft.codes import find_codes
from models.draft.columns import (
    CHOICE,
    CODE,
    CONSTANT,
    CUSTOMERS,
    DAY,
    IDENTIFIER,
    LONG_LIST,
    NUMBER,
    PERSONAL,
    TEXT,
    Column,
    column,
)  # fmt: skip
from models.draft.detect import Detection, detect
from models.draft.directions import Directions, verify
from models.draft.form import Field, fields
from models.draft.judging import Labels, Table, auc, auc_alone, table, unseen
from models.draft.leaks import AFTERWARDS, ALONE, PRICED, Leak, filled_auc, leaks_alone, leaks_together
from models.draft.outcome import Outcome, find_outcome
from models.draft.questions import Question, first_questions, more_questions
from models.draft.selection import MOST_LOANS, Selection, sample, select, steps
from models.loans_file import Reading, sha256
from models.prohibited import aged, answered, named, words

FIELDS, FEW_FIELDS = 10, 5  # that a draft proposes; where few loans went bad
FEWEST_BAD, FEW_BAD = 30, 100  # below the first there is nothing to learn, below the second a scorecard at most
EMPTY = 0.98  # share of missing cells from which on a column tells nothing
BEST_SHARE = 0.7  # of the loans would be approved, for a look at groups
ASKED, NOT_ASKED, LEFT_OUT, LOOKED_AT = "asked", "not asked", "left out", "kept to look at"


class TooFewBad(TenfoldError):
    """Too few loans went bad to learn anything."""


class Progress(Protocol):
    """Where a draft says how far it is."""

    def stage(self, name: str, ticks: int) -> Callable[[], None]:
        """A stage begins that will tick so often; call what is given at each."""


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
    verdicts: Mapping[str, tuple[str, str]]  # column -> what becomes of it, and why; of candidates nothing yet
    candidates: tuple[str, ...]
    alone: Mapping[str, float]  # candidate -> AUC
    filled: Mapping[str, float]  # candidate -> AUC of whether it is filled, 0.5 and above
    leaks: tuple[Leak, ...]
    questions: tuple[Question, ...]

    @property
    def bad(self) -> Labels:
        return self.outcome.labels

    @property
    def few(self) -> bool:
        """Whether so few loans went bad that a short scorecard is all they support."""
        return int(self.bad.sum()) < FEW_BAD


@dataclass(frozen=True, slots=True)
class Group:
    """How the fields proposed see two groups of a column that no model may know."""

    column: str
    answers: tuple[str, str]
    loans: tuple[int, int]
    bad_rates: tuple[float, float]
    approved: tuple[float, float]  # share, where the best 70 % of all loans are approved
    told: float  # AUC with which the proposed fields tell one group from the other

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
    worth: Mapping[str, float]  # usable column -> fall of that AUC where it is shuffled
    selection: Selection
    directions: Directions
    fields: tuple[Field, ...]
    verdicts: Mapping[str, tuple[str, str]]
    groups: tuple[Group, ...]
    questions: tuple[Question, ...]
    sampled: int  # loans that choices were made on; all where the file is small
    customers: str


def look(request: Request, progress: Progress) -> Look:
    """Read the file and look at each column by itself."""
    tick = progress.stage("reading the file", 2)
    found = detect(request.file)
    tick()
    for name in (request.target, *([request.date] if request.date else []), *request.ask):
        if name not in found.frame.columns:
            raise TenfoldError(
                f"{request.file} has no column {name!r}; it has {', '.join(map(repr, found.frame.columns))}"
            )
    outcome = find_outcome(request.target, found.frame[request.target], request.bad)
    if (went_bad := int(np.nansum(outcome.values))) < FEWEST_BAD:
        raise TooFewBad(
            f"{request.file}: {went_bad} loans went bad. Below {FEWEST_BAD} nothing can be learnt from them "
            "that chance does not explain"
        )
    frame, bad = found.frame[outcome.known].reset_index(drop=True), outcome.labels
    digest = sha256(request.file)
    tick()
    names = [name for name in frame if name != request.target]
    tick = progress.stage("looking at each column", 2 * len(names))
    columns: dict[str, Column] = {}
    for name in names:
        one = column(name, frame[name], found.reading.decimal)
        columns[name] = replace(one, codes=find_codes(one.values)) if one.kind == NUMBER else one
        tick()
    verdicts = left_out(columns, request)
    candidates = tuple(name for name in columns if name not in verdicts)
    alone, filled = {}, {}
    for name in names:
        if name in candidates:
            alone[name] = auc_alone(columns[name], bad)
            told = filled_auc(columns[name], bad)
            filled[name] = max(told, 1 - told)
        tick()
    leaks = tuple(leaks_alone([columns[name] for name in candidates], alone, bad))
    days = [one for one in columns.values() if one.kind == DAY]
    questions = first_questions(outcome, found.decimal_evidence, found.reading.decimal, days, request.date)
    return Look(
        request=request, digest=digest, reading=with_words(found, columns, request), notes=found.notes,
        decimal_evidence=found.decimal_evidence, outcome=outcome, columns=columns, verdicts=verdicts,
        candidates=candidates, alone=alone, filled=filled, leaks=leaks, questions=tuple(questions),
    )  # fmt: skip


def with_words(found: Detection, columns: Mapping[str, Column], request: Request) -> Reading:
    """The reading, with words among numbers as missing, and with the form of the dates."""
    extra = [word for one in columns.values() for word in one.words if word not in found.reading.missing]
    forms = [one.form for one in columns.values() if one.kind == DAY and (one.name == request.date or not request.date)]
    missing = (*found.reading.missing, *dict.fromkeys(extra))
    return replace(found.reading, missing=missing, dates=forms[0] if forms else "")


def left_out(columns: Mapping[str, Column], request: Request) -> dict[str, tuple[str, str]]:
    """Columns that cannot be asked, whatever they are worth, and why."""
    verdicts: dict[str, tuple[str, str]] = {}
    seen: dict[int, str] = {}
    for name, one in columns.items():
        why = ""
        shown = named(name) or (answered(one.answers) if one.kind == CHOICE else [])
        if one.kind == CONSTANT:
            why = "the same in every loan" if one.missing < 1 else "empty"
        elif shown:
            can = one.kind in (CHOICE, NUMBER)
            verdicts[name] = (LOOKED_AT if can else LEFT_OUT, f"shows a prohibited attribute: {', '.join(shown)}")
            continue
        elif name == request.date:
            verdicts[name] = (LEFT_OUT, "the day of application")
            continue
        elif one.kind == IDENTIFIER:
            why = "identifier: a value a loan"
        elif one.kind == DAY:
            why = "a date: what counts from it would have to be computed"
        elif set(words(name)) & PERSONAL and one.kind in (CODE, TEXT, LONG_LIST):
            why = "a place or a person"
        elif one.kind in (CODE, TEXT, LONG_LIST):
            why = f"{one.distinct:,} different {'codes' if one.kind == CODE else 'texts'}: too many for a list"
        elif one.missing > EMPTY:
            why = f"missing in {one.missing:.1%} of the loans"
        elif (same := same_as(one, columns, seen)) is not None:
            why = f"the same as {same}"
        elif aged(name) and name not in request.ask:
            why = f"an age: to ask it draft again with --ask {name!r}, and say why the law allows it"
        if why:
            verdicts[name] = (LEFT_OUT, why)
    return verdicts


def same_as(one: Column, columns: Mapping[str, Column], seen: dict[int, str]) -> str | None:
    """An earlier column with the same values."""
    values = np.nan_to_num(one.values, nan=-1.5e300)
    key = int(pd.util.hash_array(values).sum())
    earlier = seen.setdefault(key, one.name)
    if earlier != one.name and np.array_equal(values, np.nan_to_num(columns[earlier].values, nan=-1.5e300)):
        return earlier
    return None


def draft(look: Look, progress: Progress, workers: int = 2) -> Draft:
    """Choose the fields, and say how good they are on loans that the choice has not seen."""
    request, bad = look.request, look.bad
    leaking = {leak.name for leak in look.leaks} - set(request.ask)
    usable = [look.columns[name] for name in look.candidates if name not in leaking]
    if len(usable) < 2:
        raise TenfoldError(f"{request.file}: fewer than two columns can be asked")
    every = table(usable, bad)
    some = every.of(every.names, sample(bad, MOST_LOANS))
    tick = progress.stage("looking for leaks that only work together", 3)
    together, whole, worth = leaks_together(usable, some, look.alone, request.ask, tick)
    leaks = (*look.leaks, *together)
    kept = [one for one in usable if one.name not in {leak.name for leak in together}]
    every = every.of([one.name for one in kept])
    number = min(FEW_FIELDS if look.few else FIELDS, len(kept))
    chosen = select(every, number, workers, progress.stage("choosing fields, five times and once", steps(every)))
    asked = [look.columns[name] for name in chosen.fields]
    judged = table(asked, bad)
    judged = judged.of(judged.names, sample(bad, MOST_LOANS))
    tick = progress.stage("verifying directions", len(asked) + 2)
    directions = verify(asked, judged, bad, workers, tick)
    form = fields(asked, directions.kept)
    verdicts = final_verdicts(look, leaks, chosen)
    groups = looked_at(look, table(asked, bad), chosen, verdicts)
    customers = customers_of(look)
    more = more_questions(
        form, look.columns, leaks, look.filled, customers, len(bad), [one.name for one in asked if aged(one.name)],
    )  # fmt: skip
    if chosen.nested.value > ALONE:
        text = f"Why can these fields tell good from bad with AUC {chosen.nested}, which hardly any loans allow?"
        more.append(Question("model.accept_auc", text, "none, training refuses until it is said"))
    return Draft(
        look=look, leaks=leaks, all_columns=whole, worth=worth, selection=chosen, directions=directions,
        fields=tuple(form), verdicts=verdicts, groups=groups, questions=(*look.questions, *more),
        sampled=min(len(bad), MOST_LOANS), customers=customers,
    )  # fmt: skip


def final_verdicts(look: Look, leaks: Sequence[Leak], chosen: Selection) -> dict[str, tuple[str, str]]:
    """What becomes of every column, in the file's order."""
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
    """What a name may mean. It only warns."""
    said = ["; its name sounds like what came after"] if AFTERWARDS.search(name) else []
    said += ["; its name sounds like the lender's own price or grade"] if PRICED.search(name) else []
    return "".join(said)


def customers_of(look: Look) -> str:
    """A column that names customers who have several loans, by its name and its values; "" for none."""
    for name, one in look.columns.items():
        many = one.kind in (CODE, TEXT, LONG_LIST, NUMBER) and 0.1 < one.distinct / len(look.bad) < 0.98
        if many and set(words(name)) & CUSTOMERS:
            return name
    return ""


def looked_at(
    look: Look, asked: Table, chosen: Selection, verdicts: Mapping[str, tuple[str, str]]
) -> tuple[Group, ...]:
    """The two largest groups of each prohibited column, as the fields proposed see them."""
    found = []
    risk, bad = chosen.unseen_risk, look.bad
    cut = float(np.quantile(risk, BEST_SHARE))
    for name in [name for name, (role, _) in verdicts.items() if role == LOOKED_AT]:
        one = look.columns[name]
        distinct, loans = np.unique(one.values[np.isfinite(one.values)], return_counts=True)
        if not 2 <= len(distinct) <= 20 or np.sort(loans)[-2] < 100:
            continue
        two = distinct[np.argsort(-loans)[:2]]
        masks = [one.values == value for value in two]
        both = np.flatnonzero(masks[0] | masks[1])
        both = both[sample(masks[0][both].astype(np.int8), MOST_LOANS // 2)]
        member = masks[0][both].astype(np.int8)
        part = asked.of(asked.names, both)
        told = auc(member, unseen(Table(part.names, part.values, part.kinds, member), number=2, rounds=80))
        names = [one.answers[int(value)] if one.kind == CHOICE else f"{value:g}" for value in two]
        found.append(Group(
            name, (names[0], names[1]), (int(masks[0].sum()), int(masks[1].sum())),
            (float(bad[masks[0]].mean()), float(bad[masks[1]].mean())),
            (float((risk[masks[0]] < cut).mean()), float((risk[masks[1]] < cut).mean())), told,
        ))  # fmt: skip
    return tuple(found)


def more_loans_needed(look: Look) -> str:
    """How many bad loans there are, and when there will be enough at this rate; "" where there are."""
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
