"""Whether an answer is as the API's description says: types, choices, all names and no other."""

import re
from collections.abc import Mapping
from typing import Any

TYPES: dict[str, Any] = {
    "object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool,
    "null": type(None),
}  # fmt: skip


def misfits(value: Any, schema: Mapping[str, Any], schemas: Mapping[str, Any], where: str = "") -> list[str]:
    """Every place of a JSON value that is not as its schema says. `schemas` are the named ones of the description."""
    if "$ref" in schema:
        return misfits(value, schemas[schema["$ref"].rpartition("/")[2]], schemas, where)
    found = []
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{where}: {value!r} is not in {schema['enum']}")
    kinds = schema.get("type", [])
    named = [kinds] if isinstance(kinds, str) else kinds
    if named and not any(
        isinstance(value, TYPES[kind]) and isinstance(value, bool) == (kind == "boolean") for kind in named
    ):
        return [f"{where}: {value!r} is not {named}"]
    if "minimum" in schema and value is not None and value < schema["minimum"]:
        found.append(f"{where}: {value!r} is below {schema['minimum']}")
    if schema.get("format") == "date" and not re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        found.append(f"{where}: {value!r} is no day")
    if isinstance(value, list):
        for at, item in enumerate(value):
            found += misfits(item, schema["items"], schemas, f"{where}[{at}]")
    if isinstance(value, dict):
        properties = schema["properties"]
        if value.keys() != properties.keys() or schema["required"] != list(properties):
            found.append(f"{where}: {sorted(value.keys() ^ properties.keys())} only here or there")
        for name in value.keys() & properties.keys():
            found += misfits(value[name], properties[name], schemas, f"{where}.{name}")
    return found
