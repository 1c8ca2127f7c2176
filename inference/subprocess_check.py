"""Opens a release in a subprocess first: a release that crashes a parser does not bring down this process.

Digests detect damage. They do not detect a release that was forged together with its digests, nor a model that crashes
a newer XGBoost, which does not sanitise what it reads. A server checks here before it opens any release but its own.
"""

import sys
import tempfile
from pathlib import Path

from inference import confined
from inference.errors import BadRelease, TenfoldError

SECONDS = 60.0  # time limit; the check takes about two seconds, mostly imports
FILE_SIZE = 1 << 20  # maximum bytes of its output


def check_in_subprocess(folder: Path, digest: str, engine: str, seconds: float = SECONDS) -> None:
    """Run `python -m inference check` on the release with this digest and engine, and wait for it.

    Raises `BadRelease` if the process crashes or exceeds the time limit, `TenfoldError` with its message if it refuses
    the release.
    """
    environment = {
        "TENFOLD_RELEASE": str(folder.absolute()),
        "TENFOLD_RELEASE_DIGEST": digest,
        "TENFOLD_ENGINE": engine,
    }
    environment["TENFOLD_LOG"] = "off"
    with tempfile.TemporaryFile() as output:
        result = confined.run(
            [sys.executable, "-m", "inference", "check"],
            environment=environment, output=output, seconds=seconds, file_size=FILE_SIZE,
        )  # fmt: skip
        output.seek(0)
        lines = output.read().decode("utf-8", "replace").strip().splitlines()
    if result.status is None:
        raise BadRelease(folder, f"a release that opens within {seconds:g} s", "none that does")
    if result.signal:
        raise BadRelease(folder, f"a model that {engine} can read", f"one that its process died of ({result.signal})")
    if result.status:
        raise TenfoldError(lines[-1] if lines else f"{folder}: the process that opened it ended without a word")
