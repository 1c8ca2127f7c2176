"""The command line: `python -m inference score`, `book`, `check`, `rows`, `numbers`, `compile`."""

import argparse
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from inference.application import Form
from inference.engines import BinsEngine, golden_differences, open_engine
from inference.errors import InvalidApplication, TenfoldError
from inference.extras import MissingExtra, extra
from inference.fields import shorten
from inference.lender_option import OfLender, ReadLender, add_lender
from inference.many_answers import Unreadable, each_once, is_many, opened, read_numbers, rows
from inference.number_forms import table
from inference.numbers import DECIMAL
from inference.pipes import until_closed
from inference.questions import Questions, warnings
from inference.reasons import Reasons
from inference.release import open_release
from inference.rows import RowBuilder
from inference.rules import KEPT, Ruling, ruled
from inference.scorer import Score, Scorer, open_scorer
from inference.settings import Settings, current_releases


def main(arguments: list[str] | None = None, lender: ReadLender | None = None) -> int:
    """Exit status: 0 success, 2 an answer is refused, 1 any other error, 141 nobody reads on; the reason is printed.

    `lender` reads a lender's rules and questions, whose outcome and warnings `score` gives beside the decision.
    """
    words = sys.argv[1:] if arguments is None else arguments
    return until_closed(lambda: run(words, lender))


def run(words: list[str], lender: ReadLender | None = None) -> int:
    """`main`, as long as somebody reads what it prints."""
    if words[:1] == ["book"]:
        return book(words[1:])
    parser = argparse.ArgumentParser(prog="python -m inference", description="Score credit applications.")
    commands = parser.add_subparsers(dest="command", required=True)
    score = commands.add_parser(
        "score",
        help="score one application, or many",
        epilog="Prints a readable card on a terminal, otherwise JSON; of several applications a line of JSON each. "
        "Write name=not_stated if there is no answer. 'tenfold book' scores large files.",
    )
    score.add_argument(
        "answers",
        nargs="*",
        help="application.json, name=value for every field, or many: a .jsonl or .csv file, - for standard input",
    )
    score.add_argument("--example", action="store_true", help="score the release's example applicant")
    score.add_argument(
        "--language", choices=sorted(DECIMAL), default="en", help="language of numbers given as text (default: en)"
    )
    score.add_argument("--json", action="store_true", help="print JSON on a terminal too")
    if lender is not None:
        add_lender(score)
    commands.add_parser("book", help="score a file of applications", add_help=False)
    check = commands.add_parser("check", help="open a release with TENFOLD_ENGINE and score its golden applications")
    rows = commands.add_parser("rows", help="list the columns of a release's rows")
    rows.add_argument("--source", action="store_true", help="print the function that writes a row instead")
    commands.add_parser("numbers", help="list which forms of numbers are read and which are ambiguous")
    compiling = commands.add_parser(
        "compile", help="compile the loops of engine bins now, so that no start has to (default: all embedded releases)"
    )
    for command in (score, check, rows, compiling):
        command.add_argument(
            "--release", type=Path, help="release folder (default: TENFOLD_RELEASE or the default release)"
        )
    options = parser.parse_args(words)
    if options.command == "score" and options.example == bool(options.answers):
        score.error("give --example, or a JSON file, or name=value pairs")
    if options.command == "numbers":
        print(table())
        return 0
    try:
        settings = Settings.from_environment()
        if options.release:
            settings = replace(settings, release=options.release, release_digest=None)
        if options.command == "check":
            print(check_release(settings))
            return 0
        if options.command == "compile":
            for folder in [options.release] if options.release else current_releases().values():
                release = open_release(folder)
                engine = BinsEngine(release)
                engine.compile()
                Reasons(release, engine).compile()
                print(f"engine {engine.name} is compiled for release {folder.name}")
            return 0
        if options.command == "rows":
            print(list_columns(open_release(settings.release, settings.release_digest).rows, source=options.source))
            return 0
        scorer = open_scorer(settings)
        form = scorer.release.form
        beside = OfLender() if lender is None else lender(options.lender, scorer.release)
        if len(options.answers) == 1 and is_many(options.answers[0]):
            return score_many(scorer, options.answers[0], options.language, beside)
        result = scorer.score(
            form.example if options.example else read_answers(options.answers, form, options.language)
        )
    except InvalidApplication as error:
        print(f"The application cannot be scored:\n{error}", file=sys.stderr)
        return 2
    except TenfoldError as error:
        print(error, file=sys.stderr)
        return 1
    if options.json or not sys.stdout.isatty():
        print(json.dumps(said_of(result, beside, questions_of(scorer, beside)), indent=2))
    else:
        print(card(scorer, result, beside))
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


def check_release(settings: Settings) -> str:
    """Open a release and score with it; returns a report, raises `TenfoldError` if it cannot be used."""
    release = open_release(settings.release, settings.release_digest)
    engine = open_engine(settings.engine, release)
    difference = float(np.abs(golden_differences(engine, release)).max(initial=0.0))
    Scorer(release, engine).score(release.form.example)
    golden = len(release.manifest.golden)
    pds = f"the PD of {golden} golden applications is off by {difference:.1e}"
    return f"release {release.name} opens with {engine.name}; {pds}"


