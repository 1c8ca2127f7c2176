"""What a recipe computes from answers: [[features]], past loans, directions; and that they fit together."""

from collections.abc import Mapping, Sequence
from typing import Any

from inference.application import Form
from inference.blocks import ArithmeticSpec, Feature, HistorySpec, features_from_json
from inference.fields import field_from_json
from inference.reasons import MOST_FIELDS as MOST_COALITIONS
from inference.rows import RowBuilder
from inference.tree_reasons import ONE_ANSWER
from models import own_history
from models.form_file import DIRECTIONS
from models.recipe_toml.content import ESTIMATED, EXACT, SCORECARD, Source
from models.recipe_toml.values import is_table
from models.toml_file import TomlFile


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
