"""A lender's whole way by the commands alone, as the documents have it: from a file of loans to a pack of evidence."""

import csv
import json
import re
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from lenders import frame
from parts import some

from inference.settings import ROOT
from profiling.benchmarks.serving import served

LOANS, SCORED = 700, 24
REASONS = {"reason_more_lenient": "known_customer", "reason_stricter": "unverified"}  # of web/lender.toml


class Lender:
    """A folder with a lender's files, and the commands run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            "TENFOLD_LEDGER": str(folder / "ledger.sqlite3"), "TENFOLD_LOG": "off", "TENFOLD_SECURITY_LOG": "off",
            "TENFOLD_USERS": "off", "TENFOLD_BATCH": "off",
        }  # fmt: skip

    def tenfold(self, *words: str, status: int = 0) -> str:
        """What a command prints."""
        done = subprocess.run(
            [sys.executable, str(ROOT / "tenfold.py"), *words], cwd=self.folder, capture_output=True, text=True,
            env={"PATH": "/usr/bin:/bin", **self.environment},
        )  # fmt: skip
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    def train(self, recipe: str) -> Path:
        """The folder of the release that a recipe gives."""
        self.tenfold("train", recipe, "--out", "releases")
        newest = max((self.folder / "releases").glob("*/manifest.json"), key=lambda file: file.stat().st_mtime_ns)
        return newest.parent

    def decide_some(self, release: Path) -> list[tuple[str, str]]:
        """Score the first loans over HTTP, and decide each at its page: (reference, what the file says of it)."""
        columns = json.loads((release / "manifest.json").read_text("utf-8"))["fields"]
        with (self.folder / "loans.csv").open(newline="") as stream:
            loans = [
                loan
                for loan in csv.DictReader(stream)
                if not any(loan[field["name"]] in ("", "not_stated") for field in columns)
            ][:SCORED]
        self.environment["TENFOLD_RELEASE"] = str(release)
        ended = []
        with (
            served([sys.executable, "app.py"], "/readyz", self.environment) as url,
            httpx.Client(base_url=url, timeout=60) as client,
        ):
            for number, loan in enumerate(loans):
                answers = {
                    field["name"]: float(loan[field["name"]]) if field["kind"] == "number" else loan[field["name"]]
                    for field in columns
                }
                reference = f"loan-{number}"
                score = client.post("/api/v1/score", json={"reference": reference, "answers": answers}).json()
                assert "id" in score, score
                seen = re.search(r'data-seen="([^"]+)"', client.get(f"/record/{score['id']}").text)
                assert seen is not None, score
                form = {**REASONS, "seen": seen[1], "decision": "approve", "name": "ann"}
                form["justification"] = "They have repaid three loans here before."
                answer = client.post(f"/record/{score['id']}/decide", data=form)
                assert answer.headers["x-recorded"] == "yes", answer.text
                ended.append((reference, loan["bad"]))
            assert client.get("/monitor").status_code == 200
        return ended


@pytest.mark.slow
def test_from_a_file_of_loans_to_a_pack_of_evidence(tmp_path: Path) -> None:
    """Draft, recipe, two releases, evaluation, comparison, scores and decisions, outcomes, monitor, evidence."""
    lender = Lender(tmp_path)
    data = frame().head(LOANS)
    data["bad"] = data["bad"].map({"1": "defaulted", "0": "repaid in full"})
    data.to_csv(tmp_path / "loans.csv")  # with the column without a name that pandas writes
    assert "First questions:" in lender.tenfold("new", "loans.csv", "--target", "bad")
    recipe = tmp_path / "loans.toml"
    assert "open" in lender.tenfold("check", "loans.toml", status=1)
    recipe.write_text(re.sub(r"# ASK.*\n", "", recipe.read_text("utf-8")), "utf-8")
    assert "nothing is open" in lender.tenfold("check", "loans.toml")
    plain = recipe.read_text("utf-8")
    (tmp_path / "old.toml").write_text(re.sub(r"trees = \d+", "trees = 20", plain), "utf-8")
    old, new = lender.train("old.toml"), lender.train("loans.toml")
    assert old != new
    evaluated = lender.tenfold(
        "evaluate", str(new), "--recipe", "loans.toml", "--against", str(old), "--out", "reports"
    )
    assert "AUC 0." in evaluated
    assert "would be decided otherwise" in lender.tenfold("compare", str(old), str(new), "--recipe", "loans.toml")

    ended = lender.decide_some(new)
    today = datetime.now(UTC).date().isoformat()
    lines = [
        f"{reference},{'Current' if number % 6 == 0 else word},{today}"
        for number, (reference, word) in enumerate(some(ended))
    ]
    (tmp_path / "outcomes.csv").write_text("\n".join(["reference,outcome,date", *lines]), "utf-8")
    refused = lender.tenfold("outcomes", "outcomes.csv", "--recipe", "loans.toml", status=2)
    assert f"because of {SCORED // 6} problems" in refused
    said = lender.tenfold("outcomes", "outcomes.csv", "--recipe", "loans.toml", "--running", "Current")
    assert f"{SCORED - SCORED // 6} outcomes recorded" in said
    assert f"{SCORED // 6} still run" in said
    monitored = lender.tenfold("monitor", status=3)
    assert f"{SCORED} loans lent" in monitored
    assert "Nothing can be said yet" in monitored

    packed = lender.tenfold("evidence", "evidence.zip", "--recipe", "loans.toml", "--evaluation", "reports")
    assert f"{SCORED} of {SCORED} decisions replayed" in packed
    assert f": {SCORED} same" in packed
    with zipfile.ZipFile(tmp_path / "evidence.zip") as archive:
        names = archive.namelist()
        assert archive.read("recipe/loans.toml") == recipe.read_bytes()
        page = archive.read("index.html").decode()
        read = b"".join(archive.read(name) for name in names)
    assert f"Evidence: {new.name}" in page
    assert {"evaluation/evaluation.html", "release/MODEL_CARD.md", "monitor/monitor.txt"} <= set(names)
    for secret in ("loan-3", "three loans here"):
        assert secret.encode() not in read
