"""What a server holds in memory alone and its successor takes on: failed logins, and answers that wait to be fetched.

Sessions, users and records are in files that both use. Counts of the last minute (requests, log lines) begin anew.
"""

from collections.abc import Callable, Mapping
from typing import Any

from web.desk.waiting_answers import UnreadAnswers
from web.security.throttle import Throttle


class Carried:
    """The two, as JSON values. Used on the event loop only."""

    def __init__(self, throttle: Throttle, unread: UnreadAnswers) -> None:
        self._throttle, self._unread = throttle, unread

    def give(self, send: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        """All of it, for a successor; from now on `send` is called with each further answer, before its client can ask
        the successor for it. Both keep the answers: a client may still be connected to either."""

        def send_answer(*answer: Any) -> None:
            send({"answers": [answer]})

        self._unread.copy_to = send_answer
        return {"failures": self._throttle.failures(), "answers": self._unread.answers()}

    def keep(self) -> None:
        """The successor is gone."""
        self._unread.copy_to = None

    def take(self, state: Mapping[str, Any]) -> None:
        """Take on what a predecessor gave."""
        self._throttle.remember(state.get("failures", {}))
        for sender, session, event, answer in state.get("answers", ()):
            self._unread.adopt(sender, session, event, answer)
