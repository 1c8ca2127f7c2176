"""`tenfold evidence OUT.zip`: what an examiner asks for first, in one file that says how each part is verified."""

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa

from inference.errors import TenfoldError
from inference.release import Release, open_release
from inference.settings import ROOT, Settings
from inference.watch.expected import month_of, months_of
from ledger import errors
from ledger.daily_counts import form_of
from ledger.errors import LedgerUnavailable
from ledger.lender_time import local_day, zone_in
from ledger.lent import ScoredBy, releases
from ledger.monitor import Wanted, chosen_of, monitor
from ledger.pack import parts
from ledger.pack.archive import SUMS, archive, sha256, sums
from ledger.pack.index import INDEX, index
from ledger.pack.parts import Evaluated, Part
from ledger.pack.sample import Sample, draw
from ledger.readonly import ReadOnlyStore
from ledger.replay import DIFFERENT, Replayer, folders_of, release_folder
from ledger.targets import BadTarget, check, replacing
from ledger.verify import Verification, verify

WRITTEN, DIFFERS, REFUSED = 0, 1, 2
SAMPLED = 25
TRIES = 3  # to read a ledger that another program starts to write to
CHARACTERS = 2_000  # of what a failed evaluation said


class Packed(NamedTuple):
    """What was put together."""

    content: bytes
    files: int
    sample: Sample
    verification: Verification


class Snapshot:
    """One state of a ledger, for all that is read of it."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def reading(self) -> AbstractContextManager[sa.Connection]:
        return nullcontext(self._connection)


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 written, 1 written although a sampled decision is another one today, 2 refused."""
    options = parser().parse_args(arguments)
    try:
        return run(options)
    except TenfoldError as error:
        print(error, file=sys.stderr)
    except errors.UNREADABLE as error:
        print(f"{errors.cause(error)}. 'tenfold ledger verify' finds the first bad record", file=sys.stderr)
    return REFUSED


def parser() -> argparse.ArgumentParser:
    """The parser of the command."""
    command_parser = argparse.ArgumentParser(prog="tenfold evidence", description=__doc__)
    command_parser.add_argument("out", type=Path, metavar="OUT.zip")
    command_parser.add_argument("--ledger", type=Path, metavar="FILE", help="ledger file (default: TENFOLD_LEDGER)")
    command_parser.add_argument(
        "--release", default="", metavar="NAME", help="which one (default: the last that scored)"
    )
    command_parser.add_argument(
        "--releases", nargs="*", type=Path, metavar="FOLDER",
        help="where to look for releases (default: the embedded ones, and those beside TENFOLD_RELEASE)",
    )  # fmt: skip
    command_parser.add_argument(
        "--recipe", type=Path, metavar="NAME.toml", help="the recipe of the release, for a lender's own"
    )
    command_parser.add_argument(
        "--loans", type=Path, metavar="FILE", help="loans to evaluate on (default: those of the recipe)"
    )
    command_parser.add_argument(
        "--evaluation", type=Path, metavar="FOLDER",
        help="folder with the two files of 'tenfold evaluate' (default: evaluate now, which takes a minute or more)",
    )  # fmt: skip
    command_parser.add_argument("--without-evaluation", action="store_true", help="leave it out; the pack says so")
    command_parser.add_argument(
        "--sample", type=int, default=SAMPLED, help="decisions to replay (default: %(default)s)"
    )
    command_parser.add_argument("--seed", default="", metavar="TEXT", help="of the sample (default: the ledger's head)")
    command_parser.add_argument("--reference", type=months_of, metavar="FIRST:LAST", help="as of 'tenfold monitor'")
    command_parser.add_argument("--until", type=month_of, metavar="MONTH", help="as of 'tenfold monitor'")
    command_parser.add_argument(
        "--with-personal", action="store_true",
        help="with answers and references of the sampled applicants; they are left out of it by default",
    )  # fmt: skip
    return command_parser


def run(options: argparse.Namespace) -> int:
    """Put the pack together, write it, and say what it holds."""
    path = options.ledger or Settings.from_environment().ledger
    if path is None:
        raise LedgerUnavailable("TENFOLD_LEDGER is off: there is no ledger. Name one with --ledger FILE")
    if options.out.suffix.lower() != ".zip":
        raise BadTarget(f"{options.out}: name a file that ends in .zip")
    if options.sample < 1:
        raise TenfoldError("--sample: a number from 1 up is needed")
    check(options.out, path.absolute())
    folders = folders_of(options.releases)
    release = opened(scoring(path, options.release), folders)
    recipe = parts.of_recipe(release, options.recipe)
    evaluated = evaluation(release, options)
    packed = pack(path, options, release, folders, [*parts.of_release(release), *recipe], evaluated)
    try:
        with replacing(options.out, path.absolute()) as new:
            new.write_bytes(packed.content)
    except OSError as error:
        raise BadTarget(f"{options.out}: {error.strerror}") from None
    return report_of(options.out, packed)


def scoring(path: Path, wanted: str) -> ScoredBy:
    """The release that is asked for, as the ledger names it."""
    ledger = ReadOnlyStore(path)
    try:
        with ledger.reading() as connection:
            return chosen_of(releases(connection), wanted)
    finally:
        ledger.close()


def opened(chosen: ScoredBy, folders: list[Path]) -> Release:
    """The release, which must be in one of the folders."""
    folder = release_folder(folders, chosen.digest)
    if folder is None:
        raise TenfoldError(
            f"{chosen.name}: its release, with the digest {chosen.digest}, is in none of these folders, so its card "
            "and its replays cannot be had. Name the folder that it is in with --releases FOLDER"
        )
    return open_release(folder, chosen.digest)


