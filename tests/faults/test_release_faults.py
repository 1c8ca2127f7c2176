"""Releases with something wrong in them: by accident, which digests find, and with digests made to fit."""

import hashlib
import html
import json
import os
import random
import re
import select
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from mutations import spoil_bytes, spoil_json
from parts import NAMES, mutate, newest, restore, sampler
from scale import report, times

from inference.engines import open_engine
from inference.errors import BadRelease
from inference.release import MODEL, ONNX, open_release, verified
from inference.scorer import Scorer
from inference.settings import ROOT
from ledger.decisions import scored
from ledger.ledger import Ledger
from profiling.benchmarks.serving import free_port, running
from web.pages.texts import LANGUAGES, texts_in

STALE = 2000  # of every file
WORKER = Path(__file__).with_name("release_worker.py")
SLOWEST = 120  # seconds for one release, more than the worker allows itself
ENGINES = {MODEL: "xgboost onedal", ONNX: "onnx", "manifest.json": "xgboost onnx"}  # what reads a file; else xgboost


@pytest.mark.parametrize("name", NAMES)
def test_every_mutation_of_every_file_is_refused(name: str, tmp_path: Path, record_property: Any) -> None:
    """2,000 altered copies of each file: all refused, by name, with what was expected and what was found.

    A release with thousands of industries parses its manifest for milliseconds: of its other files every 20th
    copy is opened as a release, and the others go to the function that reads them for it.
    """
    copy = shutil.copytree(newest(name), tmp_path / newest(name).name)
    chance = random.Random(5)
    entries = json.loads((copy / "manifest.json").read_bytes())["files"]
    for altered in ["manifest.json", *entries]:
        file = copy / altered
        whole = file.read_bytes()
        for mutation in range(STALE):
            with file.open("r+b") as stream:
                mutate(stream, whole, chance)
            alone = altered in entries and mutation % 20 > 0
            read: Callable[[], object] = (
                partial(verified, copy, altered, entries[altered]["sha256"]) if alone else partial(open_release, copy)
            )
            with pytest.raises(BadRelease) as caught:
                read()
            error = caught.value
            assert error.file == str(file)
            assert re.fullmatch(r"sha256 [0-9a-f]{12,64}", error.expected)
            assert re.match(r"[0-9a-f]{64}", error.actual)
            restore(file, whole)
        open_release(copy)
    mutated = STALE * (1 + len(entries))
    report(f"release_stale_{name}", record_property, mutated=mutated, refused=mutated)


class Worker:
    """The process whose children open releases."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )

    def opens(self, folder: Path, engines: str) -> tuple[str, str]:
        """The outcome, and why."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{folder} {engines}\n".encode())
        said = b""
        while not said.endswith(b"\n"):
            ready, _, _ = select.select([self.process.stdout], [], [], SLOWEST)
            assert ready, f"no answer about {folder}"
            part = os.read(self.process.stdout.fileno(), 1 << 16)
            assert part, "the worker ended"
            said += part
        outcome, why = json.loads(said)
        return outcome, why

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with closing(Worker()) as made:
        assert made.process.poll() is None
        yield made


def sealed_bytes(folder: Path, altered: str, content: bytes, manifest: bytes) -> Path:
    """The folder with another content of one file, the digests made to fit and the folder named by them."""
    if altered == "manifest.json":
        manifest = content
    else:
        digest = json.loads(manifest)["files"][altered]["sha256"]
        manifest = manifest.replace(digest.encode(), hashlib.sha256(content).hexdigest().encode())
        (folder / altered).write_bytes(content)
    (folder / "manifest.json").write_bytes(manifest)
    return folder.rename(folder.with_name(f"spoiled-{hashlib.sha256(manifest).hexdigest()[:12]}"))


@pytest.mark.parametrize("name", NAMES)
def test_mutations_with_digests_that_fit(name: str, worker: Worker, tmp_path: Path, record_property: Any) -> None:
    """Each opens and scores, or is refused by an error of ours; what crashes a parser, crashes only the child."""
    original = newest(name)
    manifest = (original / "manifest.json").read_bytes()
    files = ["manifest.json", *json.loads(manifest)["files"]]
    folder = shutil.copytree(original, tmp_path / original.name, ignore=shutil.ignore_patterns("*.svg", "*.md"))
    assert worker.opens(folder, "xgboost onnx onedal") == ("opened", "")
    cases = times(60, 10_000) // len(NAMES) // len(files) + 1
    counts: Counter[str] = Counter()
    bugs = []
    for altered in files:
        whole = (original / altered).read_bytes()
        parsed = json.loads(whole) if altered == "manifest.json" else None
        for case in range(cases):
            chance = random.Random(f"{name} {altered} {case}")
            content = spoil_bytes(whole, chance) if parsed is None or case % 4 == 0 else spoil_json(parsed, chance)
            folder = sealed_bytes(folder, altered, content, manifest)
            outcome, why = worker.opens(folder, ENGINES.get(altered, "xgboost"))
            counts[outcome if outcome != "killed" else f"{outcome}_{why}"] += 1
            if outcome == "bug" or (outcome == "killed" and altered != MODEL):
                bugs.append(f"{altered} {case}: {why}")
        (folder / altered).write_bytes(whole)
    assert not bugs, f"{len(bugs)} of {counts.total()}\n" + "\n".join(bugs[:20])
    assert counts["opened"]
    assert counts["refused"]
    killed = sum(count for outcome, count in counts.items() if outcome.startswith("killed"))
    report(
        f"release_sealed_{name}", record_property, mutated=counts.total(), opened=counts["opened"],
        refused=counts["refused"], crashed_the_child=killed,
    )  # fmt: skip


