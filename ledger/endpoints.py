"""Endpoints of webhooks: where events are sent, which of them, and what signs them; from the file of TENFOLD_WEBHOOKS.

Addresses come from this file alone, which an administrator writes: no page and no request can name one. Plain http is
only for this computer. Proxies of the environment are not used, and no redirect is followed (ledger/webhooks.py).
"""

import base64
import binascii
import os
import re
import secrets
import stat
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from inference.errors import BadSetting
from ledger.outbox import KINDS

PREFIX = "whsec_"
LEAST_KEY, MOST_KEY, MADE_KEY = 24, 64, 32  # bytes; the first two by Standard Webhooks
MOST_SECRETS = 2  # the one in use, and the one before it while receivers change over
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
REMEDY = "docs/webhooks.md shows a whole file"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One receiver. Its address and keys are in no message and no log."""

    name: str
    kinds: tuple[str, ...]
    url: str = field(repr=False)
    keys: tuple[bytes, ...] = field(repr=False)  # each signs; the first is the one in use
    authority: Path | None = None  # certificates (PEM) of a private authority


@dataclass(frozen=True, slots=True)
class Webhooks:
    """All receivers, and the address under which people reach this server, for links."""

    server: str
    endpoints: tuple[Endpoint, ...]

    @property
    def names_by_kind(self) -> dict[str, tuple[str, ...]]:
        """Which endpoints want events of each kind."""
        return {kind: tuple(endpoint.name for endpoint in self.endpoints if kind in endpoint.kinds) for kind in KINDS}

    def endpoint(self, name: str) -> Endpoint | None:
        """The endpoint of this name."""
        return next((endpoint for endpoint in self.endpoints if endpoint.name == name), None)


def read_webhooks(file: Path | None) -> Webhooks | None:
    """The endpoints in a file; None without one. Raises `BadSetting`, which never quotes an address or a secret."""
    if file is None:
        return None
    try:
        content: Mapping[str, object] = tomllib.loads(file.read_text("utf-8"))
        webhooks = webhooks_from(content, file.absolute().parent)
        if any(isinstance(text, str) and text.startswith(PREFIX) for text in texts_of(content)):
            refuse_mode(file, 0o007, "it holds secrets, and others than its owner and group may read it")
        return webhooks
    except OSError as error:
        raise BadSetting(f"TENFOLD_WEBHOOKS: {file}: {error.strerror}. {REMEDY}") from None
    except tomllib.TOMLDecodeError as error:  # its message gives the place, and at most one character
        raise BadSetting(f"TENFOLD_WEBHOOKS: {file}: {error}. {REMEDY}") from None
    except ValueError as error:
        raise BadSetting(f"TENFOLD_WEBHOOKS: {file}: {error}. {REMEDY}") from None


def webhooks_from(content: Mapping[str, object], folder: Path) -> Webhooks:
    """The endpoints, checked; `folder` is where relative names of files begin. Raises `ValueError` or `OSError`."""
    refuse_unknown(content, {"server", "endpoint"}, "")
    tables = content.get("endpoint")
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        raise ValueError("at least one [[endpoint]] is needed")
    endpoints = tuple(endpoint_from(table, number, folder) for number, table in enumerate(tables, 1))
    names = [endpoint.name for endpoint in endpoints]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"two endpoints are called {twice[0]}")
    return Webhooks(server_address(text_in(content, "server", "")), endpoints)


def endpoint_from(table: Mapping[str, object], number: int, folder: Path) -> Endpoint:
    """One endpoint, checked."""
    name = text_in(table, "name", f"endpoint {number}: ")
    where = f"endpoint {name if NAME.fullmatch(name) else number}: "
    if not NAME.fullmatch(name):
        raise ValueError(f"{where}name: up to 40 lower-case letters, digits and hyphens are needed")
    refuse_unknown(table, {"name", "url", "events", "secrets", "authority"}, where)
    kinds, references = texts_in(table, "events", where), texts_in(table, "secrets", where)
    if unknown := sorted(set(kinds) - set(KINDS)):
        raise ValueError(f"{where}events: {', '.join(unknown)[:80]}: there are {', '.join(KINDS)}")
    if len(references) > MOST_SECRETS:
        raise ValueError(f"{where}secrets: at most {MOST_SECRETS} are signed with, the one in use first")
    authority = folder / text_in(table, "authority", where) if "authority" in table else None
    if authority is not None and not authority.is_file():
        raise ValueError(f"{where}authority: {authority} is not a file")
    return Endpoint(
        name, tuple(kind for kind in KINDS if kind in kinds), checked_url(text_in(table, "url", where), where),
        tuple(key_from(reference, where, folder) for reference in references), authority,
    )  # fmt: skip


def checked_url(url: str, where: str) -> str:
    """An address that may be sent to. Raises `ValueError`, without the address."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError(f"{where}url: this is not an address") from None
    if parts.scheme not in ("https", "http") or not host or not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError(f"{where}url: an address that begins with https:// is needed")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise ValueError(f"{where}url: no user name, password or fragment: the signature says who sends")
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError(f"{where}url: http is only for this computer (127.0.0.1, ::1, localhost); use https")
    if never_a_receiver(host):
        raise ValueError(f"{where}url: a link-local, multicast or unspecified address is no receiver")
    return url


