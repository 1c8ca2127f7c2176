"""The ledger: what is written stays, whatever was changed is found, what was decided can be scored again."""

import csv
import hashlib
import itertools
import json
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_cases import SCORE
from parts import NAMES, RealLoans, newest, some

from inference.release import open_release
from inference.scorer import Scorer, open_scorer
from inference.settings import Settings
from ledger import queries
from ledger.__main__ import main
from ledger.cases import Case
from ledger.decisions import DECISIONS, decided, scored
from ledger.errors import LedgerUnavailable
from ledger.events import EXACT, Json, Object, Scored
from ledger.export import guarded
from ledger.ledger import CaseMoved, KeyReused, Ledger
from ledger.records import BEFORE_ALL, Draft, Key, Record, link, seal, write
from ledger.replay import Replayer, release_folders
from ledger.schema import GUARDS
from ledger.store import Store
from ledger.verify import chain, verify

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()
COUNT = itertools.count()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite3"


@pytest.fixture
def ledger(file: Path) -> Iterator[Ledger]:
    with closing(Ledger(file)) as opened:
        yield opened


def draft(name: str = "", key: Key | None = None, **fields: Json) -> Draft:
    """A record of a score, with a personal part."""
    name = name or f"r{next(COUNT)}"
    personal: Object = {"answers": {"amount": 7}, "reference": f"of {name}"}
    return Draft("scored", name, {**SCORE, "pd": 0.25, **fields}, personal, key)


def score_in(record: Record) -> Scored:
    assert isinstance(record.event, Scored)
    return record.event


def all_records(file: Path) -> list[Record]:
    with closing(Store(file)) as opened, opened.reading() as connection:
        return list(queries.records(connection))


def problem(file: Path, head: str | None = None) -> str | None:
    with closing(Store(file)) as opened:
        return verify(opened, head).problem


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed ledger of twelve records, the first among them."""
    file = tmp_path_factory.mktemp("written") / "ledger.sqlite3"
    with closing(Ledger(file)) as ledger:
        for at in range(11):
            ledger.append(draft(f"n{at}"))
    return file


@pytest.fixture
def tampered(written: Path, tmp_path: Path) -> Callable[[str], Path]:
    """The same ledger after somebody with the file in hand has run SQL on it, and put its guards back."""

    def after(sql: str) -> Path:
        copy = Path(shutil.copy(written, tmp_path / "tampered.sqlite3"))
        with closing(sqlite3.connect(copy)) as connection:
            for table, verb in (("entries", "update"), ("entries", "delete"), ("personal", "update")):
                connection.execute(f"DROP TRIGGER {table}_{verb}")
            connection.executescript(sql)
            for guard in GUARDS:
                connection.execute(guard)
            connection.commit()
        return copy

    return after


# --- what is written ---


def test_a_record_is_read_back_whole(ledger: Ledger, file: Path) -> None:
    """Body, personal part, sequence and time; the hash is that of the one before and the body."""
    first = ledger.append(draft("a", pd=0.125))
    second = ledger.append(draft("b"))
    begun, *found = all_records(file)
    assert found == [first, second]
    assert [one.seq for one in (begun, *found)] == [1, 2, 3]
    assert first.body_json["pd"] == 0.125
    assert first.personal_json == {"answers": {"amount": 7}, "reference": "of a"}
    assert second.hash == hashlib.sha256(first.hash + second.body.encode()).digest()
    assert b"answers" not in first.body.encode()
    assert ledger.head() == (3, second.hash.hex())


def test_an_id_is_unique(ledger: Ledger, file: Path) -> None:
    """A second record of the same id is refused, and the ledger goes on."""
    ledger.append(draft("a"))
    with pytest.raises(LedgerUnavailable):
        ledger.append(draft("a"))
    assert problem(file) is None
    assert ledger.append(draft("b")).seq == 3


def test_a_record_that_is_no_json_stops_no_other(ledger: Ledger, file: Path) -> None:
    """Half a character cannot be written as UTF-8: that record is refused, and the ledger goes on."""
    with pytest.raises(LedgerUnavailable):
        ledger.append(draft("a", broken="\ud800"))
    assert ledger.append(draft("b")).seq == 2
    assert ledger.problem is None
    assert problem(file) is None


def test_records_cannot_be_changed_by_a_slip(ledger: Ledger, file: Path) -> None:
    """UPDATE and DELETE abort."""
    ledger.append(draft())
    with closing(sqlite3.connect(file)) as connection:
        for sql in ("UPDATE entries SET body = '{}'", "DELETE FROM entries", "UPDATE personal SET body = '{}'"):
            with pytest.raises(sqlite3.IntegrityError, match="never changed"):
                connection.execute(sql)


def test_the_file_is_the_owners_alone(ledger: Ledger, file: Path) -> None:
    ledger.append(draft())
    assert {one.stat().st_mode & 0o077 for one in file.parent.iterdir()} == {0}


@pytest.mark.slow
def test_threads_and_processes_share_a_ledger(file: Path) -> None:
    """Two processes of eight threads each: every record once, one chain."""
    script = (
        "import sys; from concurrent.futures import ThreadPoolExecutor; from pathlib import Path\n"
        "from ledger.ledger import Ledger; from ledger.records import Draft\n"
        "ledger = Ledger(Path(sys.argv[1]))\n"
        "with ThreadPoolExecutor(8) as pool:\n"
        "    list(pool.map(lambda at: ledger.append(Draft('scored', f'{sys.argv[2]}{at}', {})), range(150)))\n"
        "ledger.close()"
    )
    writers = [subprocess.Popen([sys.executable, "-c", script, file, name]) for name in "ab"]
    assert [writer.wait() for writer in writers] == [0, 0]
    found = all_records(file)
    assert {one.header.id for one in found} == {"begun", *(f"{name}{at}" for name in "ab" for at in range(150))}
    assert problem(file) is None


@pytest.mark.slow
@pytest.mark.parametrize("lock", ["IMMEDIATE", "EXCLUSIVE"])
def test_a_new_file_that_another_process_opens_too(file: Path, lock: str) -> None:
    """SQLite's own time-out knows no waiting for the turn to the write-ahead log."""
    with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as other:
        other.execute(f"BEGIN {lock}")
        release = threading.Timer(0.3, other.execute, ["COMMIT"])
        release.start()
        with closing(Ledger(file)) as ledger:
            ledger.append(draft())
        release.join()


