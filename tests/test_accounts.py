"""Users, sessions and tokens: what is kept of them, how long, and who they are."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from parts import Time, some

from web.accounts import ABSOLUTE, IDLE, AccountError, Accounts
from web.person import Person
from web.throttle import FORGOTTEN, LONGEST_WAIT, Throttle

PASSWORD = "correct horse battery"  # noqa: S105
NOW = 1_800_000_000.0
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)  # still argon2id


@pytest.fixture
def time() -> Time:
    return Time(NOW)


@pytest.fixture
def accounts(tmp_path: Path, time: Time) -> Iterator[Accounts]:
    with closing(Accounts(tmp_path / "users.sqlite3", time, QUICK)) as made:
        yield made


def everything(accounts: Accounts) -> bytes:
    """All bytes that are on disk of a file of users."""
    return b"".join(file.read_bytes() for file in accounts.path.parent.iterdir())


def test_without_users_there_is_no_file(accounts: Accounts) -> None:
    """Asking makes none; nobody is anybody, no cookie and no token is worth anything."""
    assert not accounts.anybody()
    assert accounts.by_cookie("x.y") is None
    assert accounts.by_token("x") is None
    assert accounts.log_in("ann", PASSWORD) is None
    assert not accounts.path.exists()


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
        def verify(self, hash: str | bytes, password: str | bytes) -> bool:
            verified.append(str(hash)[:60])
            return bool(super().verify(hash, password))

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
    """No two cookies are alike, and a cookie with one byte changed is none."""
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


def test_a_name_given_again_brings_no_session_back(accounts: Accounts) -> None:
    """Whoever was removed stays logged out when somebody of the same name is added, as another role even."""
    accounts.add_user("ann", "officer", PASSWORD)
    cookie = accounts.log_in("ann", PASSWORD) or ""
    accounts.remove("ann", "user")
    accounts.add_user("ann", "manager", PASSWORD)
    assert accounts.by_cookie(cookie) is None


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
    assert accounts.path.stat().st_mode & 0o077 == 0


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
    whole = accounts.path.read_bytes()
    for damaged in (b"", b"no database" * 100, whole[: len(whole) // 2], bytes(8192)):
        accounts.path.write_bytes(damaged)
        with closing(Accounts(accounts.path, hasher=QUICK)) as opened, pytest.raises(AccountError, match="users"):
            opened.anybody()


def test_another_programs_file_is_refused(accounts: Accounts, tmp_path: Path) -> None:
    """A database of something else, or of another version, is not touched."""
    with closing(sqlite3.connect(accounts.path)) as other:
        other.execute("CREATE TABLE t (x)")
        other.commit()
    before = accounts.path.read_bytes()
    with pytest.raises(AccountError, match="no file of users"):
        accounts.anybody()
    assert accounts.path.read_bytes()[100:] == before[100:]


def test_a_file_of_another_version_is_refused(accounts: Accounts) -> None:
    """A later version may mean something else by the same tables: nobody is let in by it."""
    accounts.add_user("ann", "officer", PASSWORD)
    accounts.close()
    with closing(sqlite3.connect(accounts.path)) as other:
        other.execute("PRAGMA user_version=2")
    with pytest.raises(AccountError, match="this version of Tenfold"):
        accounts.anybody()


def run(file: Path, *words: str, given: str = "") -> "subprocess.CompletedProcess[str]":
    """`python -m web` with these words."""
    environment = {"PATH": "/usr/bin:/bin", "TENFOLD_USERS": str(file), "PYTHONPATH": "."}
    return subprocess.run(
        [sys.executable, "-m", "web", *words], input=given, env=environment, capture_output=True, text=True
    )


def test_the_command_line(tmp_path: Path) -> None:
    """Add, list, change, remove; exit status 2 and the reason where it cannot be done, and no password repeated."""
    file = tmp_path / "users.sqlite3"
    assert run(file, "users", "list").stdout == "none\n"
    added = run(file, "users", "add", "ann", "--role", "manager", given=f"{PASSWORD}\n")
    assert added.returncode == 0, added.stderr
    assert "everybody has to" in added.stdout
    assert "manager" in run(file, "users", "list").stdout
    assert run(file, "users", "role", "ann", "officer").returncode == 0
    weak = run(file, "users", "password", "ann", given="weak-one\n")
    assert weak.returncode == 2
    assert "12 to 200 characters" in weak.stderr
    made = run(file, "tokens", "add", "nightly", "--role", "officer")
    token = made.stdout.strip()
    assert token.startswith("tenfold_")
    with closing(Accounts(file)) as accounts:
        assert accounts.by_token(token) == Person("nightly", "officer", machine=True)
        assert accounts.log_in("ann", PASSWORD) is not None
    listed = run(file, "tokens", "list").stdout
    assert "nightly" in listed
    assert token not in listed
    assert run(file, "tokens", "revoke", "nightly").returncode == 0
    assert run(file, "users", "remove", "nightly").returncode == 2
    assert run(file, "users", "remove", "ann").returncode == 0
    assert run(file, "users", "remove", "ann").returncode == 2
    assert PASSWORD not in "".join(done.stdout + done.stderr for done in (added, weak, made))


def test_waiting_grows_with_failures(time: Time) -> None:
    """The first ones are free, then each failure doubles the wait up to a limit; an hour later it begins anew."""
    throttle, tries = Throttle(time), [("account ann", 4)]
    waits = []
    for _ in range(14):
        left = throttle.wait(tries)
        waits.append(left)
        if left:
            time.now += left
            assert throttle.wait(tries) == 0
    assert waits[:5] == [0, 0, 0, 0, 0]
    assert waits[5:8] == [2, 4, 8]
    assert max(waits) == LONGEST_WAIT
    time.now += FORGOTTEN + 1
    assert [throttle.wait(tries) for _ in range(5)] == [0] * 5


def test_tries_at_once_are_not_all_the_first(time: Time) -> None:
    """Of a hundred that come before the first has failed, five are let through."""
    throttle = Throttle(time)
    assert sum(throttle.wait([("account ann", 4)]) == 0 for _ in range(100)) == 5


def test_success_forgives(time: Time) -> None:
    """A right password ends the account's waiting; the address has one failure less and no more."""
    throttle = Throttle(time)
    for _ in range(5):
        throttle.wait([("account ann", 4), ("address x", 20)])
    throttle.forgive("account ann", "address x")
    assert throttle.wait([("account ann", 4)]) == 0
    assert throttle._failures["address x"][0] == 4


def test_an_address_waits_whatever_the_names(time: Time) -> None:
    """Trying one password on many names slows the address down."""
    throttle = Throttle(time)
    waits = [throttle.wait([(f"account {at}", 4), ("address x", 20)]) for at in range(30)]
    assert waits[:21] == [0] * 21
    assert min(waits[21:]) > 0


def test_names_that_are_remembered_are_bounded(time: Time) -> None:
    """A flood of names takes no more memory than it may."""
    throttle = Throttle(time)
    for at in range(30_000):
        throttle.wait([(f"account {at}", 4)])
    assert len(throttle._failures) == 10_000
