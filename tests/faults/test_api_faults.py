"""The API against its own description: whatever schemathesis sends, no server error and nothing undescribed."""

import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from parts import NAMES, newest
from scale import FULL, report, times

from ledger.store import Store
from ledger.verify import verify
from profiling.benchmarks.serving import served
from web.security.accounts import Accounts


# In small one release: the description of each is drawn by the same code.
@pytest.mark.parametrize("name", NAMES if FULL else NAMES[:1])
def test_schemathesis(name: str, tmp_path: Path, record_property: Any) -> None:
    """All its checks, over HTTP, against the real app with a ledger; the ledger is whole afterwards. The first release
    behind a login, where it also tries without a token and with a wrong one."""
    users = tmp_path / "users.sqlite3"
    bearer = []
    if name == NAMES[0]:
        with closing(Accounts(users)) as accounts:
            accounts.add_user("meg", "manager", "a password for tests")
            bearer = ["--header", f"Authorization: Bearer {accounts.add_token('schemathesis', 'manager')}"]
    environment = {
        "TENFOLD_USERS": str(users) if users.exists() else "off",
        "TENFOLD_LOG": str(tmp_path / "p.jsonl"),
        "TENFOLD_LEDGER": str(tmp_path / "ledger.sqlite3"),
        "TENFOLD_RELEASE": str(newest(name)),
    }
    examples = times(10, 1000)
    with served([sys.executable, "app.py"], "/readyz", environment) as url:
        command = [
            str(Path(sys.executable).with_name("st")), "run",
            f"{url}/api/v1/openapi.json", "--checks", "all", "--seed", "1",
            "--max-examples", str(examples), "--no-color", *bearer,
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=3000)
    assert done.returncode == 0, done.stdout[-4000:]
    found = re.search(r"(\d[\d,]*) generated", done.stdout)
    assert found
    with closing(Store(tmp_path / "ledger.sqlite3")) as ledger:
        whole = verify(ledger)
    assert whole.problem is None
    generated = int(found[1].replace(",", ""))
    report(f"api_{name}", record_property, examples=examples, requests=generated, failures=0, records=whole.records)
