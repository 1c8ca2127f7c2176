"""Keeps heads outside the ledger: in a file, at a URL, or signed by a time-stamping authority (RFC 3161).

A stamp states that a record with this hash was the last one at a certain time. It is evidence only if it is out of
reach of those who can write the ledger: on another machine, with somebody else, or signed. The authority signs the head
itself, which is a SHA-256, so `openssl ts -verify -digest HASH` can check a token without this program.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from inference.errors import TenfoldError
from ledger.targets import check

TIMEOUT = 30.0  # seconds for a server's answer
LARGEST = 1 << 20  # bytes of the answer; a token with certificates has a few thousand
QUERY, REPLY = "application/timestamp-query", "application/timestamp-reply"


class CannotStamp(TenfoldError):
    """A stamp cannot be made or read: what happened, where, and what to do."""


class Stamp(NamedTuple):
    """A head that was kept. `token` is a file with the authority's answer (RFC 3161, DER)."""

    seq: int
    hash: str  # in hex
    time: str  # ISO, UTC: this machine's clock; a token holds the authority's
    token: Path | None
    place: str  # FILE:LINE, for messages


def stamp(seq: int, head: str, target: str, ledger: Path, authority: str | None = None) -> None:
    """Keep a head in a file (a line of JSON is appended) or at a URL (the line is sent by POST).

    With an `authority`, the URL of a time-stamping server, its token is saved beside the file as STEM-SEQ.tsr.
    """
    line: dict[str, int | str] = {"seq": seq, "hash": head, "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
    if is_url(target):
        if authority:
            raise CannotStamp("a token is kept in a file: name one instead of a URL, or stamp twice")
        post(target, json.dumps(line).encode(), "application/json")
        return
    file = Path(target)
    check(file, ledger)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if authority:
            token = file.with_name(f"{file.stem}-{seq}.tsr")
            check(token, ledger)
            append(token, ask(authority, head), os.O_TRUNC)
            line["token"] = token.name
        append(file, f"{json.dumps(line)}\n".encode(), os.O_APPEND)
    except OSError as error:
        raise CannotStamp(f"{file}: {error.strerror}") from None


def append(file: Path, content: bytes, flag: int) -> None:
    """Write to a file that everybody may read and only its owner may write; never through a link."""
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | flag, 0o644), "wb") as stream:
        stream.write(content)


def is_url(target: str) -> bool:
    """Whether a target is a URL."""
    return target.startswith(("http://", "https://"))


def ask(authority: str, head: str) -> bytes:
    """Request an authority's token for a head; returns its complete answer, in DER."""
    with tempfile.TemporaryDirectory() as folder:
        query = Path(folder, "query.tsq")
        openssl("ts", "-query", "-digest", head, "-sha256", "-cert", "-out", str(query))
        token = post(authority, query.read_bytes(), QUERY, REPLY)
        reply = Path(folder, "reply.tsr")
        reply.write_bytes(token)
        text = openssl("ts", "-reply", "-in", str(reply), "-text")
        if not re.search(r"^Status: Granted", text, re.MULTILINE):
            raise CannotStamp(f"{authority} did not grant a time stamp")
        # `verify --ca` checks the authority's certificate; here only the head in the token is checked.
        if imprint(text) != head:
            raise CannotStamp(f"{authority} stamped a digest that is not the head")
    return token


def imprint(text: str) -> str:
    """The digest in a token, in hex, from OpenSSL's text: lines such as `0000 - 1b a6 … -0a  ...`."""
    lines = re.findall(r"^    [0-9a-f]{4} - ((?:[0-9a-f]{2}[ -])+)", text.partition("Message data:")[2], re.MULTILINE)
    return re.sub("[^0-9a-f]", "", "".join(lines[:2]))


def post(url: str, body: bytes, kind: str, expected: str | None = None) -> bytes:
    """POST a body; returns the server's answer."""
    request = urllib.request.Request(url, body, {"Content-Type": kind})  # noqa: S310 - http and https only
    if not is_url(url):
        raise CannotStamp(f"{url}: an address that begins with http:// or https:// is needed")
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310
            content: bytes = answer.read(LARGEST)
            got = answer.headers.get_content_type()
    except urllib.error.HTTPError as error:
        error.close()
        raise CannotStamp(f"{url} answered {error.code} {error.reason}: the head is not kept there") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise CannotStamp(f"{url} cannot be reached: {reason}. The head is not kept there") from None
    if expected and got != expected:
        raise CannotStamp(f"{url} answered {got}, and {expected} is needed: is it a time-stamping server?")
    return content


def openssl(*arguments: str) -> str:
    """Run the `openssl` program; returns its output."""
    program = shutil.which("openssl")
    if program is None:
        raise CannotStamp("time stamps (RFC 3161) need the openssl program on PATH; stamps without --tsa do not")
    process = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=TIMEOUT)
    if process.returncode:
        lines = (process.stderr or process.stdout).strip().splitlines()
        raise CannotStamp(f"openssl {arguments[0]} {arguments[1]}: {lines[-1] if lines else process.returncode}")
    return process.stdout


def stamps_in(place: Path) -> list[Stamp]:
    """All stamps of a file, or of every .jsonl file in a folder."""
    files = sorted(place.glob("*.jsonl")) if place.is_dir() else [place]
    stamps = [stamp_read for file in files for stamp_read in read(file)]
    if not stamps:
        raise CannotStamp(f"{place}: no stamps found; 'python -m ledger stamp {place}' makes one")
    return stamps


def read(file: Path) -> Iterator[Stamp]:
    """The stamps of a file, line by line."""
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CannotStamp(f"{file}: {getattr(error, 'strerror', None) or 'not a text file'}") from None
    for number, line in enumerate(lines, 1):
        place = f"{file}:{number}"
        try:
            fields = json.loads(line)
            token = file.with_name(Path(fields["token"]).name) if fields.get("token") else None
            yield Stamp(int(fields["seq"]), str(fields["hash"]).lower(), str(fields["time"]), token, place)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise CannotStamp(f'{place}: not a stamp; {{"seq": 1, "hash": "…", "time": "…"}} is needed') from None


def contradictions(stamps: list[Stamp], hashes: Mapping[int, str], authority: Path | None) -> Iterator[str]:
    """The stamps that contradict the chain, and tokens that fail against the authority's certificate."""
    for kept_stamp in stamps:
        where, seq = kept_stamp.place, kept_stamp.seq
        if seq not in hashes:
            yield f"{where}: record {seq} is missing: the ledger ended there, or later, on {kept_stamp.time}"
        elif hashes[seq] != kept_stamp.hash:
            yield f"{where}: record {seq} had another hash on {kept_stamp.time}: the chain was rewritten"
        if kept_stamp.token is not None and authority is not None:
            try:
                openssl(
                    "ts", "-verify", "-digest", kept_stamp.hash, "-in", str(kept_stamp.token), "-CAfile", str(authority)
                )
            except CannotStamp as error:
                yield f"{where}: {kept_stamp.token.name} does not prove it: {error}"
