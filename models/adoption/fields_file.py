"""Reads a fields file (TOML): the form, the threshold and the columns of a model made elsewhere. See ADOPT.md."""

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from inference.application import Form
from inference.blocks import features_from_json
from inference.calibration import Calibration
from inference.errors import TenfoldError
from inference.fields import NumberField, field_from_json, without_reason
from inference.policy import Cutoffs, Points
from inference.reasons import MOST_FIELDS as MOST_COALITIONS
from inference.rows import RowBuilder
from models.adoption.computed import MISSING, ZERO, Computed, Span, check_domains, read_computed, step_function
from models.adoption.folding import Reads
from models.adoption.input_steps import FUNCTIONS
from models.form_file import DIRECTIONS, check_keys, field_spec, is_name, number_of, texts
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
    "positive", "unasked", "fields", "features",
)  # fmt: skip
NEEDED = ("name", "title", "date", "threshold", "fields")
NUMBER_KEYS = ("reference", "usual", "typical", "feature", "if_not_stated")
CHOICE_KEYS = ("reference", "features", "codes", "feature")
MOST_FIELDS = 40  # as in recipes: an officer who is asked more answers carelessly


Floats = npt.NDArray[np.float64]


class BadFields(TenfoldError):
    """A fields file or a feature list that cannot be used; the message names the place."""


@dataclass(frozen=True, slots=True)
class FieldsFile:
    """What a fields file says, in the words of a release's manifest."""

    manifest: Mapping[str, Any]  # all of it that the file decides
    form: Form
    builder: RowBuilder  # of the release's rows, whose columns are not always the model's
    columns: Mapping[str, Sequence[str]]  # field -> the release's columns that it sets
    directions: Mapping[str, int]  # number field -> +1 where more of it should raise the PD, -1 lower it
    codes: Mapping[str, Mapping[str, float]]  # choice field that sets one column to a number -> code -> number
    good: bool  # whether the model gives the probability that a loan is good
    unasked: Mapping[str, float | None]  # the model's column that no answer sets -> what it holds; None: missing
    unstated: Mapping[str, float]  # number field -> what is written where it is not stated, if not 0
    missing: frozenset[str]  # number fields that are missing for the model where they are not stated
    computed: Computed
    reads: Sequence[Reads] | None  # for each column of the model, what it reads of the release's; None: they are equal

    @property
    def stated(self) -> set[str]:
        """Columns of which the file says what they hold, though no single answer sets them."""
        return {*self.unasked, *self.computed.columns}

    def model_rows(self, features: Sequence[str], values: Floats) -> Floats:
        """What the model's own columns (m, n_features) hold for encoded answers (m, n_fields), NaN where missing."""
        release = dict(zip(self.builder.columns, self.builder.build(values).astype(np.float64).T, strict=True))
        answers = {name: values[:, self.form.position(name)] for name in self.form.names}
        for name, number in self.number_columns.items():
            otherwise = np.nan if name in self.missing else self.unstated.get(name, 0.0)
            release[number] = np.where(np.isnan(answers[name]), otherwise, answers[name])
        for name, numbers in self.computed.values(answers).items():
            otherwise = np.nan if self.computed.undefined[name] == MISSING else 0.0
            release[name] = np.where(np.isnan(numbers), otherwise, numbers)
        for column, (function, field) in self.computed.functions.items():
            with np.errstate(all="ignore"):
                release[column] = FUNCTIONS[function][0](release[self.columns[field][0]])
        for column, band in self.computed.bands.items():
            release[column] = band.of(release[self.columns[band.field][0]])
        for column, constant in self.unasked.items():
            release[column] = np.full(len(values), np.nan if constant is None else constant)
        return np.stack([release[name] for name in features], axis=1)

    @property
    def number_columns(self) -> dict[str, str]:
        """Number field -> its own column of the release, where it has one."""
        return {
            field.name: self.columns[field.name][0]
            for field in self.form.fields
            if isinstance(field, NumberField) and self.columns[field.name]
        }


