"""Reads a fields file (TOML): the form, the threshold and the columns of a model made elsewhere. See ADOPT.md."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
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
from models.toml_file import BadFile, Key, TomlFile, decoded

REFER_BAND = 0.25
ANCHOR, DOUBLE = 600.0, 20.0
GROUP = "application"  # one for all fields, with no heading of its own
NOTICE = {
    "en": "Adopted: a model trained elsewhere, on loans that are not known here.",
    "fr": "Modèle repris, entraîné ailleurs sur des crédits inconnus ici.",
}
TOP = (
    "name", "title", "date", "threshold", "refer_band", "points", "calibration", "notice", "why_age", "amount",
    "positive", "unasked", "fields",
)  # fmt: skip
NEEDED = ("name", "title", "date", "threshold", "fields")
NUMBER_KEYS = ("reference", "usual", "typical", "feature", "if_not_stated")
CHOICE_KEYS = ("reference", "features", "codes", "feature")
MOST_FIELDS = 40  # as in recipes: an officer who is asked more answers carelessly
MISSING = "missing"


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
    codes: Mapping[str, Mapping[str, float]]  # choice field that sets one column to a number -> code -> number
    good: bool  # whether the model gives the probability that a loan is good
    unasked: Mapping[str, float | None]  # the model's column that no answer sets -> what it holds; None: missing
    unstated: Mapping[str, float]  # number field -> what is written where it is not stated, if not 0

    @property
    def stated(self) -> set[str]:
        """Columns of which the file says what they hold, though nobody is asked."""
        return set(self.unasked)


def read_features(file: Path) -> list[str]:
    """The model's columns in order: one name a line, or a JSON list of names (feature_names.json)."""
    text = text_of(file)
    if text.lstrip()[:1] in ("[", "{"):
        return features_in_json(text, file)
    names = [line.strip() for line in text.rstrip().split("\n")]
    for at, name in enumerate(names):
        if not name or name in names[:at]:
            what = f"{name} for the second time" if name else "an empty line"
            raise BadFields(f"{file}: line {at + 1}: one distinct feature name a line is needed, found {what}")
    return names


