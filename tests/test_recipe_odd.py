"""Any value in any place of a recipe is taken, or named as a problem: nothing else ends a command."""

import copy
import tomllib
from collections.abc import Iterator
from datetime import date
from inspect import signature
from pathlib import Path
from typing import Any, get_args

import pytest
from lenders import CHOICES, NUMBERS, field, frame, written

from inference.blocks import Feature
from inference.policy import Points
from models import form_file
from models.loans_file import Reading
from models.recipe_file import parsed
from models.recipe_toml import content
from models.toml_file import BadFile, TomlFile

HEAD = """
limits = ["x"]
data_card = "none"
[card]
intended_use = "u"
owner = "o"
approver = "a"
validated = 2026-01-01
next_review = 2026-02-01
maker = "m"
[draft]
nested_auc = 0.8
interval = [0.7, 0.9]
judged_by = "later loans"
certain = ["a"]
interchangeable = ["b"]
tried = 3
all_columns_auc = 0.8
note = "n"
[groups]
money = "Money"
[questions.odd]
field = "amount"
above = "price"
en = "Is the amount right?"
fr = "Le montant est-il exact ?"
"""
LOANS_TABLE = """
date = "issued"
group = "customer"
default_date = "defaulted"
weight = "w"
history = ["home", ["job", "home"]]
read = { encoding = "utf-8", dates = "%Y-%m-%d", missing = ["", "."] }
leave_out = [{ column = "q", why = "x" }]
not_asked = [{ column = "r", why = "x" }]
look_at = ["sex"]
not_prohibited = { z = "why" }
accept_left_out = "y"
sha256 = "00"
"""
MODEL_TABLE = """[model]
kind = "trees"
trees = 25
depth = 3
learning_rate = 0.1
min_child_weight = 10
subsample = 0.8
colsample_bytree = 0.5
reg_lambda = 5.0
max_bin = 64
calibration = "platt"
teacher = "none"
half_life = 12
blur = { amount = [0.1, 1] }
directions = { "home=rent" = "up" }
accept_auc = "x"
reasons = "exact"
[points]
anchor = 600
odds = 1.0
double = 20
"""
ODD: list[Any] = [3, -1, 0, 1.5, float("inf"), float("nan"), "x", "", True, [], {}, [1], ["x"], [[]], [{}], {"a": 1},
                  {"en": "a"}, date(2020, 1, 1), "ASK", 10**30]  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A recipe that says everything a recipe can say."""
    folder: Path = tmp_path_factory.mktemp("whole")
    fields = [
        field(name, more='group = "money"\nhelp = "h"\nreasons = { any = "x" }\nactionable = "up"\n'
                         f'outside = "leave_out"\nvalues = {{ {CHOICES[name][1][0]} = ["a"] }}\n') if name in CHOICES
        else field(name, more='group = "money"\nunit = { en = "a", fr = "b" }\nreasons = { high = "h" }\n'
                              'unit_one = { en = "a", fr = "b" }\nhelp = "h"\nactionable = "down"\n')
        for name in (*NUMBERS, *CHOICES)
    ]  # fmt: skip
    more = '\n[[features]]\nkind = "arithmetic"\ncolumns = [["share", "amount", "/", "price"]]\n'
    recipe = written(
        folder, frame(dated=True)[:3], fields=fields, top=HEAD, loans=LOANS_TABLE, split='test_from = "2023-01"',
        model=MODEL_TABLE, more=more,
    )  # fmt: skip
    content = tomllib.loads(recipe.read_text("utf-8"))
    content["policy"].update(amount="amount", guarantee="term", rare_below=30)
    content["fields"]["assets"].update(not_stated=[-1], why_age="x", outside="clip")
    content["fields"]["home"].update(not_stated=["?"], why_age="x")
    return content


@pytest.fixture(scope="module")
def listed(whole: Any) -> Any:
    """The same with its features listed, one of every kind that a recipe without code may list."""
    content = copy.deepcopy(whole)
    content["features"] = [
        {"kind": "numbers", "of": [*NUMBERS]},
        {"kind": "not_stated", "of": ["income", "assets"]},
        {"kind": "arithmetic", "columns": [["share", "amount", "/", "price"]]},
        {"kind": "one_hot", "of": "home"},
        {"kind": "one_hot", "of": "job", "prefix": 2},
        {"kind": "placed", "columns": ["a", "b"], "numbers": {"price": "a"}, "choices": {"home": {"rent": "b"}}},
    ]
    return content


def problems(content: Any) -> list[str]:
    toml = TomlFile("own.toml", content, {}, "")
    parsed(toml, False)
    return [str(problem) for problem in toml.problems]


def places(content: Any, key: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if key:
        yield key
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for name, value in items:
        yield from places(value, (*key, name))


def test_the_whole_recipe_is_one(whole: Any, listed: Any) -> None:
    """It has no problem, and every key that the code knows: a new table or key must be tried here."""
    assert problems(whole) == []
    assert problems(listed) == []
    names = ("CARD", "LOANS", "SPLIT", "POLICY", "DRAFT", "MODEL")
    tables = {"TOP": whole, **{name: whole[name.lower()] for name in names}}
    known = {name: keys for name, keys in vars(content).items() if name in tables or is_list_of_keys(name, keys)}
    assert known.keys() == tables.keys()
    for name, keys in known.items():
        assert set(tables[name]) - {"maker"} == set(keys), name
    assert set(whole["points"]) == set(signature(Points).parameters)
    numbers, choices = ({key for name in names for key in whole["fields"][name]} for names in (NUMBERS, CHOICES))
    # A list so long that it is code, for embedded recipes alone; and what no field may say.
    assert numbers == {*form_file.NUMBER, *content.NUMBER_KEYS} - {"on_notice"}
    assert choices == {*form_file.CHOICE, *content.CHOICE_KEYS} - {"on_notice", "digits"}
    assert set(whole["loans"]["read"]) <= set(signature(Reading).parameters)
    kinds = {kind.__struct_config__.tag for kind in get_args(Feature)}
    # Codes of a list of digits, and tables of past loans, need code beside the recipe.
    assert {block["kind"] for block in listed["features"]} == kinds - {"code", "history"}


def is_list_of_keys(name: str, keys: object) -> bool:
    """Whether a constant of the recipe's content lists the keys of a table."""
    of_fields = name in ("NUMBER_KEYS", "CHOICE_KEYS")
    values = name == "TEACHERS"  # of one key
    return isinstance(keys, tuple) and all(isinstance(key, str) for key in keys) and not of_fields and not values


