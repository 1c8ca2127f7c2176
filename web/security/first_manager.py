"""The first manager of a place without a shell, such as a Space: by the secret TENFOLD_FIRST_MANAGER, NAME:PASSWORD.

It counts once: where the file of users has ever had a user, it has no effect. So who reads it later, in the settings of
a Space or the environment of a process, cannot log in with it, once the manager has set another password.
"""

from contextlib import closing

from inference.errors import BadSetting
from inference.settings import Settings
from web.person import MANAGER
from web.security.accounts import NAME, Accounts
from web.security.accounts_file import AccountError
from web.security.security_log import SecurityLog

SETTING = "TENFOLD_FIRST_MANAGER"


def add_first_manager(settings: Settings, accounts: Accounts) -> str:
    """Add the manager whom the secret names, if there was never a user. Returns a line for the operator; an empty text
    if there is no secret. Raises `BadSetting` for a secret that is needed and cannot be used. No message holds any of
    it: what stands before the colon may be a password."""
    if not settings.first_manager:
        return ""
    if settings.public_demo:
        raise BadSetting(
            f"{SETTING} is set, and this is a public demonstration, open to everybody: set TENFOLD_PUBLIC_DEMO=off, "
            "or remove the secret"
        )
    if accounts.was_anybody():
        return f"{SETTING} has no effect, since there has been a user already. Remove it"
    name, _, password = settings.first_manager.partition(":")
    if not NAME.fullmatch(name.lower()) or not password:
        raise BadSetting(
            f"{SETTING}: NAME:PASSWORD is needed; a name has 1 to 40 of a-z, 0-9, dot, dash and underscore"
        )
    try:
        accounts.add_user(name, MANAGER, password)
    except AccountError as error:
        raise BadSetting(f"{SETTING}: {error}") from None
    with closing(SecurityLog(settings.security_log, settings.log_days)) as log:
        log.write("user_added", by=SETTING, name=name.lower(), role=MANAGER)
    return f"{SETTING} has added the first manager. Set another password on the page Password, and remove the secret"
