"""The command line: `python -m ledger verify`, `replay`, `show`, `head`, `stamp`, `export`, `purge`, `clean`, `backup`,
`restore`. Commands that only read change no byte of the ledger's folder."""

import argparse
import json
import os
import signal
import sys
import time
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from inference.errors import TenfoldError
from inference.settings import RELEASES, Settings
from ledger import errors, queries
from ledger.cleaning import Cleaner
from ledger.errors import LedgerUnavailable
from ledger.events import SCORED
from ledger.export import export
from ledger.readonly import ReadOnlyStore
from ledger.replay import DIFFERENT, SAME, Replayer, release_folders
from ledger.retention import MONTHS, os_user, purge
from ledger.stamps import Stamp, contradictions, stamp, stamps_in
from ledger.store import Store
from ledger.targets import BadTarget, back_up
from ledger.verify import Found, reports, verify

WELL, NOT_WHOLE, IMPOSSIBLE, UNCLEAN = 0, 1, 2, 3
TRIES = 3  # of reading a ledger that somebody begins to write to meanwhile
SHOWN = 5  # records with an odd date that are listed


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 all is well, 1 the ledger is not whole or a replay differs, 2 it cannot be done, and why, 3 what
    was erased may still be in the file or its log."""
    given = parser().parse_args(arguments)
    try:
        if given.command == "restore":
            return restore(given.backup, given.target)
        path = given.ledger or Settings.from_environment().ledger
        if path is None:
            raise LedgerUnavailable("TENFOLD_LEDGER is off: there is no ledger. --ledger FILE names one")
        if given.command == "stamp":
            return run_stamp(path, given)
        if given.command in WRITING:
            return writing(path, given)
        return reading(path, given)
    except TenfoldError as error:
        print(error, file=sys.stderr)
        return IMPOSSIBLE
    except errors.UNREADABLE as error:
        print(f"{errors.cause(error)}. 'python -m ledger verify' says which record is the first", file=sys.stderr)
        return IMPOSSIBLE


def reading(path: Path, given: argparse.Namespace) -> int:
    """A command that reads the ledger."""
    for _ in range(TRIES):
        ledger = ReadOnlyStore(path)
        try:
            status = READING[given.command](ledger, given)
            if not ledger.changed():
                return status
        finally:
            ledger.close()
        print("somebody began to write to the ledger meanwhile: once more", file=sys.stderr)
    raise LedgerUnavailable(f"{path}: written to at each try; try again")


def writing(path: Path, given: argparse.Namespace) -> int:
    """A command that writes to the ledger."""
    ledger = Store(path)
    try:
        return WRITING[given.command](ledger, given)
    finally:
        ledger.close()


def parser() -> argparse.ArgumentParser:
    """What can be asked."""
    made = argparse.ArgumentParser(prog="python -m ledger", description="The record of decisions.")
    made.add_argument("--ledger", type=Path, metavar="FILE", help="the ledger (else TENFOLD_LEDGER, else the default)")
    commands = made.add_subparsers(dest="command", required=True)
    one = commands.add_parser("verify", help="is nothing missing and nothing changed?")
    one.add_argument("--head", metavar="HASH", help="a head that was kept elsewhere: it must still be in the chain")
    one.add_argument(
        "--stamps", type=Path, metavar="FILE|FOLDER", help="what 'stamp' kept elsewhere: it must still hold"
    )
    one.add_argument("--ca", type=Path, metavar="FILE.pem", help="the authority's certificate, to check its tokens")
    one = commands.add_parser("replay", help="score old decisions again with their releases")
    one.add_argument("ids", nargs="*", metavar="ID", help="records (all that were scored)")
    one.add_argument("--releases", nargs="*", type=Path, default=[RELEASES], help="folders to look for releases in")
    one = commands.add_parser("show", help="one record with all that refers to it, as JSON")
    one.add_argument("id", metavar="ID")
    commands.add_parser("head", help="the last record's hash, for somebody else to keep")
    one = commands.add_parser("stamp", help="keep the head elsewhere: in a file, at a URL, signed by an authority")
    one.add_argument("target", metavar="FILE|URL", help="a line of JSON is appended, or sent by POST")
    one.add_argument("--tsa", metavar="URL", help="a time-stamping server (RFC 3161); needs the openssl program")
    one.add_argument("--every", type=hours, metavar="HOURS", help="again and again, until stopped")
    one = commands.add_parser("export", help="all records as a table")
    one.add_argument("file", type=Path, metavar="FILE.csv|FILE.parquet")
    one = commands.add_parser("purge", help="erase the personal parts of cases whose retention has ended")
    one.add_argument("--before", type=day, required=True, metavar="DATE", help="of the notice, else of the decision")
    one.add_argument("--months", type=int, default=MONTHS, help="of retention (%(default)s)")
    one.add_argument("--by", default=os_user(), metavar="NAME", help="who erases, for the record (%(default)s)")
    one.add_argument(
        "--undecided", action="store_true",
        help="open cases too, from their last record: for a lender that decides elsewhere",
    )  # fmt: skip
    one.add_argument("--wait", type=float, default=10.0, metavar="SECONDS", help="for readers to end (%(default)g)")
    one = commands.add_parser("clean", help="finish a purge that readers held up")
    one.add_argument("--wait", type=float, default=10.0, metavar="SECONDS", help="for readers to end (%(default)g)")
    one = commands.add_parser("backup", help="a copy into a new file, while the ledger is in use")
    one.add_argument("target", type=Path)
    one = commands.add_parser("restore", help="a verified backup back into a place where no ledger is")
    one.add_argument("backup", type=Path)
    one.add_argument("target", type=Path)
    return made


def day(text: str) -> datetime:
    """An ISO date, at its beginning in UTC, or a time."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def hours(text: str) -> float:
    """A time between stamps."""
    found = float(text)
    if not 0 < found <= 24 * 366:
        raise argparse.ArgumentTypeError("hours above 0 are needed")
    return found


