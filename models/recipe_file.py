"""Read a recipe (TOML): everything that turns a file of past loans into a release. See docs/models.md.

Nothing is guessed: what the file does not say has a fixed default or is a question, and an open question (`ASK`) stops
training. All problems are reported at once, each with its line and key.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from inference.application import Form
from inference.blocks import ArithmeticSpec, Feature, HistorySpec, features_from_json
from inference.fields import NOT_STATED, field_from_json
from inference.policy import Points
from inference.reasons import MOST_FIELDS as MOST_COALITIONS
from inference.rows import RowBuilder
from inference.tree_reasons import ONE_ANSWER
from models import own_history
from models.form_file import (
    DIRECTIONS,
    check_keys,
    field_spec,
    is_name,
    number_of,
    questions_of,
    shortened,
    text_of,
    texts,
)
from models.prohibited import aged, answered, named
from models.toml_file import ASK, Key, Problem, TomlFile

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


def read_recipe(file: Path, *, python_source: bool = False) -> RecipeFile:
    """The recipe; its open questions are in `open`. With `python_source` the loans come from code beside the file.

    Raises `BadFile` with every problem and, if there are any, with the open questions too.
    """
    toml = TomlFile.read(file)
    recipe = parsed(toml, python_source)
    if toml.problems:
        questions = toml.questions()
        lines = {question.line for question in questions}
        # An ASK that is also a bad value is reported once.
        toml.problems = [*(problem for problem in toml.problems if problem.line not in lines), *questions]
        toml.done()
    if recipe is None:
        raise AssertionError("a recipe without problems was not read")
    return recipe


def parsed(toml: TomlFile, python_source: bool) -> RecipeFile | None:
    content = toml.content
    needed = ("format", "name", "title", "date", "notice", "loans", "policy", "fields")
    if not check_keys(toml, (), content, TOP, needed):
        return None
    if content["format"] != FORMAT:
        toml.wrong(("format",), f"{FORMAT} is the only one there is, got {content['format']!r}")
    if not is_name(content["name"]):
        toml.wrong(("name",), f"small letters, digits and _ are needed, got {content['name']!r}")
    day = day_of(toml, ("date",), content["date"])
    title = texts(toml, ("title",), content["title"], empty=False)
    notice = texts(toml, ("notice",), content["notice"], empty=False)
    limits = tuple(list_of_texts(toml, ("limits",), content.get("limits", [])))
    groups = groups_of(toml, content.get("groups", {}))
    loans = source(toml, content["loans"], python_source)
    fields = fields_of(toml, content["fields"], [group["name"] for group in groups])
    questions = questions_of(toml, content.get("questions", {}), fields or ())
    policy, points = policy_of(toml, content["policy"], content.get("points", {}), fields)
    model = model_of(toml, table_of(toml, ("model",), content, MODEL))
    split = table_of(toml, ("split",), content, SPLIT)
    folds = int(number_of(toml, ("split", "folds"), split.get("folds", 5), 2, 20, whole_only=True))
    repeats = int(number_of(toml, ("split", "repeats"), split.get("repeats", 5), 1, 20, whole_only=True))
    test_from = month_of(toml, ("split", "test_from"), split["test_from"]) if "test_from" in split else None
    if loans is not None and not loans.date and not python_source:
        if model["blur"]:
            toml.wrong(("model", "blur"), "needs loans.date: folds would be judged by answers that were moved")
        if model["half_life"] is not None:
            toml.wrong(("model", "half_life"), "needs loans.date: without it no loan is older than another")
    if test_from is not None and loans is not None and not loans.date:
        toml.wrong(("split", "test_from"), "without loans.date no loan is later than another")
    draft = draft_of(toml, table_of(toml, ("draft",), content, DRAFT))
    card = governance(toml, content["card"]) if "card" in content else None
    if loans is None or fields is None:
        return None
    columns = {spec["name"]: column(toml, spec, content["fields"][spec["name"]], loans) for spec in fields}
    used(toml, loans, columns)
    history = history_of(toml, content, loans, fields)
    features = features_of(toml, content.get("features", []), fields, history)
    monotone = {**own_history.monotone(history), **monotone_of(toml, content, fields)}
    if not python_source:  # that makes features of its own
        check_features(toml, fields, features, monotone, history)
    whys = [str(field["why_age"]) for field in content["fields"].values() if "why_age" in field]
    return RecipeFile(
        file=Path(toml.file), name=content["name"], title=title, date=day, notice=notice, limits=limits,
        data_card=content.get("data_card", ""), card=card, loans=loans, draft=draft, folds=folds, repeats=repeats,
        test_from=test_from, policy=policy, points=points, groups=tuple(groups), questions=tuple(questions),
        fields=tuple(fields), columns=columns, features=features, monotone=monotone, history=history,
        why_age="; ".join(whys),
        open=tuple(toml.questions()), **model,
    )  # fmt: skip


def is_table(content: Mapping[str, Any], name: str) -> bool:
    return isinstance(content.get(name), Mapping)


def table_of(toml: TomlFile, key: Key, content: Mapping[str, Any], keys: Sequence[str]) -> Mapping[str, Any]:
    """A table that may be left out; where something else stands, that is noted and the table is empty."""
    table = content.get(str(key[-1]), {})
    check_keys(toml, key, table, keys)
    return table if isinstance(table, Mapping) else {}


def draft_of(toml: TomlFile, table: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the draft found, as the card shows it."""
    for name in ("nested_auc", "all_columns_auc"):
        if name in table:
            number_of(toml, ("draft", name), table[name], 0, 1)
    ends = table.get("interval", [0, 1])
    if not isinstance(ends, list) or len(ends) != 2:
        toml.wrong(("draft", "interval"), f"two numbers are needed, got {shortened(ends)}")
    else:
        for index, end in enumerate(ends):
            number_of(toml, ("draft", "interval", index), end, 0, 1)
    for name in ("certain", "interchangeable"):
        list_of_texts(toml, ("draft", name), table.get(name, []))
    for name in ("judged_by", "note"):
        if name in table:
            text_of(toml, ("draft", name), table[name])
    return table


