"""The container: its steps run in an empty folder, which then serves as an image does: read-only, as another user."""

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from parts import some

from inference.settings import ROOT
from profiling.benchmarks.serving import running
from web.shipping.files import SERVED

CONTAINERFILE = (ROOT / "Containerfile").read_text("utf-8")
BASE = 135_000_000  # bytes of the image that it stands on, python:3.11-slim, rounded up
LARGEST = 700_000_000
START = 300  # seconds that a server may take on a busy machine
MANAGER = "mia:a long Walk 4 nobody"
EXAMPLE = {
    "amount": 1000, "price": 1400, "term": 48, "income": 125, "expenses": 51, "assets": 0, "seniority": 5,
    "job": "fixed", "home": "rent", "prior_record": "no",
}  # fmt: skip
NOBODY = 65534  # a user id that owns nothing
# As a container has it: all is read-only but the data and a /tmp in memory; another user, who cannot gain rights.
# Arguments: Python, folder, data, "yes" for another user, then the command. Homes and temporary folders that only
# their owners may enter are covered, and what is needed of them is put back.
CONFINED = """
set -e
mount -t tmpfs none /mnt
mkdir /mnt/python /mnt/folder /mnt/data
mount --bind "$1" /mnt/python
mount --bind "$2" /mnt/folder
mount --bind "$3" /mnt/data
mount -t tmpfs -o mode=1777 none /tmp
case "$1" in /root/*) mount -t tmpfs -o mode=755 none /root; mkdir -p "$1"; mount --bind /mnt/python "$1";; esac
mkdir -p "$2" "$3"
mount --bind /mnt/folder "$2"
mount --bind /mnt/data "$3"
mount -o remount,bind,ro "$2"
mount -o remount,bind,ro /
cd "$2"
other=$4
shift 4
test "$other" = no || exec setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs "$@"
exec "$@"
"""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder that an image would hold, made by the script that makes it there; removed again, for its size."""
    folder = tmp_path_factory.mktemp("container") / "opt"
    environment = {**os.environ, "PYTHON": sys.executable}
    done = subprocess.run(
        ["sh", "container/install.sh", folder], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr
    yield folder
    shutil.rmtree(folder)


def confined(image: Path, data: Path) -> list[str]:
    """What a command is put behind, so that it runs as in a container; nothing where this machine allows no mounts,
    and that is said: then the folder is only made read-only, which a root user does not notice."""
    is_root = os.geteuid() == 0
    own = [] if is_root else ["--user", "--map-root-user"]
    paths = [sys.base_prefix, str(image), str(data), "yes" if is_root else "no"]
    before = ["unshare", "--mount", *own, "sh", "-c", CONFINED, "sh", *paths]
    if shutil.which("unshare") and subprocess.run([*before, "true"], capture_output=True).returncode == 0:
        if is_root:
            os.chown(data, NOBODY, NOBODY)
        return before
    print("This machine allows no mounts: the folder is made read-only, and the same user serves")
    subprocess.run(["chmod", "-R", "a-w", image], check=True)
    return []


def environment(image: Path, data: Path) -> list[str]:
    """The image's environment, and nothing of ours: `env -i NAME=VALUE …`."""
    listed = re.search(r"^ENV (.+)$", CONTAINERFILE, re.MULTILINE)
    assert listed
    values = listed[1].replace("/opt/tenfold", str(image)).replace("/data", str(data)).replace("$PATH", os.defpath)
    return ["env", "-i", *(word for word in shlex.split(values) if not word.startswith("PORT="))]


def contents(folder: Path) -> dict[str, str]:
    """Every file below, with the digest of what it holds."""
    files = some(file for file in folder.rglob("*") if file.is_file() and not file.is_symlink())
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def call(url: str, body: object = None, **headers: str) -> dict[str, object]:
    """The JSON that an address answers with."""
    sent = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, sent, {"Content-Type": "application/json", **headers})  # noqa: S310 - our own
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        parsed: dict[str, object] = json.load(answer)
        return parsed


