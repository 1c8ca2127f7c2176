"""The table [loans] of a recipe: where past loans are, and what each of their columns is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.form_file import check_keys, text_of
from models.prohibited import named
from models.recipe_toml.content import HINTS, LOANS, Column, Source
from models.recipe_toml.values import list_of_texts
from models.toml_file import Key, TomlFile


def source(toml: TomlFile, value: Any, python_source: bool) -> Source | None:
    """The table [loans]."""
    key = ("loans",)
    needed = ("horizon", "declined") if python_source else ("file", "target", "bad", "good", "horizon", "declined")
    if not check_keys(toml, key, value, LOANS, needed, HINTS):
        return None
    before = len(toml.problems)
    bad = list_of_texts(toml, (*key, "bad"), value.get("bad", []))
    good = list_of_texts(toml, (*key, "good"), value.get("good", []))
    if not python_source:
        for name, some in (("bad", bad), ("good", good)):
            if not some:
                toml.wrong((*key, name), "at least one value is needed")
        if both := sorted(set(bad) & set(good)):
            toml.wrong((*key, "good"), f"bad as well: {', '.join(both)}")
    if value["declined"] not in (True, False):
        toml.wrong(
            (*key, "declined"), f"true where declined applicants are in the file, else false; got {value['declined']!r}"
        )
    names = {
        role: text_of(toml, (*key, role), value[role])
        for role in ("date", "default_date", "group", "weight")
        if role in value
    }
    if not python_source:
        names["target"] = text_of(toml, (*key, "target"), value["target"])
        names["file"] = text_of(toml, (*key, "file"), value["file"])
    if "default_date" in names and "date" not in names:
        toml.wrong((*key, "default_date"), "needs loans.date beside it")
    reading = value.get("read", {})
    if not isinstance(reading, Mapping):
        toml.wrong((*key, "read"), f"a table is needed, got {reading!r}")
        reading = {}
    horizon = text_of(toml, (*key, "horizon"), value["horizon"])
    why = value.get("not_prohibited", {})
    if not isinstance(why, Mapping) or not all(isinstance(entry, str) and entry.strip() for entry in why.values()):
        toml.wrong((*key, "not_prohibited"), 'a table is needed, column = "why"')
        why = {}
    loans = Source(
        file=Path(toml.file).parent / names.get("file", ""), sha256=str(value.get("sha256", "")), read=dict(reading),
        target=names.get("target", ""), bad=frozenset(bad), good=frozenset(good), horizon=horizon,
        declined=value["declined"] is True, date=names.get("date", ""), default_date=names.get("default_date", ""),
        group=names.get("group", ""), weight=names.get("weight", ""),
        leave_out=whys(toml, (*key, "leave_out"), value.get("leave_out", [])),
        not_asked=whys(toml, (*key, "not_asked"), value.get("not_asked", [])),
        look_at=tuple(list_of_texts(toml, (*key, "look_at"), value.get("look_at", []))), not_prohibited=why,
        accept_left_out=str(value.get("accept_left_out", "")),
    )  # fmt: skip
    for index, column in enumerate(loans.not_asked):
        if (shown_by := named(column)) and column not in loans.not_prohibited:
            toml.wrong(
                (*key, "not_asked", index),
                f"{column} shows an attribute that credit must not be decided on ({', '.join(shown_by)}): a model of "
                "all columns would learn it. Put it into look_at or leave_out",
            )
    return loans if len(toml.problems) == before else None


def whys(toml: TomlFile, key: Key, value: Any) -> dict[str, str]:
    """A list of { column, why }."""
    if not isinstance(value, list):
        toml.wrong(key, 'a list is needed, of { column = "…", why = "…" }')
        return {}
    reasons: dict[str, str] = {}
    for index, entry in enumerate(value):
        if check_keys(toml, (*key, index), entry, ("column", "why"), ("column", "why")):
            name = str(entry["column"])
            if name in reasons:
                toml.wrong((*key, index), f"{name} is listed twice")
            reasons[name] = text_of(toml, (*key, index, "why"), entry["why"])
    return reasons


def used(toml: TomlFile, loans: Source, columns: Mapping[str, Column]) -> None:
    """Note columns that have two roles."""
    roles: dict[str, str] = {}
    listed = [
        (column, f"loans.{role}")
        for role in ("target", "date", "default_date", "group", "weight")
        if (column := getattr(loans, role))
    ]
    listed += [(about.name, f"fields.{name}") for name, about in columns.items()]
    listed += [
        (name, f"loans.{role}") for role in ("leave_out", "not_asked", "look_at") for name in getattr(loans, role)
    ]
    for name, role in listed:
        if name in roles and not (role.startswith("fields.") and roles[name].startswith("fields.")):
            toml.wrong(tuple(role.split(".")), f"column {name} is {roles[name]} already")
        roles[name] = role