class ModelInputs(NamedTuple):
    """What the model's own input steps say of its columns; the file need not repeat it."""

    codes: Mapping[str, Mapping[str, float]] = {}  # column -> code -> number
    fills: Mapping[str, float] = {}  # column -> what stands for a missing number
    functions: Mapping[str, Sequence[str]] = {}  # column -> functions that its steps take of it


NOTHING_KNOWN = ModelInputs()


def read_features(file: Path) -> list[str]:
    """The model's columns in order: one name a line, or a JSON list of names (feature_names.json)."""
    text = text_of(file)
    if text.lstrip()[:1] in ("[", "{"):
        return features_in_json(text, file)
    names = [line.strip() for line in text.rstrip().split("\n")]
    for index, name in enumerate(names):
        if not name or name in names[:index]:
            what = f"{name} for the second time" if name else "an empty line"
            raise BadFields(f"{file}: line {index + 1}: one distinct feature name a line is needed, found {what}")
    return names


def features_in_json(text: str, file: Path) -> list[str]:
    """A list of names, or a table with one list of names in it."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadFields(f"{file} is no JSON: {error}") from None
    lists = [part for part in (content.values() if isinstance(content, dict) else [content]) if is_names(part)]
    if len(lists) != 1:
        raise BadFields(f"{file}: a JSON list of distinct names is needed, found {len(lists)} such lists")
    return list(lists[0])


def is_names(value: object) -> bool:
    return (
        isinstance(value, list) and bool(value) and all(isinstance(name, str) and name for name in value)
        and len(set(value)) == len(value)
    )  # fmt: skip


def computed_names(file: Path) -> list[str]:
    """The columns that a fields file computes of several answers, before the rest of it can be read."""
    try:
        tables = TomlFile.read(file).content.get("features", [])
        steps = [step for table in tables if table["kind"] == "arithmetic" for step in table["columns"]]
        return [str(name) for name, *_ in steps]
    except (BadFile, AttributeError, LookupError, TypeError, ValueError):
        return []  # read_fields says what is wrong


def read_fields(file: Path, features: Sequence[str], inputs: ModelInputs = NOTHING_KNOWN) -> FieldsFile:
    """The file as its model's columns `features` can be filled by it.

    Raises `BadFields` with all that is wrong and all that is still marked ASK, each with its line and key; also for a
    field that names a prohibited attribute.
    """
    try:
        return fields_from(TomlFile.read(file), features, inputs)
    except BadFile as error:
        last = error.problems[-1].text.splitlines()
        hint = "" if len(last) > 1 else "\nmodels/adoption/ADOPT.md shows a whole file"  # lines to copy end the message
        raise BadFields(f"{error}{hint}") from None
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise BadFields(f"{file}: {error}. models/adoption/ADOPT.md shows a whole file") from None


def fields_from(toml: TomlFile, features: Sequence[str], inputs: ModelInputs) -> FieldsFile:
    content = toml.content
    check_keys(toml, (), content, TOP, NEEDED)
    top = top_of(toml, content)
    asked_of = content.get("fields")
    if not isinstance(asked_of, Mapping) or not asked_of:
        if "fields" in content:
            toml.wrong(("fields",), "a form needs at least one")
        all_problems(toml)
        raise ValueError("no fields")  # cannot be: that is a problem
    if len(asked_of) > MOST_FIELDS:
        toml.wrong(("fields",), f"a form has at most {MOST_FIELDS} fields, got {len(asked_of)}: ask those that the "
                   "model leans on most, and say in `unasked` what the other columns hold")  # fmt: skip
    specs = [spec for name, about in asked_of.items() if (spec := adopted_spec(toml, name, about)) is not None]
    if not specs:
        all_problems(toml)
    readable = len(specs) == len(asked_of)
    spans = {
        spec["name"]: Span(float(spec["minimum"]), float(spec["maximum"]), spec["optional"])
        for spec in specs
        if spec["kind"] == "number"
    }
    # Of a field that cannot be read the arithmetic may speak: it would be called unknown.
    computed = read_computed(toml, content.get("features", []), spans, features) if readable else Computed()
    if computed.steps and len(asked_of) > MOST_COALITIONS:
        toml.wrong(
            ("features",),
            f"with more than {MOST_COALITIONS} fields every feature must come from one answer, so that a notice can "
            "say exactly what each did: ask fewer fields, or train without arithmetic",
        )
    numbered = {
        spec["name"]: numbers
        for spec in specs
        if (numbers := numbers_of(toml, spec, asked_of[spec["name"]], inputs.codes)) is not None
    }
    columns = {
        spec["name"]: columns_of(
            toml, spec, asked_of[spec["name"]], features, computed, coded=spec["name"] in numbered, guess=readable
        )
        for spec in specs
    }
    unasked = unasked_of(toml, content.get("unasked", ZERO), features, columns, computed) if readable else {}
    missing = frozenset(
        spec["name"] for spec in specs if asked_of[spec["name"]].get("if_not_stated") == MISSING and spec["optional"]
    )
    unstated = {
        spec["name"]: number
        for spec in specs
        if spec["kind"] == "number"
        if (number := unstated_of(toml, spec, asked_of[spec["name"]], columns[spec["name"]], inputs.fills)) is not None
    }
    check_computed(toml, computed, spans, features)
    check_functions(toml, computed, spans, columns, unstated, missing, inputs.functions)
    for spec in specs:
        own_columns = [*columns[spec["name"]].values(), *columns_made_of(spec["name"], computed)]
        try:
            refuse_prohibited("an adopted model", spec, content.get("why_age", ""), *own_columns)
        except Prohibited as error:
            toml.wrong(("fields", spec["name"]), str(error))
    form = Form(tuple(field_from_json(spec) for spec in specs))
    check_reasons(toml, form)
    lent = content.get("amount")
    if lent is not None and lent not in spans:
        toml.wrong(("amount",), f"the number field with what is lent is needed, got {lent!r}")
    all_problems(toml)
    blocks = blocks_of(specs, columns, features, numbered, unstated, computed)
    builder = RowBuilder(form, features_from_json(blocks))
    return FieldsFile(
        manifest={**top, "groups": [], "fields": specs, "features": blocks},
        form=form,
        builder=builder,
        columns={name: tuple(by_code.values()) for name, by_code in columns.items()},
        directions={name: DIRECTIONS[about["direction"]] for name, about in asked_of.items() if "direction" in about},
        codes=numbered,
        good=content.get("positive", "bad") == "good",
        unasked=unasked,
        unstated=unstated,
        missing=missing,
        computed=computed,
        reads=reads_of(features, builder.columns, columns, spans, missing, computed),
    )


def all_problems(toml: TomlFile) -> None:
    """Raise all problems noted, and all that is still marked ASK."""
    toml.problems += toml.questions()
    toml.done()


def top_of(toml: TomlFile, content: Mapping[str, Any]) -> dict[str, Any]:
    """What the top of the file says, as a manifest holds it; notes every problem."""
    name, day = content.get("name"), content.get("date")
    if "name" in content and not is_name(name):
        toml.wrong(("name",), f"small letters, digits and _ are needed, got {name!r}")
    if "date" in content and type(day) is not date:
        toml.wrong(("date",), f"a day is needed, such as 2026-01-31 without quotes, got {day!r}")
    if content.get("positive", "bad") not in ("good", "bad"):
        toml.wrong(("positive",), f"good or bad is needed (what the model's 1 means), got {content['positive']!r}")
    return {
        "name": name,
        "title": texts(toml, ("title",), content.get("title", "?")),
        "notice": texts(toml, ("notice",), content.get("notice", NOTICE)),
        "date": day.isoformat() if type(day) is date else "",
        **judgement(toml, content),
    }


def columns_made_of(name: str, computed: Computed) -> list[str]:
    """The model's columns that are a function or a band of this field's number."""
    functions = [column for column, (_, field) in computed.functions.items() if field == name]
    return functions + [column for column, band in computed.bands.items() if band.field == name]


def check_computed(toml: TomlFile, computed: Computed, spans: Mapping[str, Span], features: Sequence[str]) -> None:
    """What a column of arithmetic holds in the model where it is undefined must be said, if it can be."""
    for column, span in computed.spans(spans).items():
        choice = computed.undefined[column]
        if column not in features or not span.undefined:
            continue
        if not choice:
            toml.wrong(
                ("features",),
                f"{column} is undefined where an answer that it is made of is left open, or where it divides by 0: "
                f'say what it was there in training, undefined = "{ZERO}" or "{MISSING}"',
            )
        elif choice == MISSING and span.low <= 0:
            toml.wrong(
                ("features",),
                f'{column} may be {span.low:g} or more, so that 0 cannot stand for missing (undefined = "{MISSING}"): '
                "give its fields ranges that keep it above 0, or do not let them be left open",
            )


def check_functions(
    toml: TomlFile,
    computed: Computed,
    spans: Mapping[str, Span],
    columns: Mapping[str, Mapping[str, str]],
    unstated: Mapping[str, float],
    missing: Collection[str],
    functions: Mapping[str, Sequence[str]],
) -> None:
    """The functions taken of each number must have a value for all that its field accepts."""
    for name, span in spans.items():
        applied = [function for function, field in computed.functions.values() if field == name]
        applied += functions.get(columns[name].get("", ""), ())
        otherwise = unstated.get(name, 0.0) if span.undefined and name not in missing else None
        check_domains(toml, ("fields", name, "range"), applied, span, otherwise)


def reads_of(
    features: Sequence[str],
    release: Sequence[str],
    columns: Mapping[str, Mapping[str, str]],
    spans: Mapping[str, Span],
    missing: Collection[str],
    computed: Computed,
) -> list[Reads] | None:
    """What each column of the model reads of the release's rows; None where it is the same column, as it is."""
    places = {name: index for index, name in enumerate(release)}
    below = {columns[name][""]: float(np.float32(spans[name].low)) for name in missing}
    below |= {
        column: float(np.float32(span.low))
        for column, span in computed.spans(spans).items()
        if span.undefined and computed.undefined[column] == MISSING
    }
    reads = []
    for name in features:
        if name in computed.functions:
            function, field = computed.functions[name]
            raw = columns[field][""]
            reads.append(Reads(places[raw], FUNCTIONS[function][0], missing_below=below.get(raw)))
        elif name in computed.bands:
            band = computed.bands[name]
            raw = columns[band.field][""]
            if band.number is None:
                reads.append(Reads(places[raw], step_function(band), missing_below=below.get(raw)))
            else:
                reads.append(Reads(places[raw], band=band.ends(), missing_below=below.get(raw)))
        else:
            reads.append(Reads(places[name], missing_below=below.get(name)))
    return None if not below and tuple(features) == tuple(release) else reads