def test_a_closed_ledger_says_so(file: Path) -> None:
    """What was submitted before is written; what comes after is refused."""
    ledger = Ledger(file)
    futures = [ledger.submit(draft()) for _ in range(50)]
    ledger.close()
    assert {future.result().seq for future in futures} == set(range(2, 52))
    with pytest.raises(LedgerUnavailable, match="closed"):
        ledger.append(draft())
    ledger.close()


def test_the_same_key_gives_the_same_record(ledger: Ledger, file: Path) -> None:
    """At once from many threads, later, and after a restart; another request with the key is refused."""
    key = Key("api", "k", b"digest")
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: ledger.append(draft(key=key)), range(64)))
    assert len(set(found)) == 1
    assert ledger.append(draft(key=key)) == found[0]
    with pytest.raises(KeyReused):
        ledger.append(draft(key=Key("api", "k", b"another")))
    assert ledger.append(draft(key=Key("another", "k", b"digest"))) != found[0]
    ledger.close()
    with closing(Ledger(file)) as again:
        assert again.append(draft(key=key)) == found[0]
    assert len(all_records(file)) == 3


# --- what was changed is found ---


def note(of: str, by: str) -> Draft:
    """A record about another one."""
    return Draft("agreed", f"r{next(COUNT)}", {"of": of, "by": by, "agrees": True})


