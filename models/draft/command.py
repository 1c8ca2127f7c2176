"""`tenfold new FILE --target COLUMN`: drafts a recipe and a report from a lender's file of past loans."""

import argparse
import os
import re
import shlex
import sys
import tomllib
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from inference.errors import TenfoldError
from models.draft.again import moved, recipe_of, request_of
from models.draft.draft import Draft, Look, Request, draft, look, more_loans_needed
from models.draft.form import field_name
from models.draft.progress import Bars
from models.draft.recipe_writer import write_recipe
from models.draft.report import write_report


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """`python -m models new`."""
    new = commands.add_parser("new", help="draft a recipe from a file of past loans", description=__doc__)
    new.add_argument("file", type=Path, metavar="FILE", help="CSV, Excel or Parquet, a loan a line")
    new.add_argument("--target", metavar="COLUMN", help="what became of the loan")
    new.add_argument(
        "--bad", action="append", default=[], metavar="VALUE", help="a value of it that is bad; may be repeated"
    )
    new.add_argument("--date", default="", metavar="COLUMN", help="the day of application: later loans judge")
    new.add_argument(
        "--ask", nargs="+", default=[], metavar="COLUMN", help="columns to ask that would be left out, such as an age"
    )
    new.add_argument("--name", default="", help="of the recipe and the release; from the file's name if left out")
    new.add_argument("--out", type=Path, default=Path(), metavar="FOLDER", help="where both files are written")
    new.add_argument(
        "--again",
        action="store_true",
        help="compare with the recipe drafted before, and answer from it what it answers",
    )
    new.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Draft, and print the first questions as soon as they are known. 130 after Ctrl-C, and then nothing is written."""
    name = field_name(given.name or given.file.stem, (), before="loans")
    recipe, report = given.out / f"{name}.toml", given.out / f"{name}.draft.html"
    try:
        before = recipe_of(recipe) if given.again else None
        if before is None and recipe.exists():
            raise TenfoldError(f"{recipe} is there already: --again drafts anew and keeps it, or give another --name")
        request = request_from(given, before)
        with Bars() as bars:
            seen = look(request, bars)
            bars.end()
            print(first_words(seen), flush=True)
            made = draft(seen, bars, workers=os.cpu_count() or 1)
    except KeyboardInterrupt:
        print("\nStopped; nothing was written.", file=sys.stderr)
        return 130
    except TenfoldError as error:
        print(error, file=sys.stderr)
        return 1
    text = write_recipe(made, name, datetime.now().astimezone().date(), command_line(given))
    if before is not None:
        recipe, report = given.out / f"{name}.again.toml", given.out / f"{name}.again.draft.html"
        print("\nWhat moved since the recipe was drafted:")
        print("\n".join(f"  {line}" for line in moved(before, tomllib.loads(text)) or ["nothing"]))
    # Both texts are whole before the first is written, and each takes its name when it is whole on disk.
    write_whole({report: write_report(made, recipe.stem.removesuffix(".toml")), recipe: text})
    print(last_words(made, recipe, report))
    return 0


def request_from(given: argparse.Namespace, before: Any) -> Request:
    """The command line, and beneath it what an earlier recipe answers."""
    said = {"target": given.target or "", "bad": tuple(given.bad), "date": given.date, "ask": tuple(given.ask)}
    if before is not None:
        said = {key: said[key] or value for key, value in request_of(before).items()}
    if not said["target"]:
        raise TenfoldError("--target COLUMN is needed: what became of the loan")
    return Request(file=given.file, **said)


def write_whole(texts: dict[Path, str]) -> None:
    """Write files so that each is there as a whole or not at all."""
    parts = {file.with_name(f".{file.name}.part"): file for file in texts}
    try:
        for part, file in parts.items():
            part.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(texts[file], "utf-8")
        for part, file in parts.items():
            part.replace(file)
    except OSError as error:
        raise TenfoldError(f"{error.filename}: {error.strerror}") from None
    finally:
        for part in parts:
            with suppress(OSError):
                part.unlink()


def command_line(given: argparse.Namespace) -> str:
    words: list[str] = ["tenfold", "new", given.file.name]
    words += ["--target", given.target] if given.target else []
    words += [word for value in given.bad for word in ("--bad", value)]
    words += ["--date", given.date] if given.date else []
    words += ["--ask", *given.ask] if given.ask else []
    words += ["--again"] if given.again else []
    return re.sub(r"[\x00-\x1f\x7f]", " ", shlex.join(words))


def first_words(seen: Look) -> str:
    """What is known before anything is chosen."""
    bad = seen.bad
    lines = [f"{len(bad):,} loans with a known outcome, {int(bad.sum()):,} went bad ({bad.mean():.1%})."]
    if few := more_loans_needed(seen):
        lines.append(few)
    lines += ["First questions:", *questions(seen.questions)]
    lines += [f"Leak: {leak.name}: {leak.why}." for leak in seen.leaks]
    return "\n".join(lines)


def last_words(made: Draft, recipe: Path, report: Path) -> str:
    more = made.questions[len(made.look.questions) :]
    lines = ["More questions:", *questions(more)] if more else []
    lines += [f"Leak: {leak.name}: {leak.why}." for leak in made.leaks[len(made.look.leaks) :]]
    lines += [
        f"AUC of the {len(made.fields)} fields proposed, on loans that neither choice nor model has seen: "
        f"{made.selection.nested}",
        f"  {recipe}   answer its lines marked ASK; `tenfold check {recipe}` lists them",
        f"  {report}   what the loans say",
    ]
    return "\n".join(lines)


def questions(asked: Sequence[Any]) -> list[str]:
    return [f"  {one.text}\n      {one.default}" for one in asked]
