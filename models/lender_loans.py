"""From a lender's file to loans as the form gives them; what it could not have given is left out and counted."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from inference.fields import NOT_STATED
from models.loans_cells import dates, months, numbers
from models.loans_file import UNEVEN, BadLoansFile, Reading, read_loans, reading_from, sha256
from models.prohibited import answered
from models.recipe import Loans, Recipe
from models.recipe_file import CLIP, LEAVE_OUT, Column, RecipeFile
from models.toml_file import BadFile, Key, Problem, TomlFile

Mask = npt.NDArray[np.bool_]
MOST_LEFT_OUT = 0.02  # of the loans with a known outcome, before somebody is asked
ALL_NUMBERS = 0.99  # of a column that is not asked: from so many numbers on it is one of numbers
MOST_TEXTS = 200  # of such a column; the rest are one
FEW = 60  # distinct answers of a column, to be looked at for what they show


@dataclass(frozen=True, slots=True)
class Taken:
    """The loans of a file, and what was not taken."""

    loans: Loans
    lines: int  # loans in the file
    uneven: int  # lines that are no loans: another number of cells
    undecided: Mapping[str, int]  # outcome that is neither good nor bad -> loans
    left_out: Mapping[str, int]  # why -> loans with a known outcome that the form could not have given
    digest: str  # sha256 of the file

    @property
    def share_left_out(self) -> float:
        """Of the loans with a known outcome."""
        out = sum(self.left_out.values())
        return out / max(1, out + len(self.loans))


def take(recipe: RecipeFile) -> Taken:
    """The recipe's loans. Raises `BadFile` with all that does not fit: digest, columns, outcomes, too many left out."""
    toml = TomlFile.read(recipe.file)
    source = recipe.loans
    frame, reading, digest = opened(toml, recipe)
    roles = [source.target, source.date, source.default_date, source.group, source.weight]
    asked = [one.name for one in recipe.columns.values()]
    listed = [*filter(None, roles), *asked, *source.leave_out, *source.not_asked, *source.look_at]
    missing(toml, recipe, frame)
    if unlisted := [name for name in frame.columns if name not in listed]:
        lines = "\n".join(f'  {{ column = "{name}", why = "ASK" }},' for name in unlisted)
        toml.wrong(
            ("loans",),
            f"nothing is dropped in silence: ask for these columns, or say why not in not_asked or leave_out\n{lines}",
        )
    toml.done()
    for name in source.not_asked:
        distinct = frame[name].dropna().unique()
        if len(distinct) <= FEW and name not in source.not_prohibited and (found := answered(distinct)):
            toml.wrong(
                ("loans", "not_asked"),
                f"{name}: its answers show an attribute that credit must not be decided on ({', '.join(found)})",
            )
    outcome = outcomes(toml, recipe, frame[source.target])
    toml.done()
    known = ~np.isnan(outcome)
    undecided = Counter(frame[source.target][~known].fillna("(empty)").tolist())
    out = LeftOut(len(frame), known)
    answers = {name: asked_of(recipe, name, frame, reading, out) for name in recipe.columns}
    dated = months_of(source.date, frame, reading, out) if source.date else np.zeros(len(frame), np.int32)
    gone = (
        months_of(source.default_date, frame, reading, None) if source.default_date else np.zeros(len(frame), np.int32)
    )
    weights = weights_of(source.weight, frame, reading, out) if source.weight else None
    every = Loans(
        answers,
        np.nan_to_num(outcome).astype(np.int8),
        dated,
        np.where(outcome == 1, gone, 0).astype(np.int32),
        people_of(frame[source.group]) if source.group else None,
        weights,
        not_asked(source.not_asked, frame, reading),
        frame[list(source.look_at)],
    )
    taken = Taken(
        every.where(known & ~out.mask), len(frame), int(frame.attrs.get(UNEVEN, 0)),
        dict(undecided.most_common()), out.counts, digest,
    )  # fmt: skip
    judged(toml, recipe, taken)
    toml.done()
    return taken


