"""The tables [groups] and [fields] of a recipe: what the form asks, and which column answers it."""

from collections.abc import Mapping, Sequence
from typing import Any

from inference.fields import NOT_STATED
from models.form_file import check_keys, field_spec, is_name, shortened, text_of, texts
from models.prohibited import aged, answered, named
from models.recipe_toml.content import (
    CHOICE_KEYS,
    CLIP,
    LEAST_FIELDS,
    LEAVE_OUT,
    MOST_FIELDS,
    NUMBER_KEYS,
    Column,
    Source,
)
from models.recipe_toml.values import list_of_texts
from models.toml_file import TomlFile


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
        listed = listed if isinstance(listed, Mapping) else {}
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
