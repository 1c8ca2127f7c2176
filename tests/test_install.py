"""What is installed, and the command: extras, `tenfold`, and what works where little is installed."""

import cProfile
import os
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import tenfold
from inference.extras import EXTRAS, MissingExtra, extra
from inference.settings import ROOT

DECLARED = {
    name: {Requirement(pin).name for pin in pins}
    for name, pins in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"].items()
}
# `-S`: without site-packages, so nothing is there but the standard library.
BARE = [sys.executable, "-S"]


def said(command: list[str], status: int = 0, **environment: str) -> str:
    """What a command prints, in the project's folder."""
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120, env={**os.environ, **environment}
    )
    assert done.returncode == status, done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", DECLARED)
def test_an_extra_is_known_by_its_modules(name: str) -> None:
    """inference/extras.py names modules of exactly the packages that pyproject.toml has in the extra."""
    assert EXTRAS.keys() == DECLARED.keys()
    brought_by = packages_distributions()
    for module in EXTRAS[name]:
        (package,) = set(brought_by[module])
        needed = {Requirement(one).name for other in DECLARED[name] for one in requires(other) or ()}
        assert package in DECLARED[name] | needed, module
    assert len(EXTRAS[name]) == len(DECLARED[name])


def test_a_missing_package_names_its_extra() -> None:
    """A package of the extra, or a part of it; what is missing for another reason stays what it is."""
    for missing in ("pyarrow", "pyarrow.parquet"):
        with (
            pytest.raises(
                MissingExtra,
                match=r"pyarrow is not installed: run 'make setup', which installs all extras "
                r"\(or pip install -e '\.\[book\]'\)",
            ),
            extra("book"),
        ):
            raise ModuleNotFoundError(name=missing)
    with pytest.raises(ModuleNotFoundError), extra("book"):
        raise ModuleNotFoundError(name="pyarrow_of_another")


@pytest.mark.slow
def test_scoring_is_imported_when_it_is_asked_for() -> None:
    """`import inference` needs no package; `from inference import …` gives what scoring takes."""
    said([*BARE, "-c", "from inference import InvalidApplication"])
    program = (
        "import inference, sys; assert not {'numpy', 'inference.scorer'} & sys.modules.keys()\n"
        "from inference import InvalidApplication, Score, predict_credit_score\n"
        "try: predict_credit_score(amount=-1)\n"
        "except InvalidApplication as error: print(len(error.problems), Score.__name__)"
    )
    assert said([sys.executable, "-c", program]) == "10 Score\n"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        __import__("inference").nothing  # noqa: B018


@pytest.fixture
def profiles(tmp_path: Path) -> list[str]:
    """Two real profiles."""
    files = [str(tmp_path / f"{size}.prof") for size in (100, 10_000)]
    for size, file in zip((100, 10_000), files, strict=True):
        profile = cProfile.Profile()
        profile.runcall(sorted, range(size), key=str)
        profile.dump_stats(file)
    return files


@pytest.mark.slow
def test_profiles_are_compared_where_nothing_is_installed(tmp_path: Path, profiles: list[str]) -> None:
    """Neither Gradio nor XGBoost, nor any other package; the report as HTML names the extra that it needs."""
    command = [*BARE, "-m", "tenfold", "profile", "report", *profiles]
    assert "Biggest movers" in said(command)
    told = said([*command, "--html", str(tmp_path / "report.html")], 1)
    assert "Biggest movers" in told
    assert (
        "jinja2 is not installed: run 'make setup', which installs all extras (or pip install -e '.[profile]')" in told
    )
    assert not (tmp_path / "report.html").exists()


@pytest.mark.slow
@pytest.mark.parametrize("first", ["ours", "standard"])
def test_profiling_goes_with_the_standard_package_of_that_name(tmp_path: Path, profiles: list[str], first: str) -> None:
    """Python 3.15's `profiling.tracing` is found beside ours, whichever folder comes first on the path."""
    standard = tmp_path / "lib"
    (standard / "profiling" / "tracing").mkdir(parents=True)
    (standard / "profiling" / "__init__.py").write_text('"""As in Python 3.15: no path is extended."""\n')
    (standard / "profiling" / "tracing" / "__init__.py").write_text("HERE = True\n")
    order = [str(ROOT), str(standard)] if first == "ours" else [str(standard), str(ROOT)]
    program = (
        f"import sys; sys.path[:0] = {order}; import tenfold; status = tenfold.main(sys.argv[1:])\n"
        "from profiling.tracing import HERE; sys.exit(status)"
    )
    assert "Biggest movers" in said([*BARE, "-P", "-c", program, "profile", "report", *profiles])


@pytest.mark.parametrize("name", [*tenfold.FIRST, *tenfold.OTHERS])
def test_every_command_runs(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`tenfold COMMAND --help` is that of `python -m …`; serving has none."""
    assert name in tenfold.usage()
    if name == "numbers":
        assert tenfold.main([name]) == 0
    elif name != "serve":  # tests/test_fresh.py serves
        with pytest.raises(SystemExit) as ended:
            tenfold.main([name, "--help"])
        assert ended.value.code == 0
    assert name == "serve" or capsys.readouterr().out


def test_a_command_that_does_not_exist(capsys: pytest.CaptureFixture[str]) -> None:
    """It is named, with those that exist; so they are listed where none is given."""
    assert tenfold.main(["scor"]) == 2
    captured = capsys.readouterr()
    assert "no command 'scor'" in captured.err
    assert tenfold.main([]) == 2
    assert tenfold.main(["--help"]) == 0
    assert capsys.readouterr().out.count("usage: tenfold") == 2


@pytest.mark.slow
def test_an_editable_installation_has_the_command(tmp_path: Path, profiles: list[str]) -> None:
    """`pip install -e .` in an empty environment gives `tenfold`."""
    tree = tmp_path / "tree"
    for name in ("inference", "ledger", "models", "profiling", "web"):
        ignored = shutil.ignore_patterns("__pycache__", "releases", "data", "static", "fonts", "out")
        shutil.copytree(ROOT / name, tree / name, ignore=ignored)
    for name in ("app.py", "tenfold.py", "pyproject.toml", "requirements.txt", "README.md", "LICENSE"):
        shutil.copyfile(ROOT / name, tree / name)
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    folder = tmp_path / "venv" / "bin"
    pip = [str(folder / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*pip, "--editable", tree], check=True)
    assert "usage: tenfold" in said([str(folder / "tenfold"), "--help"])
    assert "Biggest movers" in said([str(folder / "tenfold"), "profile", "report", *profiles])
