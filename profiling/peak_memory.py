"""The most memory that this process has had resident."""

import sys
from pathlib import Path

STATUS = Path("/proc/self/status")


def most_resident() -> int:
    """Bytes. On Linux not by `getrusage`, which includes what the process had that began this one: each begins as a
    copy of another."""
    if STATUS.exists():
        _, _, after = STATUS.read_text().partition("VmHWM:")
        return int(after.split()[0]) * 1024
    import resource  # not on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
