"""Users, sessions and tokens: what is kept of them, how long, and who they are."""

import hashlib
import json
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from time import time as now
from typing import Literal

import pytest
from argon2 import PasswordHasher
from parts import Time, some

from web.__main__ import main
from web.person import Person
from web.security.accounts import Accounts
from web.security.accounts_file import VERSION, AccountError
from web.security.authentication import ABSOLUTE, IDLE
from web.security.throttle import (
    FORGOTTEN,
    FREE,
    FREE_OF_NETWORK,
    LONGEST_SHARED_WAIT,
    LONGEST_WAIT,
    Throttle,
    Try,
    network,
    tries,
)

PASSWORD = "correct horse battery"  # noqa: S105
NOW = 1_800_000_000.0
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)  # still argon2id


def three_people(file: Path | None) -> Accounts:
    """A file of users that holds two officers, ann and bob, and a manager, meg, all with `PASSWORD`."""
    made = Accounts(file, hasher=QUICK)
    for name, role in (("ann", "officer"), ("bob", "officer"), ("meg", "manager")):
        made.add_user(name, role, PASSWORD)
    return made


@pytest.fixture
def time() -> Time:
    return Time(NOW)


@pytest.fixture
def accounts(tmp_path: Path, time: Time) -> Iterator[Accounts]:
    with closing(Accounts(tmp_path / "users.sqlite3", time.clock, QUICK)) as made:
        yield made


def file_of(accounts: Accounts) -> Path:
    assert accounts.path is not None
    return accounts.path


def everything(accounts: Accounts) -> bytes:
    """All bytes that are on disk of a file of users."""
    return b"".join(file.read_bytes() for file in file_of(accounts).parent.iterdir())


def test_without_users_there_is_no_file(accounts: Accounts) -> None:
    """Asking makes none; nobody is anybody, no cookie and no token is worth anything."""
    assert not accounts.anybody()
    assert accounts.by_cookie("x.y") is None
    assert accounts.by_token("x") is None
    assert accounts.log_in("ann", PASSWORD) is None
    assert not file_of(accounts).exists()


def test_logging_in_and_out(accounts: Accounts) -> None:
    """The right password brings a session with name and role; logging out ends it on the server."""
    accounts.add_user("Ann", "officer", PASSWORD)
    cookie = accounts.log_in("aNN", PASSWORD)
    assert cookie is not None
    assert accounts.by_cookie(cookie) == Person("ann", "officer")
    accounts.log_out(cookie)
    assert accounts.by_cookie(cookie) is None


def test_wrong_passwords_and_nobody(accounts: Accounts) -> None:
    """Neither a wrong password, nor another user's, nor somebody who does not exist gets in."""
    accounts.add_user("ann", "officer", PASSWORD)
    accounts.add_user("bob", "manager", PASSWORD[::-1])
    for name, password in (("ann", PASSWORD[::-1]), ("ann", ""), ("ann", PASSWORD + " "), ("eve", PASSWORD)):
        assert accounts.log_in(name, password) is None


