"""The files of a pack, by name, each with what it is."""

import json
import tomllib
from collections import Counter
from collections.abc import Mapping
from datetime import tzinfo
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa

from inference.errors import TenfoldError
from inference.release import Release
from inference.settings import ROOT
from ledger import queries
from ledger.events import OUTCOME, SERVICED, Json, Outcome
from ledger.monitor import Monitored
from ledger.monitor_text import as_json, sentences
from ledger.overrides import decision_counts
from ledger.pack.sample import Sample, drawn_json, sample_json
from ledger.pack.software import as_csv
from ledger.verify import Verification, reports

DESCRIPTION = ("MODEL_CARD.md", "*.svg")  # of a release's folder, beside its manifest
RECIPES = ROOT / "models" / "recipes"  # of embedded releases


class Part(NamedTuple):
    """A file of the pack."""

    name: str
    what: str
    content: bytes


class Evaluated(NamedTuple):
    """The two files that `tenfold evaluate` writes; none where the pack was asked to do without."""

    page: bytes
    figures: bytes


def dumped(value: object) -> bytes:
    """JSON as files of the pack have it."""
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def of_release(release: Release) -> list[Part]:
    """The card, its pictures, and the manifest."""
    if not (release.folder / DESCRIPTION[0]).is_file():
        raise TenfoldError(
            f"{release.folder / DESCRIPTION[0]}: there is no such file, and a pack needs the model's card"
        )
    parts = []
    for pattern in DESCRIPTION:
        for file in sorted(release.folder.glob(pattern)):
            what = "The model's card" if file.suffix == ".md" else "A picture of the card"
            parts.append(Part(f"release/{file.name}", what, file.read_bytes()))
    manifest = (release.folder / "manifest.json").read_bytes()
    what = (
        "What the release is: form, policy, parameters, training, metrics, and the SHA-256 of each file that scores. "
        "Its own SHA-256 is the release's digest, which every record of a score holds"
    )
    return [*parts, Part("release/manifest.json", what, manifest)]


def of_recipe(release: Release, recipe: Path | None) -> list[Part]:
    """The recipe, with what the release says of its loans. Raises `TenfoldError` if it is another release's."""
    embedded = RECIPES / f"{release.manifest.name}.toml"
    file = recipe or (embedded if embedded.is_file() else None)
    if file is None:
        return []
    try:
        content = file.read_bytes()
        stated = tomllib.loads(content.decode("utf-8"))
    except OSError as error:
        raise TenfoldError(f"{file}: {error.strerror}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise TenfoldError(f"{file}: this is not a recipe: {error}") from None
    if stated.get("name") != release.manifest.name:
        raise TenfoldError(f"{file}: a recipe of {stated.get('name')!r}, and the release is {release.manifest.name!r}")
    what = f"How loans became the release. Trained again from the same file of loans, it gives {release.name}"
    return [Part(f"recipe/{file.name}", what, content)]


def of_evaluation(release: Release, evaluated: Evaluated | None) -> list[Part]:
    """The report of `tenfold evaluate`."""
    if evaluated is None:
        return []
    return [
        Part("evaluation/evaluation.html", "What the release is worth on loans whose end is known", evaluated.page),
        Part("evaluation/evaluation.json", "The same figures", evaluated.figures),
    ]


def of_sample(sample: Sample, personal: bool) -> list[Part]:
    """The sample, a file for each decision."""
    parts = [Part("decisions/sample.json", "How decisions were sampled, so that the same ones can be drawn again",
                  dumped(sample_json(sample)))]  # fmt: skip
    for number, of_drawn in enumerate(sample.drawn, 1):
        what = f"{of_drawn.id}: all records of its case, and its score made again: {of_drawn.replayed.outcome}"
        parts.append(Part(f"decisions/{number:02d}.json", what, dumped(drawn_json(of_drawn, personal))))
    return parts


def of_overrides(connection: sa.Connection, release: Release, zone: tzinfo) -> Part:
    """Decisions counted; months are those of `zone`."""
    amount = release.policy.amount
    counts = decision_counts(connection, "", amount.name if amount else None, zone)
    content = {
        "time_zone": str(zone),
        "directions": [
            {"month": month, "direction": direction, "reason_code": code, "decisions": count}
            for month, direction, code, count in queries.directions(connection, zone)
        ],
        "months": {
            month: {"decisions": dict(of.decisions), "mean_pd": of.mean_pd}
            for month, of in sorted(counts.months.items())
        },
        "by_officer": named(counts.officers),
        "by_lower_end_of_amount": named(counts.amounts),
        "by_distance_of_pd_to_cut_off": named(counts.distances),
    }
    what = "Decisions of all releases by month, direction against the suggestion, reason, officer, amount and distance"
    return Part("overrides.json", what, dumped(content))


def named(counts: Mapping[str, Counter[str]] | Mapping[int | None, Counter[str]]) -> dict[str, Json]:
    """Counts by name; what is erased has the name `erased`."""
    return {"erased" if key is None else str(key): dict(sorted(of.items())) for key, of in counts.items()}


def of_outcomes(connection: sa.Connection) -> Part:
    """Outcomes counted, by the file that said so."""
    last: dict[str, str] = {}
    files: dict[str, Counter[str]] = {}
    for record in queries.records(connection, [OUTCOME]):
        event = record.event
        if isinstance(event, Outcome):
            last[event.of] = event.outcome
            files.setdefault(event.file, Counter())[event.outcome] += 1
    content = {
        "cases": dict(sorted(Counter(last.values()).items())),
        "recorded_from_files": [{"sha256": file, **dict(sorted(of.items()))} for file, of in files.items()],
    }
    return Part("monitor/outcomes.json", "Outcomes of loans that were recorded, of all releases", dumped(content))


def of_monitor(monitored: Monitored) -> list[Part]:
    """The monitor's report."""
    text = "\n".join(sentences(monitored)) + "\n"
    return [
        Part("monitor/monitor.txt", "Whether the release still holds: bad loans, overrides, drift", text.encode()),
        Part("monitor/monitor.json", "Every figure of it", as_json(monitored).encode() + b"\n"),
    ]


def of_ledger(connection: sa.Connection, verification: Verification) -> list[Part]:
    """What verifying the ledger gave, and which releases were put into service."""
    text = "\n".join(reports(verification)) + "\n"
    serviced = [record.body_json for record in queries.records(connection, [SERVICED])]
    return [
        Part("ledger/verification.txt", "What verifying every record gave", text.encode()),
        Part(
            "ledger/verification.json", "The same, with the verified head",
            dumped({
                "records": verification.records, "head": verification.head, "since": verification.since,
                "until": verification.until, "personal_parts_erased": verification.erased,
                "not_yet_clean_after": verification.unclean,
            }),
        ),
        Part("ledger/service.json", "Records of releases that were put into service", dumped(serviced)),
    ]  # fmt: skip


def of_software() -> Part:
    """The list of software."""
    return Part("software.csv", "All software that is installed here, with versions and licences", as_csv().encode())
