"""A release opened in a process of its own first, so that one which crashes a parser does not end this one.

Digests find what was damaged. They do not find what was made to fit, nor a model that a newer XGBoost dies of: it does
not sanitise what it reads. Where a server opens another release than its own, it asks here before.
"""

import sys
import tempfile
from pathlib import Path

from inference import confined
from inference.errors import BadRelease, TenfoldError

SECONDS = 60.0  # until the process must have ended; most of its two seconds go into imports
FILE_SIZE = 1 << 20  # bytes of what it prints


def try_apart(folder: Path, digest: str, engine: str, seconds: float = SECONDS) -> None:
    """Let `python -m inference check` open the release of that digest with that engine, and wait for it.

    Raises `BadRelease` where the process dies or does not end, and otherwise what it refused the release with.
    """
    own = {"TENFOLD_RELEASE": str(folder.absolute()), "TENFOLD_RELEASE_DIGEST": digest, "TENFOLD_ENGINE": engine}
    own["TENFOLD_LOG"] = "off"
    with tempfile.TemporaryFile() as output:
        ended = confined.run(
            [sys.executable, "-m", "inference", "check"],
            environment=own, output=output, seconds=seconds, file_size=FILE_SIZE,
        )  # fmt: skip
        output.seek(0)
        lines = output.read().decode("utf-8", "replace").strip().splitlines()
    if ended.status is None:
        raise BadRelease(folder, f"a release that opens within {seconds:g} s", "none that does")
    if ended.signal:
        raise BadRelease(folder, f"a model that {engine} can read", f"one that its process died of ({ended.signal})")
    if ended.status:
        raise TenfoldError(lines[-1] if lines else f"{folder}: the process that opened it ended without a word")
