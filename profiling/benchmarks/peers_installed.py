"""Packages that benchmarks compare with, each installed in its own folder under build/peers."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from inference.settings import ROOT

PINS = {
    "bentoml": "bentoml==1.4.39",
    "duckdb": "duckdb==2.0.1",
    "fairlearn": "fairlearn==0.15.0",
    "litserve": "litserve==0.2.19",
    "mlserver": "mlserver==1.7.1",
    "polars": "polars==2.1.0 polars-runtime-32==2.1.0",
    "py-spy": "py-spy==0.4.3",
    "pyinstrument": "pyinstrument==5.1.3",
    "tl2cgen": "tl2cgen==1.0.0",
    "treelite": "treelite==4.8.1",
    "ydf": "ydf==0.16.1",
}
SHARED = ("numpy", "xgboost-cpu", "onnxruntime", "orjson", "msgspec", "psutil", "scikit-learn")  # as pinned here
HOME = ROOT / "build" / "peers"
PIP = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")


def environment(name: str) -> Path:
    """A server's own virtual environment, made once, with the versions that we use of what both need.

    Returns its folder of commands. Raises `subprocess.CalledProcessError` where it cannot be installed.
    """
    folder = HOME / name
    if is_to_install(name):
        subprocess.run([sys.executable, "-m", "venv", folder], check=True, capture_output=True)
        locked = (ROOT / "requirements-dev.lock").read_text()
        versions = [
            match[0] for package in SHARED if (match := re.search(rf"^{package}==[^ \\]+", locked, re.MULTILINE))
        ]
        install(name, folder / "bin" / "python", *versions)
    return folder / "bin"


def library(name: str) -> Path:
    """Install a library without its dependencies, which we have already, and return the folder to import it from.

    Raises `subprocess.CalledProcessError` where it cannot be installed.
    """
    if is_to_install(name):
        install(name, Path(sys.executable), "--no-deps", "--target", str(HOME / name))
    return HOME / name


def is_to_install(name: str) -> bool:
    """Whether the pinned version is missing; then the old folder is removed and a message printed."""
    marker = HOME / name / "installed"
    if marker.exists() and marker.read_text() == PINS[name]:
        return False
    print(f"Installing {PINS[name]} into build/peers/{name} …", flush=True)
    shutil.rmtree(HOME / name, ignore_errors=True)
    return True


def install(name: str, python: Path, *more: str) -> None:
    """Install by pip; write a marker once that has succeeded."""
    subprocess.run([str(python), *PIP, *PINS[name].split(), *more], check=True, capture_output=True)
    (HOME / name / "installed").write_text(PINS[name])
