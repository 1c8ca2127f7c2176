"""What changed between an earlier draft of a recipe and a draft from a newer file: `tenfold new FILE --again`."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inference.errors import TenfoldError


def recipe_of(file: Path) -> Mapping[str, Any]:
    """An earlier recipe, as TOML."""
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise TenfoldError(f"--again: {file}: {error.strerror}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise TenfoldError(f"--again: {file} is no TOML: {error}") from None


def request_of(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """What the earlier recipe already answers: target, bad values, date, and columns that it explains why it asks."""
    loans = recipe.get("loans", {})
    explained = loans.get("not_prohibited", {})
    columns_of = {str(field.get("column", name)): field for name, field in recipe.get("fields", {}).items()}
    explained_columns = [column for column, field in columns_of.items() if "why_age" in field or column in explained]
    return {
        "target": str(loans.get("target", "")),
        "bad": tuple(map(str, loans.get("bad", ()))),
        "date": str(loans.get("date", "")),
        "ask": tuple(explained_columns),
    }


def moved(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """One line per difference, the nested AUC first."""
    lines = []
    old, new = before.get("draft", {}), now.get("draft", {})
    if "nested_auc" in old and "nested_auc" in new:
        low, high = new["interval"]
        inside = "inside" if low <= old["nested_auc"] <= high else "outside"
        lines.append(
            f"nested AUC {old['nested_auc']:.3f} → {new['nested_auc']:.3f} ({low:.3f}–{high:.3f}): the old value is "
            f"{inside} the new interval"
        )
    lines += columns_moved(before, now)
    earlier = {about.get("column", name): about for name, about in before.get("fields", {}).items()}
    later = {about.get("column", name): about for name, about in now.get("fields", {}).items()}
    lines += [f"{name}: not proposed now" for name in earlier if name not in later]
    lines += [f"{name}: proposed now" for name in later if name not in earlier]
    for name in later:
        if name in earlier:
            lines += field_moved(name, earlier[name], later[name])
    for key in ("read", "bad", "good"):
        if before.get("loans", {}).get(key) != now.get("loans", {}).get(key):
            lines.append(f"loans.{key}: {before['loans'].get(key)} → {now['loans'].get(key)}")
    return lines


def columns_moved(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    old, new = columns(before), columns(now)
    lines = [f"{name}: no longer in the file" for name in old if name not in new]
    lines += [f"{name}: new in the file" for name in new if name not in old]
    return lines


def columns(recipe: Mapping[str, Any]) -> list[str]:
    """All columns that a recipe names."""
    loans = recipe.get("loans", {})
    names = [str(about.get("column", name)) for name, about in recipe.get("fields", {}).items()]
    names += [str(entry["column"]) for key in ("leave_out", "not_asked") for entry in loans.get(key, ())]
    return names + [str(name) for name in loans.get("look_at", ())]


def field_moved(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Bounds, codes, direction, answers of one field."""
    lines = []
    for key in ("range", "not_stated", "direction", "whole", "optional", "unit"):
        if old.get(key) != new.get(key):
            lines += [f"{name}: {key} {shown(old.get(key))} → {shown(new.get(key))}"]
    was, now = answers(old), answers(new)
    if dropped := sorted(was - now):
        lines.append(f"{name}: answers no longer seen often enough: {', '.join(dropped[:10])}")
    if came := sorted(now - was):
        lines.append(f"{name}: new answers: {', '.join(came[:10])}")
    return lines


def answers(about: Mapping[str, Any]) -> set[str]:
    return {str(value) for values in about.get("values", {}).values() for value in values}


def shown(value: object) -> str:
    return "none" if value is None else str(value)
