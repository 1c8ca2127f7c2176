"""Settings from the environment, read once into a frozen object. The defaults work as they are."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from ipaddress import ip_network
from pathlib import Path

from inference.errors import BadSetting

ROOT = Path(__file__).resolve().parent.parent
RELEASES = ROOT / "models" / "releases"
FOLDER = re.compile(r"(\w+)-[0-9a-f]{12}")  # of a release: <recipe>-<first 12 hex digits of its digest>
WITHOUT_PREFIX = ("host", "port")  # hosting platforms set HOST and PORT
# Headers that browsers, clients and proxies send in any case: none of them can name a user.
OTHERS_SEND = frozenset(
    "host origin cookie authorization accept accept-language content-length content-type connection forwarded from "
    "idempotency-key referer sec-fetch-site user-agent via x-forwarded-for x-forwarded-host x-forwarded-proto "
    "x-real-ip".split()
)
DERIVED = ("users_named", "until_restart")  # derived from other settings
SPACE_DATA = Path("/data")  # where a Hugging Face Space keeps files over restarts, if it was given such storage


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Each setting is the variable `TENFOLD_` plus its name in capitals; host and port are plain `HOST` and `PORT`."""

    release: Path
    data: Path | None = None  # the folder of ledger, users, logs and batch, unless one is named; None: logs/
    until_restart: bool = False  # a Space with a login, and without storage: all that is recorded is lost at a restart
    first_manager: str = field(default="", repr=False)  # a secret: NAME:PASSWORD, used where there was never a user
    release_digest: str | None = None  # expected sha256 of the manifest; if None, the folder's name ends in it
    engine: str = "xgboost"
    log: Path | None = ROOT / "logs" / "predictions.jsonl"  # None: `off`
    log_days: int = 190  # days that are kept; 0 keeps all. The EU AI Act requires six months
    security_log: Path | None = ROOT / "logs" / "security.jsonl"  # logins, refusals, who read what; None: `off`
    ledger: Path | None = ROOT / "logs" / "ledger.sqlite3"  # None: `off`, the default of a public demo
    draft_days: int = 7  # days that a form which somebody has begun is kept beside the ledger; 0 keeps none
    lender: Path | None = None  # reason codes, limits and the words of notices; None: the examples of web/lender.toml
    webhooks: Path | None = None  # where events are sent, and what signs them (docs/webhooks.md); None: nowhere
    users: Path | None = ROOT / "logs" / "users.sqlite3"  # who may log in; no login without it or with `off`
    users_named: bool = False  # TENFOLD_USERS names the file, so it must exist
    no_login: bool = False  # no login, although the ledger holds records of people who logged in
    batch: Path | None = ROOT / "logs" / "batch"  # files to be scored, and their scores; None: `off`
    batch_hours: int = 24  # that they are kept
    batch_megabytes: int = 2048  # of all of them together
    origins: tuple[str, ...] = ()  # other sites whose pages may call this server from a browser (CORS)
    frames: tuple[str, ...] = ()  # other sites that may show these pages in a frame, where nobody can log in
    trusted_header: str = ""  # in lower case: names the user whom a proxy has logged in; empty: none does
    trusted_addresses: tuple[str, ...] = ()  # of that proxy, as networks: 10.0.0.5/32
    root_path: str = ""  # the path prefix that a reverse proxy strips
    host: str = "127.0.0.1"
    port: int = 7860
    rate: int = 3000  # requests per minute and client, if other machines can connect; 0: no limit
    public_demo: bool = False  # open to everyone; the page says that nothing is written to disk

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """Raises `BadSetting` for an unknown TENFOLD_ name or a value that cannot be used.

        Where `SPACE_ID` is set (Hugging Face), the defaults are a public demo on 0.0.0.0.
        """
        own = {each.name for each in fields(cls)} - {*WITHOUT_PREFIX, *DERIVED}
        known = {f"TENFOLD_{name.upper()}" for name in own}
        variables = {name: value for name, value in environ.items() if name.startswith("TENFOLD_") and value}
        unknown = sorted(variables.keys() - known)
        if unknown:
            raise BadSetting(f"{', '.join(unknown)}: no such setting. Known: {', '.join(sorted(known))}")
        is_space = bool(environ.get("SPACE_ID"))
        log = variables.get("TENFOLD_LOG", "")
        values: dict[str, object] = {
            "release": Path(variables["TENFOLD_RELEASE"]) if "TENFOLD_RELEASE" in variables else default_release()
        }
        demo_by_default = "on" if is_space else "off"
        public_demo = on_or_off("TENFOLD_PUBLIC_DEMO", variables.get("TENFOLD_PUBLIC_DEMO", demo_by_default))
        if data := data_folder(variables.get("TENFOLD_DATA", ""), looking=is_space and not public_demo):
            values.update(in_folder(data))
        values["until_restart"] = is_space and not public_demo and data is None
        if "TENFOLD_FIRST_MANAGER" in variables:
            values["first_manager"] = variables["TENFOLD_FIRST_MANAGER"]
        if "TENFOLD_RELEASE_DIGEST" in variables:
            values["release_digest"] = variables["TENFOLD_RELEASE_DIGEST"].lower()
        if "TENFOLD_ENGINE" in variables:
            values["engine"] = variables["TENFOLD_ENGINE"]
        if log:
            values["log"] = path_or_off(log)
        if security_log := variables.get("TENFOLD_SECURITY_LOG", ""):
            values["security_log"] = path_or_off(security_log)
        if "TENFOLD_NO_LOGIN" in variables:
            values["no_login"] = on_or_off("TENFOLD_NO_LOGIN", variables["TENFOLD_NO_LOGIN"])
        if "TENFOLD_LENDER" in variables:
            values["lender"] = Path(variables["TENFOLD_LENDER"])
        if "TENFOLD_WEBHOOKS" in variables:
            values["webhooks"] = path_or_off(variables["TENFOLD_WEBHOOKS"])
        if "TENFOLD_USERS" in variables:
            users = path_or_off(variables["TENFOLD_USERS"])
            values.update(users=users, users_named=users is not None)
        if "TENFOLD_BATCH" in variables:
            values["batch"] = path_or_off(variables["TENFOLD_BATCH"])
        if "TENFOLD_BATCH_HOURS" in variables:
            values["batch_hours"] = whole_number("TENFOLD_BATCH_HOURS", variables["TENFOLD_BATCH_HOURS"], 1, 8760)
        if "TENFOLD_BATCH_MEGABYTES" in variables:
            text = variables["TENFOLD_BATCH_MEGABYTES"]
            values["batch_megabytes"] = whole_number("TENFOLD_BATCH_MEGABYTES", text, 64, 10_000_000)
        if "TENFOLD_ORIGINS" in variables:
            values["origins"] = tuple(origin(site.strip()) for site in variables["TENFOLD_ORIGINS"].split(","))
        if "TENFOLD_FRAMES" in variables:
            values["frames"] = tuple(framing(site.strip()) for site in variables["TENFOLD_FRAMES"].split(","))
        if "TENFOLD_TRUSTED_HEADER" in variables:
            values["trusted_header"] = header_name(variables["TENFOLD_TRUSTED_HEADER"])
        if "TENFOLD_TRUSTED_ADDRESSES" in variables:
            listed = variables["TENFOLD_TRUSTED_ADDRESSES"].split(",")
            values["trusted_addresses"] = tuple(network(text.strip()) for text in listed)
        if ("trusted_header" in values) != ("trusted_addresses" in values):
            raise BadSetting(
                "TENFOLD_TRUSTED_HEADER, which names users, and TENFOLD_TRUSTED_ADDRESSES, from which alone it is "
                "believed, need each other: set both, or neither"
            )
        if "TENFOLD_ROOT_PATH" in variables:
            values["root_path"] = root_path(variables["TENFOLD_ROOT_PATH"])
        if "TENFOLD_LOG_DAYS" in variables:
            values["log_days"] = whole_number("TENFOLD_LOG_DAYS", variables["TENFOLD_LOG_DAYS"], 0, 36_500)
        if "TENFOLD_DRAFT_DAYS" in variables:
            values["draft_days"] = whole_number("TENFOLD_DRAFT_DAYS", variables["TENFOLD_DRAFT_DAYS"], 0, 90)
        if "TENFOLD_RATE" in variables:
            values["rate"] = whole_number("TENFOLD_RATE", variables["TENFOLD_RATE"], 0, 1_000_000)
        if is_space:
            values["host"] = "0.0.0.0"  # noqa: S104 - a Space is there to be seen
        if environ.get("HOST"):
            values["host"] = environ["HOST"]
        if environ.get("PORT"):
            values["port"] = whole_number("PORT", environ["PORT"], 1, 65_535)
        values["public_demo"] = public_demo
        if public_demo:
            values["ledger"] = None
        if ledger := variables.get("TENFOLD_LEDGER", ""):
            values["ledger"] = path_or_off(ledger)
        return cls(**values)  # type: ignore[arg-type]


