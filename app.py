"""`python app.py`: puts settings, release, scorer, ledger, desk and server together, and serves."""

import argparse
import faulthandler
import gc
import os
import sys
from collections.abc import Sequence

from inference.errors import BadSetting, TenfoldError
from inference.scorer import Scorer, open_scorer
from inference.settings import Settings
from ledger.endpoints import read_webhooks
from ledger.ledger import Ledger, open_ledger
from ledger.outbox import Outbox
from ledger.sender import Sender
from web.lender import check_reason_texts, questions_for, read_lender, rules_for
from web.listening import Listening, listening
from web.person import OPEN
from web.security.access_mode import MODES, check_ledger_may_be_open, mode
from web.security.accounts import Accounts
from web.security.connections import bound_connections
from web.security.first_manager import SETTING, add_first_manager
from web.security.security_log import SecurityLog
from web.serve import serve
from web.service_state import DRAFT, ServiceState, with_release_in_service

HERE = "the server on PORT"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    root = argparse.ArgumentParser(
        prog="tenfold serve",
        description="Serve the desk and the API. Settings are environment variables: see docs/operate.md.",
    )
    root.add_argument(
        "--replace", metavar="PID", nargs="?", const=HERE,
        help="take the place of a running server of this user, without a failed request: process PID, or else the one "
        "on PORT. It answers until this one is ready, and goes on if this one cannot start",
    )  # fmt: skip
    return root


def main(arguments: Sequence[str] = ()) -> int:
    """Serve until stopped. Exit status 1, with a message, if a setting or the release cannot be used."""
    options = parser().parse_args(arguments)
    gc.disable()  # collecting garbage took a quarter of the start, and found none
    faulthandler.enable()  # prints a stack trace if a release crashes XGBoost
    place = Listening()
    try:
        settings = Settings.from_environment()
        settings, place = listening(settings, options.replace is not None, process(options.replace))
        if warning := bound_connections():
            print(f"Tenfold: {warning}", file=sys.stderr)  # noqa: T201
        lender, hooks = read_lender(settings.lender), read_webhooks(settings.webhooks)
        accounts = Accounts(settings.users)
        os.environ.pop(SETTING, None)  # a secret: no process that this one starts needs it
        if line := add_first_manager(settings, accounts):
            print(f"Tenfold: {line}", flush=True)  # noqa: T201
        access = mode(settings, accounts)
        settings = with_release_in_service(settings)
        scorer = open_scorer(settings)
        check_reason_texts(lender, scorer.release)
        questions_for(lender, scorer.release)
        rules_for(lender, scorer.release)  # raises where the release has not what they name
        if hooks is not None and settings.ledger is None:
            raise BadSetting(
                "TENFOLD_WEBHOOKS: events are kept in the ledger, and this server has none; leave it unset"
            )
        outbox = None if hooks is None else Outbox(hooks.names_by_kind)
        ledger = open_ledger(settings.ledger, print, outbox)
        if access == OPEN and ledger is not None:
            check_ledger_may_be_open(ledger, settings)
        if place.predecessor is not None:
            check_ready(scorer, settings, ledger)
    except TenfoldError as error:
        goes_on = f". Process {place.predecessor.pid} goes on" if place.predecessor else ""
        print(f"Tenfold cannot start: {str(error).rstrip('.')}{goes_on}", file=sys.stderr)  # noqa: T201
        return 1
    # Gradio takes seconds to import, so errors in the settings are reported first.
    from web.operations.health import log_problems
    from web.server import create_app, open_jobs

    security_log = SecurityLog(None if settings.public_demo else settings.security_log, settings.log_days)
    jobs = open_jobs(scorer, settings, lender, ledger)
    jobs.recover()
    app = create_app(scorer, settings, ledger, lender, accounts, security_log, jobs)
    for problem in log_problems(settings.log):
        print(f"Tenfold serves, but is not ready: {problem}", file=sys.stderr)  # noqa: T201
    if ServiceState(scorer.release, ledger).now() == DRAFT:
        print("Tenfold: this release is a DRAFT: no manager has put it into service", flush=True)  # noqa: T201
    gc.freeze()  # later collections skip the permanent objects, which would take 0.2 s each time
    gc.enable()
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    print(f"Tenfold: {scorer.release.name} on http://{host}:{settings.port} ({MODES[access]})", flush=True)  # noqa: T201
    replaced = place.predecessor.pid if place.predecessor else None
    security_log.write(
        "started", mode=access, release=scorer.release.name, host=settings.host, port=settings.port, replaces=replaced
    )
    sender = Sender(ledger, outbox, hooks, lender.work.days) if ledger and outbox and hooks else None
    try:
        serve(app, settings, scorer.release.name, place, app.state.carried)
    except BadSetting as error:
        print(f"Tenfold cannot start: {error}", file=sys.stderr)  # noqa: T201
        return 1
    finally:
        security_log.write("stopped")
        security_log.close()
        jobs.close()
        if sender:
            sender.close()
        if ledger:
            ledger.close()
        app.state.minutes.close()
        accounts.close()
        gc.freeze()  # skips the last collection, which takes a second, or four on a busy machine
    return 0


def process(named: str | None) -> int | None:
    """The number of the process to replace; None is the one on PORT. Raises `BadSetting`."""
    if named is None or named == HERE:
        return None
    if not (named.isascii() and named.isdigit()):
        raise BadSetting(f"--replace: the number of a process is needed, or nothing for the one on PORT; got {named!r}")
    return int(named)


def check_ready(scorer: Scorer, settings: Settings, ledger: Ledger | None) -> None:
    """A server that is not ready does not replace one that is. Raises `BadSetting`."""
    from web.operations.health import readiness

    if problems := readiness(scorer, settings, ledger)["problems"]:
        raise BadSetting(f"--replace: {'; '.join(problems)}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
