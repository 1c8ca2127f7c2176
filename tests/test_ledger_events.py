"""Records as typed events: every kind is read, what cannot be is named by its number, and no byte changes."""

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import FrozenInstanceError, asdict
from pathlib import Path

import pytest
from ledger_cases import SCORE, case_of, writing_to

from inference.scorer import Scorer
from ledger import queries
from ledger.__main__ import main
from ledger.decisions import agreed, arranged, contested, decided, hold_placed, hold_released, notified, scored
from ledger.events import BEGUN, KINDS, READERS, Begun, Event, Header, Object, Purged, Scored, Unknown, UnreadableRecord
from ledger.readonly import ReadOnlyStore
from ledger.records import BEFORE_ALL, FORMAT, Draft, Record, seal, write
from ledger.service import Service
from ledger.verify import verify

DATA = Path(__file__).with_name("data")
COMMITMENT = {"personal": "0" * 64}


@pytest.fixture(params=[1, 2])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[Record]]:
    """The records of a ledger as a format left it, with every kind it had, some of them erased."""
    file = tmp_path / "old.sqlite3"
    file.write_bytes(gzip.decompress((DATA / f"ledger-{request.param}.sqlite3.gz").read_bytes()))
    with closing(ReadOnlyStore(file)) as opened, opened.reading() as connection:
        yield list(queries.records(connection))


def test_old_records_are_read_whole(old: list[Record]) -> None:
    """Each part of an event is what the record's own JSON says, exact where the personal part says so."""
    compared: Counter[str] = Counter()
    for record in old:
        event = record.event
        assert type(event) is KINDS[event.kind]
        said = {**json.loads(record.body), **json.loads(record.personal or "{}")}
        assert event.erased == (said["personal"] is not None and record.personal is None)
        for name, value in asdict(event).items():
            if name in ("hash", "erased"):
                continue
            if name in said:
                assert as_json(value) == said[name], name
                compared[event.kind] += 1
            else:
                assert value in (None, (), 0, ""), name
    assert compared.keys() >= {"begun", "scored", "decided", "agreed", "contested", "purged"}
    assert min(compared.values()) > 3


def as_json(value: object) -> object:
    """A value as JSON gives it back: lists for tuples."""
    return json.loads(json.dumps(value))


def test_old_records_are_written_the_same(old: list[Record]) -> None:
    """What was parsed, written as JSON again, is the record's text byte for byte, so its hash stays."""
    assert len(old) > 15
    for record in old:
        assert write(record.body_json) == record.body
        assert record.personal_json is None or write(record.personal_json) == record.personal


BODIES = {
    "decided": '{"by":"ann","contest":null,"decision":"decline","direction":"stricter","id":"1","kind":"decided",'
    '"needs_second":true,"of":"first","overridden":true,"personal":"c","reason_code":"other","score":"first","seq":2,'
    '"suggested":"approve","time":"1970-01-01T00:00:00.000000Z"}',
    "agreed": '{"agrees":true,"by":"ben","id":"1","kind":"agreed","of":"d","personal":"c","seq":2,'
    '"time":"1970-01-01T00:00:00.000000Z"}',
    "contested": '{"by":"ann","deadline":"2030-01-01","id":"1","kind":"contested","of":"d","personal":"c",'
    '"reviewer":"cyd","seq":2,"time":"1970-01-01T00:00:00.000000Z"}',
    "arranged": '{"by":"ann","id":"1","kind":"arranged","of":"d","personal":"c","seq":2,'
    '"time":"1970-01-01T00:00:00.000000Z"}',
    "notified": '{"by":"ann","day":"2030-01-01","id":"1","kind":"notified","of":"d","personal":"c","seq":2,'
    '"time":"1970-01-01T00:00:00.000000Z"}',
    "held": '{"by":"meg","id":"1","kind":"held","of":"first","personal":"c","seq":2,'
    '"time":"1970-01-01T00:00:00.000000Z"}',
    "released": '{"by":"meg","id":"1","kind":"released","of":"first","personal":"c","seq":2,'
    '"time":"1970-01-01T00:00:00.000000Z"}',
    "serviced": '{"by":"meg","evidence":"e","id":"1","kind":"serviced","maker":"mia","of":"begun","personal":"c",'
    '"release":"d","release_name":"own-d","seq":2,"time":"1970-01-01T00:00:00.000000Z"}',
    "book_scored": '{"by":"ann","engine":"xgboost","id":"1","input":"i","kind":"book_scored",'
    '"options":["--decimal","."],"output":"o","personal":"c","rejected":1,"release":"d","release_name":"own-d","rows":3,"scored":2,"seq":2,'
    '"time":"1970-01-01T00:00:00.000000Z"}',
}
PERSONAL = {
    "decided": '{"conditions":null,"justification":"A sentence.","reasons":["amount/high"],"reference":"é 1"}',
    "agreed": '{"note":"Seen.","reference":"é 1"}',
    "contested": '{"objection":"No.","reference":"é 1"}',
    "arranged": '{"language":"fr","reasons":["b/low","a/high"],"reference":"é 1"}',
    "notified": '{"notice":"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",'
    '"reference":"é 1","text":"{}"}',
    "held": '{"reason":"A reason."}',
    "released": '{"reason":"A reason."}',
    "serviced": '{"note":"Seen."}',
    "book_scored": '{"files":["in.csv"],"folder":"out"}',
}
FIRST = seal(Draft(BEGUN, "begun", {"format": FORMAT}), 1, BEFORE_ALL, 0)
WRITTEN = [
    decided(
        "first", "decline", "approve", by="ann", reference="é 1", reason_code="other", justification="A sentence.",
        reasons=["amount/high"], needs_second=True,
    ),
    agreed("d", by="ben", agrees=True, note="Seen.", reference="é 1"),
    contested("d", by="ann", reviewer="cyd", deadline="2030-01-01", objection="No.", reference="é 1"),
    arranged("d", by="ann", language="fr", reasons=["b/low", "a/high"], reference="é 1"),
    notified("d", by="ann", day="2030-01-01", text="{}", reference="é 1"),
    hold_placed("first", by="meg", reason="A reason."),
    hold_released("first", by="meg", reason="A reason."),
    Service(FIRST.event, ()).change(
        by="meg", release="d", name="own-d", evidence="e", maker="mia", note="Seen."
    )._replace(key=None),
    Draft(
        "book_scored", "", {"by": "ann", "release": "d", "release_name": "own-d", "engine": "xgboost", "input": "i",
        "output": "o", "rows": 3, "scored": 2, "rejected": 1, "options": ["--decimal", "."]},
        {"files": ["in.csv"], "folder": "out"},
    ),
]  # fmt: skip


