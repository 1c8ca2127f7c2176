"""A recipe: how one source of loans becomes a release."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from inference.blocks import ArithmeticSpec, Feature, Table
from models.prohibited import refuse_prohibited


@dataclass(frozen=True, slots=True)
class Loans:
    """Loans with their outcome: a column of raw form answers per field, and for each loan bad (1) or good (0).

    `months` counts months since year 0 (12 · year + month - 1); all 0 if the source has no dates. All arrays have
    one entry per loan.
    """

    answers: Mapping[str, Sequence[object]]
    bad: npt.NDArray[np.int8]
    months: npt.NDArray[np.int32]
    bad_months: npt.NDArray[np.int32]  # when a bad one was recorded as such; 0 where not known or not bad
    people: npt.NDArray[np.int64] | None = (
        None  # the customer: loans of one customer are never on both sides of a split
    )
    weights: npt.NDArray[np.float64] | None = None  # how much it counts in training
    others: npt.NDArray[np.float64] | None = None  # (m, n) columns that the form does not ask, as numbers
    looked_at: pd.DataFrame | None = None  # prohibited columns, which no model may see; only for measuring

    def __len__(self) -> int:
        return len(self.bad)

    def where(self, chosen: npt.NDArray[np.bool_]) -> "Loans":
        """The loans chosen by a mask."""
        answers = {name: list(compress(column, chosen)) for name, column in self.answers.items()}

        def masked(column: Any) -> Any:
            return None if column is None else column[chosen]

        return Loans(
            answers, self.bad[chosen], self.months[chosen], self.bad_months[chosen], masked(self.people),
            masked(self.weights), masked(self.others), masked(self.looked_at),
        )  # fmt: skip


def raw_answers(frame: pd.DataFrame, names: Sequence[str]) -> dict[str, list[object]]:
    """The named columns as the form would give them: plain Python values, None where not stated."""
    return {name: frame[name].astype(object).where(frame[name].notna(), None).tolist() for name in names}


def number_field(name: str, group: str, en: str, fr: str, unit: Mapping[str, str], **rest: Any) -> dict[str, Any]:
    """The description of a number field; defaults that most fields share can be left out."""
    described = {"kind": "number", "name": name, "group": group, "label": {"en": en, "fr": fr}, "unit": unit}
    return described | {"whole": False, "optional": False, "actionable": None} | rest


def choice_field(
    name: str, group: str, en: str, fr: str, choices: Mapping[str, tuple[str, str]], **rest: Any
) -> dict[str, Any]:
    """The description of a choice field; `choices` maps code -> (English, French)."""
    listed = [{"code": code, "label": {"en": en, "fr": fr}} for code, (en, fr) in choices.items()]
    described = {
        "kind": "choice",
        "name": name,
        "group": group,
        "label": {"en": en, "fr": fr},
        "choices": listed,
    }
    return described | {"unit": {"en": "", "fr": ""}, "digits": None, "actionable": None} | rest


def reason(code: str, en: str, fr: str, *columns: str, when: str = "") -> dict[str, Any]:
    """What a notice says of an answer, written for the applicant: see `inference.fields.Reason`."""
    return {"code": code, "when": when or code, "columns": list(columns), "text": {"en": en, "fr": fr}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Lender:
    """Where a lender's own release comes from and who is responsible for it, for card, manifest and notice."""

    file: str  # the name of the file of loans
    sha256: str
    lines: int  # loans in the file
    left_out: Mapping[str, int]  # why -> loans that the form could not have given
    undecided: Mapping[str, int]  # outcome that is neither good nor bad -> loans
    horizon: str
    declined: bool  # whether declined applicants are in the file
    never_used: Mapping[str, str]  # column -> why
    not_asked: Mapping[str, str]  # column -> why the form does not ask it
    look_at: Sequence[str]  # prohibited columns, to measure by
    not_prohibited: Mapping[str, str]
    draft: Mapping[str, Any]  # what the draft found: above all the nested figure
    intended_use: str
    owner: str
    approver: str
    validated: str
    next_review: str
    accepted: Mapping[str, str]  # what would have been refused -> why it was not
    maker: str = ""  # the name that the maker of the release logs in with
    same_people: int = 0  # later loans of customers that are trained on: not judged by


class HistoryTables(Protocol):
    """Tables of past loans as they stood at the end of the month before `month`."""

    def tables(self, month: int) -> dict[str, Table]:
        """The tables that an application of that month is scored with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One source of loans, and the choices that turn it into a release.

    `fields` are the manifest's field descriptions without what training counts (usual and typical ranges,
    how many gave a choice, the reference). `monotone` maps a column, or a pattern ending in "*", to +1 (never
    lowers the PD) or -1.
    """

    name: str
    title: Mapping[str, str]
    notice: Mapping[str, str]  # what the release is, and is not, for readers of its scores
    data_card: str  # the file in models/data/ that says where the loans come from
    limits: Sequence[str]  # what a score of it cannot tell, in plain English, for the model card
    date: str  # of the release, ISO; training writes no clock into it, so that two trainings agree
    groups: Sequence[Mapping[str, Any]]
    questions: Sequence[Mapping[str, Any]] = ()  # as a manifest describes them
    fields: Sequence[Mapping[str, Any]]
    features: tuple[Feature, ...]
    monotone: Mapping[str, int]
    parameters: Mapping[str, Any]  # of XGBClassifier
    half_life: float | None = None  # months: a loan so much older counts half in training
    # Number field -> (share of the answer, at least so much): training moves the answer by up to that at random, so
    # that the model cannot learn what only an exact sum tells. 0 stays 0. Dated recipes only: folds would be judged by
    # moved answers.
    blur: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    policy: Mapping[str, Any]
    points: Mapping[str, float]
    load: Callable[[], Loans]  # all loans, later ones included; training takes those of its window
    history: Callable[[], HistoryTables] | None = None
    later: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # later vintages: months from, until
    # Months: train from, calibrate from, train until (excluded). Where the last two are one, folds calibrate.
    window: tuple[int, int, int] | None = None
    why_age: str = ""
    rare_below: int = field(default=30)  # fewer loans than that support no rate
    folds: int = 5
    repeats: int = 5
    real_time: int | None = None  # months within which a loan went bad, for what a lender could have known at the time
    kind: str = "trees"  # or "scorecard": few bad loans support no more
    teacher: bool = False  # fitted to the unseen PDs of a model of all columns
    not_prohibited: frozenset[str] = frozenset()  # fields that a person has looked at
    lender: Lender | None = None  # None: embedded, to demonstrate

    def __post_init__(self) -> None:
        derived = {name for block in self.features if isinstance(block, ArithmeticSpec) for name, *_ in block.columns}
        for spec in self.fields:
            if spec["name"] not in self.not_prohibited:
                refuse_prohibited(f"recipe {self.name}", spec, self.why_age)
            for reason in spec.get("reasons", ()):  # checked now, and not after training
                if astray := sorted(set(reason["columns"]) - derived):
                    raise ValueError(
                        f"recipe {self.name}: field {spec['name']}, reason {reason['code']}: the features have no "
                        f"arithmetic that makes {', '.join(astray)}"
                    )
        if self.blur and not self.window:
            raise ValueError(f"recipe {self.name}: blur needs a training window, since folds would be judged by it")

    def constraint(self, column: str) -> int:
        """The monotone constraint of a column: +1, -1 or 0."""
        for pattern, sign in self.monotone.items():
            if column == pattern or (pattern.endswith("*") and column.startswith(pattern[:-1])):
                return sign
        return 0
