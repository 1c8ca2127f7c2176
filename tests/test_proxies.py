"""The Caddyfile and the nginx file of docs/operate.md, each before a real server: https, logins, addresses, files."""

import json
import re
import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest
from test_accounts import PASSWORD
from test_restart import START, first

from inference.settings import ROOT
from profiling.benchmarks.serving import free_port
from web.security.accounts import Accounts

pytestmark = pytest.mark.slow

PAGE = (ROOT / "docs" / "operate.md").read_text("utf-8")
NAME = "loans.example"  # of the server in both files
EXAMPLE = {
    "amount": 1000, "price": 1400, "term": 48, "income": 125, "expenses": 51, "assets": 0, "seniority": 5,
    "job": "fixed", "home": "rent", "prior_record": "no",
}  # fmt: skip
# What a package's own configuration adds around a server's block; nothing of it changes what the block does.
NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/errors.txt;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
{block}
}}
"""


def block(language: str) -> str:
    """The file on the page."""
    (text,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(text)


def replaced(text: str, *pairs: tuple[str, str]) -> str:
    """With other addresses and files, each of which must be on the page."""
    for old, new in pairs:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate for the server's name, and an officer in its file of users."""
    made = tmp_path_factory.mktemp("proxy")
    if shutil.which("openssl") is None:
        pytest.skip("no openssl here to make a certificate")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={NAME}"]
    subprocess.run(
        [*command, "-addext", f"subjectAltName=DNS:{NAME}", "-keyout", made / "key.pem", "-out", made / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    with closing(Accounts(made / "users.sqlite3")) as accounts:
        accounts.add_user("ann", "officer", PASSWORD)
    return made


@pytest.fixture(scope="module")
def behind(folder: Path) -> Iterator[int]:
    """The port of a Tenfold that listens on this machine, with users."""
    port = free_port()
    more = {"TENFOLD_USERS": str(folder / "users.sqlite3"), "TENFOLD_BATCH": str(folder / "batch")}
    with first(folder, port, **more):
        yield port


def caddy(folder: Path, port: int, behind: int) -> list[str]:
    """Caddy's command; its file with a certificate at hand, since none can be fetched here."""
    tls = f"\n\tbind 127.0.0.1\n\ttls {folder}/cert.pem {folder}/key.pem\n"
    text = replaced(
        block("caddy"), (f"{NAME} {{\n", f"{NAME}:{port} {{{tls}"), ("127.0.0.1:7860", f"127.0.0.1:{behind}")
    )
    file = folder / "Caddyfile"
    file.write_text("{\n\tadmin off\n\tauto_https disable_redirects\n}\n" + text)
    return ["caddy", "run", "--config", str(file), "--adapter", "caddyfile"]


def nginx(folder: Path, port: int, behind: int) -> list[str]:
    """nginx' command."""
    text = replaced(
        block("nginx"), ("listen 443", f"listen 127.0.0.1:{port}"), ("127.0.0.1:7860", f"127.0.0.1:{behind}"),
        ("/etc/ssl/loans.example.pem", f"{folder}/cert.pem"), ("/etc/ssl/loans.example.key", f"{folder}/key.pem"),
    )  # fmt: skip
    file = folder / "nginx.conf"
    file.write_text(NGINX.format(folder=folder, block=text))
    return [shutil.which("nginx") or "/usr/sbin/nginx", "-c", str(file)]


@contextmanager
def proxied(command: list[str], folder: Path, port: int) -> Iterator[httpx.Client]:
    """A client of the proxy, which knows its certificate and calls it by its name."""
    output = folder / f"{Path(command[0]).name}.txt"
    own = {"HOME": str(folder), "PATH": "/usr/bin:/bin:/usr/sbin"}
    with output.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream, env=own)
    context = ssl.create_default_context(cafile=str(folder / "cert.pem"))
    try:
        with httpx.Client(base_url=f"https://127.0.0.1:{port}", verify=context, timeout=60) as client:
            client.headers["Host"] = NAME
            until = time.monotonic() + START
            while True:
                assert process.poll() is None, output.read_text()
                assert time.monotonic() < until, output.read_text()
                try:
                    if ask(client, "GET", "/readyz").status_code == 200:
                        break
                except httpx.TransportError:
                    time.sleep(0.1)
            yield client
    finally:
        process.terminate()
        process.wait(30)


def ask(client: httpx.Client, method: str, path: str, **rest: object) -> httpx.Response:
    """One request to the proxy by its name, which its certificate must have."""
    return client.request(method, path, extensions={"sni_hostname": NAME}, **rest)  # type: ignore[arg-type]


def logins(folder: Path) -> list[dict[str, object]]:
    """The logins in the security log."""
    texts = (folder / "security.jsonl").read_text().splitlines()
    return [line for line in map(json.loads, texts) if line["event"] == "login"]


@pytest.mark.parametrize(("program", "made"), [("caddy", caddy), ("nginx", nginx)])
def test_the_file_of_the_page_serves(program: str, made: object, folder: Path, behind: int) -> None:
    """By https, with a cookie for https alone; the address is the connection's, whatever a client claims; a large file
    comes through."""
    if shutil.which(program) is None and not Path(f"/usr/sbin/{program}").exists():
        pytest.skip(f"no {program} here: on Debian as root, make proxies installs it")
    assert callable(made)
    port, before = free_port(), len(logins(folder))
    with proxied(made(folder, port, behind), folder, port) as client:
        assert ask(client, "GET", "/history").status_code == 401
        claimed = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "http", "Origin": f"https://{NAME}"}
        form = {"name": "ann", "password": PASSWORD}
        answer = ask(client, "POST", "/login", data=form, headers=claimed)
        assert answer.status_code == 303
        assert "; Secure" in answer.headers["set-cookie"]
        assert "max-age=" in answer.headers["strict-transport-security"]
        assert answer.headers["location"].startswith("/")
        assert [line["address"] for line in logins(folder)[before:]] == ["127.0.0.1"]
        elsewhere = {"Origin": "https://elsewhere.example", "Sec-Fetch-Site": "cross-site"}
        assert ask(client, "POST", "/logout", headers=elsewhere).status_code == 403
        assert ask(client, "POST", "/api/v1/score", json={"answers": EXAMPLE}).status_code == 200
        assert ask(client, "GET", "/history", headers={"Accept": "text/html"}).status_code == 200
        content = b"amount\n" + b"12\n" * 7_000_000  # 21 MB, and no file of applications
        answer = ask(client, "POST", "/api/v1/book", content=content, headers={"Content-Type": "text/csv"})
        assert answer.status_code == 202, answer.text
