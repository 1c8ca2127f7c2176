"""`tenfold new FILE --target COLUMN`: draft a recipe and a report from a lender's file of past loans."""

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
from models.interrupts import uninterrupted


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """`python -m models new`."""
    new = commands.add_parser("new", help="draft a recipe from a file of past loans", description=__doc__)
    new.add_argument("file", type=Path, metavar="FILE", help="CSV, Excel or Parquet, one loan per line")
    new.add_argument("--target", metavar="COLUMN", help="the column with the outcome of the loan")
    new.add_argument(
        "--bad", action="append", default=[], metavar="VALUE", help="a value of it that means bad; may be repeated"
    )
    new.add_argument(
        "--date",
        default="",
        metavar="COLUMN",
        help="the column with the day of application: later loans then judge the model",
    )
    new.add_argument(
        "--ask",
        nargs="+",
        default=[],
        metavar="COLUMN",
        help="columns that may be asked although they would be left out, such as an age; the recipe has to say why",
    )
    new.add_argument(
        "--name", default="", help="name of the recipe and the release; taken from the file's name if not given"
    )
    new.add_argument("--out", type=Path, default=Path(), metavar="FOLDER", help="folder for both files")
    new.add_argument(
        "--again",
        action="store_true",
        help="compare with the earlier draft, and take over its answers",
    )
    new.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Draft, and print the first questions as soon as they are known."""
    name = field_name(options.name or options.file.stem, (), before="loans")
    recipe, report = options.out / f"{name}.toml", options.out / f"{name}.draft.html"
    try:
        earlier = recipe_of(recipe) if options.again else None
        if earlier is None and recipe.exists():
            raise TenfoldError(
                f"{recipe} already exists: use --again to draft anew and keep it, or give another --name"
            )
        request = request_from(options, earlier)
        with Bars() as bars:
            overview = look(request, bars)
            bars.end()
            print(first_words(overview), flush=True)
            proposal = draft(overview, bars, workers=os.cpu_count() or 1)
    except TenfoldError as error:
        print(error, file=sys.stderr)
        return 1
    text = write_recipe(proposal, name, datetime.now().astimezone().date(), command_line(options))
    if earlier is not None:
        recipe, report = options.out / f"{name}.again.toml", options.out / f"{name}.again.draft.html"
        print("\nChanged since the recipe was drafted:")
        print("\n".join(f"  {line}" for line in moved(earlier, tomllib.loads(text)) or ["nothing"]))
    # Both texts are complete before the first is written, and each file gets its name once it is complete on disk.
    write_whole({report: write_report(proposal, recipe.stem.removesuffix(".toml")), recipe: text})
    print(last_words(proposal, recipe, report))
    return 0


def request_from(options: argparse.Namespace, earlier: Any) -> Request:
    """The request from the command line, completed by the answers of an earlier recipe."""
    request = {
        "target": options.target or "",
        "bad": tuple(options.bad),
        "date": options.date,
        "ask": tuple(options.ask),
    }
    if earlier is not None:
        request = {key: request[key] or value for key, value in request_of(earlier).items()}
    if not request["target"]:
        raise TenfoldError("--target COLUMN is needed: the column with the outcome of the loan")
    return Request(file=options.file, **request)


def write_whole(texts: dict[Path, str]) -> None:
    """Write all files completely, or none."""
    parts = {file.with_name(f".{file.name}.part"): file for file in texts}
    with uninterrupted:
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


def command_line(options: argparse.Namespace) -> str:
    words: list[str] = ["tenfold", "new", options.file.name]
    words += ["--target", options.target] if options.target else []
    words += [word for value in options.bad for word in ("--bad", value)]
    words += ["--date", options.date] if options.date else []
    words += ["--ask", *options.ask] if options.ask else []
    words += ["--again"] if options.again else []
    return re.sub(r"[\x00-\x1f\x7f]", " ", shlex.join(words))


def first_words(look: Look) -> str:
    """What is known before anything is chosen."""
    bad = look.bad
    lines = [f"{len(bad):,} loans with a known outcome, {int(bad.sum()):,} went bad ({bad.mean():.1%})."]
    if few := more_loans_needed(look):
        lines.append(few)
    lines += ["First questions:", *questions(look.questions)]
    lines += [f"Leak: {leak.name}: {leak.why}." for leak in look.leaks]
    return "\n".join(lines)


def last_words(draft: Draft, recipe: Path, report: Path) -> str:
    more = draft.questions[len(draft.look.questions) :]
    lines = ["More questions:", *questions(more)] if more else []
    lines += [f"Leak: {leak.name}: {leak.why}." for leak in draft.leaks[len(draft.look.leaks) :]]
    lines += [
        f"AUC of the {len(draft.fields)} fields proposed, on {draft.judged_by}: {draft.expected}",
        f"  {recipe}   answer its lines marked ASK; `tenfold check {recipe}` lists them",
        f"  {report}   what the loans say",
    ]
    return "\n".join(lines)


def questions(listed: Sequence[Any]) -> list[str]:
    return [f"  {question.text}\n      {question.default}" for question in listed]
