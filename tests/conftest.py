"""What the tests share: every release in models/releases, its loans, and a small form made by hand."""

import gc
import os
import shutil
import signal
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from parts import NAMES, NO_USERS, RealLoans, choice, form_of, newest, number, sampler, visiting

from inference.application import Form
from inference.engines import XGBoostEngine
from inference.release import Release, open_release
from inference.scorer import Scorer, open_scorer
from inference.settings import Settings, default_release
from models.recipes import RECIPES

# The same cases on every run and machine, and none kept on disk: a failure repeats wherever they are run.
hypothesis_settings.register_profile(
    "tenfold", derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.register_profile("quick", hypothesis_settings.get_profile("tenfold"), max_examples=25)
hypothesis_settings.load_profile("tenfold")  # make quick takes the other

gc.disable()  # while the tests are imported, of which a third was spent looking for garbage

# A shell's background job ignores Ctrl-C, and so would every program that a test starts and stops.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Whoever works here may have users of their own, behind whose login no test of an open desk would get.
os.environ["TENFOLD_USERS"] = "off"

LOANS = 3000  # of each source, for the tests that go through real loans


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """A file that is slow as a whole is not even imported where slow tests are left out."""
    if config.option.markexpr != "not slow" or collection_path.suffix != ".py":
        return None
    return "\npytestmark = pytest.mark.slow" in collection_path.read_text("utf-8") or None


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


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
def default_scorer() -> Scorer:
    """Of the release that DEFAULT lists first. It writes no log."""
    return open_scorer(Settings(release=default_release(), log=None))


@pytest.fixture(scope="module")
def settings() -> Settings:
    """Of an open desk that keeps nothing; a file that needs other settings has its own."""
    return Settings(release=default_release(), log=None, ledger=None, users=NO_USERS)


@pytest.fixture(scope="module")
def client(default_scorer: Scorer, settings: Settings) -> Iterator[TestClient]:
    """A client of an app of the file's own: what an app counts of its clients is no other file's."""
    from web.server import create_app  # here: it brings Gradio, which a test of rows does without

    with visiting(create_app(default_scorer, settings)) as client:
        yield client


@pytest.fixture
def visitor(app: TestClient) -> Iterator[TestClient]:
    """The client of a file's own `app`, without anybody's cookies before and after."""
    app.cookies.clear()
    yield app
    app.cookies.clear()


@pytest.fixture(scope="session")
def real(release: Release) -> RealLoans:
    """At most LOANS loans of the release's recipe."""
    return real_loans(release.manifest.name)


@cache  # a session's fixture with parameters is made anew for every file
def real_loans(name: str) -> RealLoans:
    """Of all months where the loans have no date, else of three months of the training window."""
    recipe = RECIPES[name]
    loans = recipe.load()
    start, _, end = recipe.window or (0, 0, 1)
    months = np.linspace(start, end - 1, 3, dtype=int) if recipe.window else np.array([0])
    random = np.random.default_rng(0)
    chosen = np.zeros(len(loans), bool)
    for month in months:
        of_month = np.flatnonzero(loans.months == month)
        chosen[random.permutation(of_month)[: LOANS // len(months)]] = True
    return RealLoans(recipe, loans.where(chosen), recipe.history() if recipe.history else None)


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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests last: Playwright keeps an event loop in this thread, in which no other can be run."""
    items.sort(key=lambda item: item.path.parent.name == "browser")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many cases hypothesis tried, where a test recorded it."""
    for report in terminalreporter.stats.get("passed", []):
        for name, value in report.user_properties:
            shown = f"{value:,}" if isinstance(value, int) else value
            terminalreporter.write_line(f"{name}: {shown} ({report.nodeid})")
