"""Reads a fields file (TOML): the form, the threshold and the columns of a model made elsewhere. See ADOPT.md."""

import json
import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from keyword import iskeyword
from pathlib import Path
from typing import Any

from inference.application import Form
from inference.blocks import features_from_json
from inference.calibration import Calibration
from inference.errors import TenfoldError
from inference.fields import ANY, HIGH, LOW, NOT_STATED, ChoiceField, field_from_json, untold
from inference.policy import Cutoffs, Points
from inference.rows import RowBuilder
from models.recipe import Prohibited, choice_field, number_field, refuse_prohibited

REFER_BAND = 0.25
ANCHOR, DOUBLE = 600.0, 20.0
GROUP = "application"  # one for all fields, with no heading of its own
NOTICE = {
    "en": "Adopted: a model trained elsewhere, on loans that are not known here.",
    "fr": "Modèle repris, entraîné ailleurs sur des crédits inconnus ici.",
}
TOP = (
    "name", "title", "date", "threshold", "refer_band", "points", "calibration", "notice", "why_age", "amount",
    "fields",
)  # fmt: skip
COMMON = ("label", "help", "example", "reference", "actionable", "reasons")
NUMBER = (*COMMON, "unit", "unit_one", "range", "usual", "typical", "whole", "optional", "feature", "direction")
CHOICE = (*COMMON, "choices", "features")
DIRECTIONS = {"up": +1, "down": -1}
ACTIONABLE = (None, "up", "down", "either")


class BadFields(TenfoldError):
    """A fields file or a feature list that cannot be used; the message names the place."""


@dataclass(frozen=True, slots=True)
class FieldsFile:
    """What a fields file says, in the words of a release's manifest."""

    manifest: Mapping[str, Any]  # all of it that the file decides
    form: Form
    builder: RowBuilder
    columns: Mapping[str, Sequence[str]]  # field -> the model's columns that it sets
    directions: Mapping[str, int]  # number field -> +1 where more of it should raise the PD, -1 lower it


def read_features(file: Path) -> list[str]:
    """The model's columns in order: one name a line."""
    names = [line.strip() for line in text_of(file).rstrip().split("\n")]
    for at, name in enumerate(names):
        if not name or name in names[:at]:
            what = f"{name} for the second time" if name else "an empty line"
            raise BadFields(f"{file}: line {at + 1}: one distinct feature name a line is needed, found {what}")
    return names


def read_fields(file: Path, features: Sequence[str]) -> FieldsFile:
    """The file as its model's columns `features` can be filled by it.

    Raises `BadFields` with the place and what is needed there, also for a field that names a prohibited attribute.
    """
    try:
        said = tomllib.loads(text_of(file))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise BadFields(f"{file} is no TOML: {error}") from None
    try:
        return fields_from(said, features)
    except (BadFields, Prohibited) as error:
        raise BadFields(f"{file}: {error}") from None
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise BadFields(f"{file}: {what}. models/adoption/ADOPT.md shows a whole file") from None


def fields_from(said: Mapping[str, Any], features: Sequence[str]) -> FieldsFile:
    known(said, TOP, "the file")
    if not is_name(said["name"]):
        raise BadFields(f"name: small letters, digits and _ are needed, got {said['name']!r}")
    if not isinstance(said["date"], date):
        day = said["date"]
        raise BadFields(f"date: the day of the model is needed, such as 2026-01-31 without quotes, got {day!r}")
    asked = said["fields"]
    if not asked:
        raise BadFields("fields: a form needs at least one")
    specs = [field_spec(name, about) for name, about in asked.items()]
    columns = {spec["name"]: columns_of(spec, asked[spec["name"]], features) for spec in specs}
    for spec in specs:
        refuse_prohibited("an adopted model", spec, said.get("why_age", ""), *columns[spec["name"]].values())
    form = Form(tuple(field_from_json(spec) for spec in specs))
    check_reasons(form)
    form.parse(form.example)
    lent = said.get("amount")
    if lent is not None and not any(spec["name"] == lent and spec["kind"] == "number" for spec in specs):
        raise BadFields(f"amount: the number field with what is lent is needed, got {lent!r}")
    block = placed(specs, columns, features)
    return FieldsFile(
        manifest={
            "name": said["name"],
            "title": texts(said["title"]),
            "notice": texts(said.get("notice", NOTICE)),
            "date": said["date"].isoformat(),
            "groups": [],
            "fields": specs,
            "features": [block],
            **judgement(said),
        },
        form=form,
        builder=RowBuilder(form, features_from_json([block])),
        columns={name: tuple(found.values()) for name, found in columns.items()},
        directions={name: DIRECTIONS[about["direction"]] for name, about in asked.items() if "direction" in about},
    )