def run_verify(ledger: ReadOnlyStore, given: argparse.Namespace) -> int:
    stamps = stamps_in(given.stamps) if given.stamps else []
    found = verify(ledger, given.head, [one.seq for one in stamps])
    wrong = list(contradictions(stamps, found.hashes, given.ca)) if found.problem is None else []
    if wrong:
        found = found._replace(problem=wrong[0])
    print("\n".join([*reports(found), *wrong[1:]]))
    if stamps and not found.problem:
        print("\n".join(stamp_reports(stamps, given.ca)))
    return status_of(found)


def stamp_reports(stamps: list[Stamp], authority: Path | None) -> list[str]:
    """What stamps that hold say."""
    tokens = sum(one.token is not None for one in stamps)
    last = max(stamps, key=lambda one: one.seq)
    said = [f"{len(stamps):,} stamps hold, the last of record {last.seq:,} on {last.time}"]
    if tokens:
        said.append(
            f"{tokens:,} tokens verify"
            if authority
            else f"{tokens:,} tokens were not checked: --ca FILE.pem checks them"
        )
    return said


def status_of(found: Found) -> int:
    """The exit status that a verification comes to."""
    return NOT_WHOLE if found.problem else UNCLEAN if found.unclean is not None else WELL


def run_replay(ledger: ReadOnlyStore, given: argparse.Namespace) -> int:
    replayer = Replayer(release_folders(given.releases))
    outcomes: Counter[str] = Counter()
    furthest = 0.0
    with ledger.reading() as connection:
        records = queries.by_id(connection, given.ids) if given.ids else queries.records(connection, [SCORED])
        for one in replayer.replay(record.event for record in records):
            outcomes[one.outcome] += 1
            furthest = max(furthest, one.off or 0.0)
            if one.outcome != SAME or given.ids:
                print(f"{one.id}: {one.outcome}{f', {one.why}' if one.why else ''}")
    counts = ", ".join(f"{count:,} {outcome}" for outcome, count in outcomes.items())
    print(f"{counts or 'nothing to replay'}; the PD is off by {furthest:.1e} at most")
    return int(bool(outcomes[DIFFERENT]))


def run_show(ledger: ReadOnlyStore, given: argparse.Namespace) -> int:
    with ledger.reading() as connection:
        found = queries.by_id(connection, [given.id]) + queries.following(connection, given.id)
    if not found:
        raise LedgerUnavailable(f"{given.id}: no such record")
    shown = [{**one.body_json, "hash": one.hash.hex(), "personal": one.personal_json} for one in found]
    print(json.dumps(shown, indent=2, ensure_ascii=False))
    return 0


def run_head(ledger: ReadOnlyStore, given: argparse.Namespace) -> int:
    with ledger.reading() as connection:
        found = queries.last(connection)
    print(f"{found[0]} {found[1].hex()}" if found else "no record")
    return WELL