def day_of(toml: TomlFile, key: Key, value: Any) -> str:
    if type(value) is not date:
        toml.wrong(key, f"a day is needed, such as 2026-01-31 without quotes, got {value!r}")
        return ""
    return value.isoformat()


def month_of(toml: TomlFile, key: Key, value: Any) -> int | None:
    """A month as "2021-07", or a day of it, since year 0."""
    match = re.fullmatch(r"(\d{4})-(\d\d)(-\d\d)?", str(value))
    if not match or not 1 <= int(match[2]) <= 12:
        toml.wrong(key, f'a month is needed, such as "2021-07", got {value!r}')
        return None
    return 12 * int(match[1]) + int(match[2]) - 1


def list_of_texts(toml: TomlFile, key: Key, value: Any) -> list[str]:
    """Texts; numbers are taken as they are written, since columns of digits are read as texts."""
    if not isinstance(value, list) or not all(type(item) in (str, int, float, bool) for item in value):
        toml.wrong(key, f"a list of texts is needed, got {shortened(value)}")
        return []
    return [item if isinstance(item, str) else f"{item:.15g}" if type(item) is float else str(item) for item in value]


def groups_of(toml: TomlFile, value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, Mapping):
        toml.wrong(("groups",), "a table is needed, name = text")
        return []
    for name in value:
        if not is_name(name):
            toml.wrong(("groups", name), "as a name small letters, digits and _ are needed")
    return [{"name": name, "label": texts(toml, ("groups", name), label, empty=False)} for name, label in value.items()]