def test_a_case_is_continued_by_one_of_many(ledger: Ledger, file: Path) -> None:
    """Of drafts that expect the same last record one is written, also where all share a commit or come from two
    programs; what refers to a case without expecting anything moves it too."""
    with closing(Ledger(file)) as other:
        for _ in range(10):
            begun = ledger.append(draft())
            case, told = Case((begun.event,)), []
            drafts = [note(begun.header.id, by) for by in "abcdefgh"]
            sent = [to.submit(case.continued(one)) for one in drafts for to in (ledger, other)]
            for future in sent:
                try:
                    told.append(future.result())
                except CaseMoved:
                    continue
            assert len(set(told)) == 1
            assert len(told) in (1, 2)  # the same draft by the other program is answered with the same record
    begun = ledger.append(draft())
    plain = note(begun.header.id, "a")
    answer = note(plain.id, "b")
    late = Case((begun.event,)).continued(note(begun.header.id, "c"))
    first, second, last = [ledger.submit(one) for one in (plain, answer, late)]
    assert first.result().seq < second.result().seq
    with pytest.raises(CaseMoved):
        last.result()
    whole = Case((begun.event, first.result().event, second.result().event))
    assert ledger.append(whole.continued(late)).seq == second.result().seq + 1
    assert problem(file) is None


def test_an_untouched_ledger_verifies(written: Path) -> None:
    with closing(Store(written)) as opened:
        found = verify(opened)
        assert (found.records, found.problem) == (12, None)
        assert verify(opened, found.head).after_head == 0


CHANGED = "record 5 was changed"
ORDER = "holds what was written as record"


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("UPDATE entries SET body = replace(body, '0.25', '0.24') WHERE seq = 5", CHANGED),
        ("UPDATE entries SET body = body || ' ' WHERE seq = 5", CHANGED),
        ("UPDATE entries SET hash = zeroblob(32) WHERE seq = 5", CHANGED),
        ("UPDATE entries SET body = 'no record' WHERE seq = 5; ", "unreadable"),
        ("UPDATE personal SET body = replace(body, '7', '8') WHERE seq = 5", "record 5: its personal part was changed"),
        ("UPDATE personal SET salt = zeroblob(32) WHERE seq = 5", "record 5: its personal part was changed"),
        ("DELETE FROM personal WHERE seq = 5", "record 5: its personal part is missing"),
        ("DELETE FROM entries WHERE seq = 5; DELETE FROM personal WHERE seq = 5", "record 5 is missing"),
        ("DELETE FROM entries WHERE seq = 1", "record 1 is missing"),
        ("DELETE FROM entries; DELETE FROM personal", "record 1 is missing: the ledger is empty"),
        ("DELETE FROM entries WHERE seq = 12", "record 12: a personal part without a record"),
        (
            "DELETE FROM entries WHERE seq = 5; UPDATE entries SET seq = seq - 1 WHERE seq > 5;"
            "DELETE FROM personal WHERE seq = 5; UPDATE personal SET seq = seq - 1 WHERE seq > 5",
            f"record 5 {ORDER} 6",
        ),
        (
            "UPDATE entries SET seq = 99 WHERE seq = 5; UPDATE entries SET seq = 5 WHERE seq = 6;"
            "UPDATE entries SET seq = 6 WHERE seq = 99",
            f"record 5 {ORDER} 6",
        ),
        (
            "UPDATE entries SET seq = -seq WHERE seq > 5; UPDATE entries SET seq = 1 - seq WHERE seq < 0;"
            "INSERT INTO entries (seq, hash, body) SELECT 6, hash, replace(body, 'n3', 'x') FROM entries WHERE seq = 5",
            f"record 6 {ORDER} 5",
        ),
        ("UPDATE personal SET seq = 99 WHERE seq = 5", "personal part"),
    ],
)
def test_what_was_changed_is_named(tampered: Callable[[str], Path], sql: str, said: str) -> None:
    """The first record that was changed, removed, inserted, moved, or is missing."""
    if said == "unreadable":  # not even SQLite takes a body that is no JSON: its columns are computed from it
        with pytest.raises(sqlite3.OperationalError, match="malformed JSON"):
            tampered(sql)
        return
    found = problem(tampered(sql))
    assert found is not None
    assert said in found


