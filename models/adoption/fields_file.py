"""Reads a fields file (TOML): the form, the threshold and the columns of a model made elsewhere. See ADOPT.md."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from inference.application import Form
from inference.blocks import features_from_json
from inference.calibration import Calibration
from inference.errors import TenfoldError
from inference.fields import field_from_json, without_reason
from inference.policy import Cutoffs, Points
from inference.rows import RowBuilder
from models.form_file import DIRECTIONS, field_spec, is_name, known, number_of, texts
from models.prohibited import Prohibited, refuse_prohibited
from models.toml_file import BadFile, Key, TomlFile

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
NEEDED = ("name", "title", "date", "threshold", "fields")
NUMBER_KEYS = ("reference", "usual", "typical", "feature")
CHOICE_KEYS = ("reference", "features")


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

    Raises `BadFields` with all that is wrong, each with its line and key; also for a field that names a prohibited
    attribute.
    """
    try:
        return fields_from(TomlFile.read(file), features)
    except BadFile as error:
        raise BadFields(f"{error}\nmodels/adoption/ADOPT.md shows a whole file") from None
    except (BadFields, Prohibited) as error:
        raise BadFields(f"{file}: {error}") from None
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise BadFields(f"{file}: {error}. models/adoption/ADOPT.md shows a whole file") from None


def fields_from(toml: TomlFile, features: Sequence[str]) -> FieldsFile:
    said = toml.said
    known(toml, (), said, TOP, NEEDED)
    toml.done()
    if not is_name(said["name"]):
        toml.wrong(("name",), f"small letters, digits and _ are needed, got {said['name']!r}")
    if type(said["date"]) is not date:
        toml.wrong(("date",), f"a day is needed, such as 2026-01-31 without quotes, got {said['date']!r}")
    title = texts(toml, ("title",), said["title"])
    notice = texts(toml, ("notice",), said.get("notice", NOTICE))
    asked = said["fields"]
    if not isinstance(asked, Mapping) or not asked:
        toml.wrong(("fields",), "a form needs at least one")
    toml.done()
    found = [adopted_spec(toml, name, about) for name, about in asked.items()]
    toml.done()
    specs = [spec for spec in found if spec is not None]
    columns = {spec["name"]: columns_of(toml, spec, asked[spec["name"]], features) for spec in specs}
    toml.done()
    for spec in specs:
        refuse_prohibited("an adopted model", spec, said.get("why_age", ""), *columns[spec["name"]].values())
    form = Form(tuple(field_from_json(spec) for spec in specs))
    check_reasons(form)
    lent = said.get("amount")
    if lent is not None and not any(spec["name"] == lent and spec["kind"] == "number" for spec in specs):
        toml.wrong(("amount",), f"the number field with what is lent is needed, got {lent!r}")
    toml.done()
    block = placed(specs, columns, features)
    return FieldsFile(
        manifest={
            "name": said["name"],
            "title": title,
            "notice": notice,
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
        if codes_left := without_reason(field):
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


def adopted_spec(toml: TomlFile, name: str, about: Any) -> dict[str, Any] | None:
    """One field as a manifest describes it; what training would have counted the file says, or its bounds do."""
    before, key = len(toml.problems), ("fields", name)
    spec = field_spec(toml, name, about, GROUP, NUMBER_KEYS, CHOICE_KEYS)
    if spec is None:
        return None
    spec["reference"] = about.get("reference", about["example"])
    if spec["kind"] == "choice":
        codes = [one["code"] for one in spec["choices"]]
        if spec["reference"] not in codes:
            toml.wrong((*key, "reference"), f"{spec['reference']!r} is not one of its choices: {', '.join(codes)}")
        # No loans, no counts; the policy's rare_below of 0 finds no choice rare.
        spec["choices"] = [{**one, "count": 0} for one in spec["choices"]]
    else:
        low, high = spec["minimum"], spec["maximum"]
        for role, default in (("usual", [low, high]), ("typical", about.get("usual", [low, high]))):
            spec[role] = part_of(toml, (*key, role), about.get(role, default), spec)
        number_of(toml, (*key, "reference"), spec["reference"], low, high)
        spec.setdefault("unit_one", spec["unit"])
    return spec if len(toml.problems) == before else None


def part_of(toml: TomlFile, key: Key, said: Any, spec: Mapping[str, Any]) -> Any:
    """A part of a field's range that holds an answer."""
    low, high = spec["minimum"], spec["maximum"]
    fits = isinstance(said, list) and len(said) == 2 and all(type(end) in (int, float) for end in said)
    if fits and low <= said[0] <= said[1] <= high:
        ends = [math.ceil(said[0]), math.floor(said[1])] if spec["whole"] else said
        if ends[0] <= ends[1]:
            return said
    toml.wrong(key, f"a part of the range {low:g} to {high:g} is needed, got {said!r}")
    return [low, high]


def columns_of(
    toml: TomlFile, spec: Mapping[str, Any], about: Mapping[str, Any], features: Sequence[str]
) -> dict[str, str]:
    """The columns that a field sets: of a number {"": column}, of a choice code -> column, which gets 1.

    Where the file does not say: a number's own name, and `<field>_<code>` as pandas.get_dummies names columns.
    """
    name, key = spec["name"], ("fields", spec["name"])
    codes = [choice["code"] for choice in spec.get("choices", [])]
    if spec["kind"] == "number":
        columns = {"": about.get("feature", name)}
    else:
        columns = about.get("features") or {code: f"{name}_{code}" for code in codes}
        known(toml, (*key, "features"), columns, codes)
    for code, column in columns.items():
        if column not in features:
            near = get_close_matches(str(column), features, 1)
            hint = f" (the nearest is {near[0]})" if near else ""
            role = "`feature`" if spec["kind"] == "number" else "`features`, where a code that sets none is left out"
            place = (*key, "features", code) if code else (*key, "feature")
            toml.wrong(place, f"the model has no feature {column}{hint}; name the right one in {role}")
    return columns


def text_of(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except OSError as error:
        raise BadFields(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadFields(f"{file} is no UTF-8 text") from None
