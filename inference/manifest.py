"""Reads manifest.json, the description of a release, into a typed value; errors give the path of what is wrong."""

import math
from itertools import pairwise
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from inference.blocks import Feature
from inference.calibration import Calibration
from inference.fields import Count, Field, with_path
from inference.languages import Words
from inference.policy import Points, PolicyTerms
from inference.questions import Question

# Increase FORMAT when an older reader could misread a new manifest; tests/test_release.py pins what is read. Fields of
# format 1 had no texts for applicants: such releases are opened to replay their decisions, and web/lender.py decides
# when one may be served.
FORMAT, OLDEST = 2, 1


class BadManifest(ValueError):
    """A manifest that cannot be read; the message begins with the path of what is wrong."""


class UnknownFormat(BadManifest):
    """A manifest whose format is not supported."""


class Group(Struct, frozen=True, kw_only=True):
    """A heading of the form, with the fields under it."""

    name: str
    label: Words


class Column(Struct, frozen=True, kw_only=True):
    """One column of the model with its monotone constraint: +1 never lowers the PD, -1 never raises it."""

    name: str
    index: Count | None = None
    monotone: int = 0


class File(Struct, frozen=True, kw_only=True):
    """A file that scoring reads."""

    sha256: str
    bytes: Count | None = None


class Band(Struct, frozen=True, kw_only=True):
    """Past loans with a PD between `low` and `high`."""

    low: float
    high: float
    loans: Count
    bad: Count


class Spread(Struct, frozen=True, kw_only=True):
    """The distribution of PDs over loans: evenly spaced percentiles, from the 0th to the 100th."""

    loans: Count
    pd_percentiles: Annotated[tuple[float, ...], Meta(min_length=3)]

    def __post_init__(self) -> None:
        if not all(0 <= low <= high <= 1 for low, high in pairwise(self.pd_percentiles)):
            raise ValueError("pd_percentiles: ascending probabilities are needed")


class Alike(Spread, frozen=True, kw_only=True):
    """Past loans with one answer in common."""

    bad: Count


class Population(Spread, frozen=True, kw_only=True):
    """The past loans with which a PD is compared."""

    of: str = ""  # which loans, and which models computed their PDs
    bad_rate: float = math.nan
    bands: tuple[Band, ...] = ()
    by: dict[str, dict[str, Alike]] = {}  # field -> code -> loans with that answer


class Golden(Struct, frozen=True, kw_only=True):
    """An application with the PD that every engine must reproduce."""

    answers: dict[str, object]
    pd: float


class Origin(Struct, frozen=True, kw_only=True):
    """Who made a release, and whether it can only demonstrate."""

    by: str = ""  # the name that this person logs in with; else who owns the release
    demonstration: bool = False


class Manifest(Struct, frozen=True, kw_only=True):
    """The content of manifest.json. Unknown keys are ignored: a newer writer may add some."""

    format: int
    name: str
    title: Words
    notice: Words
    date: str
    groups: tuple[Group, ...]
    fields: tuple[Field, ...]
    features: tuple[Feature, ...]
    columns: tuple[Column, ...]
    calibration: Calibration
    points: Points
    policy: PolicyTerms
    population: Population | None
    golden: tuple[Golden, ...]
    files: dict[str, File]
    training: dict[str, object] = {}  # for people; scoring does not read it
    questions: tuple[Question, ...] = ()  # older releases have none
    origin: Origin | None = None  # older releases do not say it

    @property
    def maker(self) -> str:
        """Who made it; empty where that is not said."""
        return "" if self.origin is None else self.origin.by

    @property
    def is_demonstration(self) -> bool:
        """Whether it can only demonstrate; where no part says it, by the first word of its notice."""
        return self.notice["en"].startswith("Demonstration") if self.origin is None else self.origin.demonstration


class Versioned(Struct):
    """The format number, which is checked before anything else."""

    format: object


MANIFEST, VERSIONED = msgspec.json.Decoder(Manifest), msgspec.json.Decoder(Versioned)


def read_manifest(content: bytes) -> Manifest:
    """Parse a manifest, its format first; raises `BadManifest`. Digests are not checked here."""
    try:
        version = VERSIONED.decode(content).format
        if type(version) is not int or not OLDEST <= version <= FORMAT:
            raise UnknownFormat(f"format {version!r}")
        return MANIFEST.decode(content)
    except RecursionError as error:
        raise BadManifest(f"nested too deeply: {error}") from None
    except msgspec.MsgspecError as error:
        raise BadManifest(with_path(error)) from None