def test_only_a_head_kept_elsewhere_finds_a_cut_or_rewritten_end(
    tampered: Callable[[str], Path], written: Path
) -> None:
    """The chain of what is left is whole, and with the head it is not."""
    with closing(Store(written)) as opened:
        head = verify(opened).head
    cut = tampered(
        "DELETE FROM entries WHERE seq > 9; DELETE FROM personal WHERE seq > 9; DELETE FROM cases WHERE seq > 9"
    )
    assert problem(cut) is None
    assert "records at its end are missing (the last one is 9)" in str(problem(cut, head))
    cut.unlink()
    records = all_records(written)
    before = records[4].hash
    lines = []
    for one in records[5:]:
        body = one.body.replace("0.25", "0.20")
        before = link(before, body)
        lines.append(f"UPDATE entries SET body = '{body}', hash = x'{before.hex()}' WHERE seq = {one.seq};")  # noqa: S608
    rewritten = tampered("".join(lines))
    assert problem(rewritten) is None
    assert "the chain was rewritten" in str(problem(rewritten, head))


@pytest.mark.slow
@given(st.data())
def test_any_change_of_any_record_is_found(data: st.DataObject) -> None:
    """Drop, repeat, swap or edit records anywhere: the chain of what comes out is never whole, or it is a beginning."""
    records, before = [], BEFORE_ALL
    for at in range(1, 9):
        made = Draft("begun", "begun", {"format": 1}) if at == 1 else draft()
        records.append(seal(made, at, before, NOW))
        before = records[-1].hash
    at = data.draw(st.integers(0, 7))
    other = data.draw(st.integers(0, 7).filter(lambda one: one != at))
    changed = list(records)
    match data.draw(st.sampled_from(["drop", "repeat", "swap", "body", "personal", "hash"])):
        case "drop":
            del changed[at]
        case "repeat":
            changed.insert(other, records[at])
        case "swap":
            changed[at], changed[other] = changed[other], changed[at]
        case "body":
            place = data.draw(st.integers(0, len(records[at].body) - 1))
            flipped = chr(ord(records[at].body[place]) ^ 1)
            changed[at] = replace(records[at], body=records[at].body[:place] + flipped + records[at].body[place + 1 :])
        case "personal":
            changed[at] = replace(records[at], personal='{"answers":{}}', salt=bytes(32))
        case "hash":
            changed[at] = replace(records[at], hash=hashlib.sha256(records[at].hash).digest())
    found = chain(changed, records[-1].hash.hex())
    assert found.problem is not None


# --- replay ---


@pytest.mark.slow
def test_old_decisions_come_out_the_same(
    scorer: Scorer, real: RealLoans, ledger: Ledger, file: Path, tmp_path: Path
) -> None:
    """Real loans, recorded and scored again: same row, same PD, same decision. Without the release it is said so."""
    for at in range(100):
        answers = real.answers(at)
        ledger.append(scored(scorer.score(answers), scorer.release, answers, by="test", channel="api"))
    records = all_records(file)[1:]
    outcomes = list(Replayer([scorer.release.folder]).replay(one.event for one in records))
    assert {one.outcome for one in outcomes} == {"same"}
    assert max(one.off or 0.0 for one in outcomes) <= 1e-6
    assert Replayer([]).replay_one(score_in(records[0])).why == f"its release {scorer.release.name} is no longer here"


@pytest.mark.slow
def test_a_replay_that_differs_is_told(scorer: Scorer, ledger: Ledger) -> None:
    """Another PD, another decision, another row, and answers that are refused."""
    example = scorer.release.form.example
    made = scored(scorer.score(example), scorer.release, example, by="test", channel="api")
    personal: dict[str, Json] = dict(made.personal or {})
    pd = made.personal and made.personal["pd"]
    assert isinstance(pd, float)
    replayer = Replayer([scorer.release.folder])

    def why(fields: Object, personal: Object) -> str:
        changed = Draft("scored", f"x{next(COUNT)}", {**made.fields, **fields}, personal)
        return replayer.replay_one(score_in(ledger.append(changed))).why

    assert "the PD differs by 0.001" in why({}, {**personal, "pd": pd + 1e-3})
    of_format_1 = {name: value for name, value in personal.items() if name not in EXACT}
    assert why({"pd": pd}, of_format_1) == ""
    assert "the PD differs by 0.001" in why({"pd": pd + 1e-3}, of_format_1)
    assert "the suggestion is" in why({"decision": "none"}, personal)
    assert why({}, {**personal, "row": "0" * 64}) == "the row is different"
    assert "refused today" in why({}, {**personal, "answers": {}})
    assert "is not known" in why({"engine": "abacus"}, personal)


