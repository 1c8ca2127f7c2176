"""Replays old scores: with the release of that time, the row and the PD must be the same."""

import hashlib
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from inference.engines import TOLERANCE, open_engine
from inference.errors import BadRelease, TenfoldError
from inference.release import Release, open_release
from inference.rules import Ruling, holds
from inference.scorer import Score, Scorer
from inference.settings import RELEASES, Settings
from inference.subprocess_check import check_in_subprocess
from ledger.events import Event, Scored

SAME, DIFFERENT, IMPOSSIBLE = "same", "different", "impossible"
# What a replay can find; pages have texts of their own for each kind.
FINDINGS = {
    "erased": "its answers were erased at the end of their retention period",
    "release_gone": "its release {release} is no longer here",
    "release_refused": "its release {release} cannot be opened: {error}",
    "answers_refused": "the answers are refused today: {error}",
    "row": "the row is different",
    "pd": "the PD differs by {off}",
    "decision": "the suggestion is {now} and was {then}",
    "ruling": "the lender's rules that were recorded do not give the outcome that was recorded",
}


class Finding(NamedTuple):
    """Why a replay differs: a key of `FINDINGS` and the values for its text."""

    kind: str
    values: Mapping[str, str] = {}

    def __str__(self) -> str:
        return FINDINGS[self.kind].format(**self.values)


class Replayed(NamedTuple):
    """A record scored again: the outcome, and the findings if it is not the same."""

    id: str
    outcome: str
    findings: tuple[Finding, ...]
    off: float | None  # difference of the PDs
    score: Score | None = None  # the score of the replay

    @property
    def why(self) -> str:
        """The findings in English, for the command line."""
        return "; ".join(map(str, self.findings))


class Replayer:
    """Finds each record's release in some folders by its digest, and scores with the engine that was used.

    Thread-safe. A release that is not open yet is first checked in a subprocess, which takes seconds, once.
    """

    def __init__(self, folders: Iterable[Path], known: Scorer | None = None) -> None:
        """`known` is a scorer that is already open; it is used without its log."""
        self._folders = list(folders)
        self._scorers: dict[tuple[str, str], Scorer | Finding] = {}
        self._opening = threading.Lock()
        if known is not None:
            self._scorers[known.release.digest, known.engine.name] = Scorer(known.release, known.engine)

    def replay(self, events: Iterable[Event]) -> Iterator[Replayed]:
        """Replay every score among some records. Nothing is recorded or logged."""
        for event in events:
            if isinstance(event, Scored):
                yield self.replay_one(event)

    def replay_one(self, recorded: Scored) -> Replayed:
        """Replay a score. Nothing is recorded or logged."""
        if recorded.answers is None:
            return Replayed(recorded.id, IMPOSSIBLE, (Finding("erased"),), None)
        scorer = self.scorer(recorded)
        if isinstance(scorer, Finding):
            return Replayed(recorded.id, IMPOSSIBLE, (scorer,), None)
        try:
            score = scorer.score(recorded.answers)
        except TenfoldError as error:
            refused = Finding("answers_refused", {"error": type(error).__name__})
            return Replayed(recorded.id, DIFFERENT, (refused,), None)
        difference = abs(score.pd - recorded.pd)
        row = hashlib.sha256(score.row).hexdigest()
        findings = []
        if row != recorded.row:
            findings.append(Finding("row"))
        if not difference <= TOLERANCE:
            findings.append(Finding("pd", {"off": f"{difference:.2g}"}))
        if score.decision != recorded.decision:
            findings.append(Finding("decision", {"now": score.decision, "then": recorded.decision}))
        if recorded.ruling is not None and not same_ruling(recorded, scorer.release, score):
            findings.append(Finding("ruling"))
        return Replayed(recorded.id, DIFFERENT if findings else SAME, tuple(findings), difference, score)

    def scorer(self, recorded: Scored) -> Scorer | Finding:
        """The scorer with which a score was made, without a log, or why it is not available."""
        digest, engine = recorded.release, recorded.engine
        scorer = self._scorers.get((digest, engine))
        if scorer is None:
            with self._opening:
                scorer = self._scorers.get((digest, engine)) or self._open(digest, recorded.release_name, engine)
                self._scorers[digest, engine] = scorer
        return scorer

    def _open(self, digest: str, name: str, engine: str) -> Scorer | Finding:
        folder = release_folder(self._folders, digest)
        if folder is None:
            return Finding("release_gone", {"release": name})
        try:
            check_in_subprocess(folder, digest, engine)
            release = open_release(folder, digest)
            return Scorer(release, open_engine(engine, release))
        except TenfoldError as error:
            return Finding("release_refused", {"release": name, "error": str(error)})


def release_folder(folders: Iterable[Path], digest: str) -> Path | None:
    """The release folder whose manifest has this digest."""
    for folder in folders:
        try:
            if hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest() == digest:
                return folder
        except OSError:
            continue
    return None


def ruling_of(recorded: Scored) -> Ruling | None:
    """What the lender's rules said of a score; None if there were none, or it was erased or cannot be read."""
    try:
        return None if recorded.ruling is None else msgspec.convert(recorded.ruling, Ruling)
    except msgspec.ValidationError:
        return None


def same_ruling(recorded: Scored, release: Release, score: Score) -> bool:
    """Whether the recorded ruling follows from what is recorded: a lender may have other rules today."""
    ruling = ruling_of(recorded)
    if ruling is None or ruling.outcome != recorded.outcome:
        return False
    return holds(ruling, release.form, release.policy, score.application, recorded.pd, recorded.decision)


def folders_of(given: Sequence[Path] | None) -> list[Path]:
    """Release folders in those that a command was given; by default the embedded ones, and those beside the release
    that TENFOLD_RELEASE names: a lender's earlier releases lie there."""
    if given is not None:
        return release_folders(given)
    beside = Settings.from_environment().release.absolute().parent
    return release_folders([RELEASES] if beside == RELEASES or not beside.is_dir() else [RELEASES, beside])


def release_folders(parents: Iterable[Path]) -> list[Path]:
    """The folders that are releases, and all release folders inside the others."""
    folders = []
    for parent in parents:
        if (parent / "manifest.json").is_file():
            folders.append(parent)
        elif parent.is_dir():
            folders += sorted(file.parent for file in parent.glob("*/manifest.json"))
        else:
            raise BadRelease(parent, "a release folder, or a folder of some", "nothing")
    return folders
