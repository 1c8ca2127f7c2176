"""Follows the end of the live performance log as it grows, whichever process writes it."""

import threading
from pathlib import Path

from inference.perflog_reader import LogReader

MOST_SCORES = 50_000  # in memory: 2 MB, and 9 MB for the counts of months
FIRST_BYTES = 16 << 20  # read when the log is first opened: about 50,000 lines


class LogTail:
    """Follows the daily files of a log. Callers must hold `lock`."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._file: Path | None = None  # the file being followed
        self._offset = 0  # how far it has been read, in bytes
        self.reader = LogReader()
        self.left_out = False  # whether the log holds more than was read and kept
        self.lock = threading.Lock()

    def follow(self) -> LogReader:
        """Read what was written since the last call; the caller holds `lock`."""
        files = sorted(self._log.parent.glob(f"{self._log.stem}-????-??-??{self._log.suffix}"))
        if self._file is None:
            self._begin(files)
        for file in files:
            if self._file is None or file > self._file:
                self._file, self._offset = file, 0
            if file == self._file:
                self._read(file)
        self.left_out |= self.reader.keep_last(MOST_SCORES)
        return self.reader

    def _begin(self, files: list[Path]) -> None:
        """Start FIRST_BYTES before the end of the newest files, at the beginning of a line."""
        remaining = FIRST_BYTES
        for file in reversed(files):
            size = file.stat().st_size
            self._file, self._offset = file, max(0, size - remaining)
            remaining -= size
            if remaining <= 0:
                break
        self.left_out = bool(self._offset) or (self._file is not None and self._file != files[0])
        if self._file is not None and self._offset:
            with self._file.open("rb") as stream:
                stream.seek(self._offset)
                self._offset += len(stream.readline())

    def _read(self, file: Path) -> None:
        """Read complete lines from where reading stopped. Newlines come before lines, so the last ends with a brace."""
        try:
            if file.stat().st_size < self._offset:  # the file was replaced
                self._offset = 0
            with file.open("rb") as stream:
                stream.seek(self._offset)
                data = stream.read()
        except FileNotFoundError:
            return
        if not data.endswith(b"}"):
            data = data[: data.rfind(b"\n") + 1]
        self._offset += len(data)
        self.reader.read(data.split(b"\n"), file.name)
