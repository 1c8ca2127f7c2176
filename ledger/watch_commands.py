"""The commands `outcomes` and `monitor`: what became of loans, and whether their release still holds."""

import argparse
from collections.abc import Callable
from datetime import datetime, tzinfo
from functools import partial
from pathlib import Path

from inference.watch.expected import month_of, months_of
from ledger.daily_counts import form_of
from ledger.monitor import ALARM, CANNOT_SAY, HOLDS, Wanted, monitor
from ledger.monitor_text import as_json, sentences
from ledger.outcome_file import read_outcomes, words_of
from ledger.outcomes import record_outcomes
from ledger.readonly import ReadOnlyStore
from ledger.replay import folders_of
from ledger.retention import os_user
from ledger.store import Store

STATUS = {HOLDS: 0, ALARM: 1, CANNOT_SAY: 3}  # 2 is a command that failed


def add_watch_commands(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add both to a parser; `add` is its `add_parser`."""
    command = add("outcomes", help="record what became of loans: a CSV of id or reference, outcome, date")
    command.add_argument("file", type=Path, metavar="FILE.csv")
    command.add_argument("--recipe", type=Path, metavar="NAME.toml", help="its [loans] has the words for bad and good")
    command.add_argument("--bad", action="append", default=[], metavar="WORD", help="a word of the file for bad")
    command.add_argument("--repaid", action="append", default=[], metavar="WORD", help="a word of the file for repaid")
    command.add_argument(
        "--running", action="append", default=[], metavar="WORD", help="a word of the file for a loan that still runs"
    )
    command.add_argument("--by", default=os_user(), metavar="NAME", help="who records them (default: %(default)s)")
    command = add("monitor", help="compare outcomes and scores with what was expected; exit status 1 is an alarm")
    command.add_argument("--release", default="", metavar="NAME", help="which one (default: the last that scored)")
    command.add_argument(
        "--reference", type=months_of, metavar="FIRST:LAST",
        help="months to learn from, such as 2027-01:2027-12 (default: the first 24 in which the release scored)",
    )  # fmt: skip
    command.add_argument(
        "--until", type=month_of, metavar="MONTH",
        help="the last month whose outcomes are all recorded (default: the one before the last outcome's)",
    )  # fmt: skip
    command.add_argument("--json", action="store_true", help="print everything as JSON")
    command.add_argument(
        "--releases",
        nargs="*",
        type=Path,
        metavar="FOLDER",
        help="where to look for releases (default: the embedded ones, and those beside TENFOLD_RELEASE)",
    )


def outcomes_of(ledger: Store, options: argparse.Namespace, zone: tzinfo) -> list[str]:
    """Record a file, whose dates are days in `zone`; what to say of it. Raises `BadOutcomes` with all bad lines."""
    words = words_of(options.recipe, options.bad, options.repaid, options.running)
    outcomes = read_outcomes(options.file, words, datetime.now(zone).date())
    recorded = record_outcomes(ledger, outcomes, by=options.by, zone=zone)
    lines = [f"{options.file}: {recorded.new:,} outcomes recorded"]
    if recorded.changed:
        lines.append(f"{recorded.changed:,} of cases that had another outcome, which stays in the ledger")
    if recorded.before:
        lines.append(f"{recorded.before:,} had been recorded before")
    if recorded.by_digest:
        lines.append(f"{recorded.by_digest:,} found by the digest of a reference that was erased")
    if recorded.running:
        lines.append(f"{recorded.running:,} still run: nothing is recorded of them")
    if recorded.running_despite:
        lines.append(f"{recorded.running_despite:,} of these have an outcome in the ledger, which stays")
    return lines


def monitor_of(ledger: ReadOnlyStore, options: argparse.Namespace, zone: tzinfo) -> tuple[str, int]:
    """The report, by months of `zone`, and the exit status that says whether there is an alarm."""
    wanted = Wanted(options.release, options.reference, options.until)
    today = datetime.now(zone).date().isoformat()
    with ledger.reading() as connection:
        monitored = monitor(connection, today, partial(form_of, folders_of(options.releases)), wanted, zone)
    return as_json(monitored) if options.json else "\n".join(sentences(monitored)), STATUS[monitored.state]