def data_folder(text: str, looking: bool) -> Path | None:
    """The folder that TENFOLD_DATA names; with `looking`, a Space's own where it is there and can be written."""
    if text and not Path(text).is_dir():
        raise BadSetting(f"TENFOLD_DATA: a folder that is there is needed, got {text!r}")
    if text:
        return Path(text)
    return SPACE_DATA if looking and SPACE_DATA.is_dir() and os.access(SPACE_DATA, os.W_OK) else None


def in_folder(data: Path) -> dict[str, object]:
    """Where everything that is written stands in a folder of data."""
    return {
        "data": data,
        "ledger": data / "ledger.sqlite3",
        "users": data / "users.sqlite3",
        "log": data / "logs" / "predictions.jsonl",
        "security_log": data / "logs" / "security.jsonl",
        "batch": data / "batch",
    }


def path_or_off(text: str) -> Path | None:
    """A file; None for `off`."""
    return None if text == "off" else Path(text)


def whole_number(name: str, text: str, low: int, high: int) -> int:
    """Parse a setting as an integer."""
    if not (text.isascii() and text.isdigit() and low <= int(text[:9]) <= high and len(text) < 10):
        raise BadSetting(f"{name}: a whole number from {low} to {high} is needed, got {text!r}")
    return int(text)