def check_reasons(toml: TomlFile, form: Form) -> None:
    """Whoever is declined is told why: a text for each answer that can raise the PD. Names all that are missing."""
    lines: list[str] = []
    for field in form.fields:
        if codes_left := without_reason(field):
            lines += ["", f"[fields.{field.name}.reasons]"]
            lines += [
                f'{code if is_name(code) else json.dumps(code)} = {{ en = "…", fr = "…" }}' for code in codes_left
            ]
    if lines:
        toml.wrong(
            ("fields",),
            "what applicants are told where an answer raised the risk is missing. Write these texts in your own words "
            "(of a choice, `any` stands for all codes without one):\n" + "\n".join(lines),
        )


def judgement(toml: TomlFile, content: Mapping[str, Any]) -> dict[str, Any]:
    """Policy, points and calibration as a manifest holds them; notes every problem."""
    before = len(toml.problems)
    threshold = number_of(toml, ("threshold",), content.get("threshold", 0.5), 0, 1)
    band = number_of(toml, ("refer_band",), content.get("refer_band", REFER_BAND), 0, 1)
    if len(toml.problems) == before and not (0 < threshold < 1 and band < 1):
        toml.wrong(("threshold",), f"threshold and refer_band lie between 0 and 1, got {threshold:g} and {band:g}")
    if len(toml.problems) > before:
        return {}
    cutoffs = Cutoffs.around(threshold, band)
    if not cutoffs.can_decline:
        toml.wrong(
            ("refer_band",),
            f"threshold {threshold:g} with refer_band {band:g} declines only above a PD of {cutoffs.decline_from:g}, "
            f"which no applicant can have: set refer_band below {1 / threshold - 1:.2f}",
        )
    # PD* = margin / (margin + loss) = threshold, where all of the loan is lost
    policy = {"margin": threshold / (1 - threshold), "lgd": 1.0, "amount": content.get("amount"), "guarantee": None}
    points = {"anchor": ANCHOR, "odds": (1 - threshold) / threshold, "double": DOUBLE}
    calibration = {"intercept": 0.0, "slope": 1.0}
    for name, numbers, made_of in (("points", points, Points), ("calibration", calibration, Calibration)):
        given = content.get(name, {})
        if not check_keys(toml, (name,), given, list(numbers)):
            continue
        numbers |= {key: number_of(toml, (name, key), value, -1e15, 1e15) for key, value in given.items()}
        try:
            made_of(**numbers)  # to be refused here, with its line
        except (TypeError, ValueError) as error:
            toml.wrong((name,), str(error))
    return {
        "policy": {**policy, "refer_band": band, "rare_below": 0},
        "points": points,
        "calibration": calibration,
    }


