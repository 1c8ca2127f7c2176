"""Who may log in, and which systems may call: `python -m web users …`, `python -m web tokens …`."""

import argparse
import getpass
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TextIO

from inference.errors import TenfoldError
from inference.settings import Settings
from web.person import ROLES, TOKEN_ROLES
from web.security.accounts import TOKEN_DAYS, Account, AccountError, Accounts
from web.security.security_log import SecurityLog

PAST = {
    "add": "added",
    "role": "role_changed",
    "password": "password_changed",
    "remove": "removed",
    "revoke": "revoked",
    "logout": "logged_out",
}


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 done, 2 not done, and why."""
    given = parser().parse_args(arguments)
    try:
        settings = Settings.from_environment()
        log = SecurityLog(settings.security_log, settings.log_days)
        accounts = Accounts(settings.users)
        try:
            change(accounts, given, log)
        finally:
            accounts.close()
            log.close()
    except TenfoldError as error:
        say(str(error), sys.stderr)
        return 2
    return 0


def parser() -> argparse.ArgumentParser:
    """What can be asked."""
    made = argparse.ArgumentParser(prog="python -m web", description=__doc__)
    kinds = made.add_subparsers(dest="what", required=True)
    for kind, one in (("users", "user"), ("tokens", "token")):
        verbs = kinds.add_parser(kind, help=f"who has a {one}").add_subparsers(dest="verb", required=True)
        verbs.add_parser("list", help="all, with when each was last used")
        added = verbs.add_parser("add", help=f"a new {one}")
        added.add_argument("name", metavar="NAME")
        roles = ROLES if kind == "users" else TOKEN_ROLES
        meaning = "officers see their own records, managers all" + (
            "" if kind == "users" else "; metrics: /metrics alone"
        )
        added.add_argument("--role", choices=roles, required=True, help=meaning)
        if kind == "tokens":
            added.add_argument("--days", type=int, default=TOKEN_DAYS, help=f"until it ends ({TOKEN_DAYS})")
        changed = verbs.add_parser("role", help="another role, from the next request on")
        changed.add_argument("name", metavar="NAME")
        changed.add_argument("role", choices=roles)
        removed = verbs.add_parser("remove" if kind == "users" else "revoke", help="from the next request on")
        removed.add_argument("name", metavar="NAME")
        if kind == "users":
            verbs.add_parser("sessions", help="who is logged in, since when")
            ended = verbs.add_parser("logout", help="end all sessions of one user, or of all users")
            ended.add_argument("name", metavar="NAME", nargs="?")
            ended.add_argument("--all", action="store_true")
            verbs.add_parser("password", help="a new one; all sessions end").add_argument("name", metavar="NAME")
    return made


def change(accounts: Accounts, given: argparse.Namespace, log: SecurityLog) -> None:
    """Whatever is asked. Passwords are typed, or come on standard input; never on the command line."""
    if given.verb == "list":
        say(table(accounts.users() if given.what == "users" else accounts.tokens()))
        return
    if given.verb == "sessions":
        say(
            "\n".join(
                f"{one.name:40} since {when(one.created)}  last used {when(one.used)}" for one in accounts.sessions()
            )
        )
        return
    if given.verb == "logout" and (given.name is None) != given.all:
        raise AccountError("name one user, or all of them: python -m web users logout NAME, or --all")
    name = (given.name or "*").lower()
    apply(accounts, given, name)
    account = "user" if given.what == "users" else "token"
    log.write(f"{account}_{PAST[given.verb]}", by=getpass.getuser(), name=name, role=getattr(given, "role", None))


def apply(accounts: Accounts, given: argparse.Namespace, name: str) -> None:
    """The change itself, and what is said of it."""
    if given.verb == "role":
        accounts.set_role(name, given.role)
        say(f"{name} is {given.role} now.")
    elif given.verb == "password":
        accounts.set_password(name, new_password())
        say(f"{name} has a new password, and no session is left.")
    elif given.verb == "remove":
        accounts.remove(name, "user")
        say(f"{name} can no longer log in; records keep the name.")
    elif given.verb == "logout":
        ended = accounts.end_sessions(given.name)
        say(f"{'1 session' if ended == 1 else f'{ended:,} sessions'} ended.")
    elif given.verb == "revoke":
        accounts.remove(name, "token")
        say(f"The token {name} no longer works.")
    elif given.what == "users":
        accounts.add_user(name, given.role, new_password())
        say(f"{name}, {given.role}, may log in. From now on everybody has to.")
    else:
        token = accounts.add_token(name, given.role, given.days)
        say("Send it as Authorization: Bearer TOKEN. It is shown this once:", sys.stderr)
        say(token)


def new_password() -> str:
    """Typed twice at a terminal; else one line of standard input."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Once more: ") != password:
        raise AccountError("the two passwords differ; nothing was changed")
    return password


def table(accounts: Sequence[Account]) -> str:
    """A line an account."""
    if not accounts:
        return "none"
    return "\n".join(
        f"{one.name:40} {one.role:8} made {when(one.created)}  last used {when(one.used)}"
        + (f"  ends {when(one.expires)}" if one.expires is not None else "")
        for one in accounts
    )


def when(moment: float | None) -> str:
    return "never" if moment is None else datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M UTC")


def say(text: str, stream: TextIO | None = None) -> None:
    print(text, file=stream or sys.stdout)


if __name__ == "__main__":
    sys.exit(main())