def run_stamp(path: Path, given: argparse.Namespace) -> int:
    """Once; or every so many hours until it is stopped. Then a failure is said, and the next stamp is made in time."""
    if not given.every:
        print(stamp_once(path, given))
        return WELL
    for stop in (signal.SIGINT, signal.SIGTERM):  # whatever started it; a shell's background jobs ignore SIGINT
        signal.signal(stop, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        while True:
            try:
                print(stamp_once(path, given), flush=True)
            except TenfoldError as error:
                print(error, file=sys.stderr, flush=True)
            time.sleep(given.every * 3600)
    return WELL


def stamp_once(path: Path, given: argparse.Namespace) -> str:
    ledger = ReadOnlyStore(path)
    try:
        with ledger.reading() as connection:
            found = queries.last(connection)
        if found is None:
            raise LedgerUnavailable(f"{path}: no record is left, not even the first")
        stamp(found[0], found[1].hex(), given.target, ledger.path, given.tsa)
    finally:
        ledger.close()
    return f"{given.target}: record {found[0]:,}, head {found[1].hex()}"


def run_export(ledger: ReadOnlyStore, given: argparse.Namespace) -> int:
    with ledger.reading() as connection:
        count = export(lambda: queries.records(connection), given.file, ledger.path)
    print(f"{given.file}: {count:,} records")
    return WELL


def run_purge(ledger: Store, given: argparse.Namespace) -> int:
    done = purge(ledger, given.before, given.months, by=given.by, undecided=given.undecided)
    print(
        f"{done.parts:,} personal parts of {done.cases:,} cases erased" + ("" if done.records else ": nothing was due")
    )
    if done.records:
        print("recorded as " + ", ".join(f"{one.seq:,}" for one in done.records))
    for why, count in sorted(done.kept.items()):
        print(f"{count:,} older cases kept: {KEPT.get(why, why)}")
    for one in done.odd[:SHOWN]:
        print(f"record {one.seq:,} has an odd date, {one.header.time}: it counts as written with those after it")
    if len(done.odd) > SHOWN:
        print(f"{len(done.odd) - SHOWN:,} more records have an odd date")
    print("Backups, exports and PDFs made before still hold what was erased: they are yours to erase, see SECURITY.md.")
    return run_clean(ledger, given)


KEPT = {
    "recent": "their retention began later, with the notice or the last decision",
    "on hold": "a manager holds them",
    "open": "nobody has decided them (--undecided takes them too)",
    "pending": "referred or incomplete, and not decided in the end (--undecided takes them too)",
    "waiting": "they wait for a second person",
    "review": "the applicant objected, and nobody has decided since",
}


def run_clean(ledger: Store, given: argparse.Namespace) -> int:
    """Also the end of a purge."""
    cleaner = Cleaner(ledger, getattr(given, "by", None) or os_user())
    why = "another program reads the ledger"
    try:
        if cleaner.clean(given.wait):
            print("clean: nothing of what was erased is left in the file or its log")
            return WELL
    except errors.DATABASE_ERRORS as error:
        why = f"{errors.cause(error)}{errors.full(ledger.path)}"
    print(
        f"NOT YET CLEAN: what was erased is recorded, but may still be in the file or its log: {why}. A running server "
        "finishes it; so does 'python -m ledger clean'",
        file=sys.stderr,
    )
    return UNCLEAN


def run_backup(ledger: ReadOnlyStore, given: argparse.Namespace) -> int:
    refuse_existing(given.target)
    with ledger.reading() as connection:
        back_up(connection, ledger.path, given.target)
    copy = ReadOnlyStore(given.target)
    found = verify(copy)
    copy.close()
    print(f"{given.target}:")
    # A copy is written anew, so nothing erased is in it, whatever the ledger's own file and log hold.
    print("\n".join(reports(found._replace(unclean=None))))
    return NOT_WHOLE if found.problem else WELL


def restore(backup: Path, target: Path) -> int:
    """Copy a backup to where the ledger belongs, if it is whole and nothing stands there."""
    refuse_existing(target)
    source = ReadOnlyStore(backup)
    try:
        found = verify(source)
        print("\n".join(reports(found._replace(unclean=None))))
        if found.problem:
            return NOT_WHOLE
        with source.reading() as connection:
            back_up(connection, source.path, target)
    finally:
        source.close()
    print(f"{target}: restored")
    return WELL


def refuse_existing(target: Path) -> None:
    """Refuse to write over a ledger, an earlier backup or anything else."""
    beside = [target, target.with_name(f"{target.name}-wal"), target.with_name(f"{target.name}-shm")]
    if there := [file for file in beside if os.path.lexists(file)]:
        raise BadTarget(f"{there[0]} is there already: move it away first or name another file, nothing was changed")


READING = {
    "verify": run_verify,
    "replay": run_replay,
    "show": run_show,
    "head": run_head,
    "export": run_export,
    "backup": run_backup,
}
WRITING = {"purge": run_purge, "clean": run_clean}

if __name__ == "__main__":
    sys.exit(main())
