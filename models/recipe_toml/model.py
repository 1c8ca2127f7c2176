"""The tables [policy], [points], [model], [draft] and [card] of a recipe."""

from collections.abc import Mapping, Sequence
from typing import Any

from inference.policy import Points
from models.form_file import check_keys, number_of, shortened, text_of
from models.recipe_toml.content import (
    CARD,
    ESTIMATED,
    EXACT,
    PARAMETERS,
    POLICY,
    SCORECARD,
    TEACHERS,
    TREES,
    WHOLE,
    Governance,
)
from models.recipe_toml.values import day_of, list_of_texts
from models.toml_file import ASK, TomlFile


def policy_of(
    toml: TomlFile, table: Any, points: Any, fields: Sequence[Mapping[str, Any]] | None
) -> tuple[dict[str, Any], dict[str, float]]:
    """Policy and points; break-even is 600 points by default."""
    key = ("policy",)
    scale = {"anchor": 600.0, "odds": 1.0, "double": 20.0}
    if not check_keys(toml, key, table, POLICY, ("margin", "lgd", "refer_band")):
        return {}, scale
    margin = number_of(toml, (*key, "margin"), table["margin"], 1e-6, 10)
    lgd = number_of(toml, (*key, "lgd"), table["lgd"], 1e-6, 1)
    band = number_of(toml, (*key, "refer_band"), table["refer_band"], 0, 0.999)
    if margin / (margin + lgd) * (1 + band) >= 1:
        toml.wrong((*key, "refer_band"), "with this margin and lgd nothing could be declined; make it smaller")
    rare = int(number_of(toml, (*key, "rare_below"), table.get("rare_below", 30), 0, 1e6, whole_only=True))
    policy = {"margin": margin, "lgd": lgd, "amount": None, "guarantee": None, "refer_band": band, "rare_below": rare}
    numbers = {field["name"]: field for field in fields or () if field["kind"] == "number" and not field["optional"]}
    for role in ("amount", "guarantee"):
        if role in table:
            if fields is not None and (not isinstance(table[role], str) or table[role] not in numbers):
                toml.wrong((*key, role), f"a number field that is always stated is needed, got {table[role]!r}")
            policy[role] = table[role]
    scale["odds"] = lgd / margin
    if check_keys(toml, ("points",), points, list(scale)):
        scale |= {
            name: number_of(toml, ("points", name), value, -1e6, 1e6) for name, value in points.items() if name in scale
        }
    try:
        Points(**scale)
    except ValueError as error:
        toml.wrong(("points",), str(error))
    return policy, scale


def model_of(toml: TomlFile, table: Mapping[str, Any]) -> dict[str, Any]:
    """The table [model] as attributes of `RecipeFile`."""
    key = ("model",)
    parameters: dict[str, Any] = {}
    for name, (theirs, low, high, default) in PARAMETERS.items():
        value = table.get(name, default)
        if value is not None:
            parameters[theirs] = number_of(toml, (*key, name), value, low, high, whole_only=name in WHOLE)
    if table.get("calibration", "platt") != "platt":
        toml.wrong((*key, "calibration"), "platt is the one there is: two numbers, linear in log-odds")
    for name, can in (("kind", (TREES, SCORECARD)), ("teacher", TEACHERS), ("reasons", (EXACT, ESTIMATED))):
        if table.get(name, can[0]) not in can:
            toml.wrong((*key, name), f"{' or '.join(can)} is needed, got {table[name]!r}")
    blur: dict[str, tuple[float, float]] = {}
    moved = table.get("blur", {})
    if check_keys(toml, (*key, "blur"), moved, list(moved) if isinstance(moved, Mapping) else []):
        for name, pair in moved.items():
            if not isinstance(pair, list) or len(pair) != 2:
                toml.wrong((*key, "blur", name), "two numbers are needed: a share of the answer, and at least so much")
                continue
            share, least = pair
            blur[name] = (
                number_of(toml, (*key, "blur", name, 0), share, 0, 1),
                number_of(toml, (*key, "blur", name, 1), least, 0, 1e15),
            )
    half_life = table.get("half_life")
    if half_life is not None:
        half_life = number_of(toml, (*key, "half_life"), half_life, 0.1, 1200)
    accept = table.get("accept_auc", "")
    if not isinstance(accept, str) or ("accept_auc" in table and not accept.strip()):
        toml.wrong((*key, "accept_auc"), "say why, in words")
    return {
        "kind": table.get("kind", TREES), "parameters": parameters, "teacher": table.get("teacher", TEACHERS[0]),
        "half_life": half_life, "blur": blur, "accept_auc": accept,
    }  # fmt: skip


def draft_of(toml: TomlFile, table: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the draft found, as the card shows it."""
    for name in ("nested_auc", "all_columns_auc"):
        if name in table:
            number_of(toml, ("draft", name), table[name], 0, 1)
    ends = table.get("interval", [0, 1])
    if not isinstance(ends, list) or len(ends) != 2:
        toml.wrong(("draft", "interval"), f"two numbers are needed, got {shortened(ends)}")
    else:
        for index, end in enumerate(ends):
            number_of(toml, ("draft", "interval", index), end, 0, 1)
    for name in ("certain", "interchangeable"):
        list_of_texts(toml, ("draft", name), table.get(name, []))
    for name in ("judged_by", "note"):
        if name in table:
            text_of(toml, ("draft", name), table[name])
    return table


def governance(toml: TomlFile, value: Any) -> Governance | None:
    """The table [card]."""
    if not check_keys(toml, ("card",), value, (*CARD, "maker"), CARD):
        return None
    words = {name: text_of(toml, ("card", name), value[name]) for name in CARD[:3]}
    days = {
        name: value[name] if value[name] in ("", ASK) else day_of(toml, ("card", name), value[name])
        for name in CARD[3:]
    }
    maker = text_of(toml, ("card", "maker"), value["maker"]) if "maker" in value else ""
    return Governance(**words, **days, maker=maker)
