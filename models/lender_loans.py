"""From a lender's file to loans as the form gives them; loans that the form could not give are left out and counted."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from inference.fields import NOT_STATED
from models.loans_cells import numbers
from models.loans_dates import dates, months
from models.loans_file import UNEVEN, BadLoansFile, Reading, read_loans, reading_from, sha256
from models.prohibited import answered
from models.recipe import Loans, Recipe
from models.recipe_toml.content import CLIP, LEAVE_OUT, Column, RecipeFile
from models.toml_file import BadFile, Key, Problem, TomlFile

Mask = npt.NDArray[np.bool_]
MOST_LEFT_OUT = 0.02  # share of the loans with a known outcome that may be left out without asking
ALL_NUMBERS = 0.99  # share of numbers above which a column that is not asked counts as numbers
MOST_TEXTS = 200  # different texts of such a column; all others count as one
FEW = 60  # distinct answers up to which a column is checked for prohibited attributes


@dataclass(frozen=True, slots=True)
class LoadedLoans:
    """The loans of a file, and what was left out."""

    loans: Loans
    lines: int  # loans in the file
    uneven: int  # lines with another number of cells than the header
    undecided: Mapping[str, int]  # outcome that is neither good nor bad -> loans
    left_out: Mapping[str, int]  # why -> loans with a known outcome that the form could not have given
    digest: str  # sha256 of the file

    @property
    def share_left_out(self) -> float:
        """Of the loans with a known outcome."""
        out = sum(self.left_out.values())
        return out / max(1, out + len(self.loans))


def load_loans(recipe: RecipeFile) -> LoadedLoans:
    """The recipe's loans. Raises `BadFile` with every problem: digest, columns, outcomes, too many left out."""
    toml = TomlFile.read(recipe.file)
    source = recipe.loans
    frame, reading, digest = opened(toml, recipe)
    roles = [source.target, source.date, source.default_date, source.group, source.weight]
    field_columns = [column.name for column in recipe.columns.values()]
    listed = [*filter(None, roles), *field_columns, *source.leave_out, *source.not_asked, *source.look_at]
    missing(toml, recipe, frame)
    if unlisted := [name for name in frame.columns if name not in listed]:
        lines = "\n".join(f'  {{ column = "{name}", why = "ASK" }},' for name in unlisted)
        toml.wrong(
            ("loans",),
            f"no column is dropped silently: ask for these columns, or say why not in not_asked or leave_out\n{lines}",
        )
    toml.done()
    for name in source.not_asked:
        distinct = frame[name].dropna().unique()
        if len(distinct) <= FEW and name not in source.not_prohibited and (attributes := answered(distinct)):
            toml.wrong(
                ("loans", "not_asked"),
                f"{name}: its answers show an attribute that credit must not be decided on ({', '.join(attributes)})",
            )
    outcome = outcomes(toml, recipe, frame[source.target])
    toml.done()
    has_outcome = ~np.isnan(outcome)
    undecided = Counter(frame[source.target][~has_outcome].fillna("(empty)").tolist())
    out = LeftOut(len(frame), has_outcome)
    answers = {name: asked_of(recipe, name, frame, reading, out) for name in recipe.columns}
    dated = months_of(source.date, frame, reading, out) if source.date else np.zeros(len(frame), np.int32)
    defaulted = (
        months_of(source.default_date, frame, reading, None) if source.default_date else np.zeros(len(frame), np.int32)
    )
    check_dates(toml, recipe, frame, reading, {"date": dated, "default_date": defaulted})
    weights = weights_of(source.weight, frame, reading, out) if source.weight else None
    every = Loans(
        answers,
        np.nan_to_num(outcome).astype(np.int8),
        dated,
        np.where(outcome == 1, defaulted, 0).astype(np.int32),
        people_of(frame[source.group]) if source.group else None,
        weights,
        not_asked(source.not_asked, frame, reading),
        frame[list(source.look_at)],
    )
    loaded = LoadedLoans(
        every.where(has_outcome & ~out.mask), len(frame), int(frame.attrs.get(UNEVEN, 0)),
        dict(undecided.most_common()), out.counts, digest,
    )  # fmt: skip
    judged(toml, recipe, loaded)
    toml.done()
    return loaded


def opened(toml: TomlFile, recipe: RecipeFile) -> tuple[pd.DataFrame, Reading, str]:
    """The file's cells. A file that differs from the one drafted from is refused before it is read."""
    source = recipe.loans
    try:
        reading = reading_from(source.read)
        digest = sha256(source.file)
        if source.sha256 and digest != source.sha256.lower():
            toml.wrong(
                ("loans", "sha256"),
                f"{source.file.name} is another file now: its sha256 is {digest}. Draft again, or say so here",
            )
            toml.done()
        return read_loans(source.file, reading), reading, digest
    except BadLoansFile as error:
        key: Key = ("loans", "read") if str(error).startswith("read:") else ("loans", "file")
        raise BadFile(
            recipe.file, [*toml.problems, Problem(".".join(map(str, key)), toml.line(key), str(error))]
        ) from None


