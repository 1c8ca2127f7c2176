"""History of a lender's own loans: how earlier loans of the same kind ended, as known at the time of an application.

A recipe names choice fields, or pairs of them (`loans.history`). For each one a release carries a table with the
charge-off index of models/history.py: how many loans of the group had gone bad, over how many would have at the pace of
all. A table of a month uses loans of earlier months, and only what was known of them by then.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from inference.blocks import Table
from models.history import Events, Level, table
from models.recipe import Loans
from models.toml_file import Key, TomlFile

FIGURES = ("index12", "index36", "index")
MOST_GROUPS = 5_000  # pairs of answers in one table
Keys = Sequence[tuple[str, ...]]


def history_keys(toml: TomlFile, key: Key, value: Any, fields: Sequence[Mapping[str, Any]]) -> Keys:
    """The recipe's `history`: names of choice fields, or pairs of them; problems are noted."""
    sizes = {spec["name"]: len(spec["choices"]) for spec in fields if spec["kind"] == "choice" and not spec["digits"]}
    if not isinstance(value, list):
        toml.wrong(key, 'a list is needed, such as ["region", ["region", "purpose"]]')
        return []
    keys: list[tuple[str, ...]] = []
    for index, entry in enumerate(value):
        parts = (entry,) if isinstance(entry, str) else tuple(entry) if isinstance(entry, list) else ()
        known = all(isinstance(name, str) and name in sizes for name in parts)
        if not 1 <= len(parts) <= 2 or not known or len(set(parts)) < len(parts) or parts in keys:
            toml.wrong(
                (*key, index),
                f"a choice field, or a list of two of them, is needed, each once: {', '.join(sizes) or 'none'}; got "
                f"{entry!r}",
            )
        elif len(parts) == 2 and sizes[parts[0]] * sizes[parts[1]] > MOST_GROUPS:
            toml.wrong((*key, index), f"more than {MOST_GROUPS:,} pairs of answers")
        else:
            keys.append(parts)
    return keys


def name_of(parts: Sequence[str]) -> str:
    return "|".join(parts)


def features(keys: Keys) -> list[dict[str, Any]]:
    """The blocks of features that look the tables up, as a manifest describes them."""
    return [
        {
            "kind": "history",
            "table": name_of(parts),
            "key": [{"of": name} for name in parts],
            "columns": [f"{name_of(parts)}.{figure}" for figure in FIGURES],
        }
        for parts in keys
    ]


def monotone(keys: Keys) -> dict[str, int]:
    """A group whose earlier loans went bad more often never makes a loan look better."""
    return {f"{name_of(parts)}.{figure}": +1 for parts in keys for figure in FIGURES}


def blank(keys: Keys, fields: Sequence[Mapping[str, Any]]) -> dict[str, Table]:
    """Tables without figures, for a check of the features."""
    codes = codes_of(fields)
    return {
        name_of(parts): Table((names := groups(codes, parts)), np.ones((len(names) + 1, len(FIGURES)), np.float32))
        for parts in keys
    }


def codes_of(fields: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    return {spec["name"]: [choice["code"] for choice in spec["choices"]] for spec in fields if spec["kind"] == "choice"}


def groups(codes: Mapping[str, Sequence[str]], parts: Sequence[str]) -> tuple[str, ...]:
    """The names of all groups of a key, in the order of their numbers."""
    names = tuple(codes[parts[0]])
    return names if len(parts) == 1 else tuple(f"{first}|{second}" for first in names for second in codes[parts[1]])


class OwnHistory:
    """The tables of any month, of a lender's loans. A pair of answers is shrunk towards its second answer alone.

    A loan counts as bad from the month of its default on; where that is not known, from `horizon` months after its
    application on, when it was certain to be known.
    """

    def __init__(
        self, keys: Keys, fields: Sequence[Mapping[str, Any]], loans: Loans, horizon: int | None = None
    ) -> None:
        self._keys, self._codes = keys, codes_of(fields)
        first, last = int(loans.months.min()), int(loans.months.max())
        self._first = first
        approved = loans.months.astype(np.int64) - first
        self._events = Events(first, last - first + 1, approved, known_bad(loans, first, horizon), {})
        self._everything = Level.of(self._events, "all", np.zeros(len(loans), np.int64))
        named = {name for parts in keys for name in parts}
        self._answers = {name: positions(self._codes[name], loans.answers[name]) for name in named}
        self._levels: dict[tuple[str, ...], Level] = {}

    def tables(self, month: int) -> dict[str, Table]:
        """The tables that an application of that month is scored with."""
        known = {}
        for parts in self._keys:
            names = groups(self._codes, parts)
            known[name_of(parts)] = table(
                names, [(self._level(parts), np.arange(len(names)), FIGURES)], month - self._first
            )
        return known

    def _level(self, parts: tuple[str, ...]) -> Level:
        if parts not in self._levels:
            count = len(groups(self._codes, parts))
            group, parent, parent_of = self._answers[parts[0]], self._everything, np.zeros(count, np.int64)
            if len(parts) == 2:
                within, other = len(self._codes[parts[1]]), self._answers[parts[1]]
                group = np.where((group < 0) | (other < 0), -1, group * within + other)
                parent, parent_of = self._level(parts[1:]), np.arange(count) % within
            self._levels[parts] = Level.of(self._events, name_of(parts), group, parent, parent_of)
        return self._levels[parts]


def known_bad(loans: Loans, first: int, horizon: int | None) -> npt.NDArray[np.int64]:
    """(n,): the month, from `first`, in which a loan was known to be bad; -1 for a good one, or where nothing says."""
    month = loans.bad_months.astype(np.int64)
    dated = month >= np.maximum(loans.months, 1)
    assumed = loans.months + horizon if horizon else np.full(len(loans), first - 1)
    return np.where(loans.bad == 1, np.where(dated, month, assumed) - first, -1)


def positions(codes: Sequence[str], answers: Sequence[object]) -> npt.NDArray[np.int64]:
    """(n,): where each answer is among the codes; -1 where it is not."""
    place = {code: index for index, code in enumerate(codes)}
    return np.array([place.get(str(answer), -1) for answer in answers], np.int64)
