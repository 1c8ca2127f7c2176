"""The command line: `python -m ledger verify`, `replay`, `show`, `head`, `stamp`, `export`, `outcomes`, `monitor`,
`purge`, `clean`, `backup`, `restore`, `outbox`. Read-only commands do not change a byte in the ledger's folder."""

import argparse
import json
import os
import signal
import sys
import time
from collections import Counter
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from inference.errors import TenfoldError
from inference.settings import Settings
from ledger import errors, outbox_command, queries
from ledger.books import how_to_repeat
from ledger.cleaning import Cleaner
from ledger.drafts import Drafts
from ledger.errors import LedgerUnavailable
from ledger.events import SCORED
from ledger.export import export
from ledger.lender_time import zone_in
from ledger.readonly import ReadOnlyStore
from ledger.references import key_file
from ledger.replay import DIFFERENT, SAME, Replayer, folders_of
from ledger.retention import MONTHS, os_user, purge
from ledger.stamps import Stamp, contradictions, stamp, stamps_in
from ledger.store import Store
from ledger.targets import BadTarget, back_up
from ledger.verify import Verification, reports, verify
from ledger.watch_commands import add_watch_commands, monitor_of, outcomes_of

WELL, NOT_WHOLE, IMPOSSIBLE, UNCLEAN = 0, 1, 2, 3
TRIES = 3  # to read a ledger that another program starts to write to
MOST_LISTED = 5  # records with an odd date that a purge lists


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 success, 1 the ledger is not whole, a replay differs or the monitor alarms, 2 the command failed
    (with a message), 3 erased data may still be in the file or its log, or the monitor cannot say yet."""
    options = parser().parse_args(arguments)
    try:
        if options.command == "outbox" and options.action == "secret":
            return outbox_command.run_secret()
        if options.command == "restore":
            return restore(options.backup, options.target)
        if options.command == "outbox" and options.action == "test":
            return outbox_command.run_test(options.endpoint)
        path = options.ledger or Settings.from_environment().ledger
        if path is None:
            raise LedgerUnavailable("TENFOLD_LEDGER is off: there is no ledger. Name one with --ledger FILE")
        if options.command == "stamp":
            return run_stamp(path, options)
        if options.command == "outbox":
            return outbox_command.run(path, options)
        if options.command in WRITING:
            return writing(path, options)
        return reading(path, options)
    except TenfoldError as error:
        print(error, file=sys.stderr)
        return IMPOSSIBLE
    except errors.UNREADABLE as error:
        print(f"{errors.cause(error)}. 'python -m ledger verify' finds the first bad record", file=sys.stderr)
        return IMPOSSIBLE


def reading(path: Path, options: argparse.Namespace) -> int:
    """Run a command that reads the ledger."""
    for _ in range(TRIES):
        ledger = ReadOnlyStore(path)
        try:
            status = READING[options.command](ledger, options)
            if not ledger.changed():
                return status
        finally:
            ledger.close()
        print("the ledger was written to meanwhile: reading it again", file=sys.stderr)
    raise LedgerUnavailable(f"{path}: written to during every attempt; try again")


def writing(path: Path, options: argparse.Namespace) -> int:
    """Run a command that writes to the ledger."""
    ledger = Store(path)
    try:
        return WRITING[options.command](ledger, options)
    finally:
        ledger.close()


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    main_parser = argparse.ArgumentParser(prog="python -m ledger", description="The record of decisions.")
    main_parser.add_argument(
        "--ledger", type=Path, metavar="FILE", help="ledger file (default: TENFOLD_LEDGER, or the default)"
    )
    commands = main_parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("verify", help="check that no record is missing or changed")
    command.add_argument("--head", metavar="HASH", help="a head kept elsewhere, which must still be in the chain")
    command.add_argument(
        "--stamps", type=Path, metavar="FILE|FOLDER", help="stamps kept elsewhere, which must match the chain"
    )
    command.add_argument(
        "--ca", type=Path, metavar="FILE.pem", help="certificate of the time-stamping authority, to check its tokens"
    )
    command = commands.add_parser("replay", help="score old decisions again with their releases")
    command.add_argument("ids", nargs="*", metavar="ID", help="ids of scores (default: all)")
    command.add_argument(
        "--releases",
        nargs="*",
        type=Path,
        metavar="FOLDER",
        help="where to look for releases (default: the embedded ones, and those beside TENFOLD_RELEASE)",
    )
    command = commands.add_parser("show", help="print a record and all records that refer to it, as JSON")
    command.add_argument("id", metavar="ID")
    commands.add_parser("head", help="print the last record's hash, to be kept elsewhere")
    command = commands.add_parser("stamp", help="keep the head elsewhere: in a file, at a URL, signed by an authority")
    command.add_argument("target", metavar="FILE|URL", help="where a line of JSON is appended or sent by POST")
    command.add_argument("--tsa", metavar="URL", help="time-stamping server (RFC 3161); needs the openssl program")
    command.add_argument("--every", type=hours, metavar="HOURS", help="repeat after so many hours, until stopped")
    command = commands.add_parser("export", help="write all records to a table")
    command.add_argument("file", type=Path, metavar="FILE.csv|FILE.parquet")
    add_watch_commands(commands.add_parser)
    command = commands.add_parser("purge", help="erase the personal parts of cases whose retention has ended")
    command.add_argument(
        "--before",
        type=day,
        required=True,
        metavar="DATE",
        help="erase cases whose notice (or decision, without one) is older; a day in the lender's time zone",
    )
    command.add_argument("--months", type=int, default=MONTHS, help="retention in months (default: %(default)s)")
    command.add_argument(
        "--by", default=os_user(), metavar="NAME", help="who erases, for the record (default: %(default)s)"
    )
    command.add_argument(
        "--undecided", action="store_true",
        help="include open cases, counted from their last record: for lenders that decide elsewhere",
    )  # fmt: skip
    command.add_argument(
        "--wait",
        type=float,
        default=10.0,
        metavar="SECONDS",
        help="how long to wait for readers (default: %(default)g)",
    )
    command = commands.add_parser("clean", help="finish a purge that was delayed by readers")
    command.add_argument(
        "--wait",
        type=float,
        default=10.0,
        metavar="SECONDS",
        help="how long to wait for readers (default: %(default)g)",
    )
    command = commands.add_parser("backup", help="copy the ledger to a new file, even while it is in use")
    command.add_argument("target", type=Path)
    command = commands.add_parser("restore", help="verify a backup and copy it to where there is no ledger")
    command.add_argument("backup", type=Path)
    command.add_argument("target", type=Path)
    for command in commands.choices.values():  # also behind the command, as `tenfold monitor --ledger FILE` has it
        command.add_argument("--ledger", type=Path, metavar="FILE", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    outbox_command.add_to(commands)  # has one of its own
    return main_parser


def day(text: str) -> datetime:
    """Parse an ISO time, or an ISO date as its first moment; without a time zone it is in the lender's."""
    return datetime.fromisoformat(text)


