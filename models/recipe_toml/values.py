"""Values of a recipe that several of its tables have: tables, days, months, lists of texts."""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from models.form_file import check_keys, shortened
from models.toml_file import Key, TomlFile


def is_table(content: Mapping[str, Any], name: str) -> bool:
    return isinstance(content.get(name), Mapping)


def table_of(toml: TomlFile, key: Key, content: Mapping[str, Any], keys: Sequence[str]) -> Mapping[str, Any]:
    """A table that may be left out; where something else stands, that is noted and the table is empty."""
    table = content.get(str(key[-1]), {})
    check_keys(toml, key, table, keys)
    return table if isinstance(table, Mapping) else {}


def day_of(toml: TomlFile, key: Key, value: Any) -> str:
    if type(value) is not date:
        toml.wrong(key, f"a day is needed, such as 2026-01-31 without quotes, got {value!r}")
        return ""
    return value.isoformat()


def month_of(toml: TomlFile, key: Key, value: Any) -> int | None:
    """A month as "2021-07", or a day of it, since year 0."""
    match = re.fullmatch(r"(\d{4})-(\d\d)(-\d\d)?", str(value))
    if not match or not 1 <= int(match[2]) <= 12:
        toml.wrong(key, f'a month is needed, such as "2021-07", got {value!r}')
        return None
    return 12 * int(match[1]) + int(match[2]) - 1


def list_of_texts(toml: TomlFile, key: Key, value: Any) -> list[str]:
    """Texts; numbers are taken as they are written, since columns of digits are read as texts."""
    if not isinstance(value, list) or not all(type(item) in (str, int, float, bool) for item in value):
        toml.wrong(key, f"a list of texts is needed, got {shortened(value)}")
        return []
    return [item if isinstance(item, str) else f"{item:.15g}" if type(item) is float else str(item) for item in value]