def test_somebody_who_does_not_exist_is_checked_as_well(tmp_path: Path) -> None:
    """The same work for a name that nobody has: a password is verified with argon2 each time."""
    verified: list[str] = []

    class Watched(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:
            verified.append(str(hash)[:60])
            return super().verify(hash, password)

    with closing(Accounts(tmp_path / "u", hasher=Watched(1, 8, 1))) as accounts:
        accounts.add_user("ann", "officer", PASSWORD)
        for name in ("ann", "nobody"):
            assert accounts.log_in(name, "a wrong password") is None
    assert len(verified) == 2
    assert all(hash.startswith("$argon2id$v=19$m=8,t=1,p=1$") for hash in some(verified))


def test_a_session_ends_unused_and_in_the_end(accounts: Accounts, time: Time) -> None:
    """Half an hour without use ends it, and twelve hours do whatever its use; a page by itself is no use."""
    accounts.add_user("ann", "officer", PASSWORD)
    idle, kept, watched = (accounts.log_in("ann", PASSWORD) or "" for _ in range(3))
    for minute in range(0, IDLE // 60 + 1, 5):
        time.now = NOW + 60 * minute
        assert accounts.by_cookie(kept)
        accounts.by_cookie(watched, in_use=False)
    time.now = NOW + IDLE + 1
    assert accounts.by_cookie(kept)
    assert accounts.by_cookie(idle) is None
    assert accounts.by_cookie(watched) is None
    while time.now <= NOW + ABSOLUTE:
        assert accounts.by_cookie(kept)
        time.now += 600
    assert accounts.by_cookie(kept) is None


def test_every_login_is_a_new_session(accounts: Accounts) -> None:
    """No two cookies are alike, and a cookie with one byte changed is refused."""
    accounts.add_user("ann", "officer", PASSWORD)
    cookies = {accounts.log_in("ann", PASSWORD) or "" for _ in range(5)}
    assert len(cookies) == 5
    cookie = cookies.pop()
    for at in range(0, len(cookie) - 1, 3):  # the last of a base64 text has bits that count for nothing
        assert accounts.by_cookie(cookie[:at] + ("A" if cookie[at] != "A" else "B") + cookie[at + 1 :]) is None
    assert accounts.by_cookie(cookie)


def test_a_cookie_signed_elsewhere_is_none(accounts: Accounts, tmp_path: Path) -> None:
    """Another file of users has another key."""
    accounts.add_user("ann", "officer", PASSWORD)
    with closing(Accounts(tmp_path / "other", hasher=QUICK)) as other:
        other.add_user("ann", "manager", PASSWORD)
        cookie = other.log_in("ann", PASSWORD)
    assert cookie is not None
    assert accounts.by_cookie(cookie) is None


def test_what_changes_holds_at_once(accounts: Accounts) -> None:
    """Another role, a new password, a removed user: from the next question on, sessions included."""
    accounts.add_user("ann", "officer", PASSWORD)
    cookie = accounts.log_in("ann", PASSWORD) or ""
    accounts.set_role("ann", "manager")
    assert accounts.by_cookie(cookie) == Person("ann", "manager")
    accounts.set_password("ann", PASSWORD + "!")
    assert accounts.by_cookie(cookie) is None
    assert accounts.log_in("ann", PASSWORD) is None
    cookie = accounts.log_in("ann", PASSWORD + "!") or ""
    accounts.remove("ann", "user")
    assert accounts.by_cookie(cookie) is None
    assert not accounts.anybody()


def test_an_administrator_sees_and_ends_sessions(
    tmp_path: Path, time: Time, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those of one user or of all users, by the command line; the list leaves out sessions that have ended."""
    file, log = tmp_path / "u.sqlite3", tmp_path / "security.jsonl"
    monkeypatch.setenv("TENFOLD_USERS", str(file))
    monkeypatch.setenv("TENFOLD_SECURITY_LOG", str(log))
    time.now = now()
    with closing(Accounts(file, time.clock, QUICK)) as accounts:
        for name in ("ann", "bob"):
            accounts.add_user(name, "officer", PASSWORD)
        old = accounts.log_in("ann", PASSWORD)
        time.now += IDLE + 1
        ann, bob = accounts.log_in("ann", PASSWORD) or "", accounts.log_in("bob", PASSWORD) or ""
        assert old
        assert [(one.name, one.created) for one in accounts.sessions()] == [("ann", time.now), ("bob", time.now)]
        assert main(["users", "sessions"]) == 0
        assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["ann", "bob"]
        assert main(["users", "logout", "Ann"]) == 0
        assert (accounts.by_cookie(ann), accounts.by_cookie(bob)) == (None, Person("bob", "officer"))
        assert main(["users", "logout", "--all"]) == 0
        assert accounts.by_cookie(bob) is None
        assert capsys.readouterr().out == "1 session ended.\n1 session ended.\n"
        for words in (["logout"], ["logout", "ann", "--all"], ["logout", "eve"]):
            assert main(["users", *words]) == 2
        assert accounts.log_in("ann", PASSWORD)
    lines = [json.loads(line) for line in log.read_text().splitlines() if line]
    assert [(one["event"], one["name"]) for one in lines] == [("user_logged_out", "ann"), ("user_logged_out", "*")]


def test_another_process_is_heard(accounts: Accounts) -> None:
    """What the command line changes while the app runs holds for the app."""
    accounts.add_user("ann", "officer", PASSWORD)
    cookie = accounts.log_in("ann", PASSWORD) or ""
    with closing(Accounts(accounts.path, hasher=QUICK)) as other:
        other.remove("ann", "user")
        token = other.add_token("nightly", "manager")
    assert accounts.by_cookie(cookie) is None
    assert accounts.by_token(token) == Person("nightly", "manager", machine=True)


def test_tokens(accounts: Accounts, time: Time) -> None:
    """Shown once, known by its digest, with its last use, and worth nothing once revoked."""
    token = accounts.add_token("core-banking", "officer")
    assert accounts.tokens()[0].used is None
    assert accounts.by_token(token) == Person("core-banking", "officer", machine=True)
    assert accounts.tokens()[0].used == NOW
    assert accounts.by_token(token[:-1]) is None
    assert not accounts.anybody()  # nobody could log in
    accounts.remove("core-banking", "token")
    assert accounts.by_token(token) is None


def test_nothing_secret_is_on_disk(accounts: Accounts) -> None:
    """Neither a password, nor a session's id, nor a token stands in the file or its log; the file is its owner's."""
    accounts.add_user("ann", "officer", PASSWORD)
    token = accounts.add_token("nightly", "officer")
    cookie = accounts.log_in("ann", PASSWORD) or ""
    id = accounts._session(cookie)
    assert id is not None
    content = everything(accounts)
    assert b"$argon2id$" in content
    for secret in (PASSWORD, token, token.removeprefix("tenfold_"), cookie, id):
        assert secret.encode() not in content
    assert file_of(accounts).stat().st_mode & 0o077 == 0


def test_a_name_belongs_to_one(accounts: Accounts) -> None:
    """A user and a token cannot have the same name: a record says by whom it is."""
    accounts.add_user("ann", "officer", PASSWORD)
    with pytest.raises(AccountError, match="has this name already"):
        accounts.add_token("ANN", "officer")
    with pytest.raises(AccountError, match="has this name already"):
        accounts.add_user("ann", "manager", PASSWORD)


@pytest.mark.parametrize("name", ["", " ann", "ann smith", "-ann", "é", "a" * 41, "a\n", "../x", "<b>", "a'b"])
def test_names(accounts: Accounts, name: str) -> None:
    """What a name may hold can stand in a record and a page."""
    with pytest.raises(AccountError, match="a name has"):
        accounts.add_user(name, "officer", PASSWORD)


@pytest.mark.parametrize("password", ["", "short", "x" * 201, "aaaaaaaaaaaaaaaa", "my name is ann!"])
def test_passwords(accounts: Accounts, password: str) -> None:
    """Twelve characters at least, no name in it, not a few characters over and over; none of it is repeated."""
    with pytest.raises(AccountError) as refused:
        accounts.add_user("ann", "officer", password)
    assert not password or password not in str(refused.value)
    assert not accounts.anybody()


def test_roles(accounts: Accounts) -> None:
    """There are two."""
    with pytest.raises(AccountError, match="officer, manager"):
        accounts.add_user("ann", "root", PASSWORD)


def test_a_damaged_file_lets_nobody_in(accounts: Accounts) -> None:
    """It is an error and never an empty answer: no users would mean that nobody has to log in."""
    accounts.add_user("ann", "officer", PASSWORD)
    accounts.close()
    whole = file_of(accounts).read_bytes()
    for damaged in (b"", b"no database" * 100, whole[: len(whole) // 2], bytes(8192)):
        file_of(accounts).write_bytes(damaged)
        with closing(Accounts(accounts.path, hasher=QUICK)) as opened, pytest.raises(AccountError, match="users"):
            opened.anybody()


def test_another_programs_file_is_refused(accounts: Accounts, tmp_path: Path) -> None:
    """A database of something else, or of another version, is not touched."""
    with closing(sqlite3.connect(file_of(accounts))) as other:
        other.execute("CREATE TABLE t (x)")
        other.commit()
    before = file_of(accounts).read_bytes()
    with pytest.raises(AccountError, match="no file of users"):
        accounts.anybody()
    assert file_of(accounts).read_bytes()[100:] == before[100:]


def test_a_file_of_another_version_is_refused(accounts: Accounts) -> None:
    """A later version may mean something else by the same tables: nobody is let in by it."""
    accounts.add_user("ann", "officer", PASSWORD)
    accounts.close()
    with closing(sqlite3.connect(file_of(accounts))) as other:
        other.execute(f"PRAGMA user_version={VERSION + 1}")
    with pytest.raises(AccountError, match="this version of Tenfold"):
        accounts.anybody()


def run(file: Path, *words: str, given: str = "") -> "subprocess.CompletedProcess[str]":
    """`python -m web` with these words, as a program."""
    environment = {"PATH": "/usr/bin:/bin", "TENFOLD_USERS": str(file), "PYTHONPATH": "."}
    return subprocess.run(
        [sys.executable, "-m", "web", *words], input=given, env=environment, capture_output=True, text=True
    )


@pytest.mark.slow
def test_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Add, list, change, remove; exit status 2 and the reason where it cannot be done, and no password repeated."""
    file = tmp_path / "users.sqlite3"
    added = run(file, "users", "add", "ann", "--role", "manager", given=f"{PASSWORD}\n")
    assert added.returncode == 0, added.stderr
    assert "everybody has to" in added.stdout
    weak = run(file, "users", "password", "ann", given="weak-one\n")
    assert weak.returncode == 2
    assert "12 to 200 characters" in weak.stderr
    said = [added.stdout, added.stderr, weak.stdout, weak.stderr]

    def printed(*words: str, status: int = 0) -> str:
        """What the same command prints in this process: a start takes half a second."""
        assert main(list(words)) == status
        said.extend(capsys.readouterr())
        return said[-2]

    monkeypatch.setenv("TENFOLD_SECURITY_LOG", "off")
    monkeypatch.setenv("TENFOLD_USERS", str(tmp_path / "nobody.sqlite3"))
    assert printed("users", "list") == "none\n"
    monkeypatch.setenv("TENFOLD_USERS", str(file))
    assert "manager" in printed("users", "list")
    printed("users", "role", "ann", "officer")
    assert "officer" in printed("users", "list")
    token = printed("tokens", "add", "nightly", "--role", "officer").strip()
    assert token.startswith("tenfold_")
    with closing(Accounts(file)) as accounts:
        assert accounts.by_token(token) == Person("nightly", "officer", machine=True)
        assert accounts.log_in("ann", PASSWORD) is not None
    listed = printed("tokens", "list")
    assert "nightly" in listed
    assert token not in listed
    printed("tokens", "revoke", "nightly")
    printed("users", "remove", "nightly", status=2)
    printed("users", "remove", "ann")
    printed("users", "remove", "ann", status=2)
    assert PASSWORD not in "".join(said)


def test_waiting_grows_with_failures(time: Time) -> None:
    """The first ones are free, then each failure doubles the wait up to a limit; an hour later it begins anew."""
    throttle, tried = Throttle(time.clock), [Try("name ann", 4, LONGEST_WAIT)]
    waits = []
    for _ in range(14):
        left = throttle.wait(tried)
        waits.append(left)
        if left:
            time.now += left
            assert throttle.wait(tried) == 0
    assert waits[:5] == [0, 0, 0, 0, 0]
    assert waits[5:8] == [2, 4, 8]
    assert max(waits) == LONGEST_WAIT
    time.now += FORGOTTEN + 1
    assert [throttle.wait(tried) for _ in range(5)] == [0] * 5


def test_tries_at_once_are_not_all_the_first(time: Time) -> None:
    """Of a hundred that come before the first has failed, five are let through."""
    throttle = Throttle(time.clock)
    assert sum(throttle.wait(tries("ann", "192.0.2.1", None)) == 0 for _ in range(100)) == FREE + 1 == 5


def test_success_forgives(time: Time) -> None:
    """A right password ends the name's waiting; its network has one failure less and no more."""
    throttle = Throttle(time.clock)
    for _ in range(5):
        throttle.wait(tries("ann", "192.0.2.1", None))
    throttle.forgive(tries("ann", "192.0.2.1", None))
    assert throttle.wait(tries("ann", "192.0.2.1", None)) == 0
    assert throttle._failures["network 192.0.2.1"][0] == 5


def test_a_network_waits_whatever_the_names_and_not_for_long(time: Time) -> None:
    """Many wrong tries with invented names, as many as an office may have, cost others at that address nothing. Beyond
    that the network waits, for seconds at most; another one does not."""
    throttle = Throttle(time.clock)
    waits = []
    for at in range(FREE_OF_NETWORK + 20):
        waits.append(throttle.wait(tries(f"nobody{at}", "2001:db8:1:2::1", None)))
        if waits[-1]:
            time.now += waits[-1]
            assert throttle.wait(tries(f"nobody{at}", "2001:db8:1:2::1", None)) == 0
    assert waits[: FREE_OF_NETWORK + 1] == [0] * (FREE_OF_NETWORK + 1)
    assert min(waits[FREE_OF_NETWORK + 1 :]) > 0
    assert max(waits) == LONGEST_SHARED_WAIT
    assert throttle.wait(tries("ann", "2001:db8:1:2:ffff::7", None)) > 0  # the same household
    assert throttle.wait(tries("ann", "2001:db8:1:2:ffff::7", "ann.0011")) == 0  # a browser that is known
    assert throttle.wait(tries("ann", "2001:db8:1:3::1", None)) == 0


def test_a_night_of_guessing_ends(time: Time) -> None:
    """Thousands of failures wait as long as hundreds, and no number grows too large to be counted with."""
    throttle, tried = Throttle(time.clock), tries("ann", "192.0.2.1", None)
    for _ in range(3000):
        time.now += throttle.wait(tried)
        throttle.wait(tried)
    assert 0 < throttle.wait(tried) <= LONGEST_WAIT
    time.now += FORGOTTEN + 1
    assert throttle.wait(tried) == 0


def test_waiting_goes_by_a_clock_that_nobody_sets() -> None:
    """Whether the computer's time is put back a year or forward, a wait is over after its seconds."""

    class TwoClocks(Time):
        def monotonic(self) -> float:
            return self.elapsed

        elapsed = 0.0

    clock = TwoClocks(NOW)
    throttle, tried = Throttle(clock.clock), [Try("name ann", 0, LONGEST_WAIT)]
    assert throttle.wait(tried) == 0
    left = throttle.wait(tried)
    for moved in (-4e7, 8e7):
        clock.now += moved
        assert throttle.wait(tried) == left > 0
    clock.elapsed += left
    assert throttle.wait(tried) == 0


def test_a_name_cannot_be_guessed_from_many_networks(time: Time) -> None:
    """Each network has its free tries, all of them together a few more."""
    throttle = Throttle(time.clock)
    waits = [throttle.wait(tries("ann", f"192.0.2.{at}", None)) for at in range(30)]
    assert waits[:21] == [0] * 21
    assert min(waits[21:]) > 0


def test_whatever_others_try_a_known_browser_is_let_in(time: Time) -> None:
    """It is counted separately, and it is no way to guess faster, for another name or for its own."""
    throttle = Throttle(time.clock)
    for at in range(200):
        throttle.wait(tries("ann", "192.0.2.1", None))
        throttle.wait(tries(f"nobody{at}", "192.0.2.1", None))
    assert throttle.wait(tries("ann", "192.0.2.1", None)) > 0
    assert [throttle.wait(tries("ann", "192.0.2.1", "ann.0011")) for _ in range(5)] == [0] * 5
    assert throttle.wait(tries("ann", "192.0.2.1", "ann.0011")) > 0


@pytest.mark.parametrize(
    ("address", "counted_as"),
    [
        ("192.0.2.1", "192.0.2.1"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"), ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"), ("", ""),
    ],
)  # fmt: skip
def test_one_household_is_one_network(address: str, counted_as: str) -> None:
    """Of IPv6 the first 64 bits: someone with one address there has all of them."""
    assert network(address) == counted_as


def test_names_that_are_remembered_are_bounded(time: Time) -> None:
    """A flood of names takes no more memory than it may."""
    throttle = Throttle(time.clock)
    for at in range(30_000):
        throttle.wait([Try(f"name {at}", 4, LONGEST_WAIT)])
    assert len(throttle._failures) == 10_000


def test_a_browser_is_known_by_its_signed_cookie(accounts: Accounts) -> None:
    """For the name that logged in with it and no other; altered or made up it is worth nothing."""
    accounts.add_user("ann", "officer", PASSWORD)
    device = accounts.device("Ann")
    assert accounts.knows_device("ANN", device)
    assert not accounts.knows_device("bob", device)
    for other in ("", "ann.0011", device[:-2], device.replace("ann", "bob", 1), "x" * 5000):
        assert not accounts.knows_device("ann", other)
        assert not accounts.knows_device("bob", other)
    assert accounts.by_cookie(device) is None  # it opens nothing


def test_a_file_put_in_its_place_is_noticed_at_the_next_question(accounts: Accounts, tmp_path: Path) -> None:
    """Sessions of the old file are worth nothing, users of the new one log in; a file that is gone lets nobody in."""
    accounts.add_user("ann", "officer", PASSWORD)
    cookie = accounts.log_in("ann", PASSWORD) or ""
    assert accounts.by_cookie(cookie)
    other = tmp_path / "other.sqlite3"
    with closing(Accounts(other, hasher=QUICK)) as made:
        made.add_user("bob", "manager", PASSWORD)
    for ending in ("-wal", "-shm"):
        Path(f"{accounts.path}{ending}").unlink(missing_ok=True)
    other.rename(file_of(accounts))
    assert accounts.by_cookie(cookie) is None
    assert [one.name for one in accounts.users()] == ["bob"]
    assert accounts.log_in("bob", PASSWORD)
    Path(accounts.path or "").unlink()
    for asked in (accounts.anybody, lambda: accounts.by_cookie(cookie), lambda: accounts.log_in("bob", PASSWORD)):
        with pytest.raises(AccountError, match="is gone"):
            asked()


def test_a_name_is_never_given_twice(accounts: Accounts) -> None:
    """Records keep names for years: neither a removed user's nor a revoked token's name can be somebody else's."""
    accounts.add_user("ann", "officer", PASSWORD)
    accounts.add_token("nightly", "officer")
    accounts.remove("ann", "user")
    accounts.remove("nightly", "token")
    for name in ("ann", "nightly", "ANN"):
        with pytest.raises(AccountError, match="had this name before"):
            accounts.add_user(name, "manager", PASSWORD)
        with pytest.raises(AccountError, match="had this name before"):
            accounts.add_token(name, "manager")


@pytest.mark.parametrize("name", ["api", "desk", "gradio", "Desk"])
def test_names_of_nobody_are_reserved(accounts: Accounts, name: str) -> None:
    """What records say where nobody had to log in can be nobody's name."""
    with pytest.raises(AccountError, match="reserved"):
        accounts.add_user(name, "manager", PASSWORD)
    with pytest.raises(AccountError, match="reserved"):
        accounts.add_token(name, "manager")


@pytest.mark.parametrize(
    "password",
    [
        "password1234", "Password123!", "passwordpassword", "P@ssw0rd2026!", "qwertyqwerty", "1q2w3e4r5t6y",
        "!!!sunshine2025", "motherfucker", "111222tianya", "princess-1990",
    ],
)  # fmt: skip
def test_common_passwords_are_refused(accounts: Accounts, password: str) -> None:
    """Those on the list, and a word of the list repeated, with digits for letters, or with digits and signs around."""
    with pytest.raises(AccountError, match="common"):
        accounts.add_user("ann", "officer", password)


@pytest.mark.parametrize(
    "password", ["tenfoldtenfold", "Tenf0ld-Manager-1", "creditscoring2026", "loan-officer!!", "Bank Login Password"]
)
def test_words_about_the_app_are_refused(accounts: Accounts, password: str) -> None:
    """A password that is made of what the app is called and does, in any order and spelling."""
    with pytest.raises(AccountError, match="words about this app"):
        accounts.add_user("ann", "officer", password)


def test_a_long_password_counts_to_its_last_character(accounts: Accounts, time: Time) -> None:
    """Nothing of it is cut off or folded, and it does not wear out with the years."""
    password = "Les Passantes " * 14 + "xyzA"  # 200 characters
    accounts.add_user("ann", "officer", password)
    for other in (password[:-1], password + "A", password[:-1] + "a", password.lower(), password.strip("L")):
        assert accounts.log_in("ann", other) is None
    time.now += 10 * 365 * 86_400
    assert accounts.log_in("ann", password)


@pytest.mark.parametrize("password", [PASSWORD, "Winterreise-op89", "tr0ub4dor&3 staple", "mein Hund heißt Ada"])
def test_other_passwords_are_taken(accounts: Accounts, password: str) -> None:
    """Long ones of several words need no digits and no signs."""
    accounts.add_user("ann", "officer", password)
    assert accounts.log_in("ann", password)


def test_an_accent_is_the_same_however_it_is_typed(accounts: Accounts) -> None:
    """NFC: a keyboard that sends e and an accent apart opens the same account."""
    accounts.add_user("ann", "officer", "un mot de passe d\u00e9licat")
    assert accounts.log_in("ann", "un mot de passe de\u0301licat")
    accounts.set_password("ann", "autre de\u0301licatesse ici")
    assert accounts.log_in("ann", "autre d\u00e9licatesse ici")


def test_a_token_ends(accounts: Accounts, time: Time) -> None:
    """After a year, or after as many days as were asked for; and the list says when."""
    year, week = accounts.add_token("nightly", "officer"), accounts.add_token("weekly", "metrics", 7)
    time.now = NOW + 7 * 86_400 - 1
    assert accounts.by_token(week) == Person("weekly", "metrics", machine=True)
    time.now += 1
    assert accounts.by_token(week) is None
    assert accounts.by_token(year)
    time.now = NOW + 365 * 86_400
    assert accounts.by_token(year) is None
    assert [one.expires for one in accounts.tokens()] == [NOW + 365 * 86_400, NOW + 7 * 86_400]
    for days in (0, -1, 3651):
        with pytest.raises(AccountError, match="from 1 to 3,650 days"):
            accounts.add_token("other", "officer", days)


def test_reading_metrics_alone_is_a_role_of_tokens(accounts: Accounts) -> None:
    """A user cannot have it, neither at first nor later."""
    with pytest.raises(AccountError, match="one of officer, manager"):
        accounts.add_user("ann", "metrics", PASSWORD)
    accounts.add_user("ann", "officer", PASSWORD)
    with pytest.raises(AccountError, match="one of officer, manager"):
        accounts.set_role("ann", "metrics")
    accounts.add_token("grafana", "officer")
    accounts.set_role("grafana", "metrics")
    assert [one.role for one in accounts.tokens()] == ["metrics"]


FIRST_VERSION = """
CREATE TABLE accounts (
    name TEXT PRIMARY KEY, role TEXT NOT NULL, password TEXT, token BLOB UNIQUE, made REAL NOT NULL, used REAL
) WITHOUT ROWID;
CREATE TABLE sessions (
    id BLOB PRIMARY KEY, name TEXT NOT NULL REFERENCES accounts (name) ON DELETE CASCADE, made REAL NOT NULL,
    used REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE secret (key BLOB NOT NULL);
PRAGMA application_id=1413895507;
PRAGMA user_version=1;
"""


def test_a_file_of_the_first_version_goes_on(tmp_path: Path) -> None:
    """Its users log in, its tokens work and have no end, and removed names are kept from then on."""
    file = tmp_path / "users.sqlite3"
    with closing(sqlite3.connect(file)) as old:
        old.executescript(FIRST_VERSION)
        token = hashlib.sha256(b"tenfold_old").digest()
        old.execute("INSERT INTO secret VALUES (?)", [b"k" * 32])
        old.execute("INSERT INTO accounts VALUES ('ann', 'officer', ?, NULL, 1, NULL)", [QUICK.hash(PASSWORD)])
        old.execute("INSERT INTO accounts VALUES ('nightly', 'manager', NULL, ?, 1, NULL)", [token])
        old.commit()
    with closing(Accounts(file, hasher=QUICK)) as accounts:
        assert accounts.log_in("ann", PASSWORD)
        assert accounts.by_token("tenfold_old") == Person("nightly", "manager", machine=True)
        assert [one.expires for one in accounts.tokens()] == [None]
        accounts.remove("nightly", "token")
        with pytest.raises(AccountError, match="had this name before"):
            accounts.add_token("nightly", "manager")


def test_a_locked_file_holds_up_nobody(accounts: Accounts, time: Time) -> None:
    """While another process writes, sessions are recognised at once: reading waits for no lock, and the note of
    when it was used is left out until it can be written."""
    accounts.add_user("ann", "officer", PASSWORD)
    cookie = accounts.log_in("ann", PASSWORD) or ""
    with closing(sqlite3.connect(file_of(accounts), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        time.now = NOW + 120
        asked = threading.Thread(target=lambda: found.append(accounts.by_cookie(cookie)))
        found: list[Person | None] = []
        asked.start()
        asked.join(1.0)  # the wait of a change is two seconds
        assert found == [Person("ann", "officer")]
        other.execute("ROLLBACK")
    accounts.by_cookie(cookie)
    time.now = NOW + IDLE + 60
    assert accounts.by_cookie(cookie)


@pytest.mark.parametrize("lock", ["PRAGMA locking_mode=EXCLUSIVE", ""])
def test_a_file_that_is_held_is_refused_at_once(accounts: Accounts, time: Time, tmp_path: Path, lock: str) -> None:
    """Another program holds the file of users that was just put in the place of the first: a question on the event loop
    is told so and waits for nothing, as long as it lasts; then all goes on."""
    accounts.add_user("ann", "officer", PASSWORD)
    with closing(Accounts(tmp_path / "other.sqlite3", time.clock, QUICK)) as made:
        made.add_user("bob", "officer", PASSWORD)
        cookie = made.log_in("bob", PASSWORD) or ""
    accounts.close()
    (tmp_path / "other.sqlite3").rename(file_of(accounts))
    waited = threading.Thread(target=lambda: refused.append(held(accounts, cookie)))
    refused: list[int] = []
    with closing(sqlite3.connect(file_of(accounts), isolation_level=None)) as other:
        other.execute(lock or "SELECT 1")
        other.execute("BEGIN EXCLUSIVE")
        other.execute("DELETE FROM sessions WHERE name = 'nobody'")
        waited.start()
        waited.join(2.0)  # ten questions, of which a change waits two seconds each
        assert refused == [10]
        other.execute("ROLLBACK")
    assert accounts.by_cookie(cookie) == Person("bob", "officer")


def held(accounts: Accounts, cookie: str) -> int:
    """How many of ten questions are refused."""
    count = 0
    for _ in range(10):
        try:
            accounts.by_cookie(cookie)
        except AccountError:
            count += 1
    return count
