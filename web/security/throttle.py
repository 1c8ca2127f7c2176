"""Growing delays between failed tries to log in. After OWASP, "Slow Down Online Guessing Attacks with Device Cookies".

Whoever guesses must not be able to keep others out. So failures are counted for a name from one network first; for a
name from everywhere, and for a network whatever the names, more are free. A browser from which somebody has logged in
before is counted separately: whatever others try, its owner's right password is never refused.
"""

import ipaddress
from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

from inference.measure import Clock

LONGEST_WAIT = 300.0  # seconds; short enough that nobody is locked out of an account for long by somebody else
LONGEST_SHARED_WAIT = 10.0  # seconds for a whole network: many people may share an address
FORGOTTEN = 3600.0  # seconds after the last failure
MOST = 10_000  # keys that are remembered
FREE, FREE_ANYWHERE, FREE_OF_NETWORK = 4, 20, 100  # failures before waiting begins
MOST_DOUBLINGS = 10  # of a wait of one second: longer than any, and 2 to the power of a whole night's failures is not


class Try(NamedTuple):
    """What a try counts for: its key, how many failures are free, and the longest wait in seconds."""

    key: str
    free: int
    longest: float


def tries(name: str, address: str, device: str | None) -> list[Try]:
    """What a try to log in counts for. `device` is a browser from which this name has logged in before."""
    if device is not None:
        return [Try(f"device {device}", FREE, LONGEST_WAIT)]
    where = network(address)
    return [
        Try(f"name {name} from {where}", FREE, LONGEST_WAIT),
        Try(f"name {name}", FREE_ANYWHERE, LONGEST_WAIT),
        Try(f"network {where}", FREE_OF_NETWORK, LONGEST_SHARED_WAIT),
    ]


def network(address: str) -> str:
    """An address; of IPv6 the 64 bits that one household or one machine has."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return str(found) if found.version == 4 else str(ipaddress.ip_network((found, 64), strict=False))


class Throttle:
    """Counts failures in memory. For one thread: the event loop's."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or Clock()
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()  # key -> how many, when the last

    def wait(self, tried: Sequence[Try]) -> float:
        """Seconds until this may be tried. Zero: it is tried now, and counts as failed until `forgive` says otherwise,
        so that a hundred tries at once are not all the first."""
        now = self._clock.monotonic()
        left = max((self._left(one, now) for one in tried), default=0.0)
        if left <= 0:
            for key, _, _ in tried:
                count, last = self._failures.pop(key, (0, now))
                self._failures[key] = (1 if now - last > FORGOTTEN else count + 1, now)
            while len(self._failures) > MOST:
                self._failures.popitem(last=False)
        return max(0.0, left)

    def _left(self, tried: Try, now: float) -> float:
        count, last = self._failures.get(tried.key, (0, now))
        if count <= tried.free or now - last > FORGOTTEN:
            return 0.0
        return float(min(2.0 ** min(count - tried.free, MOST_DOUBLINGS), tried.longest) - (now - last))

    def forgive(self, tried: Sequence[Try]) -> None:
        """It succeeded: the name begins anew, and its network has one failure less."""
        for key, _, _ in tried:
            count, last = self._failures.pop(key, (0, 0.0))
            if key.startswith("network ") and count > 1:
                self._failures[key] = (count - 1, last)
