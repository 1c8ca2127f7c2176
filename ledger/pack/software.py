"""What is installed beside this program: names, versions and licences, as the packages themselves state them."""

import csv
import io
import platform
import re
from collections.abc import Iterator
from importlib.metadata import PackageMetadata, distributions
from typing import NamedTuple

from inference.version import VERSION

NOT_STATED = "not stated"
TEXT = 60  # characters: what is longer is a licence's text, not its name
OSI = re.compile(r"^License :: (?:OSI Approved :: )?(.+)$")


class Package(NamedTuple):
    """An installed package."""

    name: str
    version: str
    licence: str


def packages() -> list[Package]:
    """All that is installed here, by name."""
    by_name = {
        normal(of.metadata["Name"]): Package(of.metadata["Name"], of.version, licence(of.metadata))
        for of in distributions()
        if of.metadata["Name"]
    }
    return [package for _, package in sorted(by_name.items())]


def normal(name: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def licence(metadata: PackageMetadata) -> str:
    """Its licence: the expression, or else its classifiers, or a name that is stated as text."""
    if expressions := metadata.get_all("License-Expression"):
        return str(expressions[0])
    classified = list(of_classifiers(metadata.get_all("Classifier") or []))
    if classified:
        return "; ".join(classified)
    lines = [line.strip() for line in str((metadata.get_all("License") or [""])[0]).splitlines() if line.strip()]
    stated = lines[0] if lines else ""
    return stated if 0 < len(stated) <= TEXT and stated.upper() != "UNKNOWN" else NOT_STATED


def of_classifiers(classifiers: list[str]) -> Iterator[str]:
    """The licences among a package's classifiers."""
    for classifier in classifiers:
        if match := OSI.match(classifier):
            yield match[1]


def as_csv() -> str:
    """The list as a table: Tenfold and Python first."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(Package._fields)
    writer.writerow(Package("tenfold", VERSION, "Apache-2.0"))
    python = f"{platform.python_version()} ({platform.python_implementation()})"
    writer.writerow(Package("python", python, "PSF-2.0"))
    writer.writerows(package for package in packages() if normal(package.name) != "tenfold")
    return stream.getvalue()
