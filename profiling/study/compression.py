"""Files that may be compressed, whatever their names say."""

import bz2
import gzip
import lzma
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import IO, Any, cast

from inference.errors import TenfoldError

MAGIC: tuple[tuple[bytes, Any], ...] = (
    (b"\x1f\x8b", gzip.open),
    (b"BZh", bz2.open),
    (b"\xfd7zXZ\x00", lzma.open),
)
OTHERS = ((b"\x28\xb5\x2f\xfd", "zstd"), (b"\x04\x22\x4d\x18", "lz4"), (b"PK\x03\x04", "zip"), (b"7z\xbc\xaf", "7-Zip"))
DAMAGED = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)  # raised while reading a truncated or altered file


class NotUnpacked(TenfoldError):
    """A file in a compression that is not read here; the message says which."""


@contextmanager
def opened(file: Path) -> Iterator[IO[bytes]]:
    """Open a file, or stdin for `-`; decompressed if it begins like gzip, bzip2 or xz.

    Raises OSError or `NotUnpacked`, and while it is read DAMAGED; bzip2 raises OSError there too.
    """
    if str(file) == "-":
        with decompressed(cast(BufferedReader, sys.stdin.buffer)) as stream:
            yield stream
    else:
        with file.open("rb") as raw, decompressed(raw) as stream:
            yield stream


@contextmanager
def decompressed(raw: BufferedReader) -> Iterator[IO[bytes]]:
    """The decompressed content of a stream, by its first bytes."""
    beginning = raw.peek(6)[:6]
    for magic, open_compressed in MAGIC:
        if beginning.startswith(magic):
            with open_compressed(raw, "rb") as stream:
                yield stream
            return
    for magic, name in OTHERS:
        if beginning.startswith(magic):
            raise NotUnpacked(f"compressed by {name}, which is not read here: unpack it first")
    yield raw
