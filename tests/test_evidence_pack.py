"""`tenfold evidence`: the pack opened file by file, and everything that it says worked out again."""

import csv
import hashlib
import io
import json
import re
import shutil
import sqlite3
import subprocess
import sys
import zipfile
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from conftest import real_loans
from ledger_cases import purged, writing_to
from parts import some

from inference.scorer import Scorer
from inference.settings import ROOT
from ledger.__main__ import main as ledger_main
from ledger.decisions import decided, noted, scored
from ledger.events import OUTCOME
from ledger.pack.command import main
from ledger.records import Draft
from ledger.schema import GUARDS

CASES, UNDECIDED = 40, 3
CANARY = "zebra"  # in every personal part
DAYS = ("2023-02-10", "2026-03-20")  # of the first ten cases, whose retention is over; and of the rest


class Pack(NamedTuple):
    """A pack as it is opened."""

    file: Path
    files: dict[str, bytes]
    printed: str

    def json(self, name: str) -> Any:
        return json.loads(self.files[name])


def opened(file: Path, printed: str = "") -> Pack:
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        return Pack(file, {name: archive.read(name) for name in archive.namelist()}, printed)


def fill(file: Path, scorer: Scorer) -> None:
    """Cases as a desk writes them: real loans scored, decided, some overridden, with notes and outcomes."""
    loans = real_loans(scorer.release.manifest.name)
    outcomes: list[Draft] = []
    with writing_to(file) as writer:
        for number in range(CASES):
            day, answers = DAYS[number >= 10], loans.answers(number)
            reference = f"{CANARY}-reference-{number}"
            id = writer.add(day, scored(scorer.score(answers), scorer.release, answers, by="api", channel="api",
                                        reference=reference, applicant=f"{CANARY} applicant"))  # fmt: skip
            if number >= CASES - UNDECIDED:
                continue
            suggested = scorer.score(answers).decision
            decision = "approve" if number % 3 else suggested
            said = decided(id, decision, suggested, by="ann", reference=reference, justification=f"{CANARY} because",
                           reason_code=None if decision == suggested else "knows_applicant")  # fmt: skip
            decision_id = writer.add(day, said)
            writer.notify(day, decision_id)
            writer.add(day, noted(id, by="ann", note=f"{CANARY} note", reference=reference))
            if number % 4 == 0:
                outcome = "bad" if number % 8 else "repaid"
                fields = {"of": id, "by": "ann", "outcome": outcome, "day": "2026-05-01", "file": "ab" * 32}
                outcomes.append(Draft(OUTCOME, f"outcome{number}", fields))
        for outcome_draft in outcomes:
            writer.add("2026-06-01", outcome_draft)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory, default_scorer: Scorer) -> Path:
    """A ledger of real scores, of which ten cases were purged."""
    file = tmp_path_factory.mktemp("ledger") / "ledger.sqlite3"
    fill(file, default_scorer)
    assert purged(file, "2024-06-01", undecided=True).cases == 10
    assert ledger_main(["--ledger", str(file), "clean"]) == 0
    return file


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory: pytest.TempPathFactory, default_scorer: Scorer) -> Path:
    """A folder with both files of an evaluation, as small ones: what is in them is tests/test_evaluate.py's."""
    folder, release = tmp_path_factory.mktemp("evaluation"), default_scorer.release
    (folder / f"{release.name}.evaluation.html").write_text("<p>figures</p>", "utf-8")
    (folder / f"{release.name}.evaluation.json").write_text(json.dumps({"digest": release.digest}), "utf-8")
    return folder