def is_loopback(host: str) -> bool:
    """Whether a host in an address is this computer, by name or number."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def never_a_receiver(host: str) -> bool:
    """Whether a host is an address at which only a cloud's metadata or nobody answers."""
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return address.is_link_local or address.is_multicast or address.is_unspecified


def server_address(text: str) -> str:
    """The address of this server, without a slash at its end."""
    parts = urlsplit(text)
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise ValueError("server: the address under which people open Tenfold is needed, such as https://loans.example")
    return text.rstrip("/")


def key_from(reference: str, where: str, folder: Path) -> bytes:
    """The key of a secret: `whsec_…`, or `file:PATH` for a file that holds one."""
    if reference.startswith("file:"):
        file = folder / reference.removeprefix("file:")
        refuse_mode(file, 0o002, "everybody may write it")
        reference = file.read_text("utf-8").strip()
    try:
        key = base64.b64decode(reference.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not reference.startswith(PREFIX) or not LEAST_KEY <= len(key) <= MOST_KEY:
        raise ValueError(
            f"{where}secrets: each is {PREFIX} and {LEAST_KEY} to {MOST_KEY} random bytes in Base64, or file:PATH; "
            "'tenfold outbox secret' makes one"
        )
    return key


def new_secret() -> str:
    """A secret for a new endpoint."""
    return PREFIX + base64.b64encode(secrets.token_bytes(MADE_KEY)).decode()


def refuse_mode(file: Path, bits: int, why: str) -> None:
    """Refuse a file whose permissions are too wide."""
    if stat.S_IMODE(os.stat(file).st_mode) & bits:
        raise ValueError(f"{file}: {why}: chmod 600 {file}")


def refuse_unknown(table: Mapping[str, object], known: set[str], where: str) -> None:
    """Refuse a key that means nothing: it is probably misspelt."""
    if unknown := sorted(table.keys() - known):
        raise ValueError(f"{where}{', '.join(unknown)[:80]}: no such setting; there are {', '.join(sorted(known))}")


def text_in(table: Mapping[str, object], name: str, where: str) -> str:
    """A text of a table."""
    value = table.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{where}{name}: a text is needed")
    return value


def texts_in(table: Mapping[str, object], name: str, where: str) -> list[str]:
    """A list of texts of a table, not empty."""
    value = table.get(name)
    if not isinstance(value, list) or not value or not all(isinstance(text, str) for text in value):
        raise ValueError(f"{where}{name}: a list of texts is needed")
    return [str(text) for text in value]


def texts_of(value: object) -> Sequence[object]:
    """All values inside tables and lists."""
    if isinstance(value, Mapping):
        return [text for inner in value.values() for text in texts_of(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in texts_of(inner)]
    return [value]