def hours(text: str) -> float:
    """Parse the time between stamps."""
    number = float(text)
    if not 0 < number <= 24 * 366:
        raise argparse.ArgumentTypeError("hours above 0 are needed")
    return number


def run_verify(ledger: ReadOnlyStore, options: argparse.Namespace) -> int:
    stamps = stamps_in(options.stamps) if options.stamps else []
    verification = verify(ledger, options.head, [stamp_read.seq for stamp_read in stamps])
    contradicted = list(contradictions(stamps, verification.hashes, options.ca)) if verification.problem is None else []
    if contradicted:
        verification = verification._replace(problem=contradicted[0])
    print("\n".join([*reports(verification), *contradicted[1:]]))
    if stamps and not verification.problem:
        print("\n".join(stamp_reports(stamps, options.ca)))
    return status_of(verification)


def stamp_reports(stamps: list[Stamp], authority: Path | None) -> list[str]:
    """A summary of stamps that match the chain."""
    tokens = sum(kept_stamp.token is not None for kept_stamp in stamps)
    last = max(stamps, key=lambda kept_stamp: kept_stamp.seq)
    sentences = [f"{len(stamps):,} stamps hold, the last of record {last.seq:,} on {last.time}"]
    if tokens:
        sentences.append(
            f"{tokens:,} tokens verify"
            if authority
            else f"{tokens:,} tokens were not checked: --ca FILE.pem checks them"
        )
    return sentences


