"""A Space of one's own: `tenfold space` writes it, and it serves from a fresh home; the first manager by a secret."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest
from parts import newest, some

import inference.settings
import tenfold
from inference.errors import BadSetting
from inference.settings import ROOT, Settings, current_releases
from ledger import queries
from ledger.readonly import ReadOnlyStore
from profiling.benchmarks.serving import answers, free_port, stop
from web.security.accounts import Accounts
from web.security.first_manager import add_first_manager
from web.shipping.files import chosen_releases, copy_served

PASSWORD = "a long Walk 4 nobody"  # noqa: S105
BROWSER = {"Accept": "text/html", "Accept-Language": "en"}
START = 300  # seconds that a server may take on a busy machine
EXAMPLE = {
    "amount": 1000, "price": 1400, "term": 48, "income": 125, "expenses": 51, "assets": 0, "seniority": 5,
    "job": "fixed", "home": "rent", "prior_record": "no",
}  # fmt: skip


def written(out: Path, *words: str) -> Path:
    """The folder that the command writes."""
    assert tenfold.main(["space", *words, str(out)]) == 0
    return out


@contextmanager
def started(space: Path, home: Path, **environment: str) -> Iterator[tuple[str, Path]]:
    """A Space as it is started there: its app file by Python, in a home with nothing in it. Address and output."""
    home.mkdir(exist_ok=True)
    port, output = free_port(), home / "output.txt"
    (app_file,) = re.findall(r"^app_file: (\S+)$", (space / "README.md").read_text("utf-8"), re.MULTILINE)
    own = {"PATH": os.defpath, "HOME": str(home), "SPACE_ID": "somebody/tenfold", "PORT": str(port), **environment}
    with output.open("wb") as stream:
        process = subprocess.Popen([sys.executable, app_file], cwd=space, env=own, stdout=stream, stderr=stream)
    url, until = f"http://127.0.0.1:{port}", time.monotonic() + START
    try:
        while not answers(f"{url}/readyz"):
            assert process.poll() is None, output.read_text()
            assert time.monotonic() < until, output.read_text()
            time.sleep(0.1)
        yield url, output
    finally:
        stop(process)


@pytest.mark.slow
def test_a_private_space_has_a_login_and_says_what_is_lost(tmp_path: Path) -> None:
    """Without storage: the first manager logs in, scores, and every page says that all goes with a restart; with a
    folder of data it is there, the secret counts once, and nothing is said."""
    space = written(tmp_path / "space", "--private", "consumer")
    secret = {"TENFOLD_FIRST_MANAGER": f"Mia:{PASSWORD}"}
    lost, perdus = "are lost when it restarts", "sont perdus à chaque redémarrage"
    with started(space, tmp_path / "home", **secret) as (url, output), httpx.Client(base_url=url) as mia:
        assert "TENFOLD_FIRST_MANAGER has added the first manager" in output.read_text()
        assert PASSWORD not in output.read_text()
        assert lost in mia.get("/login").text
        assert mia.get("/history", headers=BROWSER).status_code == 303
        # As the platform's proxy sends it: by https, so that the cookie of the session goes nowhere else.
        by_proxy = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9"}
        page = mia.post("/login", data={"name": "mia", "password": PASSWORD}, headers=by_proxy)
        assert page.status_code == 303
        assert "Secure" not in page.headers["set-cookie"]  # this machine is not one of the platform's proxies
        assert mia.post("/api/v1/score", json={"answers": EXAMPLE}).status_code == 200
        assert lost in mia.get("/users").text
        assert perdus in mia.get("/fr/history").text
        assert lost in mia.get("/", headers=BROWSER).text
    with closing(ReadOnlyStore(space / "logs" / "ledger.sqlite3")) as store, store.reading() as connection:
        assert len(some(queries.records(connection))) >= 1

    data = tmp_path / "data"
    data.mkdir()
    for said in ("has added the first manager", "has no effect, since there has been a user already"):
        with started(space, tmp_path / "home", TENFOLD_DATA=str(data), **secret) as (url, output):
            assert f"TENFOLD_FIRST_MANAGER {said}" in output.read_text()
            assert "are lost" not in httpx.get(f"{url}/login").text
    assert {"ledger.sqlite3", "users.sqlite3", "logs"} <= {file.name for file in data.iterdir()}
    with closing(Accounts(data / "users.sqlite3")) as accounts:
        assert [(user.name, user.role) for user in accounts.users()] == [("mia", "manager")]


@pytest.mark.slow
def test_a_private_space_without_a_usable_secret_does_not_start(tmp_path: Path) -> None:
    """None, one without a colon, a weak one: it says what to do and holds nothing of the secret."""
    space = written(tmp_path / "space", "--private", "consumer")
    for secret, said in (
        ("", "the secret TENFOLD_FIRST_MANAGER"),
        ("justonelongword", "NAME:PASSWORD is needed"),
        ("mabel:password1234", "too easily guessed"),
    ):
        own = {"PATH": os.defpath, "HOME": str(tmp_path), "SPACE_ID": "a/b", "TENFOLD_FIRST_MANAGER": secret}
        done = subprocess.run([sys.executable, "space.py"], cwd=space, env=own, capture_output=True, text=True)
        assert done.returncode == 1
        assert said in done.stderr
        assert [part for part in secret.split(":") if part and part in done.stderr + done.stdout] == []
    assert not (space / "logs" / "users.sqlite3").exists()


@pytest.mark.slow
def test_a_public_space_keeps_nothing(tmp_path: Path) -> None:
    """It is a demonstration with both releases' files, scores without login, and writes no ledger and no users."""
    space = written(tmp_path / "space")
    names = [folder.name for folder in current_releases().values()]
    releases = space / "models" / "releases"
    assert sorted(file.name for file in releases.iterdir()) == sorted([*names, "DEFAULT"])
    with started(space, tmp_path / "home") as (url, _):
        assert "Public demonstration" in httpx.get(url, headers=BROWSER).text
        assert httpx.post(f"{url}/api/v1/score", json={"answers": EXAMPLE}).status_code == 200
    assert not [name for name in some(file.name for file in space.rglob("*")) if ".sqlite3" in name]


