"""Old decisions scored again: with the release they were made with, the same row and the same PD must come out."""

import hashlib
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from inference.engines import TOLERANCE, open_engine
from inference.errors import BadRelease, TenfoldError
from inference.release import open_release
from inference.scorer import Score, Scorer
from inference.subprocess_check import try_apart
from ledger.events import Event, Scored

SAME, DIFFERENT, IMPOSSIBLE = "same", "different", "impossible"
# What a replay can find; pages have their own words for each kind.
FINDINGS = {
    "erased": "its answers were erased at the end of their retention period",
    "release_gone": "its release {release} is no longer here",
    "release_refused": "its release {release} cannot be opened: {error}",
    "answers_refused": "the answers are refused today: {error}",
    "row": "the row is another one",
    "pd": "the PD differs by {off}",
    "decision": "the suggestion is {now} and was {then}",
}


class Finding(NamedTuple):
    """Why a replay is not the same: a key of `FINDINGS`, and what stands in its text."""

    kind: str
    values: Mapping[str, str] = {}

    def __str__(self) -> str:
        return FINDINGS[self.kind].format(**self.values)


class Replayed(NamedTuple):
    """One record scored again: the outcome, and what was found where it is not the same."""

    id: str
    outcome: str
    findings: tuple[Finding, ...]
    off: float | None  # of the PD
    score: Score | None = None  # as it comes out today

    @property
    def why(self) -> str:
        """The findings in English, for the command line."""
        return "; ".join(map(str, self.findings))


class Replayer:
    """Finds each record's release among folders, by its digest, and scores with the engine that was used.

    Thread-safe. A release that is not open already is opened in a process of its own first, which takes seconds, once.
    """

    def __init__(self, folders: Iterable[Path], known: Scorer | None = None) -> None:
        """`known` is a scorer that is open already; it is asked without its log."""
        self._folders = list(folders)
        self._scorers: dict[tuple[str, str], Scorer | Finding] = {}
        self._opening = threading.Lock()
        if known is not None:
            self._scorers[known.release.digest, known.engine.name] = Scorer(known.release, known.engine)

    def replay(self, events: Iterable[Event]) -> Iterator[Replayed]:
        """Every score among some records, in turn. Nothing is recorded or logged."""
        for event in events:
            if isinstance(event, Scored):
                yield self.one(event)

    def one(self, recorded: Scored) -> Replayed:
        """One score again."""
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
        off = abs(score.pd - recorded.pd)
        row = hashlib.sha256(score.row).hexdigest()
        differs = []
        if row != recorded.row:
            differs.append(Finding("row"))
        if not off <= TOLERANCE:
            differs.append(Finding("pd", {"off": f"{off:.2g}"}))
        if score.decision != recorded.decision:
            differs.append(Finding("decision", {"now": score.decision, "then": recorded.decision}))
        return Replayed(recorded.id, DIFFERENT if differs else SAME, tuple(differs), off, score)

    def scorer(self, recorded: Scored) -> Scorer | Finding:
        """The scorer that a score was made with, or why it cannot be had. It writes no log."""
        digest, engine = recorded.release, recorded.engine
        found = self._scorers.get((digest, engine))
        if found is None:
            with self._opening:
                found = self._scorers.get((digest, engine)) or self._open(digest, recorded.release_name, engine)
                self._scorers[digest, engine] = found
        return found

    def _open(self, digest: str, name: str, engine: str) -> Scorer | Finding:
        folder = self._folder(digest)
        if folder is None:
            return Finding("release_gone", {"release": name})
        try:
            try_apart(folder, digest, engine)
            release = open_release(folder, digest)
            return Scorer(release, open_engine(engine, release))
        except TenfoldError as error:
            return Finding("release_refused", {"release": name, "error": str(error)})

    def _folder(self, digest: str) -> Path | None:
        """The release folder whose manifest has that digest."""
        for folder in self._folders:
            try:
                if hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest() == digest:
                    return folder
            except OSError:
                continue
        return None


def release_folders(parents: Iterable[Path]) -> list[Path]:
    """Every release folder in some folders, or these themselves."""
    found = []
    for parent in parents:
        if (parent / "manifest.json").is_file():
            found.append(parent)
        elif parent.is_dir():
            found += sorted(file.parent for file in parent.glob("*/manifest.json"))
        else:
            raise BadRelease(parent, "a release folder, or a folder of some", "nothing")
    return found
