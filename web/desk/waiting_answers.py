"""Answers of Gradio's API that wait for their client: few for each, few in all, and each for a minute.

Gradio's protocol sends an answer by another request than the one that asked. Gradio itself keeps what nobody fetches,
and for every session that somebody invents a copy of the whole page's state, 110 KB.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import NamedTuple

from web.security.limits import Sender

SECONDS = 60.0  # that an answer waits
MOST = 512  # answers in all; one has a few KB, at most what web/security/limits.py lets a body have and its problems
SHARE = 64  # answers of one person, or of one stranger's network


class Waiting(NamedTuple):
    """An answer, as soon as there is one, and what forgets it."""

    answer: "asyncio.Future[bytes]"
    timer: asyncio.TimerHandle


class Full(Exception):
    """So many answers wait that nothing more may be asked."""


class UnreadAnswers:
    """Answers by sender and session. For one thread: the event loop's."""

    def __init__(self) -> None:
        self._mailboxes: dict[tuple[Sender, str], dict[str, Waiting]] = {}  # each: event -> its answer
        self._counts: Counter[Sender] = Counter()

    def __len__(self) -> int:
        """How many answers wait, or are being made."""
        return self._counts.total()

    def expect(self, sender: Sender, session: str, event: str) -> "asyncio.Future[bytes]":
        """A place for the answer to `event`, which is forgotten after SECONDS. Raises `Full`."""
        if len(self) >= MOST or (not sender.everybody and self._counts[sender] >= SHARE):
            raise Full
        loop = asyncio.get_running_loop()
        waiting = Waiting(loop.create_future(), loop.call_later(SECONDS, self.forget, sender, session, event))
        self._mailboxes.setdefault((sender, session), {})[event] = waiting
        self._counts[sender] += 1
        return waiting.answer

    async def fetch(self, sender: Sender, session: str) -> AsyncIterator[tuple[str, bytes]]:
        """(event, answer) of a session, in the order asked, until none is left; each is given once, to its own sender.

        Nothing where no answer waits.
        """
        while mailbox := self._mailboxes.get((sender, session)):
            event, waiting = next(iter(mailbox.items()))
            await asyncio.wait([waiting.answer])
            if self.forget(sender, session, event):
                yield event, waiting.answer.result()

    def waits(self, sender: Sender, session: str) -> bool:
        """Whether this sender has an answer to fetch in a session, or will have one."""
        return (sender, session) in self._mailboxes

    def forget(self, sender: Sender, session: str, event: str) -> bool:
        """Give the place back, and whether it was taken; a client that waits for the answer is told that it expired."""
        mailbox = self._mailboxes.get((sender, session), {})
        waiting = mailbox.pop(event, None)
        if waiting is None:
            return False
        waiting.timer.cancel()
        waiting.answer.cancel()
        if not mailbox:
            del self._mailboxes[sender, session]
        self._counts[sender] -= 1
        if not self._counts[sender]:
            del self._counts[sender]
        return True
