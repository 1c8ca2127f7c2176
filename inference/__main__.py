"""The command line: `python -m inference score`, `book`, `check`, `rows`, `numbers`."""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from inference.application import Form
from inference.engines import golden_differences, open_engine
from inference.errors import InvalidApplication, TenfoldError
from inference.extras import MissingExtra, extra
from inference.fields import NOT_STATED, NumberField, shorten
from inference.number_forms import table
from inference.numbers import DECIMAL
from inference.release import open_release
from inference.rows import RowBuilder
from inference.scorer import Score, Scorer, open_scorer
from inference.settings import Settings


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 scored, 2 an answer is refused, 1 whatever else kept it from scoring, with the reason."""
    words = sys.argv[1:] if arguments is None else arguments
    if words[:1] == ["book"]:
        return book(words[1:])
    parser = argparse.ArgumentParser(prog="python -m inference", description="Score credit applications.")
    commands = parser.add_subparsers(dest="command", required=True)
    score = commands.add_parser(
        "score",
        help="score one application",
        epilog="A readable card on a terminal, JSON elsewhere. Not stated is written name=not_stated.",
    )
    score.add_argument("answers", nargs="*", help="application.json, or name=value for every field")
    score.add_argument("--example", action="store_true", help="score the release's example applicant")
    score.add_argument(
        "--language", choices=sorted(DECIMAL), default="en", help="how numbers are written that are texts (default: en)"
    )
    score.add_argument("--json", action="store_true", help="JSON on a terminal too")
    commands.add_parser("book", help="score a file of applications", add_help=False)
    check = commands.add_parser("check", help="open a release with TENFOLD_ENGINE and score its golden applications")
    rows = commands.add_parser("rows", help="list the columns of a release's rows")
    rows.add_argument("--source", action="store_true", help="print the function that writes a row instead")
    commands.add_parser("numbers", help="which forms of numbers are read, and which are asked about")
    for command in (score, check, rows):
        command.add_argument("--release", type=Path, help="a release folder (else TENFOLD_RELEASE, else the default)")
    given = parser.parse_args(words)
    if given.command == "score" and given.example == bool(given.answers):
        score.error("give --example, or a JSON file, or name=value pairs")
    if given.command == "numbers":
        print(table())
        return 0
    try:
        settings = Settings.from_environment()
        if given.release:
            settings = replace(settings, release=given.release, release_digest=None)
        if given.command == "check":
            print(checked(settings))
            return 0
        if given.command == "rows":
            print(listed(open_release(settings.release, settings.release_digest).rows, source=given.source))
            return 0
        scorer = open_scorer(settings)
        form = scorer.release.form
        result = scorer.score(form.example if given.example else read_answers(given.answers, form, given.language))
    except InvalidApplication as error:
        print(f"The application cannot be scored:\n{error}", file=sys.stderr)
        return 2
    except TenfoldError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(result.as_dict(), indent=2) if given.json or not sys.stdout.isatty() else card(scorer, result))
    return 0


def book(words: list[str]) -> int:
    """The command `book`, which needs the extra of that name."""
    try:
        with extra("book"):
            from inference.book.command import main as run
    except MissingExtra as error:
        print(error, file=sys.stderr)
        return 1
    return run(words)


def checked(settings: Settings) -> str:
    """What there is to say of a release that can be used."""
    release = open_release(settings.release, settings.release_digest)
    engine = open_engine(settings.engine, release)
    off = float(np.abs(golden_differences(engine, release)).max(initial=0.0))
    Scorer(release, engine).score(release.form.example)
    golden = len(release.manifest.golden)
    return (
        f"release {release.name} opens with {engine.name}; the PD of {golden} golden applications is off by {off:.1e}"
    )


def listed(rows: RowBuilder, *, source: bool) -> str:
    """The columns with their indices, or the source of the function that writes them."""
    return rows.source if source else "\n".join(f"{at:>4}  {name}" for at, name in enumerate(rows.columns))


class Unreadable(TenfoldError):
    """The command line's answers are no JSON object and no name=value pairs."""


def read_answers(words: list[str], form: Form, language: str = "en") -> dict[str, object]:
    """A mapping of field name -> raw answer, from one JSON file or from name=value pairs.

    Texts for numbers are read as `inference.numbers` says; numbers of JSON stay as they are.
    """
    answers = read_file(words[0], form) if len(words) == 1 and "=" not in words[0] else read_pairs(words, form)
    for field in form.fields:
        text = answers.get(field.name)
        if isinstance(field, NumberField) and isinstance(text, str) and text != NOT_STATED:
            answers[field.name] = field.read(text, language, exponents=True)
    return answers


def read_file(name: str, form: Form) -> dict[str, object]:
    """One JSON object."""
    try:
        answers = json.loads(Path(name).read_bytes(), object_pairs_hook=each_once)
    except OSError as error:
        raise Unreadable(f"{name}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"{name} is no JSON: {error}") from None
    if not isinstance(answers, dict):
        raise Unreadable(f"{name}: a JSON object of {', '.join(form.names)} is needed")
    return answers


def read_pairs(words: list[str], form: Form) -> dict[str, object]:
    """name=value, each name once."""
    answers: dict[str, object] = {}
    for word in words:
        name, sign, text = word.partition("=")
        if not sign:
            raise Unreadable(f"{word!r}: name=value is needed, one of {', '.join(form.names)}")
        if name in answers:
            raise Unreadable(f"{shorten(name)} is given twice")
        answers[name] = text
    return answers


def each_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """A JSON object; of two answers to one name JSON readers would quietly take the last."""
    answers: dict[str, object] = {}
    for name, answer in pairs:
        if name in answers:
            raise Unreadable(f"{shorten(name)} is given twice")
        answers[name] = answer
    return answers


def card(scorer: Scorer, score: Score) -> str:
    """The score for a person at a terminal."""
    release, form = scorer.release, scorer.release.form
    width = max(len(field.label["en"]) for field in form.fields)
    lines = [
        f"{release.manifest.title['en']}: the model suggests {score.decision.upper()}",
        f"PD {score.pd:.1%}, {score.points:.0f} points; break-even {score.break_even:.1%}, "
        f"refers from {score.refer_from:.1%} to {score.decline_from:.1%}",
    ]
    if score.unusual:
        lines.append(f"Refer because unusual among the training loans: {', '.join(score.unusual)}")
    lines.append("")
    for field, value in zip(form.fields, score.application.values, strict=True):
        lines.append(f"  {field.label['en']:<{width}}  {field.show(value, 'en')}")
    lines += ["", release.manifest.notice["en"], f"release {release.name}, engine {score.engine}"]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
