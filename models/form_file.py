"""The form in TOML: fields, texts, bounds. One dialect for recipes and for the fields files of adopted models."""

import math
import re
from collections.abc import Mapping, Sequence
from keyword import iskeyword
from types import MappingProxyType
from typing import Any

from inference.fields import ANY, HIGH, LOW, NOT_STATED
from models.recipe import choice_field, number_field, reason
from models.toml_file import Key, TomlFile

COMMON = ("label", "help", "example", "actionable", "reasons", "group")
NUMBER = (*COMMON, "unit", "unit_one", "range", "whole", "optional", "direction")
CHOICE = (*COMMON, "choices", "digits")
DIRECTIONS = {"up": +1, "down": -1}
ACTIONABLE = (None, "up", "down", "either")


def is_name(value: object) -> bool:
    """Whether it can be part of a folder's name and a parameter of the desk's API."""
    return isinstance(value, str) and bool(re.fullmatch(r"[a-z][a-z0-9_]*", value)) and not iskeyword(value)


def check_keys(
    file: TomlFile,
    key: Key,
    table: Any,
    keys: Sequence[str],
    needed: Sequence[str] = (),
    hints: Mapping[str, str] = MappingProxyType({}),
) -> bool:
    """Whether it is a table with the needed keys; unknown keys are noted, since a misspelt one would be lost."""
    if not isinstance(table, Mapping):
        file.wrong(key, f"a table is needed, got {table!r}")
        return False
    for name in table:
        if name not in keys:
            file.wrong((*key, name), f"{name} means nothing here; known: {', '.join(keys)}")
    missing = [name for name in needed if name not in table]
    for name in missing:
        file.wrong(key, f"{name} is missing{hints.get(name, '')}")
    return not missing


def texts(file: TomlFile, key: Key, value: Any, *, empty: bool = True, more: Sequence[str] = ()) -> dict[str, str]:
    """One text for both languages, or a table of en and fr (and of the keys `more`)."""
    if isinstance(value, str):
        by_language = {"en": value, "fr": value}
    else:
        by_language = (
            {name: text for name, text in value.items() if name not in more} if isinstance(value, Mapping) else {}
        )
    if by_language.keys() != {"en", "fr"} or not all(isinstance(text, str) for text in by_language.values()):
        file.wrong(key, f"a text, or {{ en = …, fr = … }}, is needed, got {value!r}")
        return {"en": "?", "fr": "?"}
    if not empty and not all(text.strip() for text in by_language.values()):
        file.wrong(key, "texts are needed, got empty ones")
    return by_language


def number_of(file: TomlFile, key: Key, value: Any, low: float, high: float, *, whole_only: bool = False) -> float:
    """A number between two bounds; notes a problem and returns the lower bound if it is not."""
    if type(value) in (int, float) and low <= value <= high and (not whole_only or value == int(value)):
        return float(value) if isinstance(value, float) else int(value)
    file.wrong(key, f"a {'whole ' * whole_only}number from {low:g} to {high:g} is needed, got {value!r}")
    return low