def fields_of(toml: TomlFile, value: Any, groups: Sequence[str]) -> list[dict[str, Any]] | None:
    if not isinstance(value, Mapping) or not LEAST_FIELDS <= len(value) <= MOST_FIELDS:
        count = len(value) if isinstance(value, Mapping) else 0
        toml.wrong(("fields",), f"a form has {LEAST_FIELDS} to {MOST_FIELDS} fields, got {count}")
        return None
    specs = []
    for name, about in value.items():
        group = about.get("group", "") if isinstance(about, Mapping) else ""
        if groups and group not in groups:
            toml.wrong(("fields", name, "group"), f"one of [groups] is needed: {', '.join(groups)}; got {group!r}")
        if isinstance(about, Mapping) and "on_notice" in about and about["on_notice"] is not True:
            toml.wrong(
                ("fields", name, "on_notice"),
                "a notice names whatever raised the risk most. Do not ask what it must not name; drop this line",
            )
        spec = field_spec(toml, name, about, group or "application", NUMBER_KEYS, CHOICE_KEYS)
        specs.append(spec)
    return None if None in specs else [spec for spec in specs if spec is not None]


def column(toml: TomlFile, spec: Mapping[str, Any], about: Mapping[str, Any], loans: Source) -> Column:
    """Where a field's answers are; prohibited attributes are noted."""
    key = ("fields", spec["name"])
    name = text_of(toml, (*key, "column"), about.get("column", spec["name"]))
    is_choice = spec["kind"] == "choice"
    codes = [choice["code"] for choice in spec.get("choices", ())]
    outside = about.get("outside", LEAVE_OUT)
    can = [LEAVE_OUT, *codes] if is_choice else [LEAVE_OUT, CLIP, *([NOT_STATED] if spec["optional"] else [])]
    if outside not in can:
        toml.wrong((*key, "outside"), f"{', '.join(can)} is needed, got {outside!r}")
    not_stated = about.get("not_stated", [])
    if not_stated and NOT_STATED not in codes and not spec.get("optional", False):
        toml.wrong((*key, "not_stated"), "the field must be optional (or have a choice not_stated) for that")
    coded: frozenset[float | str] = frozenset(list_of_texts(toml, (*key, "not_stated"), not_stated))
    if not is_choice:
        if not isinstance(not_stated, list) or not all(type(value) in (int, float) for value in not_stated):
            toml.wrong((*key, "not_stated"), f"a list of numbers is needed, got {shortened(not_stated)}")
        else:
            coded = frozenset(float(value) for value in not_stated)
    values: dict[str, str] = {}
    if is_choice:
        listed = about.get("values", {})
        check_keys(toml, (*key, "values"), listed, codes)
        for code in codes:
            answers = list_of_texts(toml, (*key, "values", code), listed[code]) if code in listed else [code]
            for value in answers:
                if value in values:
                    toml.wrong((*key, "values", code), f"{value!r} stands for {values[value]} already")
                values[value] = code
    prohibited(toml, spec, about, name, values, loans)
    return Column(name=name, not_stated=coded, outside=outside, values=values)


def prohibited(
    toml: TomlFile,
    spec: Mapping[str, Any],
    about: Mapping[str, Any],
    name: str,
    values: Mapping[str, str],
    loans: Source,
) -> None:
    """Note a field whose name, label, column or answers show a prohibited attribute, or an age without a reason."""
    key = ("fields", spec["name"])
    names = [spec["name"], *spec["label"].values(), name]
    answers = [text for choice in spec.get("choices", ()) for text in (choice["code"], *choice["label"].values())]
    # Codes for the two sexes must not pass because their labels use other words: check each set by itself.
    sets = [answers, list(values), [choice["code"] for choice in spec.get("choices", ())]]
    sets += [[choice["label"][language] for choice in spec.get("choices", ())] for language in ("en", "fr")]
    attributes = sorted({*named(*names), *(answer for some in sets for answer in answered(some))})
    if attributes and not {spec["name"], name} & loans.not_prohibited.keys():
        toml.wrong(
            key,
            f"shows an attribute that credit must not be decided on ({', '.join(attributes)}). Leave it out, or put "
            f'the column into look_at; where this is a mistake: not_prohibited = {{ "{name}" = "why" }} in [loans]',
        )
    why = about.get("why_age", "")
    if aged(*names) and not (isinstance(why, str) and why.strip()):
        toml.wrong(key, "is an age: say in why_age why the law lets you ask it, or drop it")


