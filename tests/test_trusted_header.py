"""A login by a proxy's header: over a real server, from the proxy's address and from another."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest
from test_accounts import PASSWORD
from test_restart import first

from inference.errors import BadSetting
from inference.settings import Settings, default_release
from profiling.benchmarks.serving import free_port
from web.security.access_mode import mode
from web.security.accounts import Accounts
from web.security.security_log import SecurityLog
from web.security.trusted_header import PEER, TrustedHeader

ANN, MEG = {"Remote-User": "ann"}, {"Remote-User": "Meg"}


@contextmanager
def served(tmp_path: Path, addresses: str) -> Iterator[httpx.Client]:
    """A server that trusts Remote-User from these addresses; ann is an officer, meg a manager."""
    users, port = tmp_path / "users.sqlite3", free_port()
    with closing(Accounts(users)) as accounts:
        accounts.add_user("ann", "officer", PASSWORD)
        accounts.add_user("meg", "manager", PASSWORD)
    setting = {"TENFOLD_TRUSTED_HEADER": "Remote-User", "TENFOLD_TRUSTED_ADDRESSES": addresses}
    with (
        first(tmp_path, port, TENFOLD_USERS=str(users), **setting),
        httpx.Client(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        yield client


def events(tmp_path: Path, event: str) -> list[dict[str, object]]:
    """The security log's lines of an event."""
    texts = (tmp_path / "security.jsonl").read_text().split("\n")
    return [line for line in map(json.loads, filter(None, texts)) if line["event"] == event]


@pytest.mark.slow
def test_the_proxy_names_the_user(tmp_path: Path) -> None:
    """Who they are and their role, other sites, unknown names, a header sent twice, sessions beside it, and the log."""
    with served(tmp_path, "10.9.8.7, 127.0.0.0/30") as client:
        assert client.get("/api/v1/release").status_code == 401
        assert client.get("/api/v1/release", headers=ANN).status_code == 200
        assert client.get("/users", headers=ANN).status_code == 403
        assert client.get("/users", headers=MEG).status_code == 200
        assert "meg" in client.get("/manage", headers=MEG).text
        other_site = {**MEG, "Origin": "https://elsewhere.example", "Sec-Fetch-Site": "cross-site"}
        assert client.post("/logout", headers=other_site).text.startswith("Another site may not send this")
        # What browsers' addresses a proxy states changes nothing of where the connection is from.
        assert client.get("/users", headers={**MEG, "X-Forwarded-For": "203.0.113.9"}).status_code == 200
        twice = client.get("/api/v1/release", headers=[("Remote-User", "meg"), ("Remote-User", "meg")])
        assert twice.json()["type"] == "urn:tenfold:not-a-user"
        assert client.post("/login", data={"name": "meg", "password": PASSWORD}).status_code == 303
        assert client.get("/users").status_code == 200
        for name in (b"nobody", b"", b"ann,meg", b"ann\xe9"):  # meg's session does not stand in for it
            refused = client.get("/api/v1/release", headers={b"Remote-User": name})
            assert refused.json()["type"] == "urn:tenfold:not-a-user", name
        assert client.get("/users", headers=ANN).status_code == 403
    by_header = [line["user"] for line in events(tmp_path, "login") if line.get("how") == "header"]
    assert by_header == ["ann", "meg"]
    assert [line["why"] for line in events(tmp_path, "header_refused")] == ["sent twice"] + ["no such user"] * 4
    assert "nobody" not in (tmp_path / "security.jsonl").read_text()


@pytest.mark.slow
def test_the_header_from_another_address_does_not_log_in(tmp_path: Path) -> None:
    """Nor where the sender claims to be the proxy by X-Forwarded-For; a session counts; the log has the address."""
    with served(tmp_path, "10.9.8.7") as client:
        for claimed in ({}, {"X-Forwarded-For": "10.9.8.7"}, {"Forwarded": "for=10.9.8.7", "X-Real-IP": "10.9.8.7"}):
            assert client.get("/api/v1/release", headers={**MEG, **claimed}).status_code == 401
            page = client.get("/users", headers={**MEG, **claimed, "Accept": "text/html"})
            assert (page.status_code, page.headers["location"]) == (303, "/login?next=users")
        assert client.post("/login", data={"name": "ann", "password": PASSWORD}).status_code == 303
        assert client.get("/users", headers=MEG).status_code == 403  # ann's session, whatever the header says
    refused = events(tmp_path, "header_refused")
    assert {(line["why"], line["peer"]) for line in refused} == {("address", "127.0.0.1")}
    assert len(refused) >= 7


@pytest.mark.parametrize(
    ("peer", "trusted"),
    [("10.0.0.1", True), ("10.0.0.4", False), ("::ffff:10.0.0.1", True), ("2001:db8::1", True), ("::1", False),
     (None, False), ("unix", False)],
)  # fmt: skip
def test_whose_header_is_believed(tmp_path: Path, peer: str | None, trusted: bool) -> None:
    """By the connection's address: IPv4 in its IPv6 form too; no address is no proxy's."""
    settings = Settings.from_environment({
        "TENFOLD_TRUSTED_HEADER": "X-User", "TENFOLD_TRUSTED_ADDRESSES": "10.0.0.0/30,2001:db8::1",
    })  # fmt: skip
    with closing(Accounts(tmp_path / "users.sqlite3")) as accounts:
        header = TrustedHeader(settings, accounts, SecurityLog(None, 0))
        assert header.from_proxy({PEER: peer}) is trusted
        assert header.from_proxy({"client": ("10.0.0.1", 1)}) is False


@pytest.mark.parametrize(
    ("header", "addresses", "says"),
    [
        ("X-User", "", "need each other"),
        ("", "127.0.0.1", "need each other"),
        ("Cookie", "127.0.0.1", "that only the proxy sends"),
        ("X User", "127.0.0.1", "that only the proxy sends"),
        ("X-User", "0.0.0.0/0", "networks like"),
        ("X-User", "10.0.0.1/8", "networks like"),
        ("X-User", "127.0.0.1,", "networks like"),
        ("X-User", "localhost", "networks like"),
    ],
)
def test_bad_settings_are_refused(header: str, addresses: str, says: str) -> None:
    """One without the other, a header that browsers send, everybody as the proxy, a host bit, a name."""
    with pytest.raises(BadSetting, match=says):
        Settings.from_environment({"TENFOLD_TRUSTED_HEADER": header, "TENFOLD_TRUSTED_ADDRESSES": addresses})


def test_without_users_there_is_nobody_to_name(tmp_path: Path) -> None:
    """A server that would let in everybody on this computer does not start with the setting."""
    settings = Settings(
        release=default_release(), users=tmp_path / "users.sqlite3", trusted_header="x-user",
        trusted_addresses=("127.0.0.1/32",),
    )  # fmt: skip
    with closing(Accounts(settings.users)) as accounts, pytest.raises(BadSetting, match="no user whom it could name"):
        mode(settings, accounts)