@pytest.fixture(scope="module")
def pack(ledger: Path, tmp_path_factory: pytest.TempPathFactory) -> Pack:
    """The pack of the command as people type it; it evaluates the release itself."""
    file = tmp_path_factory.mktemp("pack") / "evidence.zip"
    command = [sys.executable, "tenfold.py", "evidence", str(file), "--ledger", str(ledger)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return opened(file, done.stdout)


def made(file: Path, ledger: Path, *words: str | Path) -> Pack:
    """A pack made in this process."""
    assert main([str(file), "--ledger", str(ledger), *map(str, words)]) == 0
    return opened(file)


@pytest.mark.slow
def test_every_file_is_the_one_that_the_index_and_the_sums_name(pack: Pack, tmp_path: Path) -> None:
    """By `sha256sum`, by the index, and every link of it leads to a file; nothing is fetched from anywhere."""
    page = pack.files["index.html"].decode()
    with zipfile.ZipFile(pack.file) as archive:
        archive.extractall(tmp_path)
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(": OK") == len(pack.files) - 1
    rows = re.findall(r'<td><a href="([^"]+)">\1</a></td><td>(.+?)</td>.*?<code>([0-9a-f]{64})</code>', page)
    assert {name: digest for name, _, digest in rows} == {
        name: hashlib.sha256(content).hexdigest()
        for name, content in pack.files.items()
        if name not in ("index.html", "SHA256SUMS")
    }
    assert set(re.findall(r'href="([^"]+)"', page)) <= pack.files.keys()
    assert not re.search(r"https?://|src=|url\(|@import|<script", page)
    assert hashlib.sha256(pack.file.read_bytes()).hexdigest() in pack.printed
    assert pack.file.stat().st_mode & 0o777 == 0o600


@pytest.mark.slow
def test_the_release_its_card_recipe_and_evaluation(pack: Pack, default_scorer: Scorer) -> None:
    """The manifest's digest is the release that every sampled score names; files are those on disk."""
    release = default_scorer.release
    assert hashlib.sha256(pack.files["release/manifest.json"]).hexdigest() == release.digest
    for name in some(name for name in pack.files if name.startswith("release/")):
        assert pack.files[name] == (release.folder / name.removeprefix("release/")).read_bytes()
    assert {"release/MODEL_CARD.md", "release/calibration.svg"} <= pack.files.keys()
    assert pack.files["recipe/consumer.toml"] == (ROOT / "models" / "recipes" / "consumer.toml").read_bytes()
    evaluated = pack.json("evaluation/evaluation.json")
    assert evaluated["digest"] == release.digest
    assert f"{evaluated['loans']:,}".encode() in pack.files["evaluation/evaluation.html"]
    for one in some(sampled(pack)):
        assert one["release"] == release.digest


def sampled(pack: Pack) -> list[Any]:
    return [pack.json(name) for name in sorted(pack.files) if re.fullmatch(r"decisions/\d+\.json", name)]


def drawn_by_hand(ledger: Path, seed: str, size: int = 25) -> list[str]:
    """The sample, from the ledger's file alone."""
    with closing(sqlite3.connect(ledger)) as connection:
        ids = [id for (id,) in connection.execute(
            "SELECT d.id FROM entries d JOIN entries s ON s.id = d.body ->> 'score' JOIN personal p ON p.seq = s.seq "
            "WHERE d.kind = 'decided' ORDER BY d.seq"
        )]  # fmt: skip
    return sorted(ids, key=lambda id: hashlib.sha256(f"{seed}:{id}".encode()).hexdigest())[:size]


@pytest.mark.slow
def test_the_sample_is_drawn_by_the_head_and_comes_out_the_same(pack: Pack, ledger: Path) -> None:
    """25 of the 27 decisions with answers; each replay is equal, and each record is the ledger's."""
    sample = pack.json("decisions/sample.json")
    assert sample["seed"] == pack.json("ledger/verification.json")["head"]
    assert sample["ids"] == drawn_by_hand(ledger, sample["seed"]) == [one["id"] for one in sampled(pack)]
    assert (sample["there"], sample["answers_erased"], sample["drawn_from"]) == (CASES - UNDECIDED, 10, 27)
    assert sample["replays"] == {"same": 25, "different": 0, "impossible": 0}
    with closing(sqlite3.connect(ledger)) as connection:
        hashes = {0: bytes(32), **dict(connection.execute("SELECT seq, hash FROM entries"))}
        bodies = dict(connection.execute("SELECT seq, body FROM entries"))
    for one in some(sampled(pack)):
        assert one["replay"] == "same"
        assert one["recorded"] == one["again"]
        assert one["pd_off_by"] <= 1e-6
        kinds = [json.loads(record["body"])["kind"] for record in one["records"]]
        assert kinds[:4] == ["scored", "decided", "notified", "noted"]
        for record in one["records"]:
            assert record["body"] == bodies[record["seq"]]
            assert (record["before"], record["hash"]) == (hashes[record["seq"] - 1].hex(), hashes[record["seq"]].hex())


@pytest.mark.slow
def test_the_index_tells_how_to_verify_records_and_that_works(pack: Pack, tmp_path: Path) -> None:
    """Its program runs as it stands there, and notices a word of a record that was changed."""
    with zipfile.ZipFile(pack.file) as archive:
        archive.extractall(tmp_path)
    (program,) = re.findall(r'<pre id="verify">\n(.+?)</pre>', pack.files["index.html"].decode(), re.DOTALL)

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)

    assert run().returncode == 0, run().stderr
    changed = next(
        file for file in sorted((tmp_path / "decisions").glob("*.json")) if '\\"approve\\"' in file.read_text("utf-8")
    )
    changed.write_text(changed.read_text("utf-8").replace('\\"approve\\"', '\\"decline\\"'), "utf-8")
    assert "AssertionError" in run().stderr