def source(toml: TomlFile, value: Any, python_source: bool) -> Source | None:
    """The table [loans]."""
    key = ("loans",)
    needed = ("horizon", "declined") if python_source else ("file", "target", "bad", "good", "horizon", "declined")
    if not check_keys(toml, key, value, LOANS, needed, HINTS):
        return None
    before = len(toml.problems)
    bad = list_of_texts(toml, (*key, "bad"), value.get("bad", []))
    good = list_of_texts(toml, (*key, "good"), value.get("good", []))
    if not python_source:
        for name, some in (("bad", bad), ("good", good)):
            if not some:
                toml.wrong((*key, name), "at least one value is needed")
        if both := sorted(set(bad) & set(good)):
            toml.wrong((*key, "good"), f"bad as well: {', '.join(both)}")
    if value["declined"] not in (True, False):
        toml.wrong(
            (*key, "declined"), f"true where declined applicants are in the file, else false; got {value['declined']!r}"
        )
    names = {
        role: text_of(toml, (*key, role), value[role])
        for role in ("date", "default_date", "group", "weight")
        if role in value
    }
    if not python_source:
        names["target"] = text_of(toml, (*key, "target"), value["target"])
        names["file"] = text_of(toml, (*key, "file"), value["file"])
    if "default_date" in names and "date" not in names:
        toml.wrong((*key, "default_date"), "needs loans.date beside it")
    reading = value.get("read", {})
    if not isinstance(reading, Mapping):
        toml.wrong((*key, "read"), f"a table is needed, got {reading!r}")
        reading = {}
    horizon = text_of(toml, (*key, "horizon"), value["horizon"])
    why = value.get("not_prohibited", {})
    if not isinstance(why, Mapping) or not all(isinstance(entry, str) and entry.strip() for entry in why.values()):
        toml.wrong((*key, "not_prohibited"), 'a table is needed, column = "why"')
        why = {}
    loans = Source(
        file=Path(toml.file).parent / names.get("file", ""), sha256=str(value.get("sha256", "")), read=dict(reading),
        target=names.get("target", ""), bad=frozenset(bad), good=frozenset(good), horizon=horizon,
        declined=value["declined"] is True, date=names.get("date", ""), default_date=names.get("default_date", ""),
        group=names.get("group", ""), weight=names.get("weight", ""),
        leave_out=whys(toml, (*key, "leave_out"), value.get("leave_out", [])),
        not_asked=whys(toml, (*key, "not_asked"), value.get("not_asked", [])),
        look_at=tuple(list_of_texts(toml, (*key, "look_at"), value.get("look_at", []))), not_prohibited=why,
        accept_left_out=str(value.get("accept_left_out", "")),
    )  # fmt: skip
    for index, column in enumerate(loans.not_asked):
        if (shown_by := named(column)) and column not in loans.not_prohibited:
            toml.wrong(
                (*key, "not_asked", index),
                f"{column} shows an attribute that credit must not be decided on ({', '.join(shown_by)}): a model of "
                "all columns would learn it. Put it into look_at or leave_out",
            )
    return loans if len(toml.problems) == before else None


def whys(toml: TomlFile, key: Key, value: Any) -> dict[str, str]:
    """A list of { column, why }."""
    if not isinstance(value, list):
        toml.wrong(key, 'a list is needed, of { column = "…", why = "…" }')
        return {}
    reasons: dict[str, str] = {}
    for index, entry in enumerate(value):
        if check_keys(toml, (*key, index), entry, ("column", "why"), ("column", "why")):
            name = str(entry["column"])
            if name in reasons:
                toml.wrong((*key, index), f"{name} is listed twice")
            reasons[name] = text_of(toml, (*key, index, "why"), entry["why"])
    return reasons