def evaluation(release: Release, options: argparse.Namespace) -> Evaluated | None:
    """The two files of `tenfold evaluate`: those in a folder, or made now."""
    if options.without_evaluation:
        return None
    if options.evaluation is not None:
        return read_evaluation(options.evaluation, release)
    print(f"Evaluating {release.name} (--evaluation FOLDER takes what 'tenfold evaluate' wrote before) …", flush=True)
    with tempfile.TemporaryDirectory(prefix="tenfold-") as folder:
        command = [sys.executable, "-m", "models", "evaluate", str(release.folder.absolute()), "--out", folder]
        for name in ("recipe", "loans"):
            file = getattr(options, name)
            command += [] if file is None else [f"--{name}", str(file.absolute())]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise TenfoldError(
                f"{done.stderr.strip()[-CHARACTERS:]}\nThe release was not evaluated. Give what that asks for to this "
                "command, or a folder of an evaluation with --evaluation FOLDER, or do --without-evaluation"
            )
        return read_evaluation(Path(folder), release)


def read_evaluation(folder: Path, release: Release) -> Evaluated:
    """Read both files. Raises `TenfoldError` if they are of another release."""
    page, figures = (folder / f"{release.name}.evaluation.{kind}" for kind in ("html", "json"))
    try:
        read = Evaluated(page.read_bytes(), figures.read_bytes())
        digest = json.loads(read.figures)["digest"]
    except OSError as error:
        raise TenfoldError(f"{error.filename}: {error.strerror}. 'tenfold evaluate' writes it") from None
    except (ValueError, KeyError, TypeError):
        raise TenfoldError(f"{figures}: this is not what 'tenfold evaluate' writes") from None
    if digest != release.digest:
        raise TenfoldError(f"{figures}: an evaluation of another release; evaluate {release.name} again")
    return read


def pack(
    path: Path, options: argparse.Namespace, release: Release, folders: list[Path], before: list[Part],
    evaluated: Evaluated | None,
) -> Packed:  # fmt: skip
    """Put everything together, from one state of the ledger."""
    replayer = Replayer(folders)
    for _ in range(TRIES):
        ledger = ReadOnlyStore(path)
        try:
            with ledger.reading() as connection:
                packed = packed_of(connection, options, release, replayer, before, evaluated)
            if not ledger.changed():
                return packed
        finally:
            ledger.close()
        print("the ledger was written to meanwhile: reading it again", file=sys.stderr)
    raise LedgerUnavailable(f"{path}: written to during every attempt; try again")


def packed_of(
    connection: sa.Connection, options: argparse.Namespace, release: Release, replayer: Replayer, before: list[Part],
    evaluated: Evaluated | None,
) -> Packed:  # fmt: skip
    """The pack of one state of the ledger. Raises `LedgerUnavailable` if that is not whole."""
    verification = verify(Snapshot(connection))
    if verification.problem:
        raise LedgerUnavailable(
            f"NOT WHOLE: {verification.problem}. No pack is made of a ledger that does not verify; "
            "'tenfold ledger verify' says more, and a backup can be restored"
        )
    sample = draw(connection, release.digest, options.sample, options.seed or verification.head, replayer)
    wanted, zone = Wanted(release.digest, options.reference, options.until), zone_in(Settings.from_environment().lender)
    # As of the last record and not of today, so that the same ledger gives the same pack.
    last_day = local_day(verification.until, zone)
    monitored = monitor(connection, last_day, partial(form_of, [release.folder]), wanted, zone)
    files = [
        *before, *parts.of_evaluation(release, evaluated), *parts.of_sample(sample, options.with_personal),
        parts.of_overrides(connection, release, zone), *parts.of_monitor(monitored), parts.of_outcomes(connection),
        *parts.of_ledger(connection, verification), parts.of_software(),
    ]  # fmt: skip
    page = index(release, verification, sample, monitored, files, missing(files), options.with_personal, zone)
    contents = {part.name: part.content for part in files} | {INDEX: page.encode()}
    contents[SUMS] = sums(contents)
    return Packed(archive(contents), len(contents), sample, verification)


def missing(files: list[Part]) -> list[str]:
    """What is not in the pack."""
    folders = Counter(part.name.partition("/")[0] for part in files)
    why = {
        "evaluation": "Not in this pack: an evaluation (--without-evaluation was asked for)",
        "recipe": "Not in this pack: the recipe (--recipe NAME.toml was not given)",
    }
    return [text for folder, text in why.items() if not folders[folder]]


def report_of(out: Path, packed: Packed) -> int:
    """Print what was written; the exit status."""
    sample, verification = packed.sample, packed.verification
    outcomes = Counter(of_sample.replayed.outcome for of_sample in sample.drawn)
    counts = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items()) or "nothing to replay"
    print(f"{out}: {packed.files} files, {len(packed.content):,} bytes, sha256 {sha256(packed.content)}")
    print(f"{verification.records:,} records are whole, head {verification.head}")
    print(f"{len(sample.drawn)} of {sample.there - sample.erased:,} {sample.of} replayed, seed {sample.seed}: {counts}")
    for of_sample in sample.drawn:
        if of_sample.replayed.outcome == DIFFERENT:
            print(f"  {of_sample.score}: {of_sample.replayed.why}")
    return DIFFERS if outcomes[DIFFERENT] else WRITTEN


if __name__ == "__main__":
    sys.exit(main())
