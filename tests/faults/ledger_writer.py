"""Appends to a ledger until it is killed, and says of each record that it is on disk: `ledger_writer.py`.

Reads a ledger file a line from stdin, and forks a child that writes to it; so a thousand children cost one start of
Python. The child's pid goes to stdout first, then `<id>` for every record that was acknowledged, each by one write.
With `--once FILE N` it appends N records by itself, and says `failed` for those that were refused.
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ledger.errors import LedgerUnavailable
from ledger.events import Object
from ledger.ledger import Ledger
from ledger.records import Draft, Key

THREADS = 4


def append_for_ever(file: Path) -> None:
    """Four threads, so that commits hold several records."""
    ledger = Ledger(file)
    own = os.urandom(6).hex()

    def one(name: str) -> None:
        for at in range(10**9):
            record = ledger.append(draft(f"{own}-{name}-{at}"))
            os.write(1, f"{record.header.id}\n".encode())

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(one, map(str, range(THREADS))))


def draft(name: str) -> Draft:
    personal: Object = {"answers": {"amount": 1000, "purpose": "x" * 200}, "reference": name}
    return Draft("scored", name, {"pd": 0.25, "decision": "refer"}, personal, Key("fault", name, b"digest"))


def append_some(file: Path, count: int) -> None:
    """One by one, going on after a failure as a server does."""
    try:
        ledger = Ledger(file)
    except LedgerUnavailable as error:
        print(f"unopened {error}", flush=True)
        return
    for at in range(count):
        try:
            print(ledger.append(draft(f"{os.getpid()}-{at}")).header.id, flush=True)
        except LedgerUnavailable as error:
            print(f"failed {error}", flush=True)
    ledger.close()


def main() -> None:
    if sys.argv[1:2] == ["--once"]:
        append_some(Path(sys.argv[2]), int(sys.argv[3]))
        return
    for line in sys.stdin:
        child = os.fork()
        if not child:
            append_for_ever(Path(line.strip()))
        os.write(1, f"pid {child}\n".encode())
        os.waitpid(child, 0)
        os.write(1, b"dead\n")


if __name__ == "__main__":
    main()