def text_of(file: TomlFile, key: Key, value: Any) -> str:
    """A text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        file.wrong(key, f"a text is needed, got {value!r}")
        return "?"
    return value


def field_spec(
    file: TomlFile, name: str, about: Any, group: str, number: Sequence[str], choice: Sequence[str]
) -> dict[str, Any] | None:
    """One field as a manifest describes it, without what is counted from loans; None if problems with it were noted.

    `number` and `choice` are the keys that the caller reads in addition to the form's own.
    """
    before, key = len(file.problems), ("fields", name)
    if not is_name(name):
        file.wrong(key, "as a name small letters, digits and _ are needed")
    is_choice = isinstance(about, Mapping) and "choices" in about
    keys = (*CHOICE, *choice) if is_choice else (*NUMBER, *number)
    if not check_keys(file, key, about, keys, ("label", "example", "choices" if is_choice else "range")):
        return None
    label = texts(file, (*key, "label"), about["label"], empty=False)
    common: dict[str, Any] = {"help": texts(file, (*key, "help"), about.get("help", "")), "example": about["example"]}
    common["actionable"] = about.get("actionable")
    if common["actionable"] not in ACTIONABLE:
        file.wrong((*key, "actionable"), f"up, down or either is needed, got {common['actionable']!r}")
    if is_choice:
        spec = choice_spec(file, key, name, about, group, label, common)
    else:
        spec = number_spec(file, key, name, about, group, label, common)
    if spec is not None:
        spec["reasons"] = reasons(file, key, about.get("reasons", {}), spec)
    if len(file.problems) > before:
        return None
    return spec


def number_spec(
    file: TomlFile, key: Key, name: str, about: Any, group: str, label: Mapping[str, str], common: dict[str, Any]
) -> dict[str, Any] | None:
    """A number field; its example must be an answer that the form takes."""
    pair = about["range"]
    numbers = isinstance(pair, list) and len(pair) == 2 and all(type(end) in (int, float) for end in pair)
    if not numbers or not pair[0] <= pair[1] or any(abs(end) > 1e15 or not math.isfinite(end) for end in pair):
        file.wrong((*key, "range"), f"the smallest answer and the largest are needed, got {shortened(pair)}")
        return None
    for flag in ("whole", "optional"):
        if not isinstance(about.get(flag, False), bool):
            file.wrong((*key, flag), f"true or false is needed, got {about[flag]!r}")
    if not isinstance(about.get("direction", "up"), str) or about.get("direction", "up") not in DIRECTIONS:
        file.wrong((*key, "direction"), f"up or down is needed, got {about['direction']!r}")
    more = {"unit_one": texts(file, (*key, "unit_one"), about["unit_one"])} if "unit_one" in about else {}
    spec = number_field(
        name, group, label["en"], label["fr"], texts(file, (*key, "unit"), about.get("unit", "")),
        minimum=pair[0], maximum=pair[1], whole=about.get("whole", False), optional=about.get("optional", False),
        **common, **more,
    )  # fmt: skip
    example = about["example"]
    fits = type(example) in (int, float) and pair[0] <= example <= pair[1]
    if not (fits and (not spec["whole"] or example == int(example))):
        file.wrong((*key, "example"), f"an answer that the form takes is needed, from {pair[0]:g} to {pair[1]:g}"
                   f"{' and whole' if spec['whole'] else ''}, got {example!r}")  # fmt: skip
    return spec


def choice_spec(
    file: TomlFile, key: Key, name: str, about: Any, group: str, label: Mapping[str, str], common: dict[str, Any]
) -> dict[str, Any] | None:
    """A choice field: `choices` maps code -> text, or texts in both languages."""
    listed = about["choices"]
    by_code = "digits" in about  # a list so long that it is code beside the recipe: embedded recipes only
    if not isinstance(listed, Mapping) or not (listed or by_code):
        file.wrong((*key, "choices"), "a table is needed, code = text")
        return None
    titles = {code: texts(file, (*key, "choices", code), title, empty=False) for code, title in listed.items()}
    if not by_code and (not isinstance(common["example"], str) or common["example"] not in titles):
        file.wrong((*key, "example"), f"{common['example']!r} is not one of its choices: {', '.join(titles)}")
    choices = {code: (title["en"], title["fr"]) for code, title in titles.items()}
    return choice_field(
        name, group, label["en"], label["fr"], choices, **common, digits=about.get("digits")
    )  # fmt: skip


def reasons(file: TomlFile, key: Key, value: Any, spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What applicants are told: code -> text; with `columns` (and `when`) for what the answer makes of other ones."""
    key = (*key, "reasons")
    if not check_keys(file, key, value, list(value) if isinstance(value, Mapping) else []):
        return []
    answers = (
        [*(choice["code"] for choice in spec.get("choices", ())), ANY] if "choices" in spec else [HIGH, LOW, NOT_STATED]
    )
    reasons = []
    for code, about in value.items():
        others = isinstance(about, Mapping) and "columns" in about
        when, columns = (about.get("when", code), list(about["columns"])) if others else (code, [])
        if when not in answers and not spec.get("digits"):
            file.wrong((*key, code), f"{when} is no answer: {', '.join(answers[:20])}")
        text = texts(file, (*key, code), about, empty=False, more=("when", "columns") if others else ())
        reasons.append(reason(code, text["en"], text["fr"], *columns, when=when))
    return reasons


def questions_of(file: TomlFile, value: Any, fields: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What is asked where one number is above another: name -> `field`, `above`, and the question in both languages."""
    if not check_keys(file, ("questions",), value, list(value) if isinstance(value, Mapping) else []):
        return []
    units = {spec["name"]: spec["unit"] for spec in fields if spec["kind"] == "number"}
    questions = []
    for name, about in value.items():
        key = ("questions", name)
        if not check_keys(file, key, about, ("field", "above", "en", "fr"), ("field", "above", "en", "fr")):
            continue
        text = texts(file, key, about, empty=False, more=("field", "above"))
        for part in ("field", "above"):
            if not isinstance(about[part], str) or about[part] not in units:
                file.wrong(
                    (*key, part), f"a number of the form is needed, one of {', '.join(units)}, got {about[part]!r}"
                )
                break
        else:
            if about["field"] == about["above"] or units[about["field"]] != units[about["above"]]:
                file.wrong((*key, "above"), f"another field with the unit of {about['field']} is needed")
        questions.append({"name": name, "field": about["field"], "above": about["above"], "text": text})
    return questions


def standard_reasons(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The field's reasons, and plain words made from the label for answers without one.

    A notice uses them until the lender writes its own; they state the answer and nothing else.
    """
    en, fr = spec["label"]["en"], spec["label"]["fr"]
    if spec["kind"] == "number":
        words = {HIGH: ("high", "valeur élevée"), LOW: ("low", "valeur faible")}
        words |= {NOT_STATED: ("not stated", "non précisé")} if spec["optional"] else {}
    else:
        words = {choice["code"]: (choice["label"]["en"], choice["label"]["fr"]) for choice in spec["choices"]}
    codes = {reason["code"] for reason in spec["reasons"] if not reason["columns"]}
    more = [code for code in words if code not in codes and ANY not in codes]
    return [*spec["reasons"], *(reason(code, f"{en}: {words[code][0]}", f"{fr} : {words[code][1]}") for code in more)]


def shortened(value: Any) -> str:
    """A value in a message, cut where it is long."""
    text = repr(value) if not isinstance(value, list) or len(value) < 5 else f"{len(value)} values"
    return text if len(text) <= 60 else text[:59] + "…"
