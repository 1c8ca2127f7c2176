"""Drafts every file of a folder of loans, and says what came of each: `python -m models accept FOLDER`, `make accept`.

What the loans cannot know (which column is the outcome, which value is bad) is read from `accept.toml` in that folder
or from the file named by --answers, a table a file:

    ["loans-2024.csv"]
    target = "status"
    bad = ["1"]
    ask = ["age"]
    known_auc = 0.84    # to be printed beside

A file that it does not name is tried with the column whose name or words sound most like an outcome.
"""

import argparse
import os
import time
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd

from inference.errors import TenfoldError
from models.draft.detect import detect
from models.draft.draft import LEFT_OUT, Draft, Request, draft, look
from models.draft.outcome import NAMES_BAD, NAMES_GOOD, NoOutcome, find_outcome
from models.draft.progress import Bars
from models.prohibited import words

ANSWERS = "accept.toml"
NAMES_OUTCOME = NAMES_BAD | NAMES_GOOD | {"target", "status", "outcome", "class", "kredit", "label", "y"}
NOT_LOANS = {".md", ".toml", ".txt~", ".html"}


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """`python -m models accept`."""
    accept = commands.add_parser(
        "accept",
        help="draft every file of a folder of loans",
        description="drafts every file of a folder and says what came of each",
    )
    accept.add_argument("folder", type=Path, metavar="FOLDER")
    accept.add_argument("--answers", type=Path, metavar="FILE", help=f"instead of {ANSWERS} in the folder")
    accept.add_argument("--only", default="", metavar="TEXT", help="files whose names hold this")
    accept.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """1 where a file stopped with an error that is no refusal."""
    answers = answers_of(given.answers or given.folder / ANSWERS)
    files = sorted(
        file
        for file in given.folder.iterdir()
        if file.is_file() and file.suffix not in NOT_LOANS and not file.name.startswith(".") and given.only in file.name
    )
    lines = [
        "| file | loans | bad | questions | fields | nested AUC | known | first questions | all |",
        "| --- " * 9 + "|",
    ]
    for file in files:
        print(f"\n== {file.name}", flush=True)
        said = answers.get(file.name, {})
        try:
            lines.append(accepted(file, said))
        except TenfoldError as error:
            print(f"refused: {error}", flush=True)
            lines.append(f"| {file.name} | refused: {str(error)[:120]} |")
    print("\n" + "\n".join(lines))
    return 0


def answers_of(file: Path) -> Mapping[str, Mapping[str, Any]]:
    with suppress(FileNotFoundError):
        return tomllib.loads(file.read_text("utf-8"))
    return {}


def accepted(file: Path, said: Mapping[str, Any]) -> str:
    """Draft one file, print what it raised, and give its line of the table."""
    started = time.monotonic()
    target = said.get("target") or likely_target(file)
    request = Request(
        file=file, target=target, bad=tuple(map(str, said.get("bad", ()))), date=said.get("date", ""),
        ask=tuple(said.get("ask", ())),
    )  # fmt: skip
    with Bars() as bars:
        seen = look(request, bars)
        first = time.monotonic() - started
        made = draft(seen, bars, workers=os.cpu_count() or 1)
    whole = time.monotonic() - started
    print(told(made), flush=True)
    bad = made.look.bad
    known = said.get("known_auc", "")
    return (
        f"| {file.name} | {len(bad):,} | {bad.mean():.1%} | {len(made.questions)} | {len(made.fields)} | "
        f"{made.selection.nested} | {known} | {first:.0f} s | {whole:.0f} s |"
    )


def told(made: Draft) -> str:
    """Questions, what was left out, leaks, certain fields."""
    lines = [f"target {made.look.outcome.target}: bad {made.look.outcome.bad}, good {made.look.outcome.good}"]
    lines += [f"read: {note}" for note in made.look.notes]
    lines += [f"question: {one.text}  [{one.default}]" for one in made.questions]
    lines += [f"left out: {name}: {why}" for name, (becomes, why) in made.verdicts.items() if becomes == LEFT_OUT]
    lines += [
        f"looked at: {one.column}: told with AUC {one.told:.3f}, approval ratio {one.ratio:.3f}" for one in made.groups
    ]
    lines.append(f"certain: {', '.join(made.selection.certain)}")
    lines.append(f"interchangeable: {', '.join(made.selection.interchangeable)}")
    lines.append(f"nested AUC {made.selection.nested}; all columns {made.all_columns:.3f}")
    curve = ", ".join(f"{size}: {one.value:.3f}" for size, one in made.selection.curve.items())
    return "\n".join([*lines, f"by number of fields: {curve}"])


def likely_target(file: Path) -> str:
    """The column that sounds most like an outcome, by its words and its name."""
    frame = detect(file).frame
    best, most = "", 0
    for name in frame.columns:
        points = 2 * bool(set(words(name)) & NAMES_OUTCOME) + bool(outcome_words(name, frame[name]))
        points += 2 * (frame[name].nunique() == 2)
        if points > most:
            best, most = name, points
    if most < 3:
        raise NoOutcome(f"no column of {file.name} sounds like an outcome: name it as target in {ANSWERS}")
    return best


def outcome_words(name: str, texts: pd.Series) -> bool:
    """Whether its words say by themselves what went bad."""
    with suppress(NoOutcome):
        return find_outcome(name, texts).said_by == "its words"
    return False