def check_reasons(form: Form) -> None:
    """Whoever is declined is told why: a text for each answer that can raise the PD. Names all that are missing."""
    lines: list[str] = []
    for field in form.fields:
        codes = (*field.index, ANY) if isinstance(field, ChoiceField) else (HIGH, LOW, NOT_STATED)
        if unknown := [reason.code for reason in field.reasons if reason.code not in codes]:
            raise BadFields(f"field {field.name}: reasons: {', '.join(unknown)} is no answer: {', '.join(codes[:20])}")
        if codes_left := untold(field):
            lines += ["", f"[fields.{field.name}.reasons]"]
            lines += [
                f'{code if is_name(code) else json.dumps(code)} = {{ en = "…", fr = "…" }}' for code in codes_left
            ]
    if lines:
        raise BadFields(
            "what applicants are told where an answer raised the risk is missing. Write these texts in your own words "
            "(of a choice, `any` stands for all codes without one):\n" + "\n".join(lines)
        )


def judgement(said: Mapping[str, Any]) -> dict[str, Any]:
    """Policy, points and calibration as a manifest holds them."""
    threshold, band = float(said["threshold"]), float(said.get("refer_band", REFER_BAND))
    if not (0 < threshold < 1 and 0 <= band < 1):
        raise BadFields(f"threshold and refer_band lie between 0 and 1, got {threshold:g} and {band:g}")
    cutoffs = Cutoffs.around(threshold, band)
    if not cutoffs.can_decline:
        raise BadFields(
            f"threshold {threshold:g} with refer_band {band:g} declines only above a PD of {cutoffs.decline_from:g}, "
            f"which no applicant can have: set refer_band below {1 / threshold - 1:.2f}"
        )
    # PD* = margin / (margin + loss) = threshold, where all of the loan is lost
    policy = {"margin": threshold / (1 - threshold), "lgd": 1.0, "amount": said.get("amount"), "guarantee": None}
    points = {"anchor": ANCHOR, "odds": (1 - threshold) / threshold, "double": DOUBLE, **said.get("points", {})}
    calibration = {"intercept": 0.0, "slope": 1.0, **said.get("calibration", {})}
    Points(**points)  # to be refused here, with the file's name
    Calibration(**calibration)
    return {
        "policy": {**policy, "refer_band": band, "rare_below": 0},
        "points": points,
        "calibration": calibration,
    }


def placed(
    specs: Sequence[Mapping[str, Any]], columns: Mapping[str, Mapping[str, str]], features: Sequence[str]
) -> dict[str, Any]:
    """The one block of the release's features: the model's columns, and which answer sets which."""
    return {
        "kind": "placed",
        "columns": list(features),
        "numbers": {spec["name"]: columns[spec["name"]][""] for spec in specs if spec["kind"] == "number"},
        "choices": {spec["name"]: columns[spec["name"]] for spec in specs if spec["kind"] == "choice"},
    }