@pytest.mark.slow
def test_the_head_is_the_ledgers_and_counts_are_its(
    pack: Pack, ledger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`tenfold ledger head`, overrides, outcomes and the monitor's report, against the file."""
    assert ledger_main(["--ledger", str(ledger), "head"]) == 0
    found = pack.json("ledger/verification.json")
    assert capsys.readouterr().out == f"{found['records']} {found['head']}\n"
    assert ledger_main(["--ledger", str(ledger), "verify", "--head", found["head"]]) == 0
    assert found["personal_parts_erased"] == 40  # of ten cases: score, decision, notice, note
    with closing(sqlite3.connect(ledger)) as connection:
        directions = dict(connection.execute(
            "SELECT body ->> 'direction', count(*) FROM entries WHERE kind = 'decided' GROUP BY 1"
        ))  # fmt: skip
        outcomes = dict(connection.execute(
            "SELECT body ->> 'outcome', count(*) FROM entries WHERE kind = 'outcome' GROUP BY 1"
        ))  # fmt: skip
    counts: dict[str, int] = {}
    for row in pack.json("overrides.json")["directions"]:
        counts[row["direction"]] = counts.get(row["direction"], 0) + row["decisions"]
    assert counts == directions
    assert pack.json("overrides.json")["by_officer"] == {"ann": directions}
    assert sum(pack.json("overrides.json")["by_lower_end_of_amount"]["erased"].values()) == 10
    assert pack.json("monitor/outcomes.json")["cases"] == outcomes
    assert pack.json("monitor/outcomes.json")["recorded_from_files"] == [{"sha256": "ab" * 32, **outcomes}]
    monitored = pack.json("monitor/monitor.json")
    assert sum(row["bad"] for row in monitored["overrides"]) == sum(row["bad"] for row in monitored["bands"])
    assert pack.files["monitor/monitor.txt"].decode().splitlines()[-1] in pack.files["index.html"].decode()


@pytest.mark.slow
def test_the_software_is_what_is_installed(pack: Pack) -> None:
    """Versions by the packages' own word, and a licence of each that scores."""
    rows = {row["name"]: row for row in csv.DictReader(io.StringIO(pack.files["software.csv"].decode()))}
    for name in ("numpy", "xgboost-cpu", "fastapi", "SQLAlchemy"):
        assert rows[name]["version"] == version(name)
        assert rows[name]["licence"] != "not stated"
    assert "BSD" in rows["numpy"]["licence"]
    assert rows["tenfold"]["licence"] == "Apache-2.0"
    assert len(rows) > 50


@pytest.mark.slow
def test_no_personal_part_is_in_it_unless_asked_for(pack: Pack, ledger: Path, evaluation: Path, tmp_path: Path) -> None:
    """Neither references, names, words of officers, answers nor what they could be guessed from; with the option the
    sampled ones are, and match their commitments."""
    with closing(sqlite3.connect(ledger)) as connection:
        rows = [json.loads(body) for (body,) in connection.execute("SELECT body FROM personal")]
    secrets = {str(row[name]) for row in rows for name in ("row", "pd", "notice") if row.get(name)}
    assert len(secrets) > 50
    for content in pack.files.values():
        assert CANARY.encode() not in content
        assert [secret for secret in secrets if secret.encode() in content] == []
    told = made(tmp_path / "told.zip", ledger, "--evaluation", evaluation, "--with-personal")
    for one in some(sampled(told)):
        first = one["records"][0]
        own = first["personal"]
        salted = bytes.fromhex(own["salt"]) + own["text"].encode()
        assert hashlib.sha256(salted).hexdigest() == json.loads(first["body"])["personal"]
        assert CANARY in json.loads(own["text"])["reference"]
        assert one["recorded"]["row_sha256"] == one["again"]["row_sha256"] == json.loads(own["text"])["row"]
    assert "answers and references of the applicants" in told.files["index.html"].decode()
    rest = [content for name, content in told.files.items() if not name.startswith("decisions/")]
    assert not any(CANARY.encode() in content for content in some(rest))


@pytest.mark.slow
def test_the_same_ledger_gives_the_same_file(ledger: Path, evaluation: Path, tmp_path: Path) -> None:
    """Byte for byte; another seed draws others, by the rule that the pack states."""
    first, again = (made(tmp_path / f"{name}.zip", ledger, "--evaluation", evaluation) for name in "ab")
    assert first.file.read_bytes() == again.file.read_bytes()
    other = made(tmp_path / "c.zip", ledger, "--evaluation", evaluation, "--seed", "dice: 3 5 1", "--sample", "5")
    assert other.json("decisions/sample.json")["ids"] == drawn_by_hand(ledger, "dice: 3 5 1", 5)
    assert len(sampled(other)) == 5
    assert other.json("decisions/sample.json")["ids"] != first.json("decisions/sample.json")["ids"][:5]


@pytest.mark.slow
def test_where_nobody_decides_scores_are_drawn(tmp_path: Path, default_scorer: Scorer, evaluation: Path) -> None:
    example = default_scorer.release.form.example
    with writing_to(tmp_path / "ledger") as writer:
        for _ in range(3):
            writer.add("2026-01-05", scored(default_scorer.score(example), default_scorer.release, example,
                                            by="api", channel="api"))  # fmt: skip
    found = made(tmp_path / "p.zip", tmp_path / "ledger", "--without-evaluation")
    assert found.json("decisions/sample.json")["of"] == "scores"
    assert found.json("decisions/sample.json")["replays"]["same"] == 3
    page = found.files["index.html"].decode()
    assert "Not in this pack: an evaluation" in page
    assert {name for name in found.files if name.startswith(("evaluation", "recipe"))} == {"recipe/consumer.toml"}


@pytest.mark.slow
def test_where_all_answers_are_erased_nothing_is_replayed(ledger: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copy(ledger, tmp_path / "ledger"))
    assert purged(copy, "2026-10-01", months=1, undecided=True).cases == CASES - 10
    found = made(tmp_path / "p.zip", copy, "--without-evaluation")
    sample = found.json("decisions/sample.json")
    assert (sample["there"], sample["drawn_from"], sample["ids"]) == (CASES - UNDECIDED, 0, [])
    assert "have no answers left" in found.files["index.html"].decode()


@pytest.mark.slow
def test_a_decision_that_comes_out_otherwise_is_in_it(
    ledger: Path, default_scorer: Scorer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 1: the pack is written, says which one, and how it differs."""
    copy = Path(shutil.copy(ledger, tmp_path / "ledger"))
    example = default_scorer.release.form.example
    made_now = scored(default_scorer.score(example), default_scorer.release, example, by="api", channel="api")
    with writing_to(copy) as writer:
        id = writer.add("2026-07-01", made_now._replace(fields={**made_now.fields, "decision": "another"}))
        writer.add("2026-07-01", decided(id, "decline", "approve", by="ann"))
    words = ["--ledger", str(copy), "--without-evaluation", "--sample", "100"]
    assert main([str(tmp_path / "p.zip"), *words]) == 1
    found = opened(tmp_path / "p.zip")
    (different,) = [one for one in sampled(found) if one["replay"] == "different"]
    assert different["score"] == id
    assert "was another" in different["why"]
    assert "1 do not" in found.files["index.html"].decode()
    assert f"{id}: the suggestion is" in capsys.readouterr().out


def tampered(ledger: Path, copy: Path) -> Path:
    """A ledger of which somebody changed a record."""
    shutil.copy(ledger, copy)
    with closing(sqlite3.connect(copy)) as connection:
        connection.execute("DROP TRIGGER entries_update")
        connection.execute("UPDATE entries SET body = json_set(body, '$.by', 'nobody') WHERE seq = 60")
        for guard in GUARDS:
            if "entries_update" in guard:
                connection.execute(guard)
        connection.commit()
    return copy


@pytest.mark.slow
def test_what_cannot_be_packed_is_refused_with_what_to_do(
    ledger: Path, evaluation: Path, default_scorer: Scorer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 2, a sentence, no file; nothing of an applicant is said."""
    release = default_scorer.release
    other = tmp_path / "other"
    other.mkdir()
    for kind in ("html", "json"):
        (other / f"{release.name}.evaluation.{kind}").write_text(json.dumps({"digest": "0" * 64}), "utf-8")
    (tmp_path / "empty.toml").write_text('name = "mine"\n', "utf-8")
    (tmp_path / "no_lines.toml").write_text("= 1", "utf-8")
    with writing_to(tmp_path / "nothing"):
        pass
    (tmp_path / "releases").mkdir()
    out, given = tmp_path / "out.zip", ("--evaluation", str(evaluation))
    for words, why in (
        ((out, "--ledger", tmp_path / "gone"), "there is no ledger"),
        ((out, "--ledger", tampered(ledger, tmp_path / "tampered"), *given), "NOT WHOLE: record 60"),
        ((out, "--ledger", tmp_path / "nothing"), "The ledger has scores by: none"),
        ((out, "--ledger", ledger, "--release", "sba-0123"), "no case was scored by such a release"),
        (
            (out, "--ledger", ledger, "--releases", tmp_path / "releases"),
            "Name the folder that it is in with --releases",
        ),
        ((out, "--ledger", ledger, "--evaluation", other), "an evaluation of another release"),
        ((out, "--ledger", ledger, "--evaluation", tmp_path), "'tenfold evaluate' writes it"),
        ((out, "--ledger", ledger, "--recipe", tmp_path / "empty.toml", *given), "a recipe of 'mine'"),
        ((out, "--ledger", ledger, "--recipe", tmp_path / "no_lines.toml", *given), "this is not a recipe"),
        ((out, "--ledger", ledger, "--recipe", tmp_path / "no.toml", *given), "No such file"),
        ((out, "--ledger", ledger, "--loans", tmp_path / "no.csv"), "The release was not evaluated"),
        ((out, "--ledger", ledger, "--sample", "0"), "a number from 1 up is needed"),
        ((tmp_path / "out.txt", "--ledger", ledger, *given), "name a file that ends in .zip"),
        ((tmp_path / "no" / "\0.zip", "--ledger", ledger, *given), ""),
    ):
        before = sorted(tmp_path.iterdir())
        assert main([str(word) for word in words]) == 2, words
        said = capsys.readouterr().err
        assert why in said, words
        assert CANARY not in said
        assert sorted(tmp_path.iterdir()) == before
    folder = tmp_path / "folder.zip"
    folder.mkdir()
    assert main([str(folder), "--ledger", str(ledger), *given]) == 2
    named = Path(shutil.copy(ledger, tmp_path / "ledger.zip"))
    whole = named.read_bytes()
    assert main([str(named), "--ledger", str(named), *given]) == 2
    assert "this is the ledger itself" in capsys.readouterr().err
    assert named.read_bytes() == whole


def test_a_ledger_that_is_off_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("TENFOLD_LEDGER", "off")
    assert main(["out.zip"]) == 2
    assert "Name one with --ledger FILE" in capsys.readouterr().err
