"""The page that a pack opens with: what each file is, its digest, what was found, and how to verify it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from inference.release import Release
from inference.version import VERSION
from ledger.lender_time import local_day
from ledger.monitor import Monitored
from ledger.monitor_text import conclusion
from ledger.pack.archive import sha256
from ledger.pack.parts import Part
from ledger.pack.sample import Sample
from ledger.replay import DIFFERENT, IMPOSSIBLE, SAME
from ledger.verify import Verification

INDEX = "index.html"
TEMPLATES = Path(__file__).with_name("templates")


@dataclass(frozen=True)
class FileRow:
    """A file of the pack."""

    name: str
    what: str
    length: int  # bytes
    sha256: str


@dataclass(frozen=True)
class DecisionRow:
    """One sampled decision."""

    file: str
    id: str
    day: str
    suggested: str
    decided: str  # empty where nobody decided here
    replay: str
    why: str


@dataclass(frozen=True)
class Index:
    """All that the template shows."""

    release: str
    digest: str
    version: str
    lender_title: str
    records: int
    head: str
    since: str
    until: str
    erased: int
    of: str  # decisions or scores
    seed: str
    there: int
    answers_erased: int
    same: int
    different: int
    impossible: int
    decisions: Sequence[DecisionRow]
    monitor: str
    missing: Sequence[str]  # what is not in the pack, and why
    personal: bool
    files: Sequence[FileRow]


def index(
    release: Release, verification: Verification, sample: Sample, monitored: Monitored, parts: Sequence[Part],
    missing: Sequence[str], personal: bool, zone: tzinfo,
) -> str:  # fmt: skip
    """The page's HTML. Days of decisions are those of `zone`, the lender's; times name UTC."""
    view = Index(
        release.name, release.digest, VERSION, release.manifest.title["en"], verification.records, verification.head,
        moment(verification.since), moment(verification.until), verification.erased, sample.of, sample.seed,
        sample.there, sample.erased, sample.count(SAME), sample.count(DIFFERENT), sample.count(IMPOSSIBLE),
        rows_of(sample, zone), conclusion(monitored), missing, personal,
        [FileRow(part.name, part.what, len(part.content), sha256(part.content)) for part in parts],
    )  # fmt: skip
    return environment().get_template(INDEX).render(pack=view)


def environment() -> Environment:
    """The templates of this package."""
    jinja = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    jinja.filters["count"] = "{:,}".format
    return jinja


def moment(time: str) -> str:
    """A record's time to the second."""
    return f"{time[:10]} {time[11:19]} UTC"


def rows_of(sample: Sample, zone: tzinfo) -> list[DecisionRow]:
    """A row for each decision of the sample."""
    rows = []
    for number, drawn in enumerate(sample.drawn, 1):
        record = next(record for record in drawn.records if record.header.id == drawn.id)
        decided = record.body_json.get("decision") if record.header.kind == "decided" else ""
        rows.append(
            DecisionRow(
                f"decisions/{number:02d}.json", drawn.id, local_day(record.header.time, zone), drawn.scored.suggested,
                str(decided), drawn.replayed.outcome, drawn.replayed.why,
            )
        )  # fmt: skip
    return rows
