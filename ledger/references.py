"""Keyed digests of erased references: by them a file of outcomes that comes after a purge still finds its cases.

    digest = the first 16 bytes of HMAC-SHA-256(key, reference), in hex

A purge keeps them in its record. The key is in a file beside the ledger, never in it: references are often numbers in
a row, and anyone who had both could try them all. Without the key the digests say nothing; removing its file makes that
final. Until then they are pseudonyms, so personal data: SECURITY.md.
"""

import hashlib
import hmac
import os
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path

from inference.disk import sync
from ledger.cases import Case
from ledger.errors import LedgerUnavailable
from ledger.events import Json, Purged

KEY_BYTES, DIGEST_BYTES = 32, 16


def key_file(ledger: Path) -> Path:
    """Where the key of a ledger is."""
    return ledger.with_name(f"{ledger.name}-key")


def key_beside(ledger: Path, *, make: bool = False) -> bytes | None:
    """The key of a ledger, (32,) bytes; None without a key, unless `make` is set. Raises `LedgerUnavailable`."""
    file = key_file(ledger)
    try:
        if make and not file.exists():
            _write(file, secrets.token_hex(KEY_BYTES))
        key = bytes.fromhex(file.read_text("ascii").strip())
    except FileNotFoundError:
        return None
    except FileExistsError:  # another process made it meanwhile
        return key_beside(ledger)
    except OSError as error:
        raise LedgerUnavailable(f"{file}: {error.strerror}: the key of erased references cannot be used") from None
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise LedgerUnavailable(
            f"{file}: {KEY_BYTES * 2} hexadecimal digits are needed. Put back the key from a backup; without one, "
            "move the file away: the next purge makes another key, and cases erased before are named by their ids"
        )
    return key


def _write(file: Path, text: str) -> None:
    """A new file that only its owner reads, complete or not there, and on disk."""
    new = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(text + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        os.link(new, file)  # unlike a rename, this never replaces the key that another process made
    finally:
        new.unlink()
    sync(file.parent)


def key_name(key: bytes | None) -> str:
    """A name by which a key is known again; it does not reveal the key."""
    return "" if key is None else hashlib.sha256(b"tenfold key of references" + key).hexdigest()[:16]


def digest(key: bytes, reference: str) -> str:
    """The digest of a reference, in hex."""
    return hmac.new(key, reference.encode(), hashlib.sha256).digest()[:DIGEST_BYTES].hex()


def digests_of(cases: Iterable[Case], key: bytes | None) -> list[Json]:
    """[sequence of the first score, digest] for each reference in the records of some cases."""
    if key is None:
        return []
    pairs = [
        (case.first.seq, digest(key, reference))
        for case in cases
        for reference in dict.fromkeys(getattr(event, "reference", None) for event in case.events)
        if reference
    ]
    return [[seq, hexadecimal] for seq, hexadecimal in pairs]


def erased(purges: Iterable[Purged], key: bytes | None) -> tuple[Mapping[str, set[int]], int]:
    """Digest -> sequences of first scores, for digests under this key; and how many there are under other keys."""
    seqs: dict[str, set[int]] = {}
    name, others = key_name(key), 0
    for purge in purges:
        if purge.reference_key != name:
            others += len(purge.references)
            continue
        for seq, hexadecimal in purge.references:
            seqs.setdefault(hexadecimal, set()).add(seq)
    return seqs, others
