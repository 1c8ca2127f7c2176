"""Commands whose output somebody stops reading, as `tenfold score loans.csv | head` does, end without a traceback."""

import os
import sys
from collections.abc import Callable

CLOSED_PIPE = 141  # the status that a shell has for a program ended by SIGPIPE


def until_closed(command: Callable[[], int]) -> int:
    """Run a command; its exit status, or CLOSED_PIPE where nobody reads its output any longer."""
    try:
        status = command()
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes once more as it ends: into nothing.
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())
        os.close(nothing)
        return CLOSED_PIPE
    return status
