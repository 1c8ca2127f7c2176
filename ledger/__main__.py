"""The command line: `python -m ledger verify`, `replay`, `show`, `head`, `export`, `purge`, `backup`, `restore`."""

import argparse
import json
import os
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from inference.errors import TenfoldError
from inference.settings import RELEASES, Settings
from ledger import store
from ledger.export import export
from ledger.records import SCORED
from ledger.replay import DIFFERENT, SAME, Replayer, release_folders
from ledger.retention import MONTHS, purge
from ledger.store import LedgerUnavailable, Store
from ledger.verify import reports, verify


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 all is well, 1 the ledger is not whole or a replay differs, 2 it cannot be done, and why."""
    given = parser().parse_args(arguments)
    try:
        if given.command == "restore":
            return restore(given.backup, given.target)
        path = given.ledger or Settings.from_environment().ledger
        if path is None:
            raise LedgerUnavailable("TENFOLD_LEDGER is off: there is no ledger. --ledger FILE names one")
        ledger = Store(path)
        try:
            return int(COMMANDS[given.command](ledger, given))
        finally:
            ledger.close()
    except TenfoldError as error:
        print(error, file=sys.stderr)
        return 2
    except store.UNREADABLE as error:
        print(f"{store.cause(error)}. 'python -m ledger verify' says which record is the first", file=sys.stderr)
        return 2


def parser() -> argparse.ArgumentParser:
    """What can be asked."""
    made = argparse.ArgumentParser(prog="python -m ledger", description="The record of decisions.")
    made.add_argument("--ledger", type=Path, metavar="FILE", help="the ledger (else TENFOLD_LEDGER, else the default)")
    commands = made.add_subparsers(dest="command", required=True)
    one = commands.add_parser("verify", help="is nothing missing and nothing changed?")
    one.add_argument("--head", metavar="HASH", help="a head that was kept elsewhere: it must still be in the chain")
    one = commands.add_parser("replay", help="score old decisions again with their releases")
    one.add_argument("ids", nargs="*", metavar="ID", help="records (all that were scored)")
    one.add_argument("--releases", nargs="*", type=Path, default=[RELEASES], help="folders to look for releases in")
    one = commands.add_parser("show", help="one record with all that refers to it, as JSON")
    one.add_argument("id", metavar="ID")
    commands.add_parser("head", help="the last record's hash, for somebody else to keep")
    one = commands.add_parser("export", help="all records as a table")
    one.add_argument("file", type=Path, metavar="FILE.csv|FILE.parquet")
    one = commands.add_parser("purge", help="erase the personal parts of records whose retention has ended")
    one.add_argument("--before", type=day, required=True, metavar="DATE")
    one.add_argument("--months", type=int, default=MONTHS, help="of retention (%(default)s)")
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


def run_verify(ledger: Store, given: argparse.Namespace) -> int:
    found = verify(ledger, given.head)
    print("\n".join(reports(found)))
    return int(found.problem is not None)


def run_replay(ledger: Store, given: argparse.Namespace) -> int:
    replayer = Replayer(release_folders(given.releases))
    outcomes: Counter[str] = Counter()
    furthest = 0.0
    with ledger.reading() as connection:
        records = store.by_id(connection, given.ids) if given.ids else store.records(connection, [SCORED])
        for one in replayer.replay(one for one in records if one.fields()["kind"] == SCORED):
            outcomes[one.outcome] += 1
            furthest = max(furthest, one.off or 0.0)
            if one.outcome != SAME or given.ids:
                print(f"{one.id}: {one.outcome}{f', {one.why}' if one.why else ''}")
    counts = ", ".join(f"{count:,} {outcome}" for outcome, count in outcomes.items())
    print(f"{counts or 'nothing to replay'}; the PD is off by {furthest:.1e} at most")
    return int(bool(outcomes[DIFFERENT]))


def run_show(ledger: Store, given: argparse.Namespace) -> int:
    with ledger.reading() as connection:
        found = store.by_id(connection, [given.id]) + store.following(connection, given.id)
    if not found:
        raise LedgerUnavailable(f"{given.id}: no such record")
    shown = [{**one.fields(), "hash": one.hash.hex(), "personal": one.personal_fields()} for one in found]
    print(json.dumps(shown, indent=2, ensure_ascii=False))
    return 0


def run_head(ledger: Store, given: argparse.Namespace) -> int:
    with ledger.reading() as connection:
        found = store.last(connection)
    print(f"{found[0]} {found[1].hex()}" if found else "no record")
    return 0


def run_export(ledger: Store, given: argparse.Namespace) -> int:
    with ledger.reading() as connection:
        count = export(store.records(connection), given.file)
    print(f"{given.file}: {count:,} records")
    return 0


def run_purge(ledger: Store, given: argparse.Namespace) -> int:
    record, erased = purge(ledger, given.before, given.months)
    print(f"{erased:,} personal parts erased, up to record {record.fields()['through']:,}; recorded as {record.seq:,}")
    print("Backups made before hold them still: purge or delete those too.")
    return 0


def run_backup(ledger: Store, given: argparse.Namespace) -> int:
    refuse_existing(given.target)
    ledger.backup(given.target)
    copy = Store(given.target)
    found = verify(copy)
    copy.close()
    print(f"{given.target}:")
    print("\n".join(reports(found)))
    return int(found.problem is not None)


def restore(backup: Path, target: Path) -> int:
    """Copy a backup to where the ledger belongs, if it is whole and nothing stands there."""
    refuse_existing(target)
    source = Store(backup)
    try:
        found = verify(source)
        print("\n".join(reports(found)))
        if found.problem:
            return 1
        source.backup(target)
    finally:
        source.close()
    print(f"{target}: restored")
    return 0


def refuse_existing(target: Path) -> None:
    """Refuse to write over a ledger, an earlier backup or anything else."""
    beside = [target, target.with_name(f"{target.name}-wal"), target.with_name(f"{target.name}-shm")]
    if there := [file for file in beside if os.path.lexists(file)]:
        raise LedgerUnavailable(
            f"{there[0]} is there already: move it away first or name another file, nothing was changed"
        )


COMMANDS = {
    "verify": run_verify,
    "replay": run_replay,
    "show": run_show,
    "head": run_head,
    "export": run_export,
    "purge": run_purge,
    "backup": run_backup,
}

if __name__ == "__main__":
    sys.exit(main())
