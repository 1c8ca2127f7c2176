"""Releases are kept: no command deletes one, DEFAULT names those that serve, and earlier ones still replay."""

import json
import os
import random
import shutil
import signal
import subprocess
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from parts import NAMES, sampler

from inference import settings
from inference.engines import XGBoostEngine
from inference.errors import BadRelease, BadSetting
from inference.release import Release, open_release
from inference.scorer import Scorer
from inference.settings import RELEASES, ROOT, current_releases, default_release
from ledger.__main__ import main
from ledger.decisions import scored
from ledger.ledger import Ledger
from models.export import export, make_current, write_release
from models.recipes.consumer import RECIPE
from models.train import Trained, fit, train

pytestmark = pytest.mark.slow

EARLIER = ("consumer-9e127c0ee47d", "sba-d6e6fd9ccd1f")  # of format 1: ledgers name them


@pytest.fixture(scope="module")
def trainings() -> list[Trained]:
    """Two trainings of the consumer recipe on a few loans, which differ in their number of trees."""
    loans = RECIPE.load()
    few = loans.where(np.arange(len(loans)) % 8 == 0)
    recipes = [replace(RECIPE, parameters={**RECIPE.parameters, "n_estimators": trees}) for trees in (3, 5)]
    first = train(recipes[0], few)
    model = fit(recipes[1], first.builder.columns, first.sample.rows, first.sample.bad, first.sample.months)
    return [first, replace(first, recipe=recipes[1], model=model)]


