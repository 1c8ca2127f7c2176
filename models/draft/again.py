"""What moved between the recipe that was drafted before and a draft of a newer file: `tenfold new FILE --again`."""

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


def request_of(said: Mapping[str, Any]) -> dict[str, Any]:
    """What the earlier recipe answers already: target, bad values, date, ages that are asked."""
    loans = said.get("loans", {})
    asked = [str(one.get("column", "")) for one in said.get("fields", {}).values() if "why_age" in one]
    return {
        "target": str(loans.get("target", "")),
        "bad": tuple(map(str, loans.get("bad", ()))),
        "date": str(loans.get("date", "")),
        "ask": tuple(asked),
    }


def moved(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Each difference in a line, the nested AUC first."""
    lines = []
    old, new = before.get("draft", {}), now.get("draft", {})
    if "nested_auc" in old and "nested_auc" in new:
        low, high = new["interval"]
        inside = "inside" if low <= old["nested_auc"] <= high else "outside of"
        lines.append(
            f"nested AUC {old['nested_auc']:.3f} → {new['nested_auc']:.3f} ({low:.3f}–{high:.3f}): what it was lies "
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


def columns(said: Mapping[str, Any]) -> list[str]:
    """All columns that a recipe names."""
    loans = said.get("loans", {})
    found = [str(about.get("column", name)) for name, about in said.get("fields", {}).items()]
    found += [str(one["column"]) for key in ("leave_out", "not_asked") for one in loans.get(key, ())]
    return found + [str(one) for one in loans.get("look_at", ())]


def field_moved(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Bounds, codes, direction, answers of one field."""
    lines = []
    for key in ("range", "not_stated", "direction", "whole", "optional", "unit"):
        if old.get(key) != new.get(key):
            lines += [f"{name}: {key} {shown(old.get(key))} → {shown(new.get(key))}"]
    was, now = answers(old), answers(new)
    if gone := sorted(was - now):
        lines.append(f"{name}: answers no longer seen often enough: {', '.join(gone[:10])}")
    if came := sorted(now - was):
        lines.append(f"{name}: new answers: {', '.join(came[:10])}")
    return lines


def answers(about: Mapping[str, Any]) -> set[str]:
    return {str(value) for values in about.get("values", {}).values() for value in values}


def shown(value: object) -> str:
    return "none" if value is None else str(value)