def on_or_off(name: str, text: str) -> bool:
    """Parse a setting as a switch, in upper or lower case."""
    if text.lower() not in ("on", "off", "1", "0"):
        raise BadSetting(f"{name}: on or off is needed, got {text!r}")
    return text.lower() in ("on", "1")


def origin(text: str) -> str:
    """Scheme, host and port of a site, as browsers send them in `Origin`."""
    if not re.fullmatch(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?", text):
        raise BadSetting(f"TENFOLD_ORIGINS: origins like https://loans.example are needed, with commas, got {text!r}")
    return text


def framing(text: str) -> str:
    """A site that may show the pages in a frame, as Content-Security-Policy names it; `none` for no other one."""
    if text == "none" or re.fullmatch(r"https?://(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)*(:[0-9]{1,5})?", text):
        return text
    raise BadSetting(
        "TENFOLD_FRAMES: none, or sites like https://loans.example or https://*.example.org are needed, with commas, "
        f"got {text!r}"
    )


def header_name(text: str) -> str:
    """The name of a header in which a proxy names the user, in lower case; none that anybody else sends."""
    if not re.fullmatch(r"[A-Za-z0-9-]{1,60}", text) or text.lower() in OTHERS_SEND:
        raise BadSetting(
            "TENFOLD_TRUSTED_HEADER: the name of a header that only the proxy sends is needed, such as Remote-User, "
            f"got {text!r}"
        )
    return text.lower()


def network(text: str) -> str:
    """An address or a network of a proxy, as a network."""
    try:
        parsed = ip_network(text)
    except ValueError:
        parsed = None
    if parsed is None or parsed.prefixlen == 0:
        raise BadSetting(
            f"TENFOLD_TRUSTED_ADDRESSES: addresses or networks like 10.0.0.5 or 10.0.0.0/28 are needed, with commas, "
            f"got {text!r}"
        )
    return str(parsed)


def root_path(text: str) -> str:
    """A path prefix such as /scoring."""
    if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", text):
        raise BadSetting(f"TENFOLD_ROOT_PATH: a path like /scoring is needed, got {text!r}")
    return text


def current_releases() -> dict[str, Path]:
    """Recipe name -> folder of its current release, as listed in models/releases/DEFAULT, the default first.

    Earlier releases stay in the same folder, so that their decisions can be replayed. Raises `BadSetting` if the list
    cannot be read, is empty, or does not name exactly one release folder per recipe.
    """
    pointer = RELEASES / "DEFAULT"
    remedy = "Run 'make train' or set TENFOLD_RELEASE to a folder"
    try:
        names = pointer.read_text(encoding="utf-8").split()
    except OSError as error:
        raise BadSetting(f"{pointer} cannot be read: {error.strerror}. {remedy}") from None
    except UnicodeDecodeError:
        raise BadSetting(f"{pointer} cannot be read: it is not UTF-8. {remedy}") from None
    folders: dict[str, Path] = {}
    for name in names:
        match = FOLDER.fullmatch(name)
        if match is None or match[1] in folders:
            raise BadSetting(f"{pointer}: one release folder a recipe is needed, one a line, got {name!r}. {remedy}")
        folders[match[1]] = RELEASES / name
    if not folders:
        raise BadSetting(f"{pointer} names no release. {remedy}")
    return folders


def default_release() -> Path:
    """The release to serve if no setting names one: the first in models/releases/DEFAULT."""
    return next(iter(current_releases().values()))
