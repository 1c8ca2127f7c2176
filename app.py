"""python app.py: settings, release, scorer, ledger, desk, server. Composition only."""

import faulthandler
import sys

from inference.errors import TenfoldError
from inference.scorer import open_scorer
from inference.settings import Settings
from ledger.ledger import open_ledger
from web.accounts import Accounts
from web.entrance import mode
from web.lender import read_lender


def main() -> int:
    """Serve until stopped. Exit status 1, with one message, where a setting or the release cannot be used."""
    faulthandler.enable()  # a release that XGBoost dies of is one without a word otherwise
    try:
        settings = Settings.from_environment()
        scorer = open_scorer(settings)
        lender = read_lender(settings.lender)
        accounts = Accounts(settings.users)
        mode(settings, accounts)  # who may enter, or why nobody may
        ledger = open_ledger(settings.ledger, print)
    except TenfoldError as error:
        print(f"Tenfold cannot start: {error}", file=sys.stderr)  # noqa: T201
        return 1
    # Only now, since Gradio takes seconds to import: a wrong setting is said at once.
    from web.protocol import serve
    from web.server import create_app

    app = create_app(scorer, settings, ledger, lender, accounts)
    print(f"Tenfold: {scorer.release.name} on http://{settings.host}:{settings.port}", flush=True)  # noqa: T201
    try:
        serve(app, settings)
    finally:
        if ledger:
            ledger.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
