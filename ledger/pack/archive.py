"""A ZIP file that is the same bytes for the same parts: no times, no owners, one order."""

import hashlib
import io
import zipfile
from collections.abc import Mapping

SUMS = "SHA256SUMS"
EPOCH = (1980, 1, 1, 0, 0, 0)  # the first time that a ZIP file can state
MODE = 0o644 << 16
UNIX = 3


def sums(files: Mapping[str, bytes]) -> bytes:
    """The digests of all files, as `sha256sum --check` reads them."""
    return "".join(f"{sha256(files[name])}  {name}\n" for name in sorted(files)).encode()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def archive(files: Mapping[str, bytes]) -> bytes:
    """The files, by name, as a ZIP file."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        for name in sorted(files):
            about = zipfile.ZipInfo(name, EPOCH)
            about.create_system, about.external_attr, about.compress_type = UNIX, MODE, zipfile.ZIP_DEFLATED
            packed.writestr(about, files[name])
    return stream.getvalue()
