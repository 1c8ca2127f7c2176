"""Draft every file of a folder of loans and report on each: `python -m models accept FOLDER`, `make accept`.

What the loans cannot tell (which column is the outcome, which value is bad) is read from `accept.toml` in that folder
or from the file named by --answers, one table per file:

    ["loans-2024.csv"]
    target = "status"
    bad = ["1"]
    ask = ["age"]
    known_auc = 0.84    # printed beside the result

For a file that is not named there, the column whose name or values sound most like an outcome is used, and a known AUC
is taken from a table of a README.md in the folder, if it has a column that is called so. Each recipe that is drafted is
also read again: whatever stands in a file, nothing but its questions may be open.
"""

import argparse
import os
import time
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from inference.errors import TenfoldError
from models.draft.detect import detect
from models.draft.draft import LEFT_OUT, Draft, Request, draft, look
from models.draft.outcome import NAMES_BAD, NAMES_GOOD, NoOutcome, find_outcome
from models.draft.progress import Bars
from models.draft.recipe_writer import write_recipe
from models.prohibited import words
from models.recipe_file import read_recipe
from models.toml_file import BadFile

ANSWERS = "accept.toml"
NAMES_OUTCOME = NAMES_BAD | NAMES_GOOD | {"target", "status", "outcome", "class", "kredit", "label", "y"}
NOT_LOANS = {".md", ".toml", ".txt~", ".html"}


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """`python -m models accept`."""
    accept = commands.add_parser(
        "accept",
        help="draft every file of a folder of loans",
        description="draft every file of a folder and report on each",
    )
    accept.add_argument("folder", type=Path, metavar="FOLDER")
    accept.add_argument("--answers", type=Path, metavar="FILE", help=f"instead of {ANSWERS} in the folder")
    accept.add_argument("--only", default="", metavar="TEXT", help="only files whose names contain this")
    accept.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """1 where a recipe was drafted that cannot be read again."""
    answers = answers_of(options.answers or options.folder / ANSWERS)
    files = sorted(
        file
        for file in options.folder.iterdir()
        if file.is_file()
        and file.suffix not in NOT_LOANS
        and not file.name.startswith(".")
        and options.only in file.name
    )
    status = 0
    known = known_aucs(options.folder / "README.md")
    lines = [
        "| file | loans | bad | questions | columns left out | fields | nested AUC | known | first questions | all |",
        "| --- " * 10 + "|",
    ]
    for file in files:
        print(f"\n== {file.name}", flush=True)
        answered = {"known_auc": known.get(file.name, ""), **answers.get(file.name, {})}
        try:
            lines.append(accepted(file, answered))
        except BadFile as error:
            print(f"fault: {error}", flush=True)
            lines.append(f"| {file.name} | fault: the recipe cannot be read again |" + " |" * 8)
            status = 1
        except TenfoldError as error:
            print(f"refused: {error}", flush=True)
            lines.append(f"| {file.name} | refused: {' '.join(str(error).split())[:200]} |" + " |" * 8)
    print("\n" + "\n".join(lines))
    return status


def answers_of(file: Path) -> Mapping[str, Mapping[str, Any]]:
    with suppress(FileNotFoundError):
        return tomllib.loads(file.read_text("utf-8"))
    return {}


def known_aucs(file: Path) -> dict[str, str]:
    """File -> its known AUC, of a Markdown table that has a column "known AUC"."""
    if not file.exists():
        return {}
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in file.read_text("utf-8").splitlines()]
    head = next((row for row in rows if "known AUC" in row), None)
    return {} if head is None else {row[0]: row[head.index("known AUC")] for row in rows if len(row) == len(head)}


def read_again(draft: Draft) -> None:
    """Raise `BadFile` if the drafted recipe has a problem other than its open questions."""
    with TemporaryDirectory() as folder:
        recipe = Path(folder) / "draft.toml"
        recipe.write_text(write_recipe(draft, "draft", date(2026, 1, 1), "accept"), "utf-8")
        opened = read_recipe(recipe).open
    if len(opened) != len(draft.questions):
        raise BadFile(recipe, opened)


def accepted(file: Path, answers: Mapping[str, Any]) -> str:
    """Draft one file, print the findings, and return its row of the table."""
    started = time.monotonic()
    target = answers.get("target") or likely_target(file)
    request = Request(
        file=file, target=target, bad=tuple(map(str, answers.get("bad", ()))), date=answers.get("date", ""),
        ask=tuple(answers.get("ask", ())),
    )  # fmt: skip
    with Bars() as bars:
        overview = look(request, bars)
        first = time.monotonic() - started
        proposal = draft(overview, bars, workers=os.cpu_count() or 1)
    total = time.monotonic() - started
    read_again(proposal)
    print(findings(proposal), flush=True)
    bad = proposal.look.bad
    left_out = [becomes for becomes, _ in proposal.verdicts.values()].count(LEFT_OUT)
    return (
        f"| {file.name} | {len(bad):,} | {bad.mean():.1%} | {len(proposal.questions)} | {left_out} of "
        f"{len(proposal.verdicts)} | {len(proposal.fields)} | {proposal.expected} | {answers['known_auc']} | "
        f"{first:.0f} s | {total:.0f} s |"
    )


def findings(draft: Draft) -> str:
    """Questions, what was left out, leaks, certain fields."""
    lines = [f"target {draft.look.outcome.target}: bad {draft.look.outcome.bad}, good {draft.look.outcome.good}"]
    lines += [f"read: {note}" for note in draft.look.notes]
    lines += [f"question: {question.text}  [{question.default}]" for question in draft.questions]
    lines += [f"left out: {name}: {why}" for name, (becomes, why) in draft.verdicts.items() if becomes == LEFT_OUT]
    lines += [
        f"looked at: {group.column}: told with AUC {group.auc:.3f}, approval ratio {group.ratio:.3f}"
        for group in draft.groups
    ]
    lines.append(f"certain: {', '.join(draft.selection.certain)}")
    lines.append(f"interchangeable: {', '.join(draft.selection.interchangeable)}")
    lines.append(f"nested AUC {draft.selection.nested}; all columns {draft.all_columns:.3f}")
    if draft.later:
        lines.append(f"on {draft.judged_by}: {draft.later.auc}")
    curve = ", ".join(f"{size}: {auc.value:.3f}" for size, auc in draft.selection.curve.items())
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
    """Whether the values alone say which loans went bad."""
    with suppress(NoOutcome):
        return find_outcome(name, texts).said_by == "its words"
    return False