def opened(toml: TomlFile, recipe: RecipeFile) -> tuple[pd.DataFrame, Reading, str]:
    """The file's cells. Another file than the one that was drafted from is refused before it is read."""
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
    """Note what the recipe names and the file does not have."""
    source = recipe.loans
    named: list[tuple[Key, str]] = [
        (("fields", field, "column"), about.name) for field, about in recipe.columns.items()
    ]
    named += [
        (("loans", role), getattr(source, role)) for role in ("target", "date", "default_date", "group", "weight")
    ]
    for role in ("leave_out", "not_asked", "look_at"):
        named += [(("loans", role, at), name) for at, name in enumerate(getattr(source, role))]
    for key, name in named:
        if name not in frame.columns and (name or key[1] in ("leave_out", "not_asked", "look_at")):
            toml.wrong(key, f"{source.file.name} has no column {name!r}; it has {', '.join(frame.columns[:40])}")


def outcomes(toml: TomlFile, recipe: RecipeFile, column: pd.Series) -> npt.NDArray[np.float64]:
    """(m,): 1 bad, 0 good, NaN neither."""
    source = recipe.loans
    found = np.full(len(column), np.nan)
    for one, values in ((1.0, source.bad), (0.0, source.good)):
        wanted = {*values, *(plain for value in values if (plain := simplest(value)) is not None)}
        found[column.map(simplest).isin(wanted).to_numpy() | column.isin(values).to_numpy()] = one
    for name, one in (("bad", 1.0), ("good", 0.0)):
        if not (found == one).any():
            there = ", ".join(repr(value) for value in column.value_counts().index[:10])
            toml.wrong(("loans", name), f"no loan has such an outcome; {source.target} holds {there}")
    return found


def simplest(value: Any) -> str | None:
    """1.0 and 01 are 1; what is no number is itself."""
    try:
        return f"{float(value):.15g}"
    except (TypeError, ValueError):
        return None


class LeftOut:
    """Loans left out so far, each counted once, by the first reason."""

    def __init__(self, loans: int, known: Mask) -> None:
        self.mask = np.zeros(loans, bool)
        self.known = known  # those with an outcome; others are counted elsewhere
        self.counts: dict[str, int] = {}

    def add(self, why: str, which: Mask) -> None:
        """Leave these out."""
        new = which & ~self.mask & self.known
        if new.any():
            self.counts[why] = self.counts.get(why, 0) + int(new.sum())
        self.mask |= which


def asked_of(recipe: RecipeFile, name: str, frame: pd.DataFrame, reading: Reading, out: LeftOut) -> list[object]:
    """A column as the form's answers, one a loan; what of it the form could not have given is left out."""
    spec = next(one for one in recipe.fields if one["name"] == name)
    about = recipe.columns[name]
    if spec["kind"] == "choice":
        return choices(spec, about, frame[about.name], out)
    found, unread = numbers(frame[about.name], reading.decimal)
    found = np.where(np.isin(found, list(about.not_stated)), np.nan, found)
    beyond = (found < spec["minimum"]) | (found > spec["maximum"])
    if about.outside == CLIP:
        found = np.clip(found, spec["minimum"], spec["maximum"])
    elif about.outside == NOT_STATED:
        found = np.where(beyond, np.nan, found)
    else:
        out.add(f"{name}: outside {spec['minimum']:,.10g} to {spec['maximum']:,.10g}", beyond)
    out.add(f"{name}: no number", unread)
    if spec["whole"]:
        out.add(f"{name}: not whole", np.mod(found, 1) > 0)
    if not spec["optional"]:
        out.add(f"{name}: not stated", np.isnan(found) & ~unread)
    return [None if np.isnan(one) else one for one in found.tolist()]


