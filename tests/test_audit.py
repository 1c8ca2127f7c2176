"""`make audit`: a known vulnerability fails, and what was not audited is never taken for a pass."""

import json
import os
import runpy
import subprocess
import sys
from typing import Any

import pytest

from inference.settings import ROOT

AUDIT = ROOT / ".ci" / "audit.py"
report = runpy.run_path(str(AUDIT))["report"]
BANNER = "NOT AUDITED"
# As pip-audit 2.10 writes them with `-f json`.
CLEAN: dict[str, Any] = {"name": "numpy", "version": "2.4.6", "vulns": []}
HOLED: dict[str, Any] = {
    "name": "jinja2",
    "version": "2.4.1",
    "vulns": [
        {
            "id": "PYSEC-2014-8",
            "fix_versions": ["2.7.2"],
            "aliases": ["CVE-2014-1402"],
            "description": "The default configuration for bccache.FileSystemBytecodeCache does not properly create …",
        },
        {"id": "GHSA-0000-0000-0000", "fix_versions": [], "aliases": [], "description": "…"},
    ],
}
SKIPPED = {
    "name": "tenfold",
    "skip_reason": "Dependency not found on PyPI and could not be audited: tenfold (0.1.0)",
}


def reported(*dependencies: dict[str, Any], loud: bool = True) -> tuple[str, int]:
    """The report on pip-audit's JSON of some packages, and the exit status."""
    lines, status = report(json.dumps({"dependencies": dependencies, "fixes": []}), "", loud=loud)
    return "\n".join(lines), status


def test_packages_without_a_vulnerability_pass() -> None:
    """Everything was audited: status 0, counts, and no banner."""
    assert reported(CLEAN, CLEAN) == ("pip-audit: 2 packages, 2 audited, 0 with known vulnerabilities", 0)


@pytest.mark.parametrize("others", [(), (CLEAN,), (SKIPPED,)])
@pytest.mark.parametrize("loud", [True, False])
def test_a_known_vulnerability_fails(others: tuple[dict[str, Any], ...], loud: bool) -> None:
    """Status 1, with each vulnerability and the versions that mend it, whatever else was audited or not."""
    text, status = reported(*others, HOLED, loud=loud)
    assert status == 1
    assert "jinja2 2.4.1: PYSEC-2014-8, mended in 2.7.2\n" in text
    assert "jinja2 2.4.1: GHSA-0000-0000-0000, mended in no version yet\n" in text
    assert (BANNER in text) == (loud and SKIPPED in others)


def test_packages_that_are_left_out_are_named() -> None:
    """Some of them, or all: in CI a banner ends the report, elsewhere a line does."""
    for dependencies, said in (
        ((CLEAN, SKIPPED), "1 packages were not audited: tenfold"),
        ((SKIPPED, SKIPPED), "Nothing was audited: the index that this machine reaches knows no package"),
    ):
        text, status = reported(*dependencies)
        assert status == 0
        assert BANNER in text
        assert text.splitlines()[-1] == "!" * 78
        quiet, _ = reported(*dependencies, loud=False)
        assert BANNER not in quiet
        assert quiet.splitlines()[-1] == f"{said}."
        assert said in text


@pytest.mark.parametrize("stdout", ["", "no JSON", "[]", "{}", "null"])
def test_no_answer_is_no_pass(stdout: str) -> None:
    """pip-audit's own last word is the reason."""
    lines, status = report(stdout, "Traceback …\nConnectionError: refused\n", loud=True)
    assert status == 0
    assert lines[0] == "pip-audit could not ask: ConnectionError: refused"
    assert "Nothing was audited" in "\n".join(lines)
    assert lines[-1] == "!" * 78


@pytest.mark.slow
@pytest.mark.parametrize("ci", ["true", ""])
def test_the_command_without_a_network(ci: str) -> None:
    """The real pip-audit behind a proxy that is not there: in CI the banner is the last that is said."""
    nowhere = dict.fromkeys(("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"), "http://127.0.0.1:9")
    nowhere |= dict.fromkeys(("NO_PROXY", "no_proxy"), "")
    environment = {**os.environ, **nowhere, "CI": ci}
    done = subprocess.run([sys.executable, AUDIT], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "Nothing was audited" in done.stdout
    assert (BANNER in done.stdout) == bool(ci)
    assert done.stdout.strip().endswith("!" * 78) == bool(ci)