@pytest.mark.parametrize("draft", WRITTEN, ids=lambda draft: draft.kind)
def test_what_is_written_is_what_was_always_written(draft: Draft) -> None:
    """Body and personal part of each kind, letter for letter; and the event says the same."""
    record = seal(draft._replace(id="1"), 2, BEFORE_ALL, 0)
    assert record.body.replace(str(record.header.personal), "c") == BODIES[draft.kind]
    assert record.personal == PERSONAL[draft.kind]
    event = record.event
    assert type(event) is KINDS[draft.kind]
    for name, value in {**draft.fields, **(draft.personal or {})}.items():
        found = getattr(event, name)
        assert (list(found) if isinstance(found, tuple) else found) == value
    assert (event.seq, event.hash, event.erased) == (2, record.hash, False)


def test_a_score_is_exact_until_it_is_erased(scorer: Scorer) -> None:
    """PD and points as computed with the personal part, rounded without; the rest of what was personal is None then."""
    example = scorer.release.form.example
    score = scorer.score(example)
    record = seal(scored(score, scorer.release, example, by="api", channel="api", reasons=[]), 2, BEFORE_ALL, 0)
    event = record.event
    assert isinstance(event, Scored)
    assert (event.pd, event.points, event.reasons, event.erased) == (score.pd, score.points, (), False)
    assert event.answers == record.personal_json["answers"]  # type: ignore[index]
    gone = Record(record.seq, record.hash, record.body, None, None).event
    assert isinstance(gone, Scored)
    assert (gone.pd, gone.erased) == (round(score.pd, 2), True)
    assert {gone.answers, gone.row, gone.reference, gone.reasons} == {None}


def test_an_event_cannot_be_changed() -> None:
    event = recorded(SCORE).event
    assert isinstance(event, Scored)
    with pytest.raises(FrozenInstanceError):
        event.pd = 0.5  # type: ignore[misc]


def test_a_record_is_parsed_once() -> None:
    """Its event is made when it is first asked for, and is the same ever after."""
    record = recorded(SCORE)
    assert record.event is record.event
    assert record.body_json is record.body_json


def recorded(fields: Object, kind: str = "scored", personal: Object | None = None) -> Record:
    return seal(Draft(kind, "r", fields, personal), 7, BEFORE_ALL, 0)