def blocks_of(
    specs: Sequence[Mapping[str, Any]],
    columns: Mapping[str, Mapping[str, str]],
    features: Sequence[str],
    numbered: Mapping[str, Mapping[str, float]],
    unstated: Mapping[str, float],
    computed: Computed,
) -> list[dict[str, Any]]:
    """The release's features: the model's columns that answers set, numbers that it reads otherwise, arithmetic."""
    own = [name for name in features if name not in {*computed.columns, *computed.functions, *computed.bands}]
    numbers = {spec["name"]: columns[spec["name"]] for spec in specs if spec["kind"] == "number"}
    more = [by_code[""] for by_code in numbers.values() if by_code and by_code[""] not in own]
    block = {
        "kind": "placed",
        "columns": [*own, *more],
        "numbers": {name: by_code[""] for name, by_code in numbers.items() if by_code},
        "choices": {
            spec["name"]: columns[spec["name"]]
            for spec in specs
            if spec["kind"] == "choice" and spec["name"] not in numbered
        },
    }
    if numbered:
        block["codes"] = {
            name: {"column": columns[name][""], "numbers": dict(of_codes)} for name, of_codes in numbered.items()
        }
    if unstated:
        block["not_stated"] = dict(unstated)
    if not computed.steps:
        return [block]
    return [block, {"kind": "arithmetic", "columns": [list(step) for step in computed.steps]}]