def used(toml: TomlFile, loans: Source, columns: Mapping[str, Column]) -> None:
    """Note columns that have two roles."""
    roles: dict[str, str] = {}
    listed = [
        (column, f"loans.{role}")
        for role in ("target", "date", "default_date", "group", "weight")
        if (column := getattr(loans, role))
    ]
    listed += [(about.name, f"fields.{name}") for name, about in columns.items()]
    listed += [
        (name, f"loans.{role}") for role in ("leave_out", "not_asked", "look_at") for name in getattr(loans, role)
    ]
    for name, role in listed:
        if name in roles and not (role.startswith("fields.") and roles[name].startswith("fields.")):
            toml.wrong(tuple(role.split(".")), f"column {name} is {roles[name]} already")
        roles[name] = role


def policy_of(
    toml: TomlFile, table: Any, points: Any, fields: Sequence[Mapping[str, Any]] | None
) -> tuple[dict[str, Any], dict[str, float]]:
    """Policy and points; break-even is 600 points by default."""
    key = ("policy",)
    scale = {"anchor": 600.0, "odds": 1.0, "double": 20.0}
    if not check_keys(toml, key, table, POLICY, ("margin", "lgd", "refer_band")):
        return {}, scale
    margin = number_of(toml, (*key, "margin"), table["margin"], 1e-6, 10)
    lgd = number_of(toml, (*key, "lgd"), table["lgd"], 1e-6, 1)
    band = number_of(toml, (*key, "refer_band"), table["refer_band"], 0, 0.999)
    if margin / (margin + lgd) * (1 + band) >= 1:
        toml.wrong((*key, "refer_band"), "with this margin and lgd nothing could be declined; make it smaller")
    rare = int(number_of(toml, (*key, "rare_below"), table.get("rare_below", 30), 0, 1e6, whole_only=True))
    policy = {"margin": margin, "lgd": lgd, "amount": None, "guarantee": None, "refer_band": band, "rare_below": rare}
    numbers = {field["name"]: field for field in fields or () if field["kind"] == "number" and not field["optional"]}
    for role in ("amount", "guarantee"):
        if role in table:
            if fields is not None and (not isinstance(table[role], str) or table[role] not in numbers):
                toml.wrong((*key, role), f"a number field that is always stated is needed, got {table[role]!r}")
            policy[role] = table[role]
    scale["odds"] = lgd / margin
    if check_keys(toml, ("points",), points, list(scale)):
        scale |= {
            name: number_of(toml, ("points", name), value, -1e6, 1e6) for name, value in points.items() if name in scale
        }
    try:
        Points(**scale)
    except ValueError as error:
        toml.wrong(("points",), str(error))
    return policy, scale