def without(name: str) -> Object:
    return {part: value for part, value in SCORE.items() if part != name}


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (recorded(without("pd")), "pd is missing"),
        (recorded({**SCORE, "pd": "0.1"}), "pd: a number is needed"),
        (recorded({**SCORE, "pd": True}), "pd: a number is needed"),
        (recorded({**SCORE, "pd": None}), "pd: a number is needed"),
        (recorded({**SCORE, "unusual": ["a", 1]}), "unusual: text is needed"),
        (recorded({**SCORE, "unusual": "income"}), "unusual: a list of texts is needed"),
        (recorded({**SCORE, "decision": 1}), "decision: text is needed"),
        (recorded(SCORE, personal={"answers": "secret"}), "answers: an object is needed"),
        (recorded({"of": "x", "agrees": 1, "by": "a"}, "agreed"), "agrees: true or false is needed"),
        (recorded({"of": None, "agrees": True, "by": "a"}, "agreed"), "of: text is needed"),
        (recorded({"records": [[1]], "by": "a"}, "purged"), "records: a list of [first, last] is needed"),
        (recorded({"records": [[1, 2.5]], "by": "a"}, "purged"), "records: a whole number is needed"),
        (recorded({"by": 1}, "mused"), "by: text is needed"),
        (Record(7, b"", "secret", None, None), "its body is not a JSON object"),
        (Record(7, b"", "[1]", None, None), "its body is not a JSON object"),
        (Record(7, b"", recorded(SCORE).body, b"", "secret"), "its personal part is not a JSON object"),
    ],
)  # fmt: skip
def test_a_record_that_cannot_be_parsed_is_named(record: Record, why: str) -> None:
    """By its number and by what is wrong with it, without what it holds."""
    with pytest.raises(UnreadableRecord) as refused:
        _ = record.event
    assert str(refused.value) == f"record 7 cannot be parsed: {why}"


def test_what_is_not_known_beside_is_left_alone() -> None:
    """A part that a later program adds to a kind does not stop this one."""
    event = recorded({**SCORE, "mood": {"good": True}}).event
    assert isinstance(event, Scored)
    assert not hasattr(event, "mood")


def test_a_kind_of_a_later_program_is_kept_as_it_is() -> None:
    """With all that it says, personal parts too, whatever else it is."""
    event = recorded({"of": "r1", "by": "api", "mood": [{"good": True}]}, "mused", {"thought": "much"}).event
    assert isinstance(event, Unknown)
    assert (event.kind, event.by, event.of, event.erased) == ("mused", "api", "r1", False)
    assert event.content["mood"] == [{"good": True}]
    assert event.content["thought"] == "much"
    gone = recorded({"by": "api"} | COMMITMENT, "mused")
    assert isinstance(gone.event, Unknown)


def test_a_header_is_read_whatever_the_rest_is() -> None:
    """What verify asks of each record: also of one whose kind says more than it holds."""
    header = recorded({"of": "r1"}).header
    assert type(header) is Header
    assert (header.seq, header.kind, header.id, header.by, header.of) == (7, "scored", "r", "", "r1")


def test_every_kind_has_a_class_of_its_own() -> None:
    """Named as its kind is."""
    assert len(KINDS) == 17
    assert [made.__name__.lower() for made in KINDS.values()] == [kind.replace("_", "") for kind in KINDS]
    assert {Event.__subclasses__().count(made) for made in KINDS.values()} == {1}


def test_a_case_is_read_as_events(tmp_path: Path) -> None:
    """From the file: the score that began it, and all that followed, each of its own class."""
    file = tmp_path / "ledger.sqlite3"
    with writing_to(file) as writer:
        first = writer.score("2026-01-01", "a")
        decision = writer.decide("2026-01-02", first, needs_second=True)
        writer.agree("2026-01-03", decision)
        writer.add("2026-01-04", Draft("mused", "m", {"of": decision, "by": "ann"}, {"thought": "much"}))
    case = case_of(file, "m")
    assert [type(event).__name__ for event in case.events] == ["Scored", "Decided", "Agreed", "Unknown"]
    assert case.first.pd == 0.123456789
    assert (case.decision and case.decision.id, case.second and case.second.of) == (decision, decision)


def test_a_command_says_which_record_cannot_be_parsed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`replay` stops at it and says its number; the chain itself is whole, and it is shown and exported."""
    file = tmp_path / "ledger.sqlite3"
    with writing_to(file) as writer:
        writer.add("2026-01-01", Draft("scored", "odd", {**SCORE, "pd": "canary"}, {"answers": {}}))
    assert main(["--ledger", str(file), "replay"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("record 2 cannot be parsed: pd: a number is needed. ")
    assert "canary" not in said
    with closing(ReadOnlyStore(file)) as opened:
        assert verify(opened).problem is None
    assert main(["--ledger", str(file), "show", "odd"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["pd"] == "canary"
    assert main(["--ledger", str(file), "export", str(tmp_path / "out.csv")]) == 0
    assert "canary" in (tmp_path / "out.csv").read_text("utf-8")


def test_the_first_record_and_a_purge(old: list[Record]) -> None:
    """The format that a ledger begins with, and what was erased, in runs or up to a record."""
    begun = old[0].event
    assert isinstance(begun, Begun)
    (purge,) = [record.event for record in old if record.header.kind == "purged"]
    assert isinstance(purge, Purged)
    assert bool(purge.through) == (begun.format == 1)
    assert bool(purge.records) == (begun.format == 2)
    assert [pair for pair in purge.records if pair[0] > pair[1]] == []


def test_a_whole_number_where_decimals_belong_is_a_float() -> None:
    """JSON writes 600.0 points and 600 points; both are read as a float."""
    assert type(READERS[float](600)) is float
