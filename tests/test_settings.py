"""Settings from the environment: defaults that just work, and errors that name what is wrong."""

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from inference import settings
from inference.errors import BadSetting
from inference.settings import ROOT, Settings, default_release


def test_defaults_just_work() -> None:
    """With nothing set: the default release, XGBoost, half a year of logs, this machine only."""
    found = Settings.from_environment({"PATH": "/bin", "UNRELATED": "x"})
    assert found == Settings(release=default_release())
    assert (found.engine, found.log, found.log_days) == ("xgboost", ROOT / "logs" / "predictions.jsonl", 190)
    assert found.rate == 3000
    assert (found.host, found.port, found.public_demo, found.release_digest) == ("127.0.0.1", 7860, False, None)


def test_each_setting_is_read() -> None:
    """Every setting comes from its variable; digests in either case, switches in any case."""
    found = Settings.from_environment({
        "TENFOLD_RELEASE": "/there", "TENFOLD_RELEASE_DIGEST": "ABCDEF012345", "TENFOLD_ENGINE": "onnx",
        "TENFOLD_LOG": "/var/log/t.jsonl", "TENFOLD_LOG_DAYS": "0", "TENFOLD_PUBLIC_DEMO": "On",
        "TENFOLD_LEDGER": "/var/lib/l.db", "TENFOLD_USERS": "/var/lib/u.db", "TENFOLD_ROOT_PATH": "/scoring",
        "TENFOLD_ORIGINS": "https://a.example, http://b.example:8080", "HOST": "10.0.0.1", "PORT": "80",
        "TENFOLD_RATE": "60",
    })  # fmt: skip
    assert found == Settings(
        release=Path("/there"), release_digest="abcdef012345", engine="onnx", log=Path("/var/log/t.jsonl"), log_days=0,
        ledger=Path("/var/lib/l.db"), host="10.0.0.1", port=80, public_demo=True, users=Path("/var/lib/u.db"),
        users_named=True, root_path="/scoring", origins=("https://a.example", "http://b.example:8080"), rate=60,
    )  # fmt: skip


def test_a_public_demo_keeps_nothing_unless_told_to() -> None:
    """The ledger is off in a public demonstration, on elsewhere, and off where it is said so."""
    assert Settings.from_environment({}).ledger == ROOT / "logs" / "ledger.sqlite3"
    assert Settings.from_environment({"SPACE_ID": "a/b"}).ledger is None
    assert Settings.from_environment({"TENFOLD_PUBLIC_DEMO": "on"}).ledger is None
    assert Settings.from_environment({"TENFOLD_LEDGER": "off"}).ledger is None
    assert Settings.from_environment({"SPACE_ID": "a/b", "TENFOLD_LEDGER": "/data/l.db"}).ledger == Path("/data/l.db")


def test_the_log_can_be_off() -> None:
    """TENFOLD_LOG=off means no log; empty means the default."""
    assert Settings.from_environment({"TENFOLD_LOG": "off"}).log is None
    assert Settings.from_environment({"TENFOLD_LOG": ""}).log == ROOT / "logs" / "predictions.jsonl"


def test_a_space_is_a_public_demo() -> None:
    """Where SPACE_ID is set, the default is a public demo on all addresses; HOST still wins."""
    space = Settings.from_environment({"SPACE_ID": "a/b"})
    assert (space.host, space.port, space.public_demo) == ("0.0.0.0", 7860, True)  # noqa: S104 - compared
    assert Settings.from_environment({"SPACE_ID": "a/b", "HOST": "127.0.0.1"}).host == "127.0.0.1"
    assert not Settings.from_environment({"SPACE_ID": "a/b", "TENFOLD_PUBLIC_DEMO": "0"}).public_demo


def test_an_unknown_setting_is_named() -> None:
    """A TENFOLD_ name that means nothing stops the start: the message names it, and the names that are known."""
    with pytest.raises(BadSetting, match=r"TENFOLD_LOGS, TENFOLD_RELASE: no such setting.*TENFOLD_RELEASE"):
        Settings.from_environment({"TENFOLD_RELASE": "/x", "TENFOLD_LOGS": "y", "TENFOLD_LOG": "z"})


@pytest.mark.parametrize("name", ["TENFOLD_HOST", "TENFOLD_PORT"])
def test_host_and_port_have_no_prefix(name: str) -> None:
    """HOST and PORT are what platforms set; with the prefix they are unknown."""
    with pytest.raises(BadSetting, match=name):
        Settings.from_environment({name: "1"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("TENFOLD_LOG_DAYS", value) for value in ("-1", "1.5", "many", "36501", "9" * 50, "１０", " 7", "+7")),
        *(("TENFOLD_RATE", value) for value in ("-1", "0.5", "1000001", "none")),
        *(("PORT", value) for value in ("0", "65536", "http", "-80", "80.0")),
        *(("TENFOLD_ORIGINS", value) for value in ("*", "null", "loans.example", "https://a.example/", "https://")),
        *(("TENFOLD_FRAMES", value) for value in ("*", "loans.example", "https://*", "https://a.example/x", "'self'")),
        *(("TENFOLD_ROOT_PATH", value) for value in ("scoring", "/", "/a/", "//a", "/a?b", "/a b", "http://a")),
        *(("TENFOLD_PUBLIC_DEMO", value) for value in ("yes", "2", "true")),
    ],
)
def test_a_bad_value_is_named(name: str, value: str) -> None:
    """A value that cannot be used stops the start, with the setting's name and the value."""
    with pytest.raises(BadSetting) as caught:
        Settings.from_environment({name: value})
    assert str(caught.value).startswith(f"{name}: ")
    assert repr(value) in str(caught.value)


def test_without_a_default_release_the_message_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before any training there is no default: the message names the file, 'make train' and TENFOLD_RELEASE."""
    monkeypatch.setattr(settings, "RELEASES", tmp_path)
    with pytest.raises(BadSetting, match=r"DEFAULT.*make train.*TENFOLD_RELEASE"):
        Settings.from_environment({})
    assert Settings.from_environment({"TENFOLD_RELEASE": "/x"}).release == Path("/x")


def test_settings_are_frozen() -> None:
    """Read once, never changed."""
    found = Settings.from_environment({})
    with pytest.raises(FrozenInstanceError):
        found.engine = "onnx"  # type: ignore[misc]
