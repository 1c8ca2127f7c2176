"""What must still be there after a power cut: waits until the disk has it."""

import os
from pathlib import Path


def sync(path: Path) -> None:
    """What a file holds, or the names in a folder, are on disk. On Windows, where folders cannot be opened, nothing is
    waited for. Raises OSError."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
