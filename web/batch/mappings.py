"""Which column held which field in earlier files: remembered for each owner and release, in the folder of all files."""

import json
import threading
from contextlib import suppress
from pathlib import Path

from web.batch.json_files import write_json

MOST = 200  # that are remembered


class Mappings:
    """The mappings of a release. Thread-safe."""

    def __init__(self, folder: Path | None, digest: str) -> None:
        """`folder`: None where nothing is remembered; `digest`: of the release."""
        self._folder, self._digest = folder, digest
        self._lock = threading.Lock()

    def remembered(self, owner: str) -> dict[str, str]:
        """The mapping that this owner used last with this release."""
        return dict(self._all().get(self._key(owner), {}))

    def remember(self, owner: str, mapping: dict[str, str]) -> None:
        """Keep a mapping for this owner's next file."""
        if self._folder is None:
            return
        with self._lock:
            mappings = self._all()
            mappings.pop(self._key(owner), None)
            mappings[self._key(owner)] = mapping
            write_json(self._folder / "mappings.json", dict(list(mappings.items())[-MOST:]))

    def _all(self) -> dict[str, dict[str, str]]:
        if self._folder is not None:
            with suppress(OSError, ValueError):
                return dict(json.loads((self._folder / "mappings.json").read_bytes()))
        return {}

    def _key(self, owner: str) -> str:
        return f"{self._digest[:12]} {owner}"