def status_of(verification: Verification) -> int:
    """The exit status of a verification."""
    return NOT_WHOLE if verification.problem else UNCLEAN if verification.unclean is not None else WELL


def run_replay(ledger: ReadOnlyStore, options: argparse.Namespace) -> int:
    replayer = Replayer(folders_of(options.releases))
    counts_by_outcome: Counter[str] = Counter()
    furthest = 0.0
    with ledger.reading() as connection:
        records = queries.by_id(connection, options.ids) if options.ids else queries.records(connection, [SCORED])
        for replayed in replayer.replay(record.event for record in records):
            counts_by_outcome[replayed.outcome] += 1
            furthest = max(furthest, replayed.off or 0.0)
            if replayed.outcome != SAME or options.ids:
                print(f"{replayed.id}: {replayed.outcome}{f', {replayed.why}' if replayed.why else ''}")
    counts = ", ".join(f"{count:,} {outcome}" for outcome, count in counts_by_outcome.items())
    print(f"{counts or 'nothing to replay'}; the PD is off by {furthest:.1e} at most")
    return int(bool(counts_by_outcome[DIFFERENT]))


def run_show(ledger: ReadOnlyStore, options: argparse.Namespace) -> int:
    with ledger.reading() as connection:
        records = queries.by_id(connection, [options.id]) + queries.following(connection, options.id)
    if not records:
        raise LedgerUnavailable(f"{options.id}: no such record")
    shown = [
        {**record.body_json, "hash": record.hash.hex(), "personal": record.personal_json, **how_to_repeat(record)}
        for record in records
    ]
    print(json.dumps(shown, indent=2, ensure_ascii=False))
    return 0


def run_head(ledger: ReadOnlyStore, options: argparse.Namespace) -> int:
    with ledger.reading() as connection:
        head = queries.last(connection)
    print(f"{head[0]} {head[1].hex()}" if head else "no record")
    return WELL