# --- a release that XGBoost's parser dies of: digests that fit, and arrays nested until the stack is full ---

DEADLY = b"{L" + bytes(7) + b"\x01a" + b"[" * 4_000_000


def deadly(parent: Path) -> Path:
    """A copy of a release with that model."""
    original = newest(NAMES[0])
    folder = shutil.copytree(original, parent / "deadly", ignore=shutil.ignore_patterns("*.svg", "*.md"))
    return sealed_bytes(folder, MODEL, DEADLY, (original / "manifest.json").read_bytes())


def record_of(folder: Path, file: Path) -> str:
    """A ledger with one score, said to be made with that release; the id of its record."""
    release = open_release(newest(NAMES[0]))
    scorer = Scorer(release, open_engine("xgboost", release), process=sampler())
    made = scored(scorer.score(release.form.example), release, release.form.example, by="a", channel="api")
    digest = hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    with closing(Ledger(file)) as ledger:
        named = {"release": digest, "release_name": folder.name}
        return str(ledger.append(made._replace(fields={**made.fields, **named})).header.id)


def test_a_deadly_release_ends_a_start_with_a_trace(worker: Worker, tmp_path: Path) -> None:
    """The process that opens it dies of a signal; `python app.py` says in which of our lines."""
    folder = deadly(tmp_path)
    assert worker.opens(folder, "xgboost") == ("killed", "SIGSEGV")
    own = {"TENFOLD_RELEASE": str(folder), "TENFOLD_LEDGER": "off", "TENFOLD_LOG": "off", "PORT": str(free_port())}
    done = subprocess.run(
        [sys.executable, "app.py"], cwd=ROOT, env={**os.environ, **own}, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == -signal.SIGSEGV
    assert "inference/engines.py" in done.stderr


def test_a_deadly_release_does_not_end_a_running_server(tmp_path: Path, record_property: Any) -> None:
    """The page of a record made with it says that it cannot be scored again, and why; the server goes on."""
    site = tmp_path / "site"  # of its own, since a server looks for old releases beside the embedded ones
    for part in ("inference", "ledger", "models", "web"):
        shutil.copytree(ROOT / part, site / part, ignore=shutil.ignore_patterns("__pycache__", "*.parquet"))
    shutil.copy(ROOT / "app.py", site)
    folder = deadly(site / "models" / "releases")
    id = record_of(folder, tmp_path / "ledger.sqlite3")
    own = {"TENFOLD_LOG": str(tmp_path / "p.jsonl"), "TENFOLD_LEDGER": str(tmp_path / "ledger.sqlite3")}
    own["TENFOLD_NO_LOGIN"] = "on"  # its records are by somebody who logged in
    with running([sys.executable, "app.py"], "/readyz", own, site) as (url, process):
        with ThreadPoolExecutor(4) as pool:  # at once, and again: it is tried once
            pages = list(pool.map(lambda _: httpx.get(f"{url}/record/{id}", timeout=120), range(4)))
            pages += [httpx.get(f"{url}/fr/record/{id}", timeout=120)]
        assert [page.status_code for page in pages] == [200] * 5
        told = [texts_in(language)("replayed.release_refused", release=folder.name) for language in LANGUAGES]
        assert [told[0] in page.text for page in pages] == [True] * 4 + [False]
        assert told[1] in html.unescape(pages[4].text)
        assert httpx.get(f"{url}/readyz").status_code == 200
        assert process.is_running()
    report("release_deadly", record_property, pages=len(pages), crashed_the_server=0)


def test_a_deadly_release_does_not_end_a_replay(tmp_path: Path) -> None:
    """`python -m ledger replay` says which record cannot be scored again, and why."""
    folder = deadly(tmp_path)
    id = record_of(folder, tmp_path / "ledger.sqlite3")
    command = ["--ledger", str(tmp_path / "ledger.sqlite3"), "replay", "--releases", str(folder)]
    done = subprocess.run(
        [sys.executable, "-m", "ledger", *command], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert f"{id}: impossible" in done.stdout
    assert "SIGSEGV" in done.stdout
