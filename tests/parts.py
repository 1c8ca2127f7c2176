"""Parts that tests are built from: the releases there are, real loans, and descriptions of fields."""

import hashlib
import json
import os
import random
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from fastapi import FastAPI
from fastapi.testclient import TestClient

from inference.application import Form
from inference.fields import field_from_json
from inference.manifest import Population
from inference.measure import Clock, ProcessSampler
from inference.release import Release
from inference.settings import current_releases
from models.recipe import HistoryTables, Loans, Recipe

NO_USERS = Path(tempfile.gettempdir()) / "tenfold-tests-have-no-users" / "users.sqlite3"
# Digests change with every training: releases are known by their recipe's name.
NAMES = sorted(current_releases())


def newest(name: str) -> Path:
    """The release folder of a recipe that serves, by DEFAULT: earlier ones lie beside it."""
    return current_releases()[name]


def some(values: Iterable[Any]) -> list[Any]:
    """The values, of which there is at least one: `all` of none is true, and a loop over none asserts nothing."""
    found = list(values)
    assert found, "nothing here to look at: an assertion over it would prove nothing"
    return found


class Time:
    """UTC as a test wants it, in seconds since 1970."""

    def __init__(self, now: float) -> None:
        self.now = now

    def utc(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    @property
    def clock(self) -> Clock:
        """What reads time takes it by; the other two clocks are the real ones."""
        return Clock(utc=self.utc, monotonic=self.monotonic)


class RealLoans(NamedTuple):
    """A sample of the loans that a release was trained on, and what training builds their rows with."""

    recipe: Recipe
    loans: Loans
    history: HistoryTables | None

    def answers(self, at: int) -> dict[str, object]:
        """The raw answers of one loan, as the form would have given them."""
        return {name: column[at] for name, column in self.loans.answers.items()}


def training_of(release: Release) -> Any:
    """What the manifest says of the training; scoring reads none of it, so it has no type of its own."""
    return release.manifest.training


def population_of(release: Release) -> Population:
    """Of a release that has one."""
    assert release.manifest.population is not None
    return release.manifest.population


def sampler() -> ProcessSampler:
    """A process sampler whose thread has ended: no test waits for it, and no thread outlives a test."""
    made = ProcessSampler()
    made.close()
    return made


def visiting(app: FastAPI, **rest: Any) -> TestClient:
    """A client of an app in this process, on this machine as an open desk wants it."""
    return TestClient(app, "http://127.0.0.1", client=("127.0.0.1", 50_000), **rest)


def seen(client: TestClient, id: str) -> str:
    """What the forms of a case's page carry of it."""
    found = re.search(r'data-seen="([^"]+)"', client.get(f"/record/{id}").text)
    return found[1] if found else ""


def send(client: TestClient, id: str, action: str, form: dict[str, str]) -> bool:
    """Send a form of a case's page as it is now; whether it was recorded."""
    answer = client.post(f"/record/{id}/{action}", data={"seen": seen(client, id), **form})
    return {"yes": True, "no": False}[answer.headers["x-recorded"]]


def number(name: str, low: float = 0, high: float = 1000, **rest: Any) -> dict[str, Any]:
    """The description of a number field as a manifest holds it."""
    common = {"kind": "number", "minimum": low, "maximum": high, "whole": False, "optional": False}
    ranges = {"typical": [low, high], "usual": [low, high], "reference": low, "example": low}
    return described(name, "high", "low", "not_stated") | common | ranges | rest


def choice(name: str, *codes: str, **rest: Any) -> dict[str, Any]:
    """The description of a choice field as a manifest holds it."""
    choices = [{"code": code, "label": {"en": code.upper(), "fr": code.title()}, "count": 100} for code in codes]
    common = {"kind": "choice", "choices": choices, "digits": None, "reference": codes[0], "example": codes[0]}
    return described(name, "any") | common | rest


def described(name: str, *reasons: str) -> dict[str, Any]:
    told = [{"code": code, "text": {"en": f"{name} is {code}", "fr": f"{name} : {code}"}} for code in reasons]
    texts = {"label": {"en": name, "fr": name}, "help": {"en": "", "fr": ""}, "unit": {"en": "€", "fr": "€"}}
    return {"name": name, "group": "all", "actionable": None, "reasons": told} | texts


def form_of(*specs: dict[str, Any]) -> Form:
    """A form of the fields described."""
    return Form(tuple(field_from_json(spec) for spec in specs))


def sealed(folder: Path, manifest: dict[str, Any]) -> Path:
    """The folder with another manifest, all digests made to fit again and the folder named by them."""
    files = manifest.get("files")
    for name, entry in files.items() if isinstance(files, dict) else ():
        if isinstance(entry, dict) and (folder / name).is_file():
            entry["sha256"] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    content = json.dumps(manifest).encode()
    (folder / "manifest.json").write_bytes(content)
    return folder.rename(folder.with_name(f"edited-{hashlib.sha256(content).hexdigest()[:12]}"))


def mutate(stream: Any, whole: bytes, chance: random.Random) -> None:
    """Alter an open file in one of five ways, each of which changes its bytes."""
    at = chance.randrange(len(whole))
    length = min(chance.choice([1, 8, 512]), len(whole) - at)
    kind = chance.choice(["flip", "truncate", "append", "delete", "zero"])
    if kind == "zero" and not any(whole[at : at + length]):
        kind = "flip"  # zeros already
    if kind == "append":
        stream.seek(0, os.SEEK_END)
        stream.write(chance.randbytes(length))
        return
    stream.seek(at)
    if kind == "flip":
        stream.write(bytes([whole[at] ^ 1 << chance.randrange(8)]))
    elif kind == "zero":
        stream.write(bytes(length))
    else:
        stream.write(whole[at + length :] if kind == "delete" else b"")
        stream.truncate()


def restore(file: Path, whole: bytes) -> None:
    with file.open("r+b") as stream:
        stream.write(whole)
        stream.truncate()