def run_stamp(path: Path, options: argparse.Namespace) -> int:
    """Stamp once, or every so many hours until stopped; then failures are printed and do not end the loop."""
    if not options.every:
        print(stamp_once(path, options))
        return WELL
    for stop in (signal.SIGINT, signal.SIGTERM):  # set explicitly, because a shell's background jobs ignore SIGINT
        signal.signal(stop, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        while True:
            try:
                print(stamp_once(path, options), flush=True)
            except TenfoldError as error:
                print(error, file=sys.stderr, flush=True)
            time.sleep(options.every * 3600)
    return WELL


def stamp_once(path: Path, options: argparse.Namespace) -> str:
    ledger = ReadOnlyStore(path)
    try:
        with ledger.reading() as connection:
            head = queries.last(connection)
        if head is None:
            raise LedgerUnavailable(f"{path}: no record is left, not even the first")
        stamp(head[0], head[1].hex(), options.target, ledger.path, options.tsa)
    finally:
        ledger.close()
    return f"{options.target}: record {head[0]:,}, head {head[1].hex()}"


def run_export(ledger: ReadOnlyStore, options: argparse.Namespace) -> int:
    with ledger.reading() as connection:
        count = export(lambda: queries.records(connection), options.file, ledger.path)
    print(f"{options.file}: {count:,} records")
    return WELL


def run_outcomes(ledger: Store, options: argparse.Namespace) -> int:
    print("\n".join(outcomes_of(ledger, options, zone_in(Settings.from_environment().lender))))
    return WELL


def run_monitor(ledger: ReadOnlyStore, options: argparse.Namespace) -> int:
    report, status = monitor_of(ledger, options, zone_in(Settings.from_environment().lender))
    print(report)
    return status


def run_purge(ledger: Store, options: argparse.Namespace) -> int:
    zone = zone_in(Settings.from_environment().lender)
    result = purge(ledger, options.before, options.months, by=options.by, undecided=options.undecided, zone=zone)
    print(
        f"{result.parts:,} personal parts of {result.cases:,} cases erased"
        + ("" if result.records else ": nothing was due")
    )
    if result.records:
        print("recorded as " + ", ".join(f"{record.seq:,}" for record in result.records))
    for reason, count in sorted(result.kept_by_reason.items()):
        print(f"{count:,} older cases kept: {KEPT_BECAUSE.get(reason, reason)}")
    for record in result.odd[:MOST_LISTED]:
        print(f"record {record.seq:,} has an odd date, {record.header.time}: it is dated by the records after it")
    if len(result.odd) > MOST_LISTED:
        print(f"{len(result.odd) - MOST_LISTED:,} more records have an odd date")
    drafts = Drafts(ledger.path, Settings.from_environment().draft_days).erase_old()
    if drafts:
        print(f"{drafts:,} drafts erased, whose days were over")
    print("Backups, exports and PDFs made before still hold the erased data: erase it there too, see SECURITY.md.")
    return run_clean(ledger, options)


KEPT_BECAUSE = {
    "recent": "their retention began later, with the notice or the last decision",
    "on hold": "a manager put them on hold",
    "open": "not decided yet (--undecided includes them)",
    "pending": "referred or incomplete, without a final decision (--undecided includes them)",
    "waiting": "waiting for a second person",
    "review": "the applicant objected, and nobody has decided since",
}


def run_clean(ledger: Store, options: argparse.Namespace) -> int:
    """The clean command, also the last step of a purge."""
    cleaner = Cleaner(ledger, getattr(options, "by", None) or os_user())
    reason = "another program reads the ledger"
    try:
        if cleaner.clean(options.wait):
            print("clean: no erased data is left in the file or its log")
            return WELL
    except errors.DATABASE_ERRORS as error:
        reason = f"{errors.cause(error)}{errors.full(ledger.path)}"
    print(
        f"NOT YET CLEAN: the erasure is recorded, but erased data may still be in the file or its log: {reason}. A "
        "running server finishes it; so does 'python -m ledger clean'",
        file=sys.stderr,
    )
    return UNCLEAN


def run_backup(ledger: ReadOnlyStore, options: argparse.Namespace) -> int:
    refuse_existing(options.target)
    with ledger.reading() as connection:
        back_up(connection, ledger.path, options.target)
    copy = ReadOnlyStore(options.target)
    verification = verify(copy)
    copy.close()
    print(f"{options.target}:")
    # VACUUM INTO writes the copy from scratch, so it holds no erased data, whatever is left in the original.
    print("\n".join(reports(verification._replace(unclean=None))))
    if key_file(ledger.path).exists():
        print(
            f"{key_file(ledger.path)} is not in it: copy that to another place, to join outcomes to erased references"
        )
    return NOT_WHOLE if verification.problem else WELL


def restore(backup: Path, target: Path) -> int:
    """Copy a backup to `target`, if the backup is whole and `target` does not exist."""
    refuse_existing(target)
    source = ReadOnlyStore(backup)
    try:
        verification = verify(source)
        print("\n".join(reports(verification._replace(unclean=None))))
        if verification.problem:
            return NOT_WHOLE
        with source.reading() as connection:
            back_up(connection, source.path, target)
    finally:
        source.close()
    print(f"{target}: restored")
    return WELL


def refuse_existing(target: Path) -> None:
    """Refuse to overwrite a ledger, an earlier backup or anything else."""
    files = [target, target.with_name(f"{target.name}-wal"), target.with_name(f"{target.name}-shm")]
    if existing := [file for file in files if os.path.lexists(file)]:
        raise BadTarget(f"{existing[0]} exists already: move it away or name another file; nothing was changed")


READING = {
    "verify": run_verify,
    "replay": run_replay,
    "show": run_show,
    "head": run_head,
    "export": run_export,
    "backup": run_backup,
    "monitor": run_monitor,
}
WRITING = {"purge": run_purge, "clean": run_clean, "outcomes": run_outcomes}

if __name__ == "__main__":
    sys.exit(main())