def model_of(toml: TomlFile, table: Mapping[str, Any]) -> dict[str, Any]:
    """The table [model] as attributes of `RecipeFile`."""
    key = ("model",)
    parameters: dict[str, Any] = {}
    for name, (theirs, low, high, default) in PARAMETERS.items():
        value = table.get(name, default)
        if value is not None:
            parameters[theirs] = number_of(toml, (*key, name), value, low, high, whole_only=name in WHOLE)
    if table.get("calibration", "platt") != "platt":
        toml.wrong((*key, "calibration"), "platt is the one there is: two numbers, linear in log-odds")
    for name, can in (("kind", (TREES, SCORECARD)), ("teacher", TEACHERS), ("reasons", (EXACT, ESTIMATED))):
        if table.get(name, can[0]) not in can:
            toml.wrong((*key, name), f"{' or '.join(can)} is needed, got {table[name]!r}")
    blur: dict[str, tuple[float, float]] = {}
    moved = table.get("blur", {})
    if check_keys(toml, (*key, "blur"), moved, list(moved) if isinstance(moved, Mapping) else []):
        for name, pair in moved.items():
            if not isinstance(pair, list) or len(pair) != 2:
                toml.wrong((*key, "blur", name), "two numbers are needed: a share of the answer, and at least so much")
                continue
            share, least = pair
            blur[name] = (
                number_of(toml, (*key, "blur", name, 0), share, 0, 1),
                number_of(toml, (*key, "blur", name, 1), least, 0, 1e15),
            )
    half_life = table.get("half_life")
    if half_life is not None:
        half_life = number_of(toml, (*key, "half_life"), half_life, 0.1, 1200)
    accept = table.get("accept_auc", "")
    if not isinstance(accept, str) or ("accept_auc" in table and not accept.strip()):
        toml.wrong((*key, "accept_auc"), "say why, in words")
    return {
        "kind": table.get("kind", TREES), "parameters": parameters, "teacher": table.get("teacher", TEACHERS[0]),
        "half_life": half_life, "blur": blur, "accept_auc": accept,
    }  # fmt: skip


def governance(toml: TomlFile, value: Any) -> Governance | None:
    """The table [card]."""
    if not check_keys(toml, ("card",), value, (*CARD, "maker"), CARD):
        return None
    words = {name: text_of(toml, ("card", name), value[name]) for name in CARD[:3]}
    days = {
        name: value[name] if value[name] in ("", ASK) else day_of(toml, ("card", name), value[name])
        for name in CARD[3:]
    }
    maker = text_of(toml, ("card", "maker"), value["maker"]) if "maker" in value else ""
    return Governance(**words, **days, maker=maker)


def history_of(
    toml: TomlFile, content: Mapping[str, Any], loans: Source, fields: Sequence[Mapping[str, Any]]
) -> own_history.Keys:
    """The keys of `loans.history`; what it needs beside it is noted where it is missing."""
    key = ("loans", "history")
    keys = own_history.history_keys(toml, key, content["loans"].get("history", []), fields)
    if keys and not loans.date:
        toml.wrong(key, "needs loans.date: without it no loan is earlier than another")
    if keys and loans.date and not loans.default_date and loans.horizon_months is None:
        toml.wrong(
            key,
            'needs loans.default_date, or a horizon in months such as "24 months": else nothing says when a loan was '
            "known to be bad",
        )
    if keys and is_table(content, "model") and content["model"].get("kind") == SCORECARD:
        toml.wrong(key, "is not for a scorecard of few loans: they say too little of any group")
    return keys


def features_of(
    toml: TomlFile, listed: Any, fields: Sequence[Mapping[str, Any]], history: own_history.Keys
) -> tuple[Feature, ...]:
    """The blocks of features. Arithmetic alone is added to the plain answers; any other kind replaces the list."""
    if not isinstance(listed, list) or not all(isinstance(value, Mapping) and "kind" in value for value in listed):
        toml.wrong(("features",), 'tables are needed: [[features]] with kind = "arithmetic" and columns')
        return ()
    blocks = [dict(value) for value in listed]
    past = own_history.features(history)
    if any(block["kind"] != "arithmetic" for block in blocks):
        return typed(toml, [*blocks, *past])
    numbers = [field["name"] for field in fields if field["kind"] == "number"]
    optional = [field["name"] for field in fields if field["kind"] == "number" and field["optional"]]
    first: list[dict[str, Any]] = [{"kind": "numbers", "of": numbers}] if numbers else []
    first += [{"kind": "not_stated", "of": optional}] if optional else []
    hot = [{"kind": "one_hot", "of": field["name"]} for field in fields if field["kind"] == "choice"]
    return typed(toml, [*first, *blocks, *hot, *past])


