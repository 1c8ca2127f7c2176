"""The cards of what went wrong: no server, no ledger, no session, or a case that somebody changed meanwhile."""

from dataclasses import dataclass
from typing import ClassVar

from markupsafe import Markup

from web.pages.templates import View, render
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
    ways: View | None  # to where a case stands


def notice_card(kind: str, texts: Texts, ways: View | None = None) -> Markup:
    """The card of one kind; `ways` lead to how a case stands."""
    return render(notice(kind, texts, ways), texts)


def notice(kind: str, texts: Texts, ways: View | None = None) -> NoticeCard:
    """`gone`: the server does not answer. `failed`: it says that it failed. `unrecorded`: its ledger failed. `out`: the
    session is over. `settled`, `moved`: the answers of a case cannot be corrected from here; `ways` lead to it.
    """
    return NoticeCard(
        state=kind,
        title=texts(f"{kind}.title"),
        lead=texts(f"{kind}.lead"),
        what=texts(f"{kind}.what"),
        bar=texts(f"{kind}.bar"),
        log_in=texts("out.link") if kind == "out" else "",
        ways=ways,
    )
