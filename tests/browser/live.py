"""A real server, started as people start it, and the words to use the desk that it serves."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, Request

from inference.release import Release
from inference.settings import current_releases
from web.pages.texts import texts_in
from web.security.accounts import Accounts

ROOT = Path(__file__).resolve().parent.parent.parent
SCREENSHOTS = ROOT / "tests" / "screenshots"
SERVED = ("app.py", "inference", "ledger", "web", "models/__init__.py", "models/releases")
DEADLINE = 120  # seconds from start to ready; a machine that is busy otherwise needs many
NOBODY = 65534
PATIENCE = 15_000  # ms that a step in the browser may take


@dataclass
class Server:
    """`python app.py` on a free port of this machine, from a checkout that it cannot write into."""

    release: Release
    environment: dict[str, str] = field(default_factory=dict)
    url: str = ""
    port: int = 0

    def __post_init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="tenfold-"))
        self.checkout = self.home / "checkout"
        for name in SERVED:
            (self.checkout / name).parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
            copy(ROOT / name, self.checkout / name)
        for folder in self.checkout.rglob("__pycache__"):
            shutil.rmtree(folder)
        self.writable = self.home / "writable"
        self.writable.mkdir()
        self.log, self.ledger = self.writable / "predictions.jsonl", self.writable / "ledger.sqlite3"
        self.users = self.writable / "users.sqlite3"
        self.home.chmod(0o755)
        self.command = [sys.executable, "app.py"]
        as_nobody = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        if os.geteuid() == 0:  # modes do not bind root
            # Where nobody may not start this Python (one under /root), the server stays root, and the test that nothing
            # was written into the checkout still holds. It starts Python itself, to read files.
            program = "import subprocess, sys; subprocess.run([sys.executable, '-c', ''], check=True)"
            if not subprocess.run([*as_nobody, sys.executable, "-c", program], cwd="/", capture_output=True).returncode:
                os.chown(self.writable, NOBODY, NOBODY)
                self.command = [*as_nobody, *self.command]
        else:
            for path in [self.checkout, *self.checkout.rglob("*")]:
                path.chmod(path.stat().st_mode & ~0o222)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("TENFOLD_", "GRADIO_", "SPACE_", "HOST"))}
        environment = inherited | {
            "PORT": str(self.port),
            "HOME": str(self.writable),
            "TMPDIR": str(self.writable),
            "PYTHONDONTWRITEBYTECODE": "1",  # root could write it into the checkout
            "TENFOLD_LOG": str(self.log),
            "TENFOLD_LEDGER": str(self.ledger),
            "TENFOLD_SECURITY_LOG": str(self.writable / "security.jsonl"),
            "TENFOLD_BATCH": str(self.writable / "batch"),
            "TENFOLD_USERS": str(self.users) if self.users.exists() else "off",
            "TENFOLD_RELEASE": str(self.checkout / "models" / "releases" / self.release.name),
        }
        self.output = (self.writable / "output.txt").open("a")
        self.process = subprocess.Popen(
            self.command,
            cwd=self.checkout,
            env=environment | self.environment,
            stdout=self.output,
            stderr=subprocess.STDOUT,
        )
        deadline = time.monotonic() + DEADLINE
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                pytest.fail(f"no server: {self.said()}")
            time.sleep(0.1)

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=2) as answer:  # noqa: S310 - our own server
                return bool(answer.status == 200)
        except OSError:
            return False

    def said(self) -> str:
        return (self.writable / "output.txt").read_text()

    def kill(self) -> None:
        """Gone without a word; a stop would wait for clients that hold a connection."""
        self.process.kill()
        self.process.wait()
        self.output.close()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.output.close()

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.home, ignore_errors=True)


def releases() -> dict[str, Path]:
    """Recipe name -> the embedded release of it that serves."""
    return current_releases()


class Desk:
    """A page with the desk, and the words to use it."""

    def __init__(self, page: Page, server: Server, path: str | None) -> None:
        """`path` is the desk's; None where somebody has to log in first."""
        self.page, self.server, self.release = page, server, server.release
        self.complaints: list[str] = []
        self.outside: list[str] = []
        page.on("console", lambda m: self.complaints.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self.watch)
        if path is not None:
            self.go(path)

    def go(self, path: str) -> None:
        self.page.goto(self.server.url + path)
        self.ready()

    def ready(self) -> None:
        self.page.wait_for_selector("html[data-desk=ready]")
        self.language = self.page.get_attribute("html", "lang") or ""
        self.texts = texts_in(self.language)

    def watch(self, request: Request) -> None:
        if not request.url.startswith((self.server.url, "data:", "blob:")):
            self.outside.append(request.url)

    def box(self, name: str) -> Locator:
        return self.page.locator(f"#field-{name}-input")

    def option(self, name: str, code: str) -> Locator:
        return self.page.locator(f"#field-{name} input[type=radio][value='{code}']")

    def not_stated(self, name: str) -> Locator:
        return self.page.locator(f"#field-{name} .not-stated input")

    def error(self, name: str) -> Locator:
        return self.page.locator(f"#field-{name}-error")

    def score(self) -> None:
        self.page.click("#score")

    def card(self, state: str) -> Locator:
        self.page.wait_for_selector(f"#result .card[data-state={state}]")
        return self.page.locator("#result .card")

    def is_stale(self) -> bool:
        return bool(self.page.eval_on_selector("#result", "element => element.classList.contains('stale')"))

    def shoot(self, name: str, full: bool = True) -> None:
        SCREENSHOTS.mkdir(exist_ok=True)
        self.page.mouse.move(0, 0)
        if full:
            self.page.evaluate("window.scrollTo(0, 0)")
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=full)

    def axe(self) -> None:
        """No serious or critical violation in this view."""
        assert self.violations(self.page) == []

    @staticmethod
    def violations(page: Page) -> list[str]:
        found = Axe().run(page).response["violations"]
        return [f"{v['id']}: {[n['html'][:200] for n in v['nodes']]}" for v in found if v["impact"] in GRAVE]


GRAVE = ("serious", "critical")


def add_officers(server: Server, password: str, *names: str) -> None:
    """Users of a server, who exist from its first start on."""
    if server.users.exists():
        return
    with closing(Accounts(server.users)) as accounts:
        for name in names:
            accounts.add_user(name, "officer", password)
    for file in server.writable.glob("users.sqlite3*"):
        os.chown(file, server.writable.stat().st_uid, server.writable.stat().st_gid)
    server.stop()
    server.start()
