"""What the tests share: every release in models/releases, its loans, and a small form made by hand."""

import importlib
import re
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from inference.application import Form
from inference.engines import XGBoostEngine
from inference.fields import field_from_json
from inference.measure import ProcessSampler
from inference.release import Release, open_release
from inference.scorer import Scorer
from inference.settings import RELEASES
from models.recipe import HistoryTables, Loans, Recipe

# The same cases on every run and machine, and none kept on disk: a failure is there again for whoever runs it.
settings.register_profile(
    "tenfold", derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("tenfold")

# Digests change with every training: releases are found by their manifests and known by their recipe's name.
FOLDER = re.compile(r"(\w+)-[0-9a-f]{12}")
NAMES = sorted({found[1] for file in RELEASES.glob("*/manifest.json") if (found := FOLDER.fullmatch(file.parent.name))})
LOANS = 3000  # of each source, for the tests that go through real loans


def newest(name: str) -> Path:
    """The release folder of a recipe: the newest, for a training may be about to replace another."""
    found = [file for file in RELEASES.glob("*/manifest.json") if FOLDER.fullmatch(file.parent.name)]
    return max((file for file in found if file.parent.name[:-13] == name), key=lambda file: file.stat().st_mtime).parent


class RealLoans(NamedTuple):
    """A sample of the loans that a release was trained on, and what training builds their rows with."""

    recipe: Recipe
    loans: Loans
    history: HistoryTables | None

    def answers(self, at: int) -> dict[str, object]:
        """The raw answers of one loan, as the form would have given them."""
        return {name: column[at] for name, column in self.loans.answers.items()}


@pytest.fixture(scope="session", params=NAMES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of one release's folder, for every release in turn: a training meanwhile changes nothing."""
    found = newest(request.param)
    return shutil.copytree(found, tmp_path_factory.mktemp("releases") / found.name)


@pytest.fixture(scope="session")
def release(folder: Path) -> Release:
    return open_release(folder)


@pytest.fixture(scope="session")
def engine(release: Release) -> XGBoostEngine:
    return XGBoostEngine(release)


@pytest.fixture(scope="session")
def scorer(release: Release, engine: XGBoostEngine) -> Scorer:
    """Writes no log."""
    return Scorer(release, engine, process=sampler())


@pytest.fixture(scope="session")
def real(release: Release) -> RealLoans:
    """At most LOANS loans: of all months where they have no date, else of three months of the training window."""
    recipe: Recipe = importlib.import_module(f"models.recipes.{release.manifest['name']}").RECIPE
    loans = recipe.load()
    start, _, end = recipe.window or (0, 0, 1)
    months = np.linspace(start, end - 1, 3, dtype=int) if recipe.window else np.array([0])
    random = np.random.default_rng(0)
    chosen = np.zeros(len(loans), bool)
    for month in months:
        of_month = np.flatnonzero(loans.months == month)
        chosen[random.permutation(of_month)[: LOANS // len(months)]] = True
    return RealLoans(recipe, loans.where(chosen), recipe.history() if recipe.history else None)


def sampler() -> ProcessSampler:
    """A process sampler whose thread has ended: no test waits for it, and no thread outlives a test."""
    made = ProcessSampler()
    made.close()
    return made


def number(name: str, low: float = 0, high: float = 1000, **rest: Any) -> dict[str, Any]:
    """The description of a number field as a manifest holds it."""
    common = {"kind": "number", "minimum": low, "maximum": high, "whole": False, "optional": False}
    ranges = {"typical": [low, high], "usual": [low, high], "reference": low, "example": low}
    return described(name) | common | ranges | rest


def choice(name: str, *codes: str, **rest: Any) -> dict[str, Any]:
    """The description of a choice field as a manifest holds it."""
    choices = [{"code": code, "label": {"en": code.upper(), "fr": code.title()}, "count": 100} for code in codes]
    common = {"kind": "choice", "choices": choices, "digits": None, "reference": codes[0], "example": codes[0]}
    return described(name) | common | rest


def described(name: str) -> dict[str, Any]:
    texts = {"label": {"en": name, "fr": name}, "help": {"en": "", "fr": ""}, "unit": {"en": "€", "fr": "€"}}
    return {"name": name, "group": "all", "actionable": None, "notice": True} | texts


def form_of(*specs: dict[str, Any]) -> Form:
    """A form of the fields described."""
    return Form(tuple(field_from_json(spec) for spec in specs))


@pytest.fixture(scope="session")
def form() -> Form:
    """Every kind of field: numbers (plain, whole, optional) and choices (plain, with "not stated", digit codes)."""
    return form_of(
        number("amount", 10, 5000),
        number("staff", 0, 40, whole=True),
        number("income", 0, 900, optional=True),
        choice("state", "CA", "NY", "TX"),
        choice("line", "no", "yes", "not_stated"),
        choice("industry", "72", "7221", "722110", "722211", "11", "111", "111110", digits=6, example="722110"),
    )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many cases hypothesis tried, where a test recorded it."""
    for report in terminalreporter.stats.get("passed", []):
        for name, value in report.user_properties:
            terminalreporter.write_line(f"{name}: {value:,} ({report.nodeid})")