def numbers_of(
    toml: TomlFile, spec: Mapping[str, Any], about: Mapping[str, Any], known_codes: Mapping[str, Mapping[str, float]]
) -> Mapping[str, float] | None:
    """The number of each code of a choice that sets one column; None for a choice that sets a column a code."""
    if spec["kind"] != "choice":
        return None
    key, column = ("fields", spec["name"], "codes"), about.get("feature", spec["name"])
    choices = [choice["code"] for choice in spec["choices"]]
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
    given = about["codes"]
    if "features" in about:
        toml.wrong(key, "either `codes` or `features`, not both")
    if not check_keys(toml, key, given, choices, choices):
        return None
    return {
        code: number_of(toml, (*key, code), number, -1e15, 1e15) for code, number in given.items() if code in choices
    }


def unasked_of(
    toml: TomlFile,
    given: Any,
    features: Sequence[str],
    columns: Mapping[str, Mapping[str, str]],
    computed: Computed,
) -> dict[str, float | None]:
    """What columns hold that no answer sets, where that is not 0."""
    filled = {column for by_code in columns.values() for column in by_code.values()}
    filled |= {*computed.columns, *computed.functions, *computed.bands}
    free = [name for name in features if name not in filled]
    if given in (ZERO, MISSING):
        return dict.fromkeys(free) if given == MISSING else {}
    if not isinstance(given, Mapping):
        toml.wrong(("unasked",), f'zero, missing, or a table feature = number or "missing" is needed, got {given!r}')
        return {}
    unasked: dict[str, float | None] = {}
    for column, value in given.items():
        key = ("unasked", column)
        if column not in free:
            toml.wrong(key, "an answer sets it" if column in filled else "the model has no such feature")
        else:
            unasked[column] = None if value == MISSING else number_of(toml, key, value, -1e30, 1e30)
    return unasked


