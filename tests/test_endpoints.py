"""The file that TENFOLD_WEBHOOKS names: what may be in it; no message about it holds an address or a secret."""

import base64
from pathlib import Path

import pytest

from inference.errors import BadSetting
from inference.settings import Settings
from ledger.endpoints import new_secret, read_webhooks

SECRET = f"whsec_{base64.b64encode(bytes(range(32))).decode()}"
WHOLE = f"""
server = "https://loans.example/scoring/"
[[endpoint]]
name = "mail"
url = "https://mail.example/in?token=hidden"
events = ["objection", "waiting"]
secrets = ["{SECRET}", "file:old"]
[[endpoint]]
name = "core"
url = "http://[::1]:8080/"
events = ["decided"]
secrets = ["{SECRET}"]
authority = "ca.pem"
"""


def written(folder: Path, text: str, mode: int = 0o600) -> Path:
    file = folder / "webhooks.toml"
    file.write_text(text)
    file.chmod(mode)
    return file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "old").write_text(f"{new_secret()}\n")
    (tmp_path / "ca.pem").write_text("")
    return tmp_path


def test_a_whole_file(folder: Path) -> None:
    """Events in their order, keys decoded, files beside it; the repr of an endpoint holds nothing secret."""
    hooks = read_webhooks(written(folder, WHOLE))
    assert hooks is not None
    mail, core = hooks.endpoints
    assert hooks.server == "https://loans.example/scoring"
    assert (mail.name, mail.kinds, mail.keys[0]) == ("mail", ("waiting", "objection"), bytes(range(32)))
    assert (len(mail.keys), len(mail.keys[1])) == (2, 32)
    assert core.authority == folder / "ca.pem"
    assert hooks.names_by_kind == {
        "scored": (), "decided": ("core",), "waiting": ("mail",), "objection": ("mail",), "due": (),
    }  # fmt: skip
    assert "hidden" not in repr(hooks)
    assert "x01" not in repr(hooks)


def test_no_file_is_no_endpoint() -> None:
    assert read_webhooks(None) is None
    assert Settings.from_environment({"TENFOLD_WEBHOOKS": "off"}).webhooks is None
    assert Settings.from_environment({"TENFOLD_WEBHOOKS": "/etc/w.toml"}).webhooks == Path("/etc/w.toml")


MAIL = 'name = "mail"'
URL = "https://mail.example/in?token=hidden"
EVENTS = '["objection", "waiting"]'
BAD = [
    ('server = "https://loans.example/scoring/"', "", "server: a text is needed"),
    ("https://loans.example/scoring/", "loans.example", "server: the address under which people open Tenfold"),
    (MAIL, 'name = "Mail"', "endpoint 1: name: up to 40 lower-case letters"),
    (MAIL, 'name = "core"', "two endpoints are called core"),
    (MAIL, 'name = "mail"\nretry = 3', "endpoint mail: retry: no such setting"),
    (URL, "http://mail.example/hidden", "endpoint mail: url: http is only for this computer"),
    (URL, "http://10.0.0.1/hidden", "endpoint mail: url: http is only for this computer"),
    (URL, "http://127.0.0.1.mail.example/hidden", "endpoint mail: url: http is only for this computer"),
    (URL, "ftp://mail.example/hidden", "endpoint mail: url: an address that begins with https:// is needed"),
    (URL, "https:///hidden", "endpoint mail: url: an address that begins with https:// is needed"),
    (URL, "https://mail.example/hidden here", "endpoint mail: url: an address that begins with https:// is needed"),
    (URL, "https://mail.example:hidden/", "endpoint mail: url: this is not an address"),
    (URL, "https://hidden:word@mail.example/", "endpoint mail: url: no user name, password or fragment"),
    (URL, "https://mail.example/#hidden", "endpoint mail: url: no user name, password or fragment"),
    (URL, "https://169.254.169.254/hidden", "endpoint mail: url: a link-local, multicast or unspecified address"),
    (URL, "https://[fe80::1]/hidden", "endpoint mail: url: a link-local, multicast or unspecified address"),
    (URL, "https://0.0.0.0/hidden", "endpoint mail: url: a link-local, multicast or unspecified address"),
    (EVENTS, '["objections"]', "endpoint mail: events: objections: there are scored, decided, waiting, objection, due"),
    (EVENTS, "[]", "endpoint mail: events: a list of texts is needed"),
    (f'"{SECRET}", "file:old"', '"hidden"', "endpoint mail: secrets: each is whsec_ and 24 to 64 random bytes"),
    (f'"{SECRET}", "file:old"', '"whsec_hidden"', "endpoint mail: secrets: each is whsec_"),
    (f'"{SECRET}", "file:old"', '"whsec_aGlkZGVu"', "endpoint mail: secrets: each is whsec_"),
    (f'"{SECRET}", "file:old"', f'"{SECRET}", "file:old", "file:old"', "endpoint mail: secrets: at most 2"),
    ("file:old", "file:none", "No such file"),
    ("ca.pem", "none.pem", "endpoint core: authority:"),
    ("[[endpoint]]", "[[endpoints]]", "endpoints: no such setting; there are endpoint, server"),
]