def choices(spec: Mapping[str, Any], about: Column, column: pd.Series, out: LeftOut) -> list[object]:
    """A column of texts as codes."""
    codes = {one["code"] for one in spec["choices"]}
    listed = {**about.values, **{simple: code for value, code in about.values.items() if (simple := simplest(value))}}
    coded = column.map(lambda value: listed.get(value) or listed.get(simplest(value) or "") if value == value else None)
    coded = coded.astype(object).where(coded.notna(), None)
    gone = column.isna().to_numpy() | column.isin(about.not_stated).to_numpy()
    strange = coded.isna().to_numpy() & ~gone
    if NOT_STATED in codes:
        coded = coded.where(~gone, NOT_STATED)
    else:
        out.add(f"{spec['name']}: not stated", gone)
    if about.outside != LEAVE_OUT:
        coded = coded.where(~strange, about.outside)
    else:
        out.add(f"{spec['name']}: none of its choices", strange)
    return list(coded)


def months_of(name: str, frame: pd.DataFrame, reading: Reading, out: LeftOut | None) -> npt.NDArray[np.int32]:
    """A column of dates as months since year 0; where `out` is given, loans without one are left out."""
    found = months(dates(frame[name], reading.dates))
    if out is not None:
        out.add(f"{name}: no date", found == 0)
    return found


def weights_of(name: str, frame: pd.DataFrame, reading: Reading, out: LeftOut) -> npt.NDArray[np.float64]:
    """Weights above 0, with a mean of about 1."""
    found = numbers(frame[name], reading.decimal).values
    out.add(f"{name}: no weight above 0", ~(found > 0))
    usable = found[found > 0]
    return np.where(found > 0, found, 0.0) / (usable.mean() if len(usable) else 1.0)


def people_of(column: pd.Series) -> npt.NDArray[np.int64]:
    """A number a customer; a loan without one is of a customer of its own."""
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
    found, unread = numbers(column, reading.decimal)
    if unread.sum() <= (1 - ALL_NUMBERS) * stated.sum():
        return found
    if reading.dates:
        day = months(dates(column, reading.dates))
        if (day > 0).sum() >= ALL_NUMBERS * stated.sum():
            return np.where(day > 0, day, np.nan).astype(np.float64)
    order = {value: float(at) for at, value in enumerate(column.value_counts().index[:MOST_TEXTS])}
    return np.array(
        [order.get(value, float(MOST_TEXTS)) if there else np.nan for value, there in zip(column, stated, strict=True)]
    )


def judged(toml: TomlFile, recipe: RecipeFile, taken: Taken) -> None:
    """Note where too many loans are left out to go on without a word."""
    if taken.share_left_out > MOST_LEFT_OUT and not recipe.loans.accept_left_out:
        toml.wrong(
            ("loans",),
            f"{taken.share_left_out:.1%} of the loans cannot be given by the form and would be left out: "
            f'{told(taken.left_out)}. Widen the fields, or say accept_left_out = "why"',
        )


def told(counts: Mapping[str, int], most: int = 12) -> str:
    """Reasons with how many loans, the most frequent first."""
    ordered: Sequence[tuple[str, int]] = sorted(counts.items(), key=lambda one: -one[1])
    more = f"; {len(ordered) - most} more reasons" if len(ordered) > most else ""
    return "; ".join(f"{why} ({count:,})" for why, count in ordered[:most]) + more


def embedded(said: RecipeFile, load: Callable[[], Loans] | None = None, **more: Any) -> Recipe:
    """A recipe that comes with the code, to demonstrate: its loans are read when they are asked for.

    `load` and `more` are what a small Python source says instead of the file.
    """
    policy = {name: value for name, value in said.policy.items() if name != "rare_below"}
    found: dict[str, Any] = {
        "name": said.name,
        "title": said.title,
        "notice": said.notice,
        "data_card": said.data_card,
        "limits": said.limits,
        "date": said.date,
        "groups": said.groups,
        "fields": said.fields,
        "features": said.features,
        "monotone": said.monotone,
        "parameters": said.parameters,
        "half_life": said.half_life,
        "blur": said.blur,
        "policy": policy,
        "points": said.points,
        "load": load or (lambda: take(said).loans),
        "why_age": said.why_age,
        "rare_below": said.policy["rare_below"],
        "folds": said.folds,
        "repeats": said.repeats,
    }
    return Recipe(**{**found, **more})