def contents(folder: Path) -> dict[str, bytes]:
    found = {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    assert found
    return found


def test_training_again_keeps_the_earlier_release(trainings: list[Trained], tmp_path: Path) -> None:
    """Both folders are there afterwards, the earlier byte for byte; DEFAULT names the later one in its place."""
    (tmp_path / "DEFAULT").write_text("consumer-000000000000\nother-000000000000\n")
    first = export(trainings[0], {}, tmp_path)
    (first.folder / "MODEL_CARD.md").write_text("of the first")
    make_current(first)
    before = contents(first.folder)
    second = export(trainings[1], {}, tmp_path)
    make_current(second)
    assert first.digest != second.digest
    assert contents(first.folder) == before
    assert {open_release(one.folder).digest for one in (first, second)} == {first.digest, second.digest}
    assert (tmp_path / "DEFAULT").read_text() == f"{second.folder.name}\nother-000000000000\n"
    assert sorted(one.name for one in tmp_path.iterdir()) == sorted(["DEFAULT", first.folder.name, second.folder.name])


def test_the_same_release_again_is_left_as_it_is(trainings: list[Trained], tmp_path: Path) -> None:
    """Not written anew: what lies beside it, such as a card that somebody has commented, stays."""
    first = export(trainings[0], {}, tmp_path)
    (first.folder / "NOTES.md").write_text("of a reader")
    before = contents(first.folder)
    again = export(trainings[0], {}, tmp_path)
    assert again.folder == first.folder
    assert contents(first.folder) == before


@pytest.mark.parametrize("kind", ["spoiled", "file", "folder"])
def test_nothing_in_the_place_of_a_release_is_written_over(trainings: list[Trained], tmp_path: Path, kind: str) -> None:
    """A spoiled release, a file or a folder of that name stops the export, and stays."""
    made = export(trainings[0], {}, tmp_path)
    if kind == "spoiled":
        (made.folder / "model.ubj").write_bytes(b"{spoiled")
    else:
        shutil.rmtree(made.folder)
        place = made.folder / "mine.txt" if kind == "folder" else made.folder
        place.parent.mkdir(exist_ok=True)
        place.write_text("mine")
    before = contents(tmp_path)
    with pytest.raises(BadRelease, match="move the folder away first"):
        export(trainings[0], {}, tmp_path)
    assert contents(tmp_path) == before


def test_a_ledger_of_an_earlier_release_replays_after_another_training(
    trainings: list[Trained], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command finds the earlier release beside the later one, by its digest."""
    releases, file = tmp_path / "releases", tmp_path / "ledger.sqlite3"
    first = export(trainings[0], {}, releases)
    record(file, first)
    make_current(export(trainings[1], {}, releases))
    assert main(["--ledger", str(file), "replay", "--releases", str(releases)]) == 0
    assert f"{len(first.manifest.golden)} same;" in capsys.readouterr().out


@pytest.mark.parametrize("name", EARLIER)
def test_the_first_embedded_releases_still_replay(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever is embedded since, what they decided is scored again without another word on where they are."""
    release, file = open_release(RELEASES / name), tmp_path / "ledger.sqlite3"
    assert release.manifest.format == 1
    record(file, release)
    assert main(["--ledger", str(file), "replay"]) == 0
    assert f"{len(release.manifest.golden)} same;" in capsys.readouterr().out


def record(file: Path, release: Release) -> None:
    """Into the ledger: every golden application of the release, scored by it."""
    scorer = Scorer(release, XGBoostEngine(release), process=sampler())
    golden = [one.answers for one in release.manifest.golden]
    assert len(golden) > 5
    with closing(Ledger(file)) as ledger:
        for answers in golden:
            ledger.append(scored(scorer.score(answers), release, answers, by="test", channel="api"))


# --- DEFAULT ---


def test_default_names_one_release_a_recipe() -> None:
    """Every release in the embedded list opens and is of the recipe it stands for; the first is the default."""
    listed = (RELEASES / "DEFAULT").read_text().split()
    assert [folder.name for folder in current_releases().values()] == listed
    assert default_release() == RELEASES / listed[0]
    assert sorted(current_releases()) == NAMES
    assert len(NAMES) >= 2
    for name, folder in current_releases().items():
        assert open_release(folder).manifest.name == name


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "names no release"),
        (b"\n \n", "names no release"),
        (b"consumer\n", "got 'consumer'"),
        (b"../elsewhere/consumer-0123456789ab\n", "got '../elsewhere"),
        (b"consumer-0123456789ab\nconsumer-ba9876543210\n", "got 'consumer-ba9876543210'"),
        (b"\xff\xfe", "not UTF-8"),
    ],
)
def test_a_default_that_cannot_be_used_is_refused(
    content: bytes, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which file, what it holds, and what to do."""
    (tmp_path / "DEFAULT").write_bytes(content)
    monkeypatch.setattr(settings, "RELEASES", tmp_path)
    with pytest.raises(BadSetting, match=r"DEFAULT.*make train") as caught:
        default_release()
    assert message in str(caught.value)


def test_make_takes_the_release_that_default_names(tmp_path: Path) -> None:
    """RELEASE=sba is the folder listed, not the first of that name; a folder stays what it is."""
    releases = tmp_path / "models" / "releases"
    for name in ("sba-000000000000", "sba-111111111111", "consumer-222222222222"):
        (releases / name).mkdir(parents=True)
    (releases / "DEFAULT").write_text("consumer-222222222222\nsba-111111111111\n")
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "shown.mk").write_text("shown:\n\t@echo $(TENFOLD_RELEASE)\n")

    def shown(release: str) -> str:
        command = ["make", "-s", "-f", "Makefile", "-f", "shown.mk", "shown", f"RELEASE={release}"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.strip()

    assert shown("sba") == "models/releases/sba-111111111111"
    assert shown("consumer") == "models/releases/consumer-222222222222"
    assert shown("/srv/releases/own-0123456789ab") == "/srv/releases/own-0123456789ab"


# --- killed at any moment ---

KILLS = 25
PATIENCE = 30  # seconds until the writer has named both, on a machine that is busy otherwise


def writing(releases: list[Release]) -> int:
    """The id of a process that writes these releases, and names each in DEFAULT, without end."""
    pid = os.fork()
    if pid:
        return pid
    try:
        files = [{name: (one.folder / name).read_bytes() for name in one.manifest.files} for one in releases]
        while True:
            for one, content in zip(releases, files, strict=True):
                make_current(write_release(unlisted(one), content, one.folder.parent))
    finally:
        os._exit(1)


def unlisted(release: Release) -> dict[str, Any]:
    """The manifest as it is given to be written: without its list of files."""
    manifest = json.loads((release.folder / "manifest.json").read_bytes())
    return {name: value for name, value in manifest.items() if name != "files"}


def test_a_reader_never_sees_half_of_it(
    trainings: list[Trained], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Any
) -> None:
    """While releases are written and named without end, and after a kill, what DEFAULT names is there and opens."""
    releases = [export(one, {}, tmp_path) for one in trainings]
    folders = [one.folder for one in releases]
    make_current(releases[0])
    monkeypatch.setattr(settings, "RELEASES", tmp_path)
    chance, looks = random.Random(0), 0
    seen: set[Path] = set()
    for _ in range(KILLS):
        pid = writing(releases)
        until = time.monotonic() + chance.uniform(0.01, 0.1)
        try:
            while time.monotonic() < until or (len(seen) < len(folders) and time.monotonic() < until + PATIENCE):
                seen.add(open_release(default_release()).folder)
                looks += 1
        finally:
            os.kill(pid, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
        assert os.WTERMSIG(status) == signal.SIGKILL, "the writer ended by itself"
        assert open_release(default_release()).folder in folders
        assert [open_release(folder).folder for folder in folders] == folders
    assert seen == set(folders)
    visible = {one.name for one in tmp_path.iterdir() if not one.name.startswith(".")}
    assert visible == {"DEFAULT", *(folder.name for folder in folders)}
    record_property("looks at releases that were being written", looks)


def test_a_release_that_cannot_be_opened_is_not_put_there(trainings: list[Trained], tmp_path: Path) -> None:
    """A manifest that is not whole leaves nothing behind."""
    made = export(trainings[0], {}, tmp_path / "made")
    files = {name: (made.folder / name).read_bytes() for name in made.manifest.files}
    manifest = {name: value for name, value in unlisted(made).items() if name != "points"}
    with pytest.raises(BadRelease):
        write_release(manifest, files, tmp_path / "new")
    assert not list((tmp_path / "new").iterdir())
