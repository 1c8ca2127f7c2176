"""What a recipe may say, its keys and kinds of values; and what it says once it is read."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference.blocks import Feature
from models import own_history
from models.toml_file import Problem

FORMAT = 1
LEAST_FIELDS, MOST_FIELDS = 2, 40
TOP = (
    "format", "name", "title", "date", "notice", "limits", "data_card", "card", "loans", "draft", "split", "policy",
    "points", "model", "groups", "fields", "features", "questions",
)  # fmt: skip
CARD = ("intended_use", "owner", "approver", "validated", "next_review")
LOANS = (
    "file", "sha256", "read", "target", "bad", "good", "horizon", "declined", "date", "default_date", "group", "weight",
    "history", "leave_out", "not_asked", "look_at", "not_prohibited", "accept_left_out",
)  # fmt: skip
HINTS = {
    "declined": ": are applicants who were declined in this file? true or false",
    "horizon": ': over which time "bad" was seen, such as "24 months"',
}
SPLIT = ("folds", "repeats", "test_from")
POLICY = ("margin", "lgd", "refer_band", "amount", "guarantee", "rare_below")
DRAFT = ("nested_auc", "interval", "judged_by", "all_columns_auc", "certain", "interchangeable", "tried", "note")
MODEL = (
    "kind", "trees", "depth", "learning_rate", "min_child_weight", "subsample", "colsample_bytree", "reg_lambda",
    "max_bin", "calibration", "teacher", "half_life", "blur", "directions", "accept_auc", "reasons",
)  # fmt: skip
# XGBoost's names, with sensible bounds and the default.
PARAMETERS: Mapping[str, tuple[str, float, float, float | None]] = {
    "trees": ("n_estimators", 1, 5000, 300),
    "depth": ("max_depth", 1, 12, 4),
    "learning_rate": ("learning_rate", 0.001, 1, 0.05),
    "min_child_weight": ("min_child_weight", 0, 1e6, 10),
    "subsample": ("subsample", 0.1, 1, 0.8),
    "colsample_bytree": ("colsample_bytree", 0.05, 1, 0.5),
    "reg_lambda": ("reg_lambda", 0, 1e6, 5.0),
    "max_bin": ("max_bin", 2, 4096, None),
}
WHOLE = {"trees", "depth", "max_bin"}
NUMBER_KEYS = ("column", "not_stated", "outside", "why_age", "on_notice")
CHOICE_KEYS = (*NUMBER_KEYS, "values")
LEAVE_OUT, CLIP = "leave_out", "clip"
TREES, SCORECARD = "trees", "scorecard"
TEACHERS = ("none", "all columns")
EXACT, ESTIMATED = "exact", "estimated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """How a field's answers are read from a column of the loans."""

    name: str  # of the column
    not_stated: frozenset[float | str]  # values that are codes for "not stated"
    outside: str  # what a value beyond the range, or in no list, becomes: leave_out, not_stated, clip, or a choice
    values: Mapping[str, str]  # of a choice field: value in the column -> code


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The file of loans, and what each column is besides a field."""

    file: Path
    sha256: str
    read: Mapping[str, Any]
    target: str
    bad: frozenset[str]
    good: frozenset[str]
    horizon: str
    declined: bool  # whether declined applicants are in the file
    date: str
    default_date: str
    group: str
    weight: str
    leave_out: Mapping[str, str]  # column -> why it is never used
    not_asked: Mapping[str, str]  # column -> why the form does not ask it; all-columns models see it
    look_at: tuple[str, ...]  # prohibited columns, kept only to measure the model by them
    not_prohibited: Mapping[str, str]
    accept_left_out: str

    @property
    def horizon_months(self) -> int | None:
        """The horizon in months, if it names a number of months or years."""
        match = re.search(r"(\d+)\s*(month|mois|monat|year|an\b|ans\b|jahr)", self.horizon, re.IGNORECASE)
        if not match:
            return None
        return int(match[1]) * (1 if match[2].lower().startswith("mo") else 12)


@dataclass(frozen=True, slots=True, kw_only=True)
class Governance:
    """Who is responsible for the release, in the lender's own words, for its card."""

    intended_use: str
    owner: str
    approver: str
    validated: str
    next_review: str
    maker: str = ""  # the name that this person logs in with


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeFile:
    """What a recipe says, checked as far as possible without its loans. Descriptions have the manifest's form."""

    file: Path
    name: str
    title: Mapping[str, str]
    date: str
    notice: Mapping[str, str]
    limits: tuple[str, ...]
    data_card: str
    card: Governance | None
    loans: Source
    draft: Mapping[str, Any]
    folds: int
    repeats: int
    test_from: int | None  # a month since year 0
    policy: Mapping[str, Any]
    points: Mapping[str, float]
    kind: str
    parameters: Mapping[str, Any]
    teacher: str
    half_life: float | None
    blur: Mapping[str, tuple[float, float]]
    accept_auc: str
    groups: tuple[Mapping[str, Any], ...]
    questions: tuple[Mapping[str, Any], ...]
    fields: tuple[Mapping[str, Any], ...]
    columns: Mapping[str, Column]  # field -> where its answers are
    features: tuple[Feature, ...]
    monotone: Mapping[str, int]
    history: own_history.Keys  # choice fields, or pairs of them, whose past loans are looked up
    why_age: str
    open: tuple[Problem, ...]  # questions that nobody has answered