def features_in_json(text: str, file: Path) -> list[str]:
    """A list of names, or a table with one list of names in it."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadFields(f"{file} is no JSON: {error}") from None
    lists = [one for one in (said.values() if isinstance(said, dict) else [said]) if is_names(one)]
    if len(lists) != 1:
        raise BadFields(f"{file}: a JSON list of distinct names is needed, found {len(lists)} such lists")
    return list(lists[0])


def is_names(said: object) -> bool:
    return (
        isinstance(said, list) and bool(said) and all(isinstance(one, str) and one for one in said)
        and len(set(said)) == len(said)
    )  # fmt: skip


def read_fields(
    file: Path,
    features: Sequence[str],
    codes: Mapping[str, Mapping[str, float]] = MappingProxyType({}),
    fills: Mapping[str, float] = MappingProxyType({}),
) -> FieldsFile:
    """The file as its model's columns `features` can be filled by it.

    `codes` (column -> code -> number) and `fills` (column -> what stands for a missing number) are what the model's own
    input steps say; the file need not repeat them.

    Raises `BadFields` with all that is wrong, each with its line and key; also for a field that names a prohibited
    attribute.
    """
    try:
        return fields_from(TomlFile.read(file), features, codes, fills)
    except BadFile as error:
        raise BadFields(f"{error}\nmodels/adoption/ADOPT.md shows a whole file") from None
    except (BadFields, Prohibited) as error:
        raise BadFields(f"{file}: {error}") from None
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise BadFields(f"{file}: {error}. models/adoption/ADOPT.md shows a whole file") from None


def fields_from(
    toml: TomlFile,
    features: Sequence[str],
    codes: Mapping[str, Mapping[str, float]],
    fills: Mapping[str, float],
) -> FieldsFile:
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
    elif len(asked) > MOST_FIELDS:
        toml.wrong(("fields",), f"a form has at most {MOST_FIELDS} fields, got {len(asked)}: ask those that the model "
                   "leans on most, and say in `unasked` what the other columns hold")  # fmt: skip
    if said.get("positive", "bad") not in ("good", "bad"):
        toml.wrong(("positive",), f"good or bad is needed (what the model's 1 means), got {said['positive']!r}")
    toml.done()
    found = [adopted_spec(toml, name, about) for name, about in asked.items()]
    toml.done()
    specs = [spec for spec in found if spec is not None]
    numbered = {
        spec["name"]: numbers
        for spec in specs
        if (numbers := numbers_of(toml, spec, asked[spec["name"]], features, codes)) is not None
    }
    columns = {
        spec["name"]: columns_of(toml, spec, asked[spec["name"]], features, coded=spec["name"] in numbered)
        for spec in specs
    }
    unasked = unasked_of(toml, said.get("unasked", "zero"), features, columns)
    unstated = {
        spec["name"]: number
        for spec in specs
        if spec["kind"] == "number"
        if (number := unstated_of(toml, spec, asked[spec["name"]], fills.get(columns[spec["name"]][""]))) is not None
    }
    toml.done()
    for spec in specs:
        refuse_prohibited("an adopted model", spec, said.get("why_age", ""), *columns[spec["name"]].values())
    form = Form(tuple(field_from_json(spec) for spec in specs))
    check_reasons(form)
    lent = said.get("amount")
    if lent is not None and not any(spec["name"] == lent and spec["kind"] == "number" for spec in specs):
        toml.wrong(("amount",), f"the number field with what is lent is needed, got {lent!r}")
    toml.done()
    block = placed(specs, columns, features, numbered, unstated)
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
        codes=numbered,
        good=said.get("positive", "bad") == "good",
        unasked=unasked,
        unstated=unstated,
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
    specs: Sequence[Mapping[str, Any]],
    columns: Mapping[str, Mapping[str, str]],
    features: Sequence[str],
    numbered: Mapping[str, Mapping[str, float]],
    unstated: Mapping[str, float],
) -> dict[str, Any]:
    """The one block of the release's features: the model's columns, and which answer sets which."""
    block = {
        "kind": "placed",
        "columns": list(features),
        "numbers": {spec["name"]: columns[spec["name"]][""] for spec in specs if spec["kind"] == "number"},
        "choices": {
            spec["name"]: columns[spec["name"]]
            for spec in specs
            if spec["kind"] == "choice" and spec["name"] not in numbered
        },
    }
    if numbered:
        block["codes"] = {name: {"column": columns[name][""], "numbers": dict(of)} for name, of in numbered.items()}
    if unstated:
        block["not_stated"] = dict(unstated)
    return block


def numbers_of(
    toml: TomlFile,
    spec: Mapping[str, Any],
    about: Mapping[str, Any],
    features: Sequence[str],
    known_codes: Mapping[str, Mapping[str, float]],
) -> Mapping[str, float] | None:
    """The number of each code of a choice that sets one column; None for a choice that sets a column a code."""
    if spec["kind"] != "choice":
        return None
    key, column = ("fields", spec["name"], "codes"), about.get("feature", spec["name"])
    choices = [one["code"] for one in spec["choices"]]
    if "codes" not in about:
        if "features" in about or column not in known_codes:
            if "feature" in about:
                toml.wrong(
                    (*key[:2], "feature"), "a choice that sets one feature needs `codes`, the number of each code"
                )
            return None
        own = known_codes[column]
        for code in choices:
            if code not in own:
                toml.wrong((*key[:2], "choices", code), f"the model's encoder has no code {code}: {', '.join(own)}")
        return {code: own[code] for code in choices if code in own}
    said = about["codes"]
    if "features" in about:
        toml.wrong(key, "either `codes` or `features`, not both")
    if not known(toml, key, said, choices, choices):
        return None
    return {code: number_of(toml, (*key, code), one, -1e15, 1e15) for code, one in said.items() if code in choices}


def unasked_of(
    toml: TomlFile, said: Any, features: Sequence[str], columns: Mapping[str, Mapping[str, str]]
) -> dict[str, float | None]:
    """What columns hold that no answer sets, where that is not 0."""
    asked = {column for found in columns.values() for column in found.values()}
    free = [one for one in features if one not in asked]
    if said in ("zero", MISSING):
        return dict.fromkeys(free) if said == MISSING else {}
    if not isinstance(said, Mapping):
        toml.wrong(("unasked",), f'zero, missing, or a table feature = number or "missing" is needed, got {said!r}')
        return {}
    found: dict[str, float | None] = {}
    for column, value in said.items():
        if column not in free:
            why = "an answer sets it" if column in asked else "the model has no such feature"
            toml.wrong(("unasked", column), why)
        else:
            key = ("unasked", column)
            found[column] = None if value == MISSING else number_of(toml, key, value, -1e30, 1e30)
    return found


def unstated_of(toml: TomlFile, spec: Mapping[str, Any], about: Mapping[str, Any], fill: float | None) -> float | None:
    """What is written where a number is not stated, if not 0: as the file says, or as the model's imputer did."""
    key = ("fields", spec["name"], "if_not_stated")
    if "if_not_stated" in about:
        if not spec["optional"]:
            toml.wrong(key, "it means something of an optional field alone")
        return number_of(toml, key, about["if_not_stated"], -1e15, 1e15)
    return fill if spec["optional"] else None


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
    toml: TomlFile, spec: Mapping[str, Any], about: Mapping[str, Any], features: Sequence[str], *, coded: bool
) -> dict[str, str]:
    """The columns that a field sets: of a number, or a choice as a number, {"": column}; else code -> column, set to 1.

    Where the file does not say: a number's own name, and `<field>_<code>` as pandas.get_dummies names columns.
    """
    name, key = spec["name"], ("fields", spec["name"])
    codes = [choice["code"] for choice in spec.get("choices", [])]
    if spec["kind"] == "number" or coded:
        columns = {"": about.get("feature", name)}
    else:
        columns = about.get("features") or {code: f"{name}_{code}" for code in codes}
        known(toml, (*key, "features"), columns, codes)
    for code, column in columns.items():
        if column not in features:
            near = get_close_matches(str(column), features, 1)
            hint = f" (the nearest is {near[0]})" if near else ""
            role = "`feature`" if not code else "`features`, where a code that sets none is left out"
            place = (*key, "features", code) if code else (*key, "feature")
            toml.wrong(place, f"the model has no feature {column}{hint}; name the right one in {role}")
    return columns


def text_of(file: Path) -> str:
    try:
        return decoded(file.read_bytes())
    except OSError as error:
        raise BadFields(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadFields(f"{file} is no UTF-8 text") from None
