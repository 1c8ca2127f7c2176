"""A release opened in a process of its own first, so that one which crashes a parser does not end this one.

Digests find what was damaged. They do not find what was made to fit, nor a model that a newer XGBoost dies of: it does
not sanitise what it reads. Where a server opens another release than its own, it asks here before.
"""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from inference.errors import BadRelease, TenfoldError
from inference.settings import ROOT

SECONDS = 60.0  # until the process must have ended; most of its two seconds go into imports
MEMORY = 4 << 30  # bytes of the process: a hundred times what an embedded release needs


def try_apart(folder: Path, digest: str, engine: str, seconds: float = SECONDS) -> None:
    """Let `python -m inference check` open the release of that digest with that engine, and wait for it.

    Raises `BadRelease` where the process dies or does not end, and otherwise what it refused the release with.
    """
    own = {"TENFOLD_RELEASE": str(folder), "TENFOLD_RELEASE_DIGEST": digest, "TENFOLD_ENGINE": engine}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "inference", "check"],
            cwd=ROOT,
            env={**os.environ, **own},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        raise BadRelease(folder, f"a release that opens within {seconds:g} s", "none that does") from None
    if done.returncode < 0:
        died = signal.Signals(-done.returncode).name
        raise BadRelease(folder, f"a model that {engine} can read", f"one that its process died of ({died})")
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise TenfoldError(lines[-1] if lines else f"{folder}: the process that opened it ended without a word")


def limit() -> None:
    """In that process: an allocation without measure fails, and a crash leaves no core file."""
    with suppress(ImportError, ValueError, OSError):  # not on every system, and not above a limit that is there
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
