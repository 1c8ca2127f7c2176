"""Files that may be compressed, whatever their names say."""

import bz2
import gzip
import lzma
import zlib
from pathlib import Path
from typing import IO, cast

MAGIC = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\x00", lzma.open))
DAMAGED = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)  # raised while reading what is cut short or changed


def opened(file: Path) -> IO[bytes]:
    """A file for reading, decompressed where it begins as gzip, bzip2 or xz do. Raises OSError; later DAMAGED."""
    with file.open("rb") as stream:
        beginning = stream.read(6)
    for magic, open_compressed in MAGIC:
        if beginning.startswith(magic):
            return cast(IO[bytes], open_compressed(file, "rb"))
    return file.open("rb")
