"""Known vulnerabilities of everything in requirements.lock, by pip-audit: `make audit`.

Exit status 1 where there is one. Where the index that this machine reaches knows nothing of vulnerabilities, that is
said, and nothing is concluded from it.
"""

import json
import subprocess
import sys
from pathlib import Path

LOCK = Path(__file__).resolve().parent.parent / "requirements.lock"


def main() -> int:
    """Ask, and say what was found."""
    command = [sys.executable, "-m", "pip_audit", "-r", str(LOCK), "--require-hashes", "--disable-pip", "-f", "json"]
    done = subprocess.run([*command, "--progress-spinner", "off"], capture_output=True, text=True)
    try:
        listed = json.loads(done.stdout)["dependencies"]
    except ValueError:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        print(f"pip-audit could not ask: {reason[:200]}\nNothing was audited.")
        return 0
    asked = [one for one in listed if "skip_reason" not in one]
    found = [one for one in asked if one["vulns"]]
    for one in found:
        for hole in one["vulns"]:
            mended = ", ".join(hole["fix_versions"]) or "no version yet"
            print(f"{one['name']} {one['version']}: {hole['id']}, mended in {mended}")
    print(f"pip-audit: {len(listed)} packages, {len(asked)} audited, {len(found)} with known vulnerabilities")
    if len(asked) < len(listed):
        print(
            f"{len(listed) - len(asked)} could not be audited: the index that this machine reaches does not know them"
        )
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