def unstated_of(
    toml: TomlFile,
    spec: Mapping[str, Any],
    about: Mapping[str, Any],
    columns: Mapping[str, str],
    fills: Mapping[str, float],
) -> float | None:
    """What is written where a number is not stated, if not 0: as the file says, or as the model's imputer did.

    For missing it is a number below the field's range, for which the trees are rewritten.
    """
    key = ("fields", spec["name"], "if_not_stated")
    if "if_not_stated" not in about:
        return fills.get(columns.get("", "")) if spec["optional"] else None
    if not spec["optional"]:
        toml.wrong(key, "it means something of an optional field alone")
    if not columns:
        toml.wrong(key, "the model has no column of it: `undefined` under [[features]] says what arithmetic gives")
    if about["if_not_stated"] == MISSING:
        low = float(spec["minimum"])
        return low - max(1.0, abs(low))
    return number_of(toml, key, about["if_not_stated"], -1e15, 1e15)


def adopted_spec(toml: TomlFile, name: str, about: Any) -> dict[str, Any] | None:
    """One field as a manifest describes it; what training would have counted the file says, or its bounds do."""
    before, key = len(toml.problems), ("fields", name)
    spec = field_spec(toml, name, about, GROUP, NUMBER_KEYS, CHOICE_KEYS)
    if spec is None:
        return None
    spec["reference"] = about.get("reference", about["example"])
    if spec["kind"] == "choice":
        codes = [choice["code"] for choice in spec["choices"]]
        if spec["reference"] not in codes:
            toml.wrong((*key, "reference"), f"{spec['reference']!r} is not one of its choices: {', '.join(codes)}")
        # No loans, no counts; the policy's rare_below of 0 finds no choice rare.
        spec["choices"] = [{**choice, "count": 0} for choice in spec["choices"]]
    else:
        low, high = spec["minimum"], spec["maximum"]
        for role, default in (("usual", [low, high]), ("typical", about.get("usual", [low, high]))):
            spec[role] = part_of(toml, (*key, role), about.get(role, default), spec)
        number_of(toml, (*key, "reference"), spec["reference"], low, high)
        spec.setdefault("unit_one", spec["unit"])
    return spec if len(toml.problems) == before else None


def part_of(toml: TomlFile, key: Key, given: Any, spec: Mapping[str, Any]) -> Any:
    """A part of a field's range that holds an answer."""
    low, high = spec["minimum"], spec["maximum"]
    fits = isinstance(given, list) and len(given) == 2 and all(type(end) in (int, float) for end in given)
    if fits and low <= given[0] <= given[1] <= high:
        ends = [math.ceil(given[0]), math.floor(given[1])] if spec["whole"] else given
        if ends[0] <= ends[1]:
            return given
    toml.wrong(key, f"a part of the range {low:g} to {high:g} is needed, got {given!r}")
    return [low, high]


def columns_of(
    toml: TomlFile,
    spec: Mapping[str, Any],
    about: Mapping[str, Any],
    features: Sequence[str],
    computed: Computed,
    *,
    coded: bool,
    guess: bool,
) -> dict[str, str]:
    """The columns that a field sets: of a number, or a choice as a number, {"": column}; else code -> column, set to 1.

    Where the file does not say: a number's own name, and `<field>_<code>` as pandas.get_dummies names columns. A number
    that the model has only in arithmetic sets none (`guess`: whether the arithmetic could be read).
    """
    name, key = spec["name"], ("fields", spec["name"])
    codes = [choice["code"] for choice in spec.get("choices", [])]
    if spec["kind"] == "number" and "feature" not in about and name not in features:
        if name in computed.read_from:
            return {"": name}
        if name in computed.operands or not guess:
            return {}
    if spec["kind"] == "number" or coded:
        columns = {"": about.get("feature", name)}
    else:
        columns = about.get("features") or {code: f"{name}_{code}" for code in codes}
        if not check_keys(toml, (*key, "features"), columns, codes):
            return {}
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