def field_spec(name: str, about: Mapping[str, Any]) -> dict[str, Any]:
    """One field as a manifest describes it."""
    if not is_name(name):
        raise BadFields(f"field {name!r}: as a name small letters, digits and _ are needed")
    is_choice = "choices" in about
    known(about, CHOICE if is_choice else NUMBER, f"field {name}")
    try:
        label = texts(about["label"])
        common: dict[str, Any] = {"help": texts(about.get("help", "")), "example": about["example"]}
        common["reference"] = about.get("reference", about["example"])
        common["actionable"] = about.get("actionable")
        common["reasons"] = [{"code": code, "text": texts(text)} for code, text in about.get("reasons", {}).items()]
        if common["actionable"] not in ACTIONABLE:
            raise BadFields("actionable is up, down or either")
        if is_choice:
            titles = {code: texts(one) for code, one in about["choices"].items()}
            for key in ("example", "reference"):
                if common[key] not in titles:
                    raise BadFields(f"{key} {common[key]!r} is not one of its choices: {', '.join(titles)}")
            choices = {code: (title["en"], title["fr"]) for code, title in titles.items()}
            spec = choice_field(name, GROUP, label["en"], label["fr"], choices, **common)
            # No loans, no counts; the policy's rare_below of 0 finds no choice rare.
            return {**spec, "choices": [{**one, "count": 0} for one in spec["choices"]]}
        if about.get("direction", "up") not in DIRECTIONS:
            raise BadFields(f"direction: up or down is needed, got {about['direction']!r}")
        low, high = about["range"]
        if not low <= high:
            raise BadFields(f"range: the smallest answer and the largest are needed, got {about['range']}")
        usual = about.get("usual", [low, high])
        ends = [math.ceil(usual[0]), math.floor(usual[1])] if about.get("whole") else usual
        if not low <= usual[0] <= usual[1] <= high or ends[0] > ends[1]:
            raise BadFields(f"usual: a part of the range {low:g} to {high:g} is needed, got {usual}")
        return number_field(
            name, GROUP, label["en"], label["fr"], texts(about.get("unit", "")), minimum=low, maximum=high,
            usual=usual, typical=about.get("typical", usual), whole=about.get("whole", False),
            unit_one=texts(about.get("unit_one", about.get("unit", ""))),
            optional=about.get("optional", False), **common,
        )  # fmt: skip
    except KeyError as error:
        raise BadFields(f"field {name}: {error} is missing") from None
    except (BadFields, TypeError, ValueError) as error:
        raise BadFields(f"field {name}: {error}") from None


def columns_of(spec: Mapping[str, Any], about: Mapping[str, Any], features: Sequence[str]) -> dict[str, str]:
    """The columns that a field sets: of a number {"": column}, of a choice code -> column, which gets 1.

    Where the file does not say: a number's own name, and `<field>_<code>` as pandas.get_dummies names columns.
    """
    name = spec["name"]
    codes = [choice["code"] for choice in spec.get("choices", [])]
    if spec["kind"] == "number":
        columns = {"": about.get("feature", name)}
    else:
        columns = about.get("features") or {code: f"{name}_{code}" for code in codes}
        known(columns, codes, f"field {name}: features")
    for column in columns.values():
        if column not in features:
            near = get_close_matches(str(column), features, 1)
            hint = f" (the nearest is {near[0]})" if near else ""
            key = "`feature`" if spec["kind"] == "number" else "`features`, where a code that sets none is left out"
            raise BadFields(f"field {name}: the model has no feature {column}{hint}; name the right one in {key}")
    return columns


def texts(said: Any) -> dict[str, str]:
    """One text for both languages, or a table of en and fr."""
    found: dict[str, str] = {"en": said, "fr": said} if isinstance(said, str) else dict(said)
    if found.keys() != {"en", "fr"} or not all(isinstance(one, str) for one in found.values()):
        raise BadFields(f"a text, or {{ en = …, fr = … }}, is needed, got {said!r}")
    return found


def is_name(said: object) -> bool:
    """Whether it can stand in a folder's name and as a parameter of the desk's API."""
    return isinstance(said, str) and bool(re.fullmatch(r"[a-z][a-z0-9_]*", said)) and not iskeyword(said)


def known(said: Mapping[str, Any], keys: Sequence[str], place: str) -> None:
    """Refuse a key that means nothing: a misspelt one would be passed over."""
    for key in said:
        if key not in keys:
            raise BadFields(f"{place}: {key} means nothing here; known: {', '.join(keys)}")


def text_of(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except OSError as error:
        raise BadFields(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadFields(f"{file} is no UTF-8 text") from None