def missing(toml: TomlFile, recipe: RecipeFile, frame: pd.DataFrame) -> None:
    """Note columns that the recipe names and the file does not have."""
    source = recipe.loans
    named: list[tuple[Key, str]] = [
        (("fields", field, "column"), about.name) for field, about in recipe.columns.items()
    ]
    named += [
        (("loans", role), getattr(source, role)) for role in ("target", "date", "default_date", "group", "weight")
    ]
    for role in ("leave_out", "not_asked", "look_at"):
        named += [(("loans", role, index), name) for index, name in enumerate(getattr(source, role))]
    for key, name in named:
        if name not in frame.columns and (name or key[1] in ("leave_out", "not_asked", "look_at")):
            toml.wrong(key, f"{source.file.name} has no column {name!r}; it has {', '.join(frame.columns[:40])}")


def outcomes(toml: TomlFile, recipe: RecipeFile, column: pd.Series) -> npt.NDArray[np.float64]:
    """(m,): 1 bad, 0 good, NaN neither."""
    source = recipe.loans
    outcome = np.full(len(column), np.nan)
    for label, values in ((1.0, source.bad), (0.0, source.good)):
        wanted = {*values, *(plain for value in values if (plain := simplest(value)) is not None)}
        outcome[column.map(simplest).isin(wanted).to_numpy() | column.isin(values).to_numpy()] = label
    for name, label in (("bad", 1.0), ("good", 0.0)):
        if not (outcome == label).any():
            examples = ", ".join(repr(value) for value in column.value_counts().index[:10])
            toml.wrong(("loans", name), f"no loan has this outcome; {source.target} holds {examples}")
    return outcome


def simplest(value: Any) -> str | None:
    """1.0 and 01 are 1; what is no number is itself."""
    try:
        return f"{float(value):.15g}"
    except (TypeError, ValueError):
        return None


class LeftOut:
    """Loans left out so far, each counted once, by the first reason."""

    def __init__(self, loans: int, has_outcome: Mask) -> None:
        self.mask = np.zeros(loans, bool)
        self.known = has_outcome  # loans with an outcome; others are counted elsewhere
        self.counts: dict[str, int] = {}

    def add(self, why: str, which: Mask) -> None:
        """Leave these out."""
        new = which & ~self.mask & self.known
        if new.any():
            self.counts[why] = self.counts.get(why, 0) + int(new.sum())
        self.mask |= which


def asked_of(recipe: RecipeFile, name: str, frame: pd.DataFrame, reading: Reading, out: LeftOut) -> list[object]:
    """A column as the form's answers, one per loan; loans with an answer that the form cannot give are left out."""
    spec = next(spec for spec in recipe.fields if spec["name"] == name)
    about = recipe.columns[name]
    if spec["kind"] == "choice":
        return choices(spec, about, frame[about.name], out)
    numbers_found, unread = numbers(frame[about.name], reading.decimal)
    numbers_found = np.where(np.isin(numbers_found, list(about.not_stated)), np.nan, numbers_found)
    beyond = (numbers_found < spec["minimum"]) | (numbers_found > spec["maximum"])
    if about.outside == CLIP:
        numbers_found = np.clip(numbers_found, spec["minimum"], spec["maximum"])
    elif about.outside == NOT_STATED:
        numbers_found = np.where(beyond, np.nan, numbers_found)
    else:
        out.add(f"{name}: outside {spec['minimum']:,.10g} to {spec['maximum']:,.10g}", beyond)
    out.add(f"{name}: no number", unread)
    if spec["whole"]:
        out.add(f"{name}: not whole", np.mod(numbers_found, 1) > 0)
    if not spec["optional"]:
        out.add(f"{name}: not stated", np.isnan(numbers_found) & ~unread)
    return [None if np.isnan(number) else number for number in numbers_found.tolist()]


def choices(spec: Mapping[str, Any], about: Column, column: pd.Series, out: LeftOut) -> list[object]:
    """A column of texts as codes."""
    codes = {choice["code"] for choice in spec["choices"]}
    listed = {**about.values, **{simple: code for value, code in about.values.items() if (simple := simplest(value))}}
    coded = column.map(lambda value: listed.get(value) or listed.get(simplest(value) or "") if value == value else None)
    coded = coded.astype(object).where(coded.notna(), None)
    not_stated = column.isna().to_numpy() | column.isin(about.not_stated).to_numpy()
    strange = coded.isna().to_numpy() & ~not_stated
    if NOT_STATED in codes:
        coded = coded.where(~not_stated, NOT_STATED)
    else:
        out.add(f"{spec['name']}: not stated", not_stated)
    if about.outside != LEAVE_OUT:
        coded = coded.where(~strange, about.outside)
    else:
        out.add(f"{spec['name']}: none of its choices", strange)
    return list(coded)


def months_of(name: str, frame: pd.DataFrame, reading: Reading, out: LeftOut | None) -> npt.NDArray[np.int32]:
    """A column of dates as months since year 0; where `out` is given, loans without one are left out."""
    month = months(dates(frame[name], reading.form_of(name)))
    if out is not None:
        out.add(f"{name}: no date", month == 0)
    return month