def test_what_a_space_holds(tmp_path: Path) -> None:
    """Its settings are read from the README's head; what is left in a checkout stays there."""
    space = written(tmp_path / "space", "--private", "--title", "Prêts : essai", str(newest("sba")))
    _, front, text = (space / "README.md").read_text("utf-8").split("---\n", 2)
    settings = dict(line.split(": ", 1) for line in front.splitlines())
    (gradio,) = re.findall(r"^gradio==(\S+)", (space / "requirements.txt").read_text("utf-8"), re.MULTILINE)
    assert (settings["title"], settings["sdk"], settings["sdk_version"]) == ('"Prêts : essai"', "gradio", gradio)
    _, ours, _ = (ROOT / "README.md").read_text("utf-8").split("---\n", 2)
    assert settings.keys() == dict(line.split(": ", 1) for line in ours.splitlines()).keys()
    assert len(settings["short_description"]) <= 60
    assert (space / settings["app_file"]).is_file()
    assert newest("sba").name in text
    assert (space / "models" / "releases" / "DEFAULT").read_text() == f"{newest('sba').name}\n"
    held = some(str(file.relative_to(space)) for file in space.rglob("*") if file.is_file())
    assert not [name for name in held if "__pycache__" in name or name.endswith((".sqlite3", ".jsonl", ".pyc"))]
    assert not [name for name in held if name.split("/")[0] in ("tests", "docs", "profiling", ".git", "build")]
    assert [name for name in held if name.startswith("logs/")] == ["logs/README.md"]


