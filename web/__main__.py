"""Manage users and API tokens: `python -m web users …`, `python -m web tokens …`."""

import argparse
import getpass
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TextIO

from inference.errors import TenfoldError
from inference.settings import Settings
from web.person import ROLES, TOKEN_ROLES
from web.security.accounts import TOKEN_DAYS, Account, Accounts
from web.security.accounts_file import AccountError
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
    """Run a command. Returns the exit status: 0, or 2 after an error, whose message is printed."""
    args = parser().parse_args(arguments)
    try:
        settings = Settings.from_environment()
        log = SecurityLog(settings.security_log, settings.log_days)
        accounts = Accounts(settings.users)
        try:
            change(accounts, args, log)
        finally:
            accounts.close()
            log.close()
    except TenfoldError as error:
        say(str(error), sys.stderr)
        return 2
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    root = argparse.ArgumentParser(prog="python -m web", description=__doc__)
    kinds = root.add_subparsers(dest="what", required=True)
    for kind, noun in (("users", "user"), ("tokens", "token")):
        verbs = kinds.add_parser(kind, help=f"manage {kind}").add_subparsers(dest="verb", required=True)
        verbs.add_parser("list", help=f"list all {kind} and when each was last used")
        added = verbs.add_parser("add", help=f"add a {noun}")
        added.add_argument("name", metavar="NAME")
        roles = ROLES if kind == "users" else TOKEN_ROLES
        meaning = "officers see their own records, managers all records" + (
            "" if kind == "users" else "; metrics: only /metrics"
        )
        added.add_argument("--role", choices=roles, required=True, help=meaning)
        if kind == "tokens":
            added.add_argument(
                "--days", type=int, default=TOKEN_DAYS, help=f"days until it expires (default: {TOKEN_DAYS})"
            )
        changed = verbs.add_parser("role", help="change a role, from the next request on")
        changed.add_argument("name", metavar="NAME")
        changed.add_argument("role", choices=roles)
        removed = verbs.add_parser(
            "remove" if kind == "users" else "revoke", help=f"remove a {noun}, from the next request on"
        )
        removed.add_argument("name", metavar="NAME")
        if kind == "users":
            verbs.add_parser("sessions", help="list who is logged in, and since when")
            ended = verbs.add_parser("logout", help="end all sessions of one user, or of all users")
            ended.add_argument("name", metavar="NAME", nargs="?")
            ended.add_argument("--all", action="store_true")
            verbs.add_parser("password", help="set a new password and end all the user's sessions").add_argument(
                "name", metavar="NAME"
            )
    return root


def change(accounts: Accounts, args: argparse.Namespace, log: SecurityLog) -> None:
    """Run one command. Passwords are typed or read from standard input, never taken from the command line."""
    if args.verb == "list":
        say(table(accounts.users() if args.what == "users" else accounts.tokens()))
        return
    if args.verb == "sessions":
        say(
            "\n".join(
                f"{login.name:40} since {when(login.created)}  last used {when(login.used)}"
                for login in accounts.sessions()
            )
        )
        return
    if args.verb == "logout" and (args.name is None) != args.all:
        raise AccountError("name one user, or all of them: python -m web users logout NAME, or --all")
    name = (args.name or "*").lower()
    apply(accounts, args, name)
    account = "user" if args.what == "users" else "token"
    log.write(f"{account}_{PAST[args.verb]}", by=getpass.getuser(), name=name, role=getattr(args, "role", None))


def apply(accounts: Accounts, args: argparse.Namespace, name: str) -> None:
    """Change users or tokens, and print what was done."""
    if args.verb == "role":
        accounts.set_role(name, args.role)
        say(f"{name} is {args.role} now.")
    elif args.verb == "password":
        accounts.set_password(name, new_password())
        say(f"{name} has a new password, and no session is left.")
    elif args.verb == "remove":
        accounts.remove(name, "user")
        say(f"{name} can no longer log in; records keep the name.")
    elif args.verb == "logout":
        ended = accounts.end_sessions(args.name)
        say(f"{'1 session' if ended == 1 else f'{ended:,} sessions'} ended.")
    elif args.verb == "revoke":
        accounts.remove(name, "token")
        say(f"The token {name} no longer works.")
    elif args.what == "users":
        accounts.add_user(name, args.role, new_password())
        say(f"{name}, {args.role}, may log in. From now on everybody has to.")
    else:
        token = accounts.add_token(name, args.role, args.days)
        say("Send it as Authorization: Bearer TOKEN. It is shown this once:", sys.stderr)
        say(token)


def new_password() -> str:
    """Ask for a password twice at a terminal; otherwise read a line of standard input."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Once more: ") != password:
        raise AccountError("the two passwords differ; nothing was changed")
    return password


def table(accounts: Sequence[Account]) -> str:
    """One line per user or token."""
    if not accounts:
        return "none"
    return "\n".join(
        f"{account.name:40} {account.role:8} made {when(account.created)}  last used {when(account.used)}"
        + (f"  ends {when(account.expires)}" if account.expires is not None else "")
        for account in accounts
    )


def when(moment: float | None) -> str:
    return "never" if moment is None else datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M UTC")


def say(text: str, stream: TextIO | None = None) -> None:
    print(text, file=stream or sys.stdout)


if __name__ == "__main__":
    sys.exit(main())