def test_a_digit_code_is_recorded_as_given() -> None:
    """The list may know only its beginning, and that alone would be refused at the replay: in every release that asks
    for such a code, of which there is one at least."""
    scorers = [open_scorer(Settings(release=newest(name), log=None)) for name in NAMES]
    coded = [(one, field) for one in scorers for field in one.release.form.fields if getattr(field, "digits", None)]
    for scorer, field in some(coded):
        example = dict(scorer.release.form.example)
        example[field.name] = f"{example[field.name]}"[:4] + "99"
        made = scored(scorer.score(example), scorer.release, example, by="test", channel="api")
        answers = (made.personal or {})["answers"]
        assert isinstance(answers, dict)
        assert answers[field.name] == example[field.name]
        assert scorer.score(answers).application == scorer.score(example).application


DIRECTIONS = {
    "approve": ["as_suggested", "more_lenient", "more_lenient"],
    "approve_changed": ["as_suggested", "more_lenient", "more_lenient"],
    "refer": ["stricter", "as_suggested", "more_lenient"],
    "decline": ["stricter", "stricter", "as_suggested"],
    "incomplete": ["incomplete"] * 3,
}


@pytest.mark.parametrize("decision", DECISIONS)
def test_which_way_a_decision_departs(decision: str) -> None:
    """From each suggestion: approve, refer, decline; and it is recorded so, with whether it overrides."""
    for suggested, went in zip(("approve", "refer", "decline"), DIRECTIONS[decision], strict=True):
        fields = decided("a", decision, suggested, by="ann").fields
        assert (fields["direction"], fields["overridden"]) == (went, went in ("stricter", "more_lenient"))


# --- export, backup ---


def test_an_export_holds_every_record(scorer: Scorer, ledger: Ledger, file: Path, tmp_path: Path) -> None:
    """CSV and Parquet with all fields; no cell that a spreadsheet would run."""
    example = scorer.release.form.example
    score = scorer.score(example)
    ledger.append(scored(score, scorer.release, example, by="=cmd|' /C calc'!A0", channel="api", reference="@SUM(1)"))
    ledger.append(decided(score.request_id, "approve", score.decision, by="ann", justification="+1"))
    for name in ("out.csv", "out.parquet"):
        assert main(["--ledger", str(file), "export", str(tmp_path / name)]) == 0
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["kind"] for row in rows] == ["begun", "scored", "decided"]
    assert rows[1]["by"] == "'=cmd|' /C calc'!A0"
    assert rows[1]["reference"] == "'@SUM(1)"
    assert rows[2]["justification"] == "'+1"
    assert float(rows[1]["pd"]) == score.pd
    assert {f"answer.{name}" for name in example} <= rows[1].keys()
    table = pq.read_table(tmp_path / "out.parquet")
    assert table.num_rows == 3
    assert table.column("pd").to_pylist()[1] == score.pd


FORMULA_MARKS = ("=", "+", "-", "@", "\t", "\r", "\n")


@given(st.sampled_from(["", *FORMULA_MARKS]), st.text())
def test_no_text_begins_a_formula(mark: str, text: str) -> None:
    """Whatever follows the mark; and any other text stays as it is."""
    given_text = mark + text
    found = guarded(given_text)
    assert found == (f"'{given_text}" if given_text.startswith(FORMULA_MARKS) else given_text)


@pytest.mark.parametrize("mark", FORMULA_MARKS)
def test_no_cell_of_an_export_begins_a_formula(ledger: Ledger, file: Path, tmp_path: Path, mark: str) -> None:
    """In the file itself, for every mark that a spreadsheet takes for a formula's or for the end of a cell."""
    ledger.append(draft("a", note=f"{mark}SUM(A1)"))
    assert main(["--ledger", str(file), "export", str(tmp_path / "out.csv")]) == 0
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as stream:
        assert [row["note"] for row in csv.DictReader(stream)] == ["", f"'{mark}SUM(A1)"]


