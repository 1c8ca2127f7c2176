"""Cards for failures: no server, no ledger, no session, or a case that somebody else has changed."""

from dataclasses import dataclass
from typing import ClassVar

from markupsafe import Markup

from ledger.memory import MOST_BYTES, MOST_CASES
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
    log_in: str  # the text of the link to the login page, if the session is over
    start_over: str  # the text of the button that begins a new visit of a demonstration, if this one is full
    ways: View | None  # the state of the case, with links


def notice_card(kind: str, texts: Texts, ways: View | None = None) -> Markup:
    """The card of a kind; see `notice`."""
    return render(notice(kind, texts, ways), texts)


def notice(kind: str, texts: Texts, ways: View | None = None) -> NoticeCard:
    """The kinds are `gone`: the server does not respond. `failed`: it responds with an error. `unrecorded`: the ledger
    failed. `out`: the session is over. `ended`, `full`: so is a visit of a demonstration, or it takes no more.
    `settled`, `moved`: the answers of a case cannot be corrected here; `ways` shows its state with links to it.
    """
    return NoticeCard(
        state=kind,
        title=texts(f"{kind}.title"),
        lead=texts(f"{kind}.lead", most=MOST_CASES, size=MOST_BYTES >> 10),
        what=texts(f"{kind}.what"),
        bar=texts(f"{kind}.bar"),
        log_in=texts("out.link") if kind == "out" else "",
        start_over=texts("full.button") if kind == "full" else "",
        ways=ways,
    )
