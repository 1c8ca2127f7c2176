"""Counts of a cleaning, and the blocks of a data card that are written from them.

A card is prose written by people, with blocks `<!-- name -->` … `<!-- /name -->` that the script rewrites:
so every figure in a card comes from the run that wrote the data beside it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from models.data.wheel import BadSource, replace


class Tally:
    """What a cleaning did, step by step: each `(step, rows)`, in order, for the card and the terminal."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, int]] = []

    def note(self, step: str, rows: int) -> None:
        """Record that `step` concerned `rows` rows."""
        self.steps.append((step, int(rows)))
        print(f"{int(rows):>10,}  {step}")

    def drop(self, frame: pd.DataFrame, unwanted: pd.Series, why: str) -> pd.DataFrame:
        """Return `frame` without the rows where `unwanted` holds, and record how many they were."""
        self.note(f"dropped: {why}", unwanted.sum())
        return frame[~unwanted]

    def table(self) -> str:
        """Return the steps as a Markdown table."""
        return table(["step", "rows"], [[step, f"{rows:,}"] for step, rows in self.steps])


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table: the first column left-aligned, the others right-aligned."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def block(card: Path, name: str) -> str:
    """Return the text of block `name` of a card; raises BadSource if the card has no such block."""
    match = re.search(rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", card.read_text(encoding="utf-8"), re.DOTALL)
    if match is None:
        raise BadSource(f"{card} has no block <!-- {name} --> … <!-- /{name} -->: restore it from git")
    return match[1]


def write_blocks(card: Path, blocks: dict[str, str]) -> None:
    """Rewrite the named blocks of a card in place; raises BadSource if one is missing from it."""
    text = card.read_text(encoding="utf-8")
    for name, content in blocks.items():
        old = f"<!-- {name} -->\n{block(card, name)}<!-- /{name} -->"
        text = text.replace(old, f"<!-- {name} -->\n{content}\n<!-- /{name} -->")
    replace(card, text.encode("utf-8"))