def test_a_backup_while_it_is_written_to(ledger: Ledger, file: Path, tmp_path: Path) -> None:
    """Whole, restorable where nothing is, and nowhere else; it never takes the place of a ledger or another backup."""
    backup, target = tmp_path / "copies" / "backup.sqlite3", tmp_path / "elsewhere" / "ledger.sqlite3"
    futures = [ledger.submit(draft()) for _ in range(500)]
    assert main(["--ledger", str(file), "backup", str(backup)]) == 0
    assert [future.result() for future in futures]
    for there in (backup, file):
        before = there.stat().st_ino
        assert main(["--ledger", str(file), "backup", str(there)]) == 2
        assert there.stat().st_ino == before
    assert main(["restore", str(backup), str(target)]) == 0
    assert problem(target) is None
    assert main(["restore", str(backup), str(target)]) == 2
    with closing(Ledger(target)) as restored:
        restored.append(draft())
    assert problem(target) is None


# --- the command ---


def test_the_command(written: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """verify, head and show; exit status 1 for a ledger that is not whole, 2 for none."""
    monkeypatch.setenv("TENFOLD_LEDGER", str(written))
    assert main(["head"]) == 0
    seq, head = capsys.readouterr().out.split()
    assert seq == "12"
    assert main(["verify", "--head", head]) == 0
    assert "12 records are whole" in capsys.readouterr().out
    assert main(["verify", "--head", "0" * 64]) == 1
    assert "NOT WHOLE" in capsys.readouterr().out
    assert main(["show", "n3"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["personal"]["reference"] == "of n3"
    assert main(["show", "nobody"]) == 2
    monkeypatch.setenv("TENFOLD_LEDGER", "off")
    assert main(["verify"]) == 2
    assert main(["--ledger", str(written.parent / "none"), "verify"]) == 2
    assert "there is no ledger" in capsys.readouterr().err


@pytest.mark.slow
def test_the_replay_command(scorer: Scorer, ledger: Ledger, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All records, or one; exit status 1 where one differs."""
    example = scorer.release.form.example
    made = scored(scorer.score(example), scorer.release, example, by="test", channel="api")
    ledger.append(made)
    command = ["--ledger", str(file), "replay", "--releases", str(scorer.release.folder)]
    assert main(command) == 0
    assert "1 same" in capsys.readouterr().out
    ledger.append(made._replace(id="other", fields={**made.fields, "decision": "none"}))
    assert main(command) == 1
    assert "other: different" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("sql", "command"),
    [
        ("UPDATE personal SET body = '[\"secret\"]' WHERE seq = 3", ["show", "n1"]),
        ("UPDATE entries SET body = json_set(json_remove(body, '$.pd'), '$.kind', 'scored') WHERE seq = 3", ["replay"]),
        ("UPDATE entries SET hash = 7 WHERE seq = 12", ["head"]),
    ],
)
def test_a_command_says_that_a_record_is_none(
    tampered: Callable[[str], Path], sql: str, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """With status 2 and what to do; without a trace, and without what stands in the record."""
    assert main(["--ledger", str(tampered(sql)), *command]) == 2
    said = capsys.readouterr()
    assert "python -m ledger verify" in said.err
    assert "secret" not in said.err + said.out


@pytest.mark.parametrize("bytes_", [b'"secret-', b'"s\xfcret"}'])
def test_a_text_that_is_none_is_not_shown(
    written: Path, tmp_path: Path, bytes_: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    """No JSON, no UTF-8: SQLite's message and Python's would hold the answers."""
    content = written.read_bytes()
    assert content.count(b'"of n1"}') == 1
    copy = tmp_path / "spoiled.sqlite3"
    copy.write_bytes(content.replace(b'"of n1"}', bytes_))
    assert main(["--ledger", str(copy), "show", "n1"]) == 2
    said = capsys.readouterr()
    assert "python -m ledger verify" in said.err
    assert "amount" not in said.err + said.out


def test_release_folders(tmp_path: Path, folder: Path) -> None:
    assert folder in release_folders([folder.parent])
    assert open_release(folder).folder == release_folders([folder])[0]


def test_a_record_is_json_with_sorted_keys() -> None:
    assert write({"b": 1, "a": [1.5, None, "é"]}) == '{"a":[1.5,null,"é"],"b":1}'
