"""Settings from the environment, read once into a frozen object. Defaults just work."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from inference.errors import BadSetting

ROOT = Path(__file__).resolve().parent.parent
RELEASES = ROOT / "models" / "releases"
FOLDER = re.compile(r"(\w+)-[0-9a-f]{12}")  # of a release: its recipe's name and the beginning of its digest
WITHOUT_PREFIX = ("host", "port")  # HOST and PORT are what every host and container platform sets
DERIVED = ("users_named",)  # said by another setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What can be set, by `TENFOLD_` and the name in capitals; host and port by `HOST` and `PORT` alone."""

    release: Path
    release_digest: str | None = None  # expected sha256 of the manifest; else the folder's name holds it
    engine: str = "xgboost"
    log: Path | None = ROOT / "logs" / "predictions.jsonl"  # None: `off`
    log_days: int = 190  # older days are removed; 0 keeps all. The EU AI Act asks for six months
    security_log: Path | None = ROOT / "logs" / "security.jsonl"  # logins, refusals, who read what; None: `off`
    ledger: Path | None = ROOT / "logs" / "ledger.sqlite3"  # None: `off`, which is the default of a public demo
    lender: Path | None = None  # reason codes, limits and the words of notices; None: the examples of web/lender.toml
    users: Path | None = ROOT / "logs" / "users.sqlite3"  # who may log in; without the file, or `off`, nobody has to
    users_named: bool = False  # TENFOLD_USERS names the file: it must be there
    no_login: bool = False  # nobody has to log in although the ledger holds records of people who did
    origins: tuple[str, ...] = ()  # other sites whose pages may call this server from a browser
    root_path: str = ""  # what a proxy in front of it strips from every path
    host: str = "127.0.0.1"
    port: int = 7860
    rate: int = 3000  # requests a minute and client, where others than this machine can ask; 0: no limit
    public_demo: bool = False  # anyone may look in: the page says that nothing is kept

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """Raises `BadSetting` for an unknown TENFOLD_ name or a value that cannot be used.

        Where `SPACE_ID` is set (Hugging Face), the defaults are a public demo on 0.0.0.0.
        """
        known = {f"TENFOLD_{field.name.upper()}" for field in fields(cls) if field.name not in WITHOUT_PREFIX + DERIVED}
        given = {name: value for name, value in environ.items() if name.startswith("TENFOLD_") and value}
        unknown = sorted(given.keys() - known)
        if unknown:
            raise BadSetting(f"{', '.join(unknown)}: no such setting. Known: {', '.join(sorted(known))}")
        log = given.get("TENFOLD_LOG", "")
        values: dict[str, object] = {
            "release": Path(given["TENFOLD_RELEASE"]) if "TENFOLD_RELEASE" in given else default_release()
        }
        if "TENFOLD_RELEASE_DIGEST" in given:
            values["release_digest"] = given["TENFOLD_RELEASE_DIGEST"].lower()
        if "TENFOLD_ENGINE" in given:
            values["engine"] = given["TENFOLD_ENGINE"]
        if log:
            values["log"] = path_or_off(log)
        if security_log := given.get("TENFOLD_SECURITY_LOG", ""):
            values["security_log"] = path_or_off(security_log)
        if "TENFOLD_NO_LOGIN" in given:
            values["no_login"] = on_or_off("TENFOLD_NO_LOGIN", given["TENFOLD_NO_LOGIN"])
        if "TENFOLD_LENDER" in given:
            values["lender"] = Path(given["TENFOLD_LENDER"])
        if "TENFOLD_USERS" in given:
            users = path_or_off(given["TENFOLD_USERS"])
            values.update(users=users, users_named=users is not None)
        if "TENFOLD_ORIGINS" in given:
            values["origins"] = tuple(origin(one.strip()) for one in given["TENFOLD_ORIGINS"].split(","))
        if "TENFOLD_ROOT_PATH" in given:
            values["root_path"] = root_path(given["TENFOLD_ROOT_PATH"])
        if "TENFOLD_LOG_DAYS" in given:
            values["log_days"] = whole("TENFOLD_LOG_DAYS", given["TENFOLD_LOG_DAYS"], 0, 36_500)
        if "TENFOLD_RATE" in given:
            values["rate"] = whole("TENFOLD_RATE", given["TENFOLD_RATE"], 0, 1_000_000)
        if environ.get("SPACE_ID"):
            values.update(host="0.0.0.0", public_demo=True)  # noqa: S104 - a Space is there to be seen
        if environ.get("HOST"):
            values["host"] = environ["HOST"]
        if environ.get("PORT"):
            values["port"] = whole("PORT", environ["PORT"], 1, 65_535)
        if "TENFOLD_PUBLIC_DEMO" in given:
            values["public_demo"] = on_or_off("TENFOLD_PUBLIC_DEMO", given["TENFOLD_PUBLIC_DEMO"])
        if values.get("public_demo"):
            values["ledger"] = None
        if ledger := given.get("TENFOLD_LEDGER", ""):
            values["ledger"] = path_or_off(ledger)
        return cls(**values)  # type: ignore[arg-type]


def path_or_off(text: str) -> Path | None:
    """A file; None for `off`."""
    return None if text == "off" else Path(text)


def whole(name: str, text: str, low: int, high: int) -> int:
    """A whole number from a setting."""
    if not (text.isascii() and text.isdigit() and low <= int(text[:9]) <= high and len(text) < 10):
        raise BadSetting(f"{name}: a whole number from {low} to {high} is needed, got {text!r}")
    return int(text)


def on_or_off(name: str, text: str) -> bool:
    """A switch from a setting, in any case."""
    if text.lower() not in ("on", "off", "1", "0"):
        raise BadSetting(f"{name}: on or off is needed, got {text!r}")
    return text.lower() in ("on", "1")


def origin(text: str) -> str:
    """Scheme, host and port of a site, as browsers say them."""
    if not re.fullmatch(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?", text):
        raise BadSetting(f"TENFOLD_ORIGINS: origins like https://loans.example are needed, with commas, got {text!r}")
    return text


def root_path(text: str) -> str:
    """A path like /scoring."""
    if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", text):
        raise BadSetting(f"TENFOLD_ROOT_PATH: a path like /scoring is needed, got {text!r}")
    return text


def current_releases() -> dict[str, Path]:
    """Recipe name -> the folder of its release that serves, as models/releases/DEFAULT lists them; the default first.

    Earlier releases of a recipe lie beside it, so that what they decided can be replayed. Raises `BadSetting` where the
    list cannot be read, is empty, or names anything but one release folder a recipe.
    """
    pointer = RELEASES / "DEFAULT"
    remedy = "Run 'make train' or set TENFOLD_RELEASE to a folder"
    try:
        listed = pointer.read_text(encoding="utf-8").split()
    except OSError as error:
        raise BadSetting(f"{pointer} cannot be read: {error.strerror}. {remedy}") from None
    except UnicodeDecodeError:
        raise BadSetting(f"{pointer} cannot be read: it is not UTF-8. {remedy}") from None
    found: dict[str, Path] = {}
    for name in listed:
        match = FOLDER.fullmatch(name)
        if match is None or match[1] in found:
            raise BadSetting(f"{pointer}: one release folder a recipe is needed, one a line, got {name!r}. {remedy}")
        found[match[1]] = RELEASES / name
    if not found:
        raise BadSetting(f"{pointer} names no release. {remedy}")
    return found


def default_release() -> Path:
    """The release that serves where no setting names another: the first in models/releases/DEFAULT."""
    return next(iter(current_releases().values()))
