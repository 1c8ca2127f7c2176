"""What a lender knew of guaranteed loans, month by month: by industry, state, guaranteed share, and pairs."""

import csv
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from inference.blocks import Table
from models.data import loans
from models.history import Events, Level, table

Ints = npt.NDArray[np.int64]

INDEX = ["index12", "index36", "index", "index_young"]
TRAITS = {  # of a group's approvals of the last twelve months
    "amount": "mean amount",
    "employees": "mean number of employees, 500 at most",
    "new": "share of new businesses",
    "franchise": "share of franchises",
    "revolving": "share of revolving lines",
    "express": "share guaranteed up to 50 %",
    "small": "share up to $50,000",
    "jobs_unknown": "share whose jobs are not stated",
    "jobs_created": "mean number of jobs created, 100 at most",
}
MEANS = [f"{trait}12" for trait in TRAITS]
# Edges far from any usual answer: between the shares that programmes guarantee (Express 50 %, standard 75 and 85 %).
# No bands of the amount or of the employees: at their edges one dollar or one person changed the decision (see SBA.md).
BANDS: dict[str, tuple[str, Sequence[float]]] = {"share": ("guaranteed_share", [62.5, 77.5, 82.5, 87.5])}
DIGITS = {"naics2": 2, "naics3": 3, "naics4": 4, "naics6": 6}
ABOVE = {"naics6": "naics4", "naics4": "naics3", "naics3": "naics2"}
# A table and its columns, by level. "industry" holds every level of the code, so that one look-up finds all four.
# Chosen inside the training window, without a look at 2006 and 2007: `python -m models choose sba` shows what each is
# worth there, and `--without "share|*,*.growth"` a smaller set.
CELL = [*INDEX, "amount12", "employees12", "new12", "jobs_unknown12", "jobs_created12"]
TABLES: dict[str, dict[str, list[str]]] = {
    "industry": {
        "naics2": [*INDEX, *MEANS, "growth"],
        "naics3": INDEX,
        "naics4": [*INDEX, *MEANS, "growth"],
        "naics6": INDEX + MEANS,
    },
    "state": {"state": [*INDEX, *MEANS, "growth"]},
    "state|naics2": {"state|naics2": INDEX + MEANS},
    "share|naics3": {"share|naics3": INDEX},
    "share|state": {"share|state": CELL},
}


def month(yyyymm: Any) -> Any:
    """YYYYMM -> months since year 0; a number or a column of them."""
    return yyyymm // 100 * 12 + yyyymm % 100 - 1


FIRST = month(199001)  # older approvals hardly bear on the windows


def industries() -> dict[str, tuple[str, str]]:
    """NAICS 2007, sectors to six digits, with English and French titles."""
    with (Path(loans.__file__).parent / "naics.csv").open(encoding="utf-8", newline="") as file:
        return {row["code"]: (row["title_en"], row["title_fr"]) for row in csv.DictReader(file)}


def key(level: str) -> list[dict[str, Any]]:
    """The key of a level's table, as a history feature describes it."""
    return [
        {"of": BANDS[part][0], "edges": BANDS[part][1]}
        if part in BANDS
        else {"of": "naics", "prefix": DIGITS[part]}
        if part in DIGITS
        else {"of": part}
        for part in level.split("|")
    ]