@pytest.mark.slow
def test_a_folder_made_as_the_image_is_serves_as_one(image: Path, tmp_path: Path) -> None:
    """Small enough; nothing in it is written while it serves; then read-only, as another user: the first manager by
    the secret, a token, the image's own health check, a score that is recorded."""
    size = sum(file.lstat().st_size for file in image.rglob("*"))
    print(f"{size / 1e6:.0f} MB, and {BASE / 1e6:.0f} MB of the image below")
    assert BASE + size < LARGEST
    before = contents(image)
    assert not [name for name in before if name.endswith((".sqlite3", ".jsonl"))]
    command = [str(image / ".venv/bin/tenfold"), "serve"]
    writable = tmp_path / "first"
    writable.mkdir()
    # With bytecode allowed: a module that is not compiled yet would leave it.
    allowed = [word for word in environment(image, writable) if not word.startswith("PYTHONDONTWRITEBYTECODE")]
    with running([*allowed, "PORT=PORT", f"TENFOLD_FIRST_MANAGER={MANAGER}", *command], "/readyz", {}, image, START):
        pass
    assert contents(image) == before

    data = tmp_path / "data"
    data.mkdir()
    inside = [*confined(image, data), *environment(image, data)]
    with running([*inside, "PORT=PORT", f"TENFOLD_FIRST_MANAGER={MANAGER}", *command], "/readyz", {}, image, START) as (
        url,
        _,
    ):
        port = url.rpartition(":")[2]
        (check,) = re.findall(r"^HEALTHCHECK .* CMD (\[.+\])$", CONTAINERFILE, re.MULTILINE)
        for asked, healthy in ((port, True), ("9", False)):
            done = subprocess.run([*inside, f"PORT={asked}", *json.loads(check)], capture_output=True, text=True)
            assert (done.returncode == 0) == healthy, done.stderr
        added = [*inside, command[0], "tokens", "add", "loans", "--role", "officer"]
        token = subprocess.run(added, cwd=image, capture_output=True, text=True, check=True).stdout.strip()
        score = call(f"{url}/api/v1/score", {"answers": EXAMPLE}, Authorization=f"Bearer {token}")
        assert score["decision"] in {"approve", "refer", "decline"}
    assert {"ledger.sqlite3", "users.sqlite3", "logs"} <= {file.name for file in data.iterdir()}
    if os.geteuid() == 0 and inside[0] == "unshare":
        assert (data / "ledger.sqlite3").stat().st_uid == NOBODY
    assert contents(image) == before


@pytest.mark.slow
def test_a_copy_that_serves_names_what_it_lacks(tmp_path: Path) -> None:
    """Commands that train or profile need a checkout, and say so."""
    copied = subprocess.run([sys.executable, "-m", "web.shipping.files", tmp_path / "copy"], cwd=ROOT)
    assert copied.returncode == 0
    for name in ("train", "profile"):
        command = [
            sys.executable,
            "-S",
            "tenfold.py",
            name,
        ]  # without site-packages: an installed checkout has them all
        done = subprocess.run(command, cwd=tmp_path / "copy", capture_output=True, text=True)
        assert done.returncode == 1
        assert f"tenfold {name}: this copy of Tenfold serves and does no more" in done.stderr


def test_the_containerfile() -> None:
    """A user without rights; the script that the tests run; its port; and the base."""
    lines = CONTAINERFILE.splitlines()
    assert [line for line in lines if line.startswith("FROM ")] == [
        "FROM python:3.11-slim AS installed",
        "FROM python:3.11-slim",
    ]
    assert re.search(r"^USER 10001:10001$", CONTAINERFILE, re.MULTILINE)
    assert "sh /source/container/install.sh /opt/tenfold $EXTRAS" in CONTAINERFILE
    assert "EXPOSE 7860" in lines


def test_the_context_of_the_image_is_what_the_script_needs() -> None:
    """What .dockerignore lets in: what serves, the locks and the script; no log, ledger or user of this checkout."""
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert rules[-2:] == ["**/__pycache__", "**/.*"]
    let_in = {rule.removeprefix("!") for rule in some(rules[1:-2])}
    script = (ROOT / "container" / "install.sh").read_text("utf-8")
    needed = set(re.findall(r"\$source/([\w.-]+)", script))
    assert let_in == {*SERVED, *needed, "container", "models/releases"}
    assert all((ROOT / name).exists() for name in some(let_in))