def typed(toml: TomlFile, blocks: Sequence[Mapping[str, object]]) -> tuple[Feature, ...]:
    try:
        return features_from_json(blocks)
    except ValueError as error:
        toml.wrong(("features",), str(error))
        return ()


def monotone_of(toml: TomlFile, value: Mapping[str, Any], fields: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Column -> +1 or -1: of number fields their `direction`, of others `model.directions`."""
    directions_of_columns = {
        field["name"]: DIRECTIONS[value["fields"][field["name"]]["direction"]]
        for field in fields
        if "direction" in value["fields"][field["name"]]
    }
    directions = value["model"].get("directions", {}) if is_table(value, "model") else {}
    if not isinstance(directions, Mapping):
        toml.wrong(("model", "directions"), 'a table is needed, column = "up" or "down"')
        return directions_of_columns
    for name, direction in directions.items():
        if not isinstance(direction, str) or direction not in DIRECTIONS:
            toml.wrong(("model", "directions", name), f"up or down is needed, got {direction!r}")
        elif name in directions_of_columns:
            toml.wrong(("model", "directions", name), "the field has a direction already")
        else:
            directions_of_columns[name] = DIRECTIONS[direction]
    return directions_of_columns


def check_features(
    toml: TomlFile,
    fields: Sequence[Mapping[str, Any]],
    features: Sequence[Feature],
    monotone: Mapping[str, int],
    history: own_history.Keys,
) -> None:
    """Build the rows' plan once, so that a wrong name is reported now."""
    several = [feature for feature in features if not isinstance(feature, ONE_ANSWER)]
    model = toml.content["model"] if is_table(toml.content, "model") else {}
    if len(fields) > MOST_COALITIONS and several and model.get("reasons", EXACT) != ESTIMATED:
        toml.wrong(
            ("features",),
            f"with more than {MOST_COALITIONS} fields every feature must come from one answer, so that a notice can "
            f'say exactly what each did. Or say model.reasons = "{ESTIMATED}": where more than {MOST_COALITIONS} '
            "answers differ from the usual ones the effects are then estimates, and no notice names reasons",
        )
    tables = own_history.blank(history, fields)
    if any(isinstance(feature, HistorySpec) and feature.table not in tables for feature in features):
        toml.wrong(("features",), 'kind = "history" is for recipes with code of their own; say loans.history instead')
        return
    try:
        form = Form(tuple(field_from_json(plain(spec)) for spec in fields))
        columns = RowBuilder(form, features, tables).columns
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        toml.wrong(("features",), str(error))
        return
    numbers = [spec["name"] for spec in fields if spec["kind"] == "number"]
    for name in model["blur"] if is_table(model, "blur") else ():
        if name not in numbers:
            toml.wrong(("model", "blur", name), f"a number field is needed: {', '.join(numbers) or 'no field is one'}")
    for name in monotone:
        stem = name.removesuffix("*")
        if not any(column.startswith(stem) if name.endswith("*") else column == name for column in columns):
            toml.wrong(("model", "directions", name), f"there is no such column; there are {', '.join(columns)}")
    computed = [name for feature in features if isinstance(feature, ArithmeticSpec) for name, *_ in feature.columns]
    for spec in fields:
        for reason in spec["reasons"]:
            if astray := [name for name in reason["columns"] if name not in computed]:
                toml.wrong(
                    ("fields", spec["name"], "reasons", reason["code"]),
                    f"no arithmetic makes {', '.join(map(str, astray))}; there is {', '.join(computed) or 'none'}",
                )


def plain(spec: Mapping[str, Any]) -> dict[str, Any]:
    """A field's description with placeholders for what training counts."""
    if spec["kind"] == "number":
        ends = [spec["minimum"], spec["maximum"]]
        return {**spec, "usual": ends, "typical": ends, "reference": spec["minimum"]}
    return {**spec, "choices": [{**choice, "count": 0} for choice in spec["choices"]], "reference": spec["example"]}
