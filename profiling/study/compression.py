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

MAGIC: tuple[tuple[bytes, Any], ...] = (
    (b"\x1f\x8b", gzip.open),
    (b"BZh", bz2.open),
    (b"\xfd7zXZ\x00", lzma.open),
)
DAMAGED = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)  # raised while reading what is cut short or changed


@contextmanager
def opened(file: Path) -> Iterator[IO[bytes]]:
    """A file for reading, or what is piped in for `-`; decompressed where it begins as gzip, bzip2 or xz do.

    Raises OSError, and while it is read DAMAGED; bzip2 raises OSError there too.
    """
    if str(file) == "-":
        with decompressed(cast(BufferedReader, sys.stdin.buffer)) as stream:
            yield stream
    else:
        with file.open("rb") as raw, decompressed(raw) as stream:
            yield stream


@contextmanager
def decompressed(raw: BufferedReader) -> Iterator[IO[bytes]]:
    """The content of a stream, by how it begins."""
    beginning = raw.peek(6)[:6]
    for magic, open_compressed in MAGIC:
        if beginning.startswith(magic):
            with open_compressed(raw, "rb") as stream:
                yield stream
            return
    yield raw
