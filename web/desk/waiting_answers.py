"""Answers of Gradio's API until their client fetches them: limited per client and in total, each for a minute.

In Gradio's protocol the answer to a request is fetched with another request. Gradio itself keeps answers that nobody
fetches, and a copy of the whole page's state, 110 KB, for every made-up session.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from typing import NamedTuple

from web.security.limits import Sender

SECONDS = 60.0  # that an answer waits
MOST = 512  # answers in total; an answer has a few KB, at most the limit of a body and its problems
SHARE = 64  # answers of one person, or of one network that is not logged in


class Waiting(NamedTuple):
    """The future of an answer, and the timer that discards it."""

    answer: "asyncio.Future[bytes]"
    timer: asyncio.TimerHandle


class Full(Exception):
    """Too many answers are waiting."""


class UnreadAnswers:
    """Answers by sender and session. Not thread-safe: it is used only on the event loop."""

    def __init__(self) -> None:
        self._mailboxes: dict[tuple[Sender, str], dict[str, Waiting]] = {}  # each: event -> its answer
        self._counts: Counter[Sender] = Counter()
        self.copy_to: Callable[[Sender, str, str, str], None] | None = None  # the server that replaces this one

    def __len__(self) -> int:
        """The number of answers that wait or are being computed."""
        return self._counts.total()

    def expect(self, sender: Sender, session: str, event: str) -> "asyncio.Future[bytes]":
        """Reserve a place for the answer to `event`, for SECONDS. Raises `Full`."""
        if len(self) >= MOST or (not sender.everybody and self._counts[sender] >= SHARE):
            raise Full
        loop = asyncio.get_running_loop()
        waiting = Waiting(loop.create_future(), loop.call_later(SECONDS, self.forget, sender, session, event))
        self._mailboxes.setdefault((sender, session), {})[event] = waiting
        self._counts[sender] += 1
        return waiting.answer

    def deliver(self, sender: Sender, session: str, event: str, answer: bytes) -> None:
        """The answer to `event` is there. One that has expired meanwhile is dropped."""
        waiting = self._mailboxes.get((sender, session), {}).get(event)
        if waiting is None:
            return
        waiting.answer.set_result(answer)
        if self.copy_to is not None:
            self.copy_to(sender, session, event, answer.decode())

    def answers(self) -> list[tuple[Sender, str, str, str]]:
        """Every answer that waits: its sender, session, event and JSON."""
        return [
            (sender, session, event, waiting.answer.result().decode())
            for (sender, session), mailbox in self._mailboxes.items()
            for event, waiting in mailbox.items()
            if waiting.answer.done()
        ]

    def adopt(self, sender: Iterable[object], session: str, event: str, answer: str) -> None:
        """Keep an answer that another server gave. If there is no room, its client is told that none waits."""
        known_sender = Sender(*sender)  # type: ignore[arg-type]  # as JSON has it
        with suppress(Full):
            self.expect(known_sender, session, event)
            self.deliver(known_sender, session, event, answer.encode())

    async def fetch(self, sender: Sender, session: str) -> AsyncIterator[tuple[str, bytes]]:
        """(event, answer) of a session, in the order of the requests, until no answer is left; each is returned once.

        Yields nothing if no answer waits.
        """
        while mailbox := self._mailboxes.get((sender, session)):
            event, waiting = next(iter(mailbox.items()))
            await asyncio.wait([waiting.answer])
            if self.forget(sender, session, event):
                yield event, waiting.answer.result()

    def waits(self, sender: Sender, session: str) -> bool:
        """Whether a session of this sender has an answer to fetch, or will have one."""
        return (sender, session) in self._mailboxes

    def forget(self, sender: Sender, session: str, event: str) -> bool:
        """Discard an answer; returns whether there was one. A client that waits for it gets no answer."""
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
