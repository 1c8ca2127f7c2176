"""`python app.py`: puts settings, release, scorer, ledger, desk and server together, and serves."""

import faulthandler
import gc
import sys

from inference.errors import TenfoldError
from inference.scorer import open_scorer
from inference.settings import Settings
from ledger.ledger import open_ledger
from web.lender import check_reason_texts, read_lender
from web.person import OPEN
from web.security.accounts import MODES, Accounts, check_ledger_may_be_open, mode
from web.security.connections import bound_connections
from web.security.security_log import SecurityLog
from web.serve import check_address, serve
from web.service_state import DRAFT, ServiceState, with_release_in_service


def main() -> int:
    """Serve until stopped. Exit status 1, with a message, if a setting or the release cannot be used."""
    gc.disable()  # collecting garbage took a quarter of the start, and found none
    faulthandler.enable()  # prints a stack trace if a release crashes XGBoost
    try:
        settings = Settings.from_environment()
        check_address(settings.host, settings.port)
        if warning := bound_connections():
            print(f"Tenfold: {warning}", file=sys.stderr)  # noqa: T201
        lender = read_lender(settings.lender)
        accounts = Accounts(settings.users)
        access = mode(settings, accounts)
        settings = with_release_in_service(settings)
        scorer = open_scorer(settings)
        check_reason_texts(lender, scorer.release)
        ledger = open_ledger(settings.ledger, print)
        if access == OPEN and ledger is not None:
            check_ledger_may_be_open(ledger, settings)
    except TenfoldError as error:
        print(f"Tenfold cannot start: {error}", file=sys.stderr)  # noqa: T201
        return 1
    # Gradio takes seconds to import, so errors in the settings are reported first.
    from web.operations.health import log_problems
    from web.server import create_app, open_jobs

    security_log = SecurityLog(None if settings.public_demo else settings.security_log, settings.log_days)
    jobs = open_jobs(scorer, settings)
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
    security_log.write("started", mode=access, release=scorer.release.name, host=settings.host, port=settings.port)
    try:
        serve(app, settings)
    finally:
        security_log.write("stopped")
        security_log.close()
        jobs.close()
        if ledger:
            ledger.close()
        accounts.close()
        gc.freeze()  # skips the last collection, which takes a second, or four on a busy machine
    return 0


if __name__ == "__main__":
    sys.exit(main())
