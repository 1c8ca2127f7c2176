"""What tests of faults ask about ledgers: what is recorded in a whole one; and a disk that is soon full."""

import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from ledger import queries
from ledger.events import SCORED
from ledger.store import Store
from ledger.verify import verify


def recorded(file: Path) -> tuple[dict[str, str], list[str]]:
    """The id of the record of every reference, and the references that have more than one. The ledger must be whole."""
    with closing(Store(file)) as opened:
        assert verify(opened).problem is None
        with opened.reading() as connection:
            pairs = [(str(record.reference), record.header.id) for record in queries.records(connection, [SCORED])]
    counts = Counter(reference for reference, _ in pairs)
    return dict(pairs), [reference for reference, count in counts.items() if count > 1]


@contextmanager
def small_disk(place: Path) -> Iterator[None]:
    """A real file system of 256 KB at a new folder; the test is left out, and says so, where none can be mounted."""
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no small file system can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)
