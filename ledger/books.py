"""`tenfold book`, with a record of each run: digests of what went in and came out, counts, who; no row."""

import hashlib
import shlex
from contextlib import suppress
from typing import TYPE_CHECKING

from msgspec import to_builtins

from inference.book.scored import ScoredBook
from inference.extras import extra
from inference.settings import RELEASES, Settings
from inference.version import VERSION
from ledger.decisions import new_id
from ledger.events import BOOK_SCORED, BookScored, Json, UnreadableRecord
from ledger.ledger import Ledger
from ledger.records import Draft, Key, Record, write
from ledger.retention import os_user

if TYPE_CHECKING:
    from inference.lender_option import ReadLender


def main(words: list[str], lender: "ReadLender | None" = None) -> int:
    """`tenfold book`: exit status as `inference.book.command` has it. Raises `TenfoldError` where the extra is missing
    or the ledger cannot be opened; nothing is scored then. `lender` reads a lender's file."""
    with extra("book"):
        from inference.book import command
    path = Settings.from_environment().ledger
    if path is None or {"-h", "--help"} & set(words):
        return command.main(words, lender=lender)
    ledger = Ledger(path)
    try:
        return command.main(words, lambda book: str(ledger.append(book_scored(book, by=os_user())).header.id), lender)
    finally:
        ledger.close()


def book_scored(book: ScoredBook, *, by: str) -> Draft:
    """A scored file as a record. The same run that is ended once more, by --resume, is answered with its first record.

    Names of files and folders are in the personal part: somebody may have called a file after a person.
    """
    fields: dict[str, Json] = {"by": by, **to_builtins(book)}
    personal: dict[str, Json] = {name: fields.pop(name) for name in ("files", "folder")}
    if book.lender is None:
        del fields["lender"]
    content = hashlib.sha256(write({**fields, **personal}).encode()).digest()
    # The version is no part of what makes two runs the same: one may be resumed after an upgrade.
    fields["version"] = VERSION
    return Draft(BOOK_SCORED, new_id(), fields, personal, Key("book", f"{book.folder} {content.hex()}", content))


def how_to_repeat(record: Record) -> dict[str, str]:
    """What `ledger show` says beside such a record; nothing for others, nor for one that cannot be parsed."""
    event = None
    if record.body_json.get("kind") == BOOK_SCORED:
        with suppress(UnreadableRecord):
            event = record.event
    if not isinstance(event, BookScored):
        return {}
    file = event.files[0] if event.files and len(event.files) == 1 else "IN"
    folder = RELEASES / event.release_name
    release = str(folder) if folder.is_dir() else event.release_name  # in a folder that only its owner knows
    words, expected = [*event.options], f"with an input of SHA-256 {event.input}"
    if event.lender is not None:
        words += ["--lender", "FILE"]
        expected += f" and lender's rules and questions of SHA-256 {event.lender} in FILE"
    command = shlex.join(["tenfold", "book", file, "OUT", "--release", release, *words])
    expected += f", OUT/_SUCCESS says the sha256 {event.output}"
    return {"repeat": command, "expected": f"{expected}, by the same versions on the same platform"}
