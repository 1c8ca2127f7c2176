"""Known vulnerabilities of everything in requirements-dev.lock, by pip-audit: `make audit`.

Exit status 1 where there is one. Where the index that this machine reaches knows nothing of vulnerabilities, nothing is
concluded from it: that is said, and where CI is set it is said so loudly, at the end, that nobody takes it for a pass.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

LOCK = Path(__file__).resolve().parent.parent / "requirements-dev.lock"


def main() -> int:
    """Ask, and say what was found."""
    command = [sys.executable, "-m", "pip_audit", "-r", str(LOCK), "--require-hashes", "--disable-pip", "-f", "json"]
    done = subprocess.run([*command, "--progress-spinner", "off"], capture_output=True, text=True)
    lines, status = report(done.stdout, done.stderr, loud=bool(os.environ.get("CI")))
    print("\n".join(lines))
    return status


def report(stdout: str, stderr: str, *, loud: bool) -> tuple[list[str], int]:
    """What pip-audit found, in lines, and the exit status; `loud`: a banner where not everything was audited."""
    try:
        listed: list[dict[str, Any]] = json.loads(stdout)["dependencies"]
    except (KeyError, TypeError, ValueError):
        reason = (stderr.strip().splitlines() or ["no reason given"])[-1]
        return [f"pip-audit could not ask: {reason[:200]}", *unaudited("Nothing was audited", loud)], 0
    asked = [one for one in listed if "skip_reason" not in one]
    found = [one for one in asked if one["vulns"]]
    lines = [
        f"{one['name']} {one['version']}: {hole['id']}, mended in {', '.join(hole['fix_versions']) or 'no version yet'}"
        for one in found
        for hole in one["vulns"]
    ]
    lines.append(f"pip-audit: {len(listed)} packages, {len(asked)} audited, {len(found)} with known vulnerabilities")
    if not asked:
        lines += unaudited("Nothing was audited: the index that this machine reaches knows no package", loud)
    elif len(asked) < len(listed):
        missing = ", ".join(one["name"] for one in listed if "skip_reason" in one)
        lines += unaudited(f"{len(listed) - len(asked)} packages were not audited: {missing}", loud)
    return lines, int(bool(found))


def unaudited(what: str, loud: bool) -> list[str]:
    """What was not audited, in one line; or as a banner."""
    if not loud:
        return [f"{what}."]
    bar = "!" * 78
    return ["", bar, f"!!  NOT AUDITED. {what}.", "!!  This is no pass: run 'make audit' where the index answers.", bar]


if __name__ == "__main__":
    sys.exit(main())
