"""Files and recipes as lenders have them, made of the committed consumer credits."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from models.data import loans

MODEL = "[model]\ntrees = 25\ndepth = 3\nlearning_rate = 0.1\n"
HEAD = """\
format = 1
name = "own"
title = {{ en = "Own credits", fr = "Crédits maison" }}
date = 2026-11-25
notice = "Our own consumer credits."
{top}
[loans]
file = "{file}"
target = "bad"
bad = ["1"]
good = ["0"]
horizon = "24 months"
declined = false
{loans}
[policy]
margin = 0.2
lgd = 0.9
refer_band = 0.25
[split]
folds = 3
repeats = 2
{split}
{model}
"""
NUMBERS = {
    "amount": ("Amount", "[10, 50_000]", 1000, ""),
    "price": ("Price", "[10, 100_000]", 1400, ""),
    "term": ("Term", "[1, 120]", 48, "whole = true\n"),
    "income": ("Income", "[1, 10_000]", 125, 'optional = true\ndirection = "down"\n'),
    "expenses": ("Expenses", "[0, 5_000]", 51, ""),
    "assets": ("Assets", "[0, 1_000_000]", 0, "optional = true\n"),
    "seniority": ("Years in the job", "[0, 60]", 5, 'whole = true\ndirection = "down"\n'),
}
CHOICES = {
    "job": ("Employment", ("fixed", "part_time", "freelance", "other")),
    "home": ("Home", ("owner", "rent", "parents", "private", "other", "not_stated")),
    "prior_record": ("Past payment problems", ("no", "yes")),
}


def frame(seed: int = 0, dated: bool = False) -> pd.DataFrame:
    """The consumer credits as texts, empty where not stated; `dated` adds months of 2020 to 2023 and customers."""
    found = loans.consumer()
    chance = np.random.default_rng(seed)
    if dated:
        months = np.sort(chance.integers(0, 48, len(found)))
        found["issued"] = [f"{2020 + month // 12}-{month % 12 + 1:02d}-15" for month in months]
        found["customer"] = chance.integers(0, 3500, len(found))
        late = months + chance.integers(1, 30, len(found))
        gone = [f"{2020 + month // 12}-{month % 12 + 1:02d}-15" for month in late]
        found["defaulted"] = [day if bad else "" for day, bad in zip(gone, found["bad"], strict=True)]
    return found.astype(object).where(found.notna(), "").astype(str)


def field(name: str, column: str = "", more: str = "") -> str:
    """One field of the consumer credits in TOML."""
    if name in NUMBERS:
        label, ends, example, rest = NUMBERS[name]
        text = f'[fields.{name}]\nlabel = "{label}"\nrange = {ends}\nexample = {example}\n{rest}'
    else:
        label, codes = CHOICES[name]
        listed = ", ".join(f'{code} = "{code.title()}"' for code in codes)
        text = f'[fields.{name}]\nlabel = "{label}"\nchoices = {{ {listed} }}\nexample = "{codes[0]}"\n'
    return f'{text}column = "{column or name}"\n{more}'


def written(
    folder: Path, data: pd.DataFrame, *, fields: Any = None, name: str = "loans.csv", top: str = "", loans: str = "",
    split: str = "", model: str = MODEL, more: str = "", save: bool = True,
) -> Path:  # fmt: skip
    """The recipe of a file of loans, which is written beside it; all ten fields where none are named."""
    if save:
        data.to_csv(folder / name, index=False)
    asked = fields if fields is not None else [field(one) for one in (*NUMBERS, *CHOICES)]
    text = HEAD.format(file=name, top=top, loans=loans, split=split, model=model) + "\n".join(asked) + more
    (folder / "own.toml").write_text(text, "utf-8")
    return folder / "own.toml"