@pytest.mark.parametrize("named", ["nothing", "models/releases", "README.md"])
def test_what_is_no_release_is_not_written(tmp_path: Path, named: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A name that is not there, a folder without a manifest; and nothing is left of it."""
    assert tenfold.main(["space", named, str(tmp_path / "out")]) == 1
    assert "the folder of a release" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    """Nothing is overwritten; nor does a release that was changed go anywhere."""
    (tmp_path / "kept.txt").write_text("kept")
    with pytest.raises(BadSetting, match="an empty one"):
        copy_served(tmp_path, chosen_releases("consumer"))
    assert [file.name for file in tmp_path.iterdir()] == ["kept.txt"]


# --- the first manager ---


def settings_for(secret: str, folder: Path, **more: str) -> Settings:
    return Settings.from_environment({"TENFOLD_FIRST_MANAGER": secret, "TENFOLD_DATA": str(folder), **more})


@pytest.mark.parametrize(
    "secret",
    ["mia", "mia:", ":a long Walk 4 nobody", "a long Walk 4 nobody:mia", "mia:short", "mia:password1234",
     "mia:mia is here again", "api:a long Walk 4 nobody", f"{'m' * 41}:a long Walk 4 nobody"],
)  # fmt: skip
def test_a_malformed_or_weak_secret_is_refused(tmp_path: Path, secret: str) -> None:
    """What it holds is not repeated, for a password may stand in the wrong place; and no user is made."""
    with closing(Accounts(tmp_path / "users.sqlite3")) as accounts:
        with pytest.raises(BadSetting, match="TENFOLD_FIRST_MANAGER: ") as refused:
            add_first_manager(settings_for(secret, tmp_path), accounts)
        assert not accounts.users()
    said = str(refused.value)
    assert not [part for part in secret.split(":") if len(part) > 3 and part in said]


@pytest.mark.slow
def test_the_secret_counts_once(tmp_path: Path) -> None:
    """Then never again: not for another name, not when the manager has another password, not when all were removed."""
    with closing(Accounts(tmp_path / "users.sqlite3")) as accounts:
        accounts.add_token("loans", "officer")  # a system is no user
        assert "has added the first manager" in add_first_manager(settings_for(f"Mia:{PASSWORD}", tmp_path), accounts)
        accounts.set_password("mia", "an other Walk 4 nobody")
        for secret in (f"mia:{PASSWORD}", f"bob:{PASSWORD}", "malformed"):
            assert "has no effect" in add_first_manager(settings_for(secret, tmp_path), accounts)
        assert accounts.log_in("mia", PASSWORD) is None
        accounts.remove("mia", "user")
        assert "has no effect" in add_first_manager(settings_for(f"bob:{PASSWORD}", tmp_path), accounts)
        assert not accounts.users()
    lines = (tmp_path / "logs" / "security.jsonl").read_text()
    assert lines.count('"user_added"') == 1
    assert PASSWORD not in lines
    assert add_first_manager(settings_for("", tmp_path), accounts) == ""


def test_a_public_demonstration_has_no_manager(tmp_path: Path) -> None:
    """The two do not go together, and nothing is written."""
    with (
        closing(Accounts(tmp_path / "users.sqlite3")) as accounts,
        pytest.raises(BadSetting, match="public demonstration"),
    ):
        add_first_manager(settings_for(f"mia:{PASSWORD}", tmp_path, TENFOLD_PUBLIC_DEMO="on"), accounts)
    assert list(tmp_path.iterdir()) == []
    assert PASSWORD not in repr(settings_for(f"mia:{PASSWORD}", tmp_path))


def test_where_everything_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TENFOLD_DATA moves all that is written; a Space with a login takes /data where there is one."""
    named = Settings.from_environment({"TENFOLD_DATA": str(tmp_path), "TENFOLD_LEDGER": "/else/l.db"})
    assert named.ledger == Path("/else/l.db")
    assert (named.users, named.batch) == (tmp_path / "users.sqlite3", tmp_path / "batch")
    assert {named.log, named.security_log} == {
        tmp_path / "logs" / name for name in ("predictions.jsonl", "security.jsonl")
    }
    assert not named.until_restart
    with pytest.raises(BadSetting, match="TENFOLD_DATA: a folder that is there"):
        Settings.from_environment({"TENFOLD_DATA": str(tmp_path / "none")})
    private = {"SPACE_ID": "a/b", "TENFOLD_PUBLIC_DEMO": "off"}
    for storage, kept in ((tmp_path, True), (tmp_path / "none", False)):
        monkeypatch.setattr(inference.settings, "SPACE_DATA", storage)
        space = Settings.from_environment(private)
        assert space.ledger == (storage if kept else ROOT / "logs") / "ledger.sqlite3"
        assert space.until_restart is not kept
        demo = Settings.from_environment({"SPACE_ID": "a/b"})
        assert (demo.ledger, demo.data, demo.until_restart) == (None, None, False)
        assert not Settings.from_environment({}).data