@pytest.mark.parametrize(("old", "new", "says"), BAD)
def test_what_is_wrong_is_said(folder: Path, old: str, new: str, says: str) -> None:
    """With the endpoint and the key, and without the address or the secret."""
    assert old in WHOLE
    with pytest.raises(BadSetting) as raised:
        read_webhooks(written(folder, WHOLE.replace(old, new)))
    assert says in str(raised.value)
    assert "hidden" not in str(raised.value)
    assert SECRET not in str(raised.value)


def test_what_is_no_toml_is_said(folder: Path) -> None:
    with pytest.raises(BadSetting, match="line 2") as raised:
        read_webhooks(written(folder, f'server = "x"\n{SECRET}\n'))
    assert SECRET[6:] not in str(raised.value)
    with pytest.raises(BadSetting, match="No such file"):
        read_webhooks(folder / "none.toml")


def test_files_with_secrets_are_private(folder: Path) -> None:
    """One that everybody may read is refused; with the secrets in files beside it, these may not be written."""
    with pytest.raises(BadSetting, match="chmod 600"):
        read_webhooks(written(folder, WHOLE, 0o644))
    elsewhere = WHOLE.replace(SECRET, "file:old")
    assert read_webhooks(written(folder, elsewhere, 0o644))
    (folder / "old").chmod(0o666)
    with pytest.raises(BadSetting, match="everybody may write it"):
        read_webhooks(written(folder, elsewhere))


@pytest.mark.slow
def test_a_server_says_what_is_wrong_before_it_starts(folder: Path, tmp_path: Path) -> None:
    """And that events need a ledger."""
    import os
    import subprocess
    import sys

    from inference.settings import ROOT

    file = written(folder, WHOLE.replace(URL, "http://mail.example/hidden"))
    for more, says in (
        ({}, "TENFOLD_WEBHOOKS: "), ({"TENFOLD_LEDGER": "off"}, "TENFOLD_WEBHOOKS: events are kept in the ledger"),
    ):  # fmt: skip
        if more:
            file = written(folder, WHOLE)
        environment = {
            **os.environ, "TENFOLD_WEBHOOKS": str(file), "TENFOLD_LEDGER": str(tmp_path / "l"), "TENFOLD_USERS": "off",
            "TENFOLD_LOG": "off", "TENFOLD_SECURITY_LOG": "off", "PORT": "0", **more,
        }  # fmt: skip
        done = subprocess.run([sys.executable, "app.py"], cwd=ROOT, env={**environment, "PORT": "7999"},
                              capture_output=True, text=True)  # fmt: skip
        assert done.returncode == 1
        assert says in done.stderr
        assert "hidden" not in done.stderr + done.stdout
