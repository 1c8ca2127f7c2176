"""`tenfold evaluate RELEASE`: what a release is worth, as one HTML file with its figures in JSON beside; and `tenfold
compare OLD NEW`: who would be decided otherwise."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from inference.errors import TenfoldError
from inference.release import open_release
from models.draft.command import write_whole
from models.draft.report import percent
from models.evidence.compare import compare, text, write_list
from models.evidence.evaluate import Evaluation, as_json, evaluate
from models.evidence.report import write_report
from models.evidence.scored_loans import FOLDS, given_loans, score_loans


def add_commands(commands: Any) -> None:
    """Add `evaluate` and `compare` to the subparsers of `python -m models`."""
    judging = commands.add_parser(
        "evaluate", help="measure a release on loans whose end is known: one HTML report, JSON beside"
    )
    judging.add_argument("release", type=Path, help="a release folder")
    judging.add_argument("--loans", type=Path, metavar="FILE", help="loans to judge by (default: those of its recipe)")
    judging.add_argument("--against", type=Path, metavar="RELEASE", help="another release, to compare decisions with")
    judging.add_argument("--out", type=Path, default=Path(), metavar="FOLDER", help="folder for both files")
    judging.set_defaults(run=with_status(run_evaluate))
    comparing = commands.add_parser("compare", help="see whose suggestion changes from one release to another")
    comparing.add_argument("old", type=Path, help="a release folder")
    comparing.add_argument("new", type=Path, help="a release folder")
    comparing.add_argument(
        "loans", nargs="?", type=Path, help="a file of loans (default: those of the new release's recipe)"
    )
    comparing.add_argument("--json", action="store_true", help="print every figure as JSON")
    comparing.add_argument("--list", type=Path, metavar="FILE.csv", help="also list these loans, without their answers")
    comparing.set_defaults(run=with_status(run_compare))
    for parser in (judging, comparing):
        parser.add_argument(
            "--recipe", type=Path, metavar="NAME.toml",
            help="the recipe by which loans are read; without one a file has a column for each field, and bad (0 or 1)",
        )  # fmt: skip


def with_status(run: Callable[[argparse.Namespace], None]) -> Callable[[argparse.Namespace], int]:
    """The command, with the exit status 1 and a line on what is wrong where it fails."""

    def command(options: argparse.Namespace) -> int:
        try:
            run(options)
        except TenfoldError as error:
            print(error, file=sys.stderr)
            return 1
        return 0

    return command


def run_evaluate(options: argparse.Namespace) -> None:
    """Measure, write both files, and say the main figures."""
    release = open_release(options.release)
    given = given_loans(release, options.recipe, options.loans)
    scored, against = score_loans(release, given), None
    if (
        options.against is not None
    ):  # by the PDs that both serve: folds of one would be compared with what the other saw
        served = scored if scored.standing != FOLDS else score_loans(release, given, folds=False)
        against = compare(score_loans(open_release(options.against), given, folds=False), served)
    evaluation = evaluate(scored, against)
    page, figures = (options.out / f"{release.name}.evaluation.{kind}" for kind in ("html", "json"))
    write_whole(
        {page: write_report(evaluation), figures: json.dumps(as_json(evaluation), indent=1, ensure_ascii=False)}
    )
    print("\n".join([*summary(evaluation), f"  {page}", f"  {figures}"]))


def summary(evaluation: Evaluation) -> list[str]:
    """The main figures, for the terminal."""
    return [
        f"{evaluation.release} on {evaluation.loans:,} loans, {evaluation.bad:,} bad"
        f"{f', of {evaluation.months}' if evaluation.months else ''}: {evaluation.standing}.",
        ", ".join(
            f"{label} {measure.value:.3f} ({measure.low:.3f}–{measure.high:.3f})"
            for label, measure in ((name, evaluation.discrimination[key]) for name, key in
                                   (("AUC", "auc"), ("Gini", "gini"), ("KS", "ks"), ("Brier", "brier")))
        ),
        f"mean PD {percent(evaluation.discrimination['mean_pd'].value)}, "
        f"went bad {percent(evaluation.discrimination['bad_rate'].value)}",
    ]  # fmt: skip


def run_compare(options: argparse.Namespace) -> None:
    """Compare, print, and list the loans if asked."""
    old, new = open_release(options.old), open_release(options.new)
    given = given_loans(new, options.recipe, options.loans)
    before, after = (score_loans(release, given, folds=False) for release in (old, new))
    comparison = compare(before, after)
    print(json.dumps(as_json(comparison), indent=1, ensure_ascii=False) if options.json else text(comparison))
    if options.list is not None:
        try:
            lines = write_list(options.list, before, after)
        except OSError as error:
            raise TenfoldError(f"{options.list}: {error.strerror}") from None
        if not options.json:
            print(f"\n{options.list}: {lines:,} loans")
