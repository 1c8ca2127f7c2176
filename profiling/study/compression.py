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
DAMAGED = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)  # raised while reading a truncated or altered file


@contextmanager
def opened(file: Path) -> Iterator[IO[bytes]]:
    """Open a file, or stdin for `-`; decompressed if it begins like gzip, bzip2 or xz.

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
    """The decompressed content of a stream, by its first bytes."""
    beginning = raw.peek(6)[:6]
    for magic, open_compressed in MAGIC:
        if beginning.startswith(magic):
            with open_compressed(raw, "rb") as stream:
                yield stream
            return
    yield raw
