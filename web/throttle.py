"""Growing delays between failed tries to log in, by account and by address."""

from collections import OrderedDict
from collections.abc import Sequence

from inference.measure import Clock

LONGEST_WAIT = 300.0  # seconds; short enough that nobody is locked out of an account for long by somebody else
FORGOTTEN = 3600.0  # seconds after the last failure
MOST = 10_000  # names and addresses that are remembered


class Throttle:
    """Counts failures in memory. For one thread: the event loop's."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or Clock()
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()  # key -> how many, when the last

    def wait(self, tries: Sequence[tuple[str, int]]) -> float:
        """Seconds until this may be tried. Zero: it is tried now, and counts as failed until `forgive` says otherwise,
        so that a hundred tries at once are not all the first. `tries`: each key, and how many failures are free."""
        now = self._clock.utc()
        left = max((self._left(key, free, now) for key, free in tries), default=0.0)
        if left <= 0:
            for key, _ in tries:
                count, last = self._failures.pop(key, (0, now))
                self._failures[key] = (1 if now - last > FORGOTTEN else count + 1, now)
            while len(self._failures) > MOST:
                self._failures.popitem(last=False)
        return max(0.0, left)

    def _left(self, key: str, free: int, now: float) -> float:
        count, last = self._failures.get(key, (0, now))
        if count <= free or now - last > FORGOTTEN:
            return 0.0
        return float(min(2.0 ** (count - free), LONGEST_WAIT) - (now - last))

    def forgive(self, account: str, address: str) -> None:
        """It succeeded: the account begins anew, the address has one failure less."""
        self._failures.pop(account, None)
        count, last = self._failures.get(address, (1, 0.0))
        self._failures[address] = (count - 1, last)