@pytest.mark.slow
@pytest.mark.parametrize("name", ["whole", "listed"])
def test_any_value_in_any_place(name: str, request: pytest.FixtureRequest) -> None:
    """Odd values in each of its places, half of them in turn: problems that can be read, and no traceback."""
    recipe = request.getfixturevalue(name)
    tried = refused = 0
    of = [place for place in places(recipe) if name == "whole" or place[0] == "features"]
    for number, place in enumerate(of):
        for value in ODD[number % 2 :: 2]:
            changed = copy.deepcopy(recipe)
            within = changed
            for part in place[:-1]:
                within = within[part]
            within[place[-1]] = value
            try:
                told = problems(changed)
            except BadFile as error:
                told = [str(error)]
            except Exception as error:
                pytest.fail(f"{place} = {value!r}: {type(error).__name__}: {error}")
            tried += 1
            refused += bool(told)
    assert tried > (2000 if name == "whole" else 200)
    assert refused > 0.7 * tried


@pytest.mark.parametrize(
    ("table", "key", "value", "told"),
    [
        ("draft", "nested_auc", "0.8", "draft.nested_auc: a number from 0 to 1 is needed"),
        ("draft", "interval", [0.7], "draft.interval: two numbers are needed"),
        ("model", "blur", {"home": [0.1, 1]}, "model.blur.home: a number field is needed: amount"),
        ("model", "blur", 3, "model.blur: a table is needed"),
        ("points", "colour", 1, "points.colour: colour means nothing here"),
    ],
)
def test_what_would_have_stopped_a_training(whole: Any, table: str, key: str, value: Any, told: str) -> None:
    """Before any loan is read, and with its place."""
    content = copy.deepcopy(whole)
    content[table][key] = value
    assert any(told in problem for problem in problems(content))


def test_what_needs_dates(whole: Any) -> None:
    """Without a day of application: blur, half-life, history, a first month that judges, a day of default."""
    content = copy.deepcopy(whole)
    del content["loans"]["date"]
    told = " ".join(problems(content))
    assert "loans.default_date: needs loans.date" in told
    del content["loans"]["default_date"]
    told = " ".join(problems(content))
    for key in ("model.blur", "model.half_life", "loans.history", "split.test_from"):
        assert f"{key}: " in told, key


def test_a_reason_of_what_nobody_computes(whole: Any) -> None:
    """A reason may only name columns that arithmetic makes."""
    content = copy.deepcopy(whole)
    content["fields"]["amount"]["reasons"] = {"x": {"en": "a", "fr": "b", "when": "high", "columns": ["price"]}}
    assert any("no arithmetic makes price; there is share" in problem for problem in problems(content))
