"""Growing delays after failed logins. Based on OWASP, "Slow Down Online Guessing Attacks with Device Cookies".

Somebody who guesses passwords must not be able to lock others out. Failures are counted for a name from one network;
for a name from all networks and for a network with all names more are free. A browser from which somebody has logged in
before is counted separately, so that attacks by others never delay its owner.
"""

import ipaddress
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from inference.measure import Clock

LONGEST_WAIT = 300.0  # seconds; short enough that an attacker cannot lock somebody out for long
LONGEST_SHARED_WAIT = 10.0  # seconds, for a whole network: many people may share an address
FORGOTTEN = 3600.0  # seconds after the last failure
MOST = 10_000  # keys in memory
FREE, FREE_ANYWHERE, FREE_OF_NETWORK = 4, 20, 100  # failures before delays begin
MOST_DOUBLINGS = 10  # of one second: more than LONGEST_WAIT; 2.0 to the power of thousands of failures would overflow


class Try(NamedTuple):
    """A counter of failures: its key, how many failures are free, and the longest delay in seconds."""

    key: str
    free: int
    longest: float


def tries(name: str, address: str, device: str | None) -> list[Try]:
    """The counters for an attempt to log in. `device`: a browser from which this name has logged in before."""
    if device is not None:
        return [Try(f"device {device}", FREE, LONGEST_WAIT)]
    where = network(address)
    return [
        Try(f"name {name} from {where}", FREE, LONGEST_WAIT),
        Try(f"name {name}", FREE_ANYWHERE, LONGEST_WAIT),
        Try(f"network {where}", FREE_OF_NETWORK, LONGEST_SHARED_WAIT),
    ]


def network(address: str) -> str:
    """An IPv4 address, or the /64 network of an IPv6 address, which one household or one machine has."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return str(parsed) if parsed.version == 4 else str(ipaddress.ip_network((parsed, 64), strict=False))


class Throttle:
    """Counts failures in memory. Not thread-safe: it is used only on the event loop."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or Clock()
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()  # key -> number, time of the last

    def wait(self, attempts: Sequence[Try]) -> float:
        """Seconds until this attempt is allowed. If 0, it counts as failed until `forgive` is called, so that a hundred
        attempts at once do not all count as the first."""
        now = self._clock.monotonic()
        delay = max((self._delay(attempt, now) for attempt in attempts), default=0.0)
        if delay <= 0:
            for key, _, _ in attempts:
                count, last = self._failures.pop(key, (0, now))
                self._failures[key] = (1 if now - last > FORGOTTEN else count + 1, now)
            while len(self._failures) > MOST:
                self._failures.popitem(last=False)
        return max(0.0, delay)

    def _delay(self, attempt: Try, now: float) -> float:
        count, last = self._failures.get(attempt.key, (0, now))
        if count <= attempt.free or now - last > FORGOTTEN:
            return 0.0
        return float(min(2.0 ** min(count - attempt.free, MOST_DOUBLINGS), attempt.longest) - (now - last))

    def forgive(self, attempts: Sequence[Try]) -> None:
        """The attempt succeeded: reset the name's counters, and take one failure from its network's."""
        for key, _, _ in attempts:
            count, last = self._failures.pop(key, (0, 0.0))
            if key.startswith("network ") and count > 1:
                self._failures[key] = (count - 1, last)

    def failures(self) -> dict[str, tuple[int, float]]:
        """By key: how many, and when the last was, on the monotonic clock, which all processes of a machine share."""
        return dict(self._failures)

    def remember(self, failures: Mapping[str, Sequence[float]]) -> None:
        """Take on what another server counted, the oldest first."""
        for key, (count, last) in failures.items():
            self._failures[key] = (int(count), last)