class SbaHistory:
    """What was known of guaranteed loans at the end of any month from 2000 to 2007.

    A level is a way to group loans: by one key, or by two joined by "|", whose parent is the second alone.
    """

    def __init__(
        self,
        states: Sequence[str],
        tables: Mapping[str, Mapping[str, Sequence[str]]],
        frame: pd.DataFrame | None = None,
    ) -> None:
        """Of the committed loans, or of a frame with the same columns."""
        frame = loans.sba() if frame is None else frame
        self._frame = frame[month(frame["approved"]) >= FIRST]
        self._states, self._tables = states, tables
        self._codes = list(industries())
        self._levels: dict[str, Level] = {}
        self._grouped: dict[str, tuple[list[str], Ints]] = {}

    def tables(self, month: int) -> dict[str, Table]:
        """The tables that an application of that month is scored with."""
        tables = {}
        for name, parts in self._tables.items():
            keys = self._codes if name == "industry" else self._groups(name)[0]
            tables[name] = table(
                keys, [self._part(level, keys, names) for level, names in parts.items()], month - FIRST
            )
        return tables

    def _part(self, name: str, keys: Sequence[str], names: Sequence[str]) -> tuple[Level, Ints, Sequence[str]]:
        index = {group: i for i, group in enumerate(self._groups(name)[0])}
        return self._level(name), np.array([index[key[: DIGITS.get(name)]] for key in keys], np.int64), names

    def _level(self, name: str) -> Level:
        if name not in self._levels:
            keys, group = self._groups(name)
            _, _, second = name.partition("|")
            parent = ABOVE.get(name, second)
            if parent:
                above = self._groups(parent)[0]
                index = {group: i for i, group in enumerate(above)}
                parent_of = [i % len(above) for i in range(len(keys))] if second else [
                    index[key[: DIGITS[parent]]] for key in keys
                ]  # fmt: skip
            else:
                parent_of = [0] * len(keys)
            self._levels[name] = Level.of(
                self._events, name, group, self._level(parent) if parent else self._everything, parent_of
            )
        return self._levels[name]

    @cached_property
    def _everything(self) -> Level:
        return Level.of(self._events, "all", np.zeros(len(self._frame), np.int64))

    def _groups(self, name: str) -> tuple[list[str], Ints]:
        """A level's groups, and the index of each loan's; -1 where it is not known."""
        if name not in self._grouped:
            self._grouped[name] = self._find_groups(name)
        return self._grouped[name]

    def _find_groups(self, name: str) -> tuple[list[str], Ints]:
        first, _, second = name.partition("|")
        if second:
            (groups_a, index_a), (groups_b, index_b) = self._groups(first), self._groups(second)
            return (
                [f"{a}|{b}" for a, b in product(groups_a, groups_b)],
                np.where((index_a < 0) | (index_b < 0), -1, index_a * len(groups_b) + index_b),
            )
        if name in BANDS:
            field, edges = BANDS[name]
            values = self._frame[field].to_numpy(np.float64)
            band = np.searchsorted(edges, values, "right")
            return [str(i) for i in range(len(edges) + 1)], np.where(np.isnan(values), -1, band)
        if name in DIGITS:
            # Shorter codes stand in every level too: without loans of their own they take their parent's figures.
            keys = list(dict.fromkeys(code[: DIGITS[name]] for code in self._codes))
        else:
            keys = list(self._states)
        index = {key: i for i, key in enumerate(keys)}
        number, codes = pd.factorize(self._frame["naics" if name in DIGITS else name], use_na_sentinel=True)
        of_code = np.array([*(index.get(code[: DIGITS.get(name)], -1) for code in codes), -1], np.int64)
        return keys, of_code[number]

    @cached_property
    def _events(self) -> Events:
        """The loans as events. Traits of loans before 2001 are not in the data: they count as not stated."""
        frame = self._frame
        months = month(loans.STUDY_LAST) + 1 - FIRST
        approved = month(frame["approved"]).to_numpy(np.int64) - FIRST
        bad = month(frame["charged_off_month"].fillna(1)).to_numpy(np.int64) - FIRST
        study = frame["new_business"].notna().to_numpy()

        def share(where: pd.Series) -> npt.NDArray[np.float64]:
            return np.where(study, where, np.nan).astype(np.float64)

        jobs = np.minimum(frame["jobs_created"].fillna(0), 100)
        return Events(
            FIRST,
            months,
            approved,
            np.where((bad >= approved) & (bad < months), bad, -1),
            {
                "amount": frame["amount"].to_numpy(np.float64),
                "employees": np.minimum(frame["employees"], 500).to_numpy(np.float64),
                "new": share(frame["new_business"].eq("yes")),
                "franchise": share(frame["franchise"].eq("yes")),
                "revolving": share(frame["revolving"].eq("yes")),
                "express": share(frame["guaranteed_share"].le(50)),
                "small": frame["amount"].le(50_000).to_numpy(np.float64),
                "jobs_unknown": share(frame["jobs_created"].isna()),
                "jobs_created": share(jobs),
            },
        )