def check_dates(
    toml: TomlFile,
    recipe: RecipeFile,
    frame: pd.DataFrame,
    reading: Reading,
    months_by_role: Mapping[str, npt.NDArray[np.int32]],
) -> None:
    """Note a column of dates where more than a few cells are not in the form that the recipe gives."""
    for role, month in months_by_role.items():
        if not (name := getattr(recipe.loans, role)):
            continue
        stated = frame[name].notna().to_numpy()
        unread = stated & (month == 0)
        if unread.sum() > MOST_LEFT_OUT * stated.sum():
            form = reading.form_of(name)
            how = f"are no dates by {form!r}" if form else "cannot be read: nothing says how dates are written"
            toml.wrong(
                ("loans", role),
                f"{unread.sum():,} of {stated.sum():,} cells of {name} {how}. Say it in loans.read: "
                f'dates = "%d.%m.%Y", or dates_of = {{ "{name}" = "%d.%m.%Y" }} where columns differ',
            )


def weights_of(name: str, frame: pd.DataFrame, reading: Reading, out: LeftOut) -> npt.NDArray[np.float64]:
    """Weights above 0, with a mean of about 1."""
    weights = numbers(frame[name], reading.decimal).values
    out.add(f"{name}: no weight above 0", ~(weights > 0))
    usable = weights[weights > 0]
    return np.where(weights > 0, weights, 0.0) / (usable.mean() if len(usable) else 1.0)


def people_of(column: pd.Series) -> npt.NDArray[np.int64]:
    """A number per customer; a loan without a customer gets a number of its own."""
    codes, _ = pd.factorize(column)
    return np.where(codes < 0, len(codes) + np.arange(len(codes)), codes).astype(np.int64)


def not_asked(names: Iterable[str], frame: pd.DataFrame, reading: Reading) -> npt.NDArray[np.float64] | None:
    """The columns that the form does not ask as numbers (m, n), NaN where not stated; None without any."""
    columns = [as_numbers(frame[name], reading) for name in names]
    return np.column_stack(columns) if columns else None


def as_numbers(column: pd.Series, reading: Reading) -> npt.NDArray[np.float64]:
    """(m,): numbers where nearly all of it is, months where it is dates; else each text is a number, the most
    frequent one first: trees can split it."""
    stated = column.notna().to_numpy()
    values, unread = numbers(column, reading.decimal)
    if unread.sum() <= (1 - ALL_NUMBERS) * stated.sum():
        return values
    if form := reading.form_of(str(column.name)):
        day = months(dates(column, form))
        if (day > 0).sum() >= ALL_NUMBERS * stated.sum():
            return np.where(day > 0, day, np.nan).astype(np.float64)
    order = {value: float(rank) for rank, value in enumerate(column.value_counts().index[:MOST_TEXTS])}
    return np.array(
        [
            order.get(value, float(MOST_TEXTS)) if is_stated else np.nan
            for value, is_stated in zip(column, stated, strict=True)
        ]
    )


def judged(toml: TomlFile, recipe: RecipeFile, loaded: LoadedLoans) -> None:
    """Note a problem if too many loans are left out without a reason in the recipe."""
    if loaded.share_left_out > MOST_LEFT_OUT and not recipe.loans.accept_left_out:
        toml.wrong(
            ("loans",),
            f"{loaded.share_left_out:.1%} of the loans have answers that the form cannot give and would be left out: "
            f'{by_reason(loaded.left_out)}. Widen the fields, or say accept_left_out = "why"',
        )


def by_reason(counts: Mapping[str, int], most: int = 12) -> str:
    """Reasons with their numbers of loans, the most frequent first."""
    ordered: Sequence[tuple[str, int]] = sorted(counts.items(), key=lambda item: -item[1])
    more = f"; {len(ordered) - most} more reasons" if len(ordered) > most else ""
    return "; ".join(f"{why} ({count:,})" for why, count in ordered[:most]) + more


def embedded(recipe: RecipeFile, load: Callable[[], Loans] | None = None, **more: Any) -> Recipe:
    """A demonstration recipe that comes with the code: its loans are read when needed.

    `load` and `more` come from a small Python source instead of the file.
    """
    policy = {name: value for name, value in recipe.policy.items() if name != "rare_below"}
    embedded_files: dict[str, Any] = {
        "name": recipe.name,
        "title": recipe.title,
        "notice": recipe.notice,
        "data_card": recipe.data_card,
        "limits": recipe.limits,
        "date": recipe.date,
        "groups": recipe.groups,
        "questions": recipe.questions,
        "fields": recipe.fields,
        "features": recipe.features,
        "monotone": recipe.monotone,
        "parameters": recipe.parameters,
        "half_life": recipe.half_life,
        "blur": recipe.blur,
        "policy": policy,
        "points": recipe.points,
        "load": load or (lambda: load_loans(recipe).loans),
        "why_age": recipe.why_age,
        "rare_below": recipe.policy["rare_below"],
        "folds": recipe.folds,
        "repeats": recipe.repeats,
    }
    return Recipe(**{**embedded_files, **more})
