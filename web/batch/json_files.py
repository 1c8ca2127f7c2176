"""JSON files in a job's folder: written whole, readable by the server's user alone."""

import json
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec

Content = TypeVar("Content")


def write_json(file: Path, content: object) -> None:
    """Readable only by the owner; complete or not there."""
    temporary = file.with_name(f".{file.name}.{threading.get_ident()}")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
        stream.write(msgspec.json.encode(content))
    temporary.replace(file)


def read_json(file: Path, kind: type[Content]) -> Content | None:
    """What a file holds; None where it is not there."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError):
        return None


def last_event(output: Path, event: str) -> dict[str, int] | None:
    """The last line of this kind that `tenfold book --json` has written."""
    try:
        with output.open("rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - 8192))
            lines = stream.read().splitlines()
    except OSError:
        return None
    for line in reversed(lines):
        with suppress(ValueError):
            words = json.loads(line)
            if isinstance(words, dict) and words.get("event") == event:
                return words
    return None
