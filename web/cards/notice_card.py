"""The cards of what went wrong: no server, no ledger, no session, or a case that somebody changed meanwhile."""

from dataclasses import dataclass
from typing import ClassVar

from markupsafe import Markup

from web.pages.templates import render
from web.pages.texts import Texts


@dataclass(frozen=True)
class NoticeCard:
    """What went wrong, and what to do."""

    template: ClassVar[str] = "cards/notice.html"
    state: str
    title: str
    lead: str
    what: str
    bar: str
    log_in: str  # the text of the way to the login, where that is what to do
    ways: Markup | None  # to where a case stands


def notice_card(kind: str, texts: Texts, ways: Markup | None = None) -> Markup:
    """`gone`: the server does not answer. `failed`: it says that it failed. `unrecorded`: its ledger failed. `out`: the
    session is over. `settled`, `moved`: the answers of a case cannot be corrected from here; `ways` lead to it.
    """
    title, lead, what, bar = (texts(f"{kind}.{part}") for part in ("title", "lead", "what", "bar"))
    return render(NoticeCard(kind, title, lead, what, bar, texts("out.link") if kind == "out" else "", ways), texts)