def list_columns(rows: RowBuilder, *, source: bool) -> str:
    """The columns with their indices, or the source of the function that writes them."""
    return rows.source if source else "\n".join(f"{index:>4}  {name}" for index, name in enumerate(rows.columns))


def said_of(score: Score, beside: OfLender, questions: Questions) -> dict[str, object]:
    """A score as JSON values, with what the lender's rules say of it and the questions that its answers raise, as the
    API has them."""
    return {
        **score.as_dict(), **ruled(ruling_of(score, beside), score.decision),
        "warnings": warnings(questions.raised_by(score.application)),
    }  # fmt: skip


def ruling_of(score: Score, beside: OfLender) -> Ruling | None:
    """What the lender's rules say of a score; None where it has none."""
    rules = beside.rules
    return None if rules is None else rules.judge(score.application, score.pd, score.decision)


def questions_of(scorer: Scorer, beside: OfLender) -> Questions:
    """What is asked about odd answers: by the release, and by the lender."""
    return Questions((*scorer.release.manifest.questions, *beside.questions), scorer.release.form)


def score_many(scorer: Scorer, name: str, language: str, beside: OfLender) -> int:
    """Print a line of JSON for each application, scored or with every bad answer; status 2 where any was refused."""
    status, questions = 0, questions_of(scorer, beside)
    with opened(name) as stream:
        for row in rows(name, stream, scorer.release.form, language):
            line: dict[str, object] = {"line": row.line, **({"columns": row.carried} if row.carried else {})}
            try:
                line |= said_of(scorer.score(row.answers), beside, questions)
            except InvalidApplication as error:
                status = 2
                line["problems"] = [asdict(problem) for problem in error.problems]
            print(json.dumps(line, default=str))
    return status


def read_answers(words: list[str], form: Form, language: str = "en") -> dict[str, object]:
    """Field name -> raw answer, from a JSON file or from name=value pairs.

    `inference.numbers` reads numbers given as text; JSON numbers are unchanged.
    """
    answers = read_file(words[0], form) if len(words) == 1 and "=" not in words[0] else read_pairs(words, form)
    return read_numbers(answers, form, language)


def read_file(name: str, form: Form) -> dict[str, object]:
    """Read a JSON object from a file."""
    try:
        answers = json.loads(Path(name).read_bytes(), object_pairs_hook=each_once)
    except OSError as error:
        raise Unreadable(f"{name}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"{name} is not JSON: {error}") from None
    if not isinstance(answers, dict):
        raise Unreadable(f"{name}: a JSON object of {', '.join(form.names)} is needed")
    return answers


def read_pairs(words: list[str], form: Form) -> dict[str, object]:
    """Parse name=value pairs; each name may occur once."""
    answers: dict[str, object] = {}
    for word in words:
        name, sign, text = word.partition("=")
        if not sign:
            raise Unreadable(f"{word!r}: name=value is needed, one of {', '.join(form.names)}")
        if name in answers:
            raise Unreadable(f"{shorten(name)} is given twice")
        answers[name] = text
    return answers


def card(scorer: Scorer, score: Score, beside: OfLender = OfLender()) -> str:  # noqa: B008 - it never changes
    """Format the score for a terminal."""
    release, form = scorer.release, scorer.release.form
    ruling = ruling_of(score, beside)
    width = max(len(field.label["en"]) for field in form.fields)
    lines = [
        f"{release.manifest.title['en']}: the model suggests {score.decision.upper()}",
        *([] if ruling is None else lines_of(ruling)),
        f"PD {score.pd:.1%}, {score.points:.0f} points; break-even {score.break_even:.1%}, "
        f"refers from {score.refer_from:.1%} to {score.decline_from:.1%}",
    ]
    if score.unusual:
        lines.append(f"Refer because unusual among the training loans: {', '.join(score.unusual)}")
    raised = questions_of(scorer, beside).raised_by(score.application)
    lines += [f"To be confirmed: {question.text['en']}" for question in raised]
    lines.append("")
    for field, value in zip(form.fields, score.application.values, strict=True):
        lines.append(f"  {field.label['en']:<{width}}  {field.show(value, 'en')}")
    lines += ["", release.manifest.notice["en"], f"release {release.name}, engine {score.engine}"]
    return "\n".join(lines)


def lines_of(ruling: Ruling) -> list[str]:
    """What the lender's rules say, for a terminal: the outcome, rules that are not kept, the grade and instalment."""
    lines = [f"With the lender's rules: {ruling.outcome.upper()}"]
    for check in ruling.checks:
        if check.verdict != KEPT:
            value = "not stated" if check.value is None else check.value
            lines.append(f"  rule {check.rule.code} is {check.verdict}: {value}, limit {check.rule.limit}")
    offer = ruling.offer
    if offer is not None:
        paid = "" if offer.instalment is None else f", {offer.months:g} instalments of {offer.instalment:,.2f}"
        lines.append(f"Grade {offer.grade}, {offer.rate:.2%} a year{paid}")
    return lines


if __name__ == "__main__":
    sys.exit(main())
