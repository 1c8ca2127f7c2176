"""Which decisions are sampled, each with all records of its case, and scored again.

The sample follows from a seed and the ids alone: decisions are ordered by SHA-256("seed:id"), and the first are taken.
So anybody who has the ledger draws the same ones. Only decisions on scores whose answers are still there are drawn, as
no other can be scored again; where nobody decides here, scores are drawn instead.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from ledger import queries
from ledger.decisions import rounded
from ledger.events import Json, Object, Scored
from ledger.records import BEFORE_ALL, Record
from ledger.replay import IMPOSSIBLE, SAME, Replayed, Replayer

DECISIONS, SCORES = "decisions", "scores"
DECIDED_ON = (
    "SELECT d.id, s.id, p.seq IS NOT NULL FROM entries d JOIN entries s ON s.id = json_extract(d.body, '$.score') "
    "LEFT JOIN personal p ON p.seq = s.seq WHERE d.kind = 'decided' AND json_extract(s.body, '$.release') = ? "
    "ORDER BY d.seq"
)
SCORED_BY = (
    "SELECT s.id, s.id, p.seq IS NOT NULL FROM entries s LEFT JOIN personal p ON p.seq = s.seq "
    "WHERE s.kind = 'scored' AND json_extract(s.body, '$.release') = ? ORDER BY s.seq"
)


@dataclass(frozen=True)
class Drawn:
    """One decision (or score) of the sample, scored again."""

    id: str
    score: str  # id of the score that was decided on
    records: Sequence[Record]  # all of its case, in ledger order
    before: Sequence[bytes]  # for each the hash of the record before it
    scored: Scored
    replayed: Replayed


@dataclass(frozen=True)
class Sample:
    """The sample, and what it was drawn from."""

    of: str  # decisions or scores
    seed: str
    there: int  # decisions of the release
    erased: int  # of these without answers: they cannot be scored again
    ids_sha256: str  # of the ids that were drawn from, in ledger order, a line each
    drawn: Sequence[Drawn]

    def count(self, outcome: str) -> int:
        """How many replays had this outcome: same, different or impossible."""
        return sum(one.replayed.outcome == outcome for one in self.drawn)


def draw(connection: sa.Connection, release: str, size: int, seed: str, replayer: Replayer) -> Sample:
    """Draw and replay; `release` is a digest."""
    of, rows = DECISIONS, list(connection.exec_driver_sql(DECIDED_ON, (release,)))
    if not rows:
        of, rows = SCORES, list(connection.exec_driver_sql(SCORED_BY, (release,)))
    ids = {id: score for id, score, there in rows if there}
    digest = hashlib.sha256("".join(f"{id}\n" for id in ids).encode()).hexdigest()
    drawn = [drawn_of(connection, id, ids[id], replayer) for id in first_by(seed, list(ids), size)]
    return Sample(of, seed, len(rows), len(rows) - len(ids), digest, drawn)


def first_by(seed: str, ids: Sequence[str], size: int) -> list[str]:
    """The first ids in the order of SHA-256("seed:id")."""
    return sorted(ids, key=lambda id: hashlib.sha256(f"{seed}:{id}".encode()).digest())[:size]


def drawn_of(connection: sa.Connection, id: str, score: str, replayer: Replayer) -> Drawn:
    """One of the sample."""
    (record,) = queries.by_id(connection, [score])
    scored = record.event
    assert isinstance(scored, Scored)  # noqa: S101 - for the type checker
    (first,) = queries.by_id(connection, [queries.first_of(connection, score) or score])
    case = [of for _, of in queries.families(queries.driver(connection), [first.seq])]
    before = [hash_of(connection, of.seq - 1) for of in case]
    return Drawn(id, score, case, before, scored, replayer.replay_one(scored))


def hash_of(connection: sa.Connection, seq: int) -> bytes:
    """The hash of a record; before the first one 32 zero bytes."""
    return queries.by_seq(connection, [seq])[0].hash if seq else BEFORE_ALL


def sample_json(sample: Sample) -> Object:
    """How the sample was drawn."""
    return {
        "of": sample.of,
        "seed": sample.seed,
        "order": 'SHA-256("seed:id"), in UTF-8; the first ones are drawn',
        "there": sample.there,
        "answers_erased": sample.erased,
        "drawn_from": sample.there - sample.erased,
        "drawn_from_ids_sha256": sample.ids_sha256,
        "ids": [one.id for one in sample.drawn],
        "replays": {outcome: sample.count(outcome) for outcome in (SAME, "different", IMPOSSIBLE)},
    }


def drawn_json(one: Drawn, personal: bool) -> Object:
    """One of the sample: its replay, and the records of its case; their personal parts only if asked for."""
    replayed, scored = one.replayed, one.scored
    now = replayed.score
    recorded: dict[str, Json] = {"pd": rounded(scored.pd), "suggested": scored.decision}
    again: dict[str, Json] = {} if now is None else {"pd": rounded(now.pd), "suggested": now.decision}
    if personal:
        recorded |= {"exact_pd": scored.pd, "row_sha256": scored.row}
        again |= {} if now is None else {"exact_pd": now.pd, "row_sha256": hashlib.sha256(now.row).hexdigest()}
    return {
        "id": one.id,
        "score": one.score,
        "release": scored.release,
        "engine": scored.engine,
        "replay": replayed.outcome,
        "why": replayed.why,
        "pd_off_by": replayed.off,
        "recorded": recorded,
        "again": again or None,
        "records": [
            record_json(record, before, personal) for record, before in zip(one.records, one.before, strict=True)
        ],
    }


def record_json(record: Record, before: bytes, personal: bool) -> Object:
    """A record as it is hashed: SHA-256(before ‖ body) is its hash."""
    own = {}
    if personal and record.personal is not None and record.salt is not None:
        own = {"personal": {"salt": record.salt.hex(), "text": record.personal}}
    return {"seq": record.seq, "before": before.hex(), "body": record.body, "hash": record.hash.hex(), **own}
