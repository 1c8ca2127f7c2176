"""The end of the live performance log, followed as it grows, whichever process writes it."""

import threading
from pathlib import Path

from inference.perflog_reader import LogReader

MOST_SCORES = 20_000  # kept
FIRST_BYTES = 8 << 20  # read when the log is first opened: some 25,000 lines, a tenth of a second


class LogTail:
    """Follows the daily files of a log. Thread-safe: it is read under `lock`."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._file: Path | None = None  # being followed, and how far it was read
        self._at = 0
        self.reader = LogReader()
        self.lock = threading.Lock()

    def follow(self) -> LogReader:
        """Take what was written since the last call; the caller holds `lock`."""
        files = sorted(self._log.parent.glob(f"{self._log.stem}-????-??-??{self._log.suffix}"))
        if self._file is None:
            self._begin(files)
        for file in files:
            if self._file is None or file > self._file:
                self._file, self._at = file, 0
            if file == self._file:
                self._read(file)
        self.reader.keep_last(MOST_SCORES)
        return self.reader

    def _begin(self, files: list[Path]) -> None:
        """Stand so far before the end that FIRST_BYTES are read, at the beginning of a line."""
        wanted = FIRST_BYTES
        for file in reversed(files):
            size = file.stat().st_size
            self._file, self._at = file, max(0, size - wanted)
            wanted -= size
            if wanted <= 0:
                break
        if self._file is not None and self._at:
            with self._file.open("rb") as stream:
                stream.seek(self._at)
                self._at += len(stream.readline())

    def _read(self, file: Path) -> None:
        """Whole lines from where reading stopped. A line begins with its newline, so the last one ends with a brace."""
        try:
            if file.stat().st_size < self._at:  # another file of that name
                self._at = 0
            with file.open("rb") as stream:
                stream.seek(self._at)
                data = stream.read()
        except FileNotFoundError:
            return
        if not data.endswith(b"}"):
            data = data[: data.rfind(b"\n") + 1]
        self._at += len(data)
        self.reader.read(data.split(b"\n"), file.name)
