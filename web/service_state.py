"""The state of the served release: a demonstration, a draft, in service, or replaced by another. The ledger says so."""

from collections.abc import Callable
from dataclasses import replace

from starlette.types import ASGIApp, Receive, Scope, Send

from inference.errors import BadSetting
from inference.manifest import Manifest
from inference.release import Release
from inference.settings import FOLDER, Settings
from ledger.errors import UNREADABLE, LedgerUnavailable, cause
from ledger.events import Serviced
from ledger.ledger import Ledger
from ledger.readonly import ReadOnlyStore
from ledger.service import Service, service

DEMONSTRATION, DRAFT, IN_SERVICE, REPLACED = "demonstration", "draft", "in_service", "replaced"
STATES = (DEMONSTRATION, DRAFT, IN_SERVICE, REPLACED)
KEY = "tenfold.service_state"  # of a request's scope


def state_of(manifest: Manifest, digest: str, history: Service | None) -> str:
    """What a release is, by all that was put into service; None where no ledger says it."""
    if manifest.is_demonstration:
        return DEMONSTRATION
    if history is None or history.of(digest) is None:
        return DRAFT
    return IN_SERVICE if history.last is not None and history.last.release == digest else REPLACED


class ServiceState:
    """The state of one release that is served."""

    def __init__(self, release: Release, ledger: Ledger | None) -> None:
        self._release, self._ledger = release, ledger
        # The state where no ledger has to be asked; else nothing.
        self.known = DEMONSTRATION if release.manifest.is_demonstration else DRAFT if ledger is None else ""

    def service(self) -> Service | None:
        """All that was put into service; None without a ledger."""
        if self._ledger is None:
            return None
        with self._ledger.store.reading() as connection:
            return service(connection)

    def now(self) -> str:
        """One of `STATES`, asked of the ledger each time: another process may have written. Where the ledger cannot be
        read, a draft, for nothing shows that it is more."""
        if self.known:
            return self.known
        try:
            return state_of(self._release.manifest, self._release.digest, self.service())
        except UNREADABLE:
            return DRAFT

    def was_draft(self, release: Release | None, seq: int) -> bool:
        """Whether a release had never been put into service when it made the score that is record `seq`. None is one
        that is gone: nothing tells whether it could only demonstrate."""
        if release is None or release.manifest.is_demonstration:
            return False
        history = self.service()
        return history is None or all(
            change.release != release.digest or change.seq > seq for change in history.changes
        )

    def then(self, release: Release | None, seq: int) -> str:
        """What a release was when it made the score that is record `seq`, where that score should say so; else nothing.
        None is a release that is gone."""
        if release is not None and release.manifest.is_demonstration:
            return DEMONSTRATION
        return DRAFT if self.was_draft(release, seq) else ""


class TellState:
    """ASGI middleware: what draws a page can ask what the served release is."""

    def __init__(self, app: ASGIApp, state: ServiceState) -> None:
        self.app, self._now = app, state.now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope[KEY] = self._now
        await self.app(scope, receive, send)


def said_of(scope: Scope) -> str:
    """What the served release is, where the page of this request should say it; else nothing."""
    now: Callable[[], str] | None = scope.get(KEY)
    state = "" if now is None else now()
    return state if state in (DRAFT, REPLACED) else ""


def with_release_in_service(settings: Settings) -> Settings:
    """Where TENFOLD_RELEASE names a folder of releases, the one that was put into service last, by its whole digest.
    Raises `BadSetting` or `LedgerUnavailable` where none was, or it is not there; a release's own folder stays."""
    parent = settings.release
    if (parent / "manifest.json").exists() or not parent.is_dir():
        return settings
    folders = sorted(
        folder for folder in parent.iterdir() if FOLDER.fullmatch(folder.name) and (folder / "manifest.json").exists()
    )
    if not folders:
        return settings  # opening it says what is wrong
    named = ", ".join(folder.name for folder in folders)
    how = f"Name one of them ({named}), and a manager can put it into service on the page Releases"
    if settings.ledger is None or not settings.ledger.exists():
        raise BadSetting(
            f"TENFOLD_RELEASE: {parent} is a folder of releases, and no ledger says which one serves. {how}"
        )
    last = last_in_service(settings)
    if last is None:
        raise BadSetting(
            f"TENFOLD_RELEASE: {parent} is a folder of releases, of which none was put into service. {how}"
        )
    folder = next((folder for folder in folders if folder.name.rpartition("-")[2] == last.release[:12]), None)
    if folder is None:
        raise BadSetting(f"TENFOLD_RELEASE: {last.release_name} is in service, and is not in {parent}. {how}")
    return replace(settings, release=folder, release_digest=settings.release_digest or last.release)


def last_in_service(settings: Settings) -> Serviced | None:
    """What the settings' ledger says is in service; nothing is written to find out."""
    assert settings.ledger is not None  # noqa: S101 - the caller has looked
    try:
        store = ReadOnlyStore(settings.ledger)
    except LedgerUnavailable as error:
        raise LedgerUnavailable(f"ledger {error}") from None
    try:
        with store.reading() as connection:
            return service(connection).last
    except UNREADABLE as error:
        raise LedgerUnavailable(f"ledger {settings.ledger}: {cause(error)}") from None
    finally:
        store.close()
