"""Appends to a ledger and sends its events, as a server does, until it is killed: `outbox_writer.py FILE WEBHOOKS N`.

Each record's id goes to stdout once it was acknowledged; after N of them it only sends. The pauses are those of a
server, a hundred times shorter, so that a test need not wait for them.
"""

import itertools
import os
import signal
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ledger_cases import SCORE

from ledger import outbox, sender
from ledger.endpoints import read_webhooks
from ledger.ledger import Ledger
from ledger.outbox import Outbox
from ledger.records import Draft
from ledger.sender import Sender


def main(file: Path, webhooks: Path, count: int) -> None:
    """Write and send; SIGTERM ends it cleanly."""
    outbox.RETRIES = tuple(0.05 for _ in range(2_000))  # type: ignore[assignment]
    outbox.RESTS = (0.02,)  # type: ignore[assignment]
    outbox.LEASE, outbox.AT_ONCE, sender.GATHER, sender.LOOK = 1.5, 5, 0.01, 0.1
    hooks = read_webhooks(webhooks)
    assert hooks is not None
    box = Outbox(hooks.names_by_kind)
    ledger = Ledger(file, outbox=box)
    sending = Sender(ledger, box, hooks)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    own = os.urandom(6).hex()
    for at in itertools.count():
        if ended.is_set() or at == count:
            break
        record = ledger.append(Draft("scored", f"{own}-{at}", SCORE, {"answers": {}, "reference": "Žofie Canary"}))
        os.write(1, f"{record.header.id}\n".encode())
    ended.wait()
    sending.close()
    ledger.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
