"""How open the app is: login required, this computer only, or a public demonstration; decided when it starts."""

import ipaddress

from inference.errors import BadSetting
from inference.settings import Settings
from ledger import queries
from ledger.ledger import Ledger
from web.person import CLOSED, DEMO, OPEN
from web.security.accounts import RESERVED, Accounts

LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})  # hosts that only this computer can reach


def mode(settings: Settings, accounts: Accounts) -> str:
    """How open the app is: OPEN, DEMO or CLOSED. Raises `BadSetting` if the settings would let in the wrong people."""
    users = accounts.anybody()
    if settings.users_named and not settings.public_demo and not (accounts.path and accounts.path.exists()):
        raise BadSetting(
            f"TENFOLD_USERS names {accounts.path}, and there is no such file. Put it back, create it by "
            "python -m web users add NAME --role manager, or set TENFOLD_USERS=off"
        )
    if settings.frames and (users or settings.trusted_header):
        why = f"there are users in {accounts.path}" if users else "TENFOLD_TRUSTED_HEADER names who has logged in"
        raise BadSetting(
            f"TENFOLD_FRAMES lets other sites show these pages in a frame, and {why}: a site could then have people "
            "click on what they do not see. Leave TENFOLD_FRAMES unset where people log in"
        )
    if settings.public_demo:
        if users:
            raise BadSetting(
                f"TENFOLD_PUBLIC_DEMO is on, which lets everybody in, and there are users in {accounts.path}. "
                "Set TENFOLD_PUBLIC_DEMO=off to let only these in, or name another TENFOLD_USERS"
            )
        if settings.ledger is not None:
            raise BadSetting(
                "TENFOLD_PUBLIC_DEMO is on, which promises that nothing is written to disk, and TENFOLD_LEDGER names a "
                "file. Leave one of them out"
            )
        return DEMO
    if users:
        return CLOSED
    if settings.trusted_header:
        raise BadSetting(
            "TENFOLD_TRUSTED_HEADER is set, and there is no user whom it could name. Create one by the name that the "
            "proxy sends: python -m web users add NAME --role manager"
        )
    if not is_local(settings.host):
        raise BadSetting(
            f"HOST is {settings.host}, which others can reach, and nobody has to log in. Either create a user: "
            "python -m web users add NAME --role manager, or where there is no shell the secret TENFOLD_FIRST_MANAGER; "
            "or set TENFOLD_PUBLIC_DEMO=on, and nothing is written to disk"
        )
    return OPEN


MODES = {CLOSED: "login required", OPEN: "this computer only, no login", DEMO: "public demonstration, nothing on disk"}


def check_ledger_may_be_open(ledger: Ledger, settings: Settings) -> None:
    """Raises `BadSetting` if no login is needed but the ledger has records of people who had logged in: the file of
    users may be lost, and everybody could then read and decide their cases."""
    if settings.no_login:
        return
    with ledger.store.reading() as connection:
        if queries.scored_by_others_than(connection, RESERVED):
            back = (
                f"Put the file of users ({settings.users}) back"
                if settings.users
                else "Name the file of users in TENFOLD_USERS"
            )
            raise BadSetting(
                f"nobody has to log in, and {ledger.store.path} holds records of people who did. {back}, name "
                "another TENFOLD_LEDGER, or set TENFOLD_NO_LOGIN=on to open it to everybody on this computer all the "
                "same"
            )


def is_local(host: str) -> bool:
    """Whether a host or an address can only be reached from this computer."""
    try:
        return host in LOCAL or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
