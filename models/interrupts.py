"""Ctrl-C ends a command at once, whatever its libraries are doing, and leaves nothing half written.

A command works in a thread of its own; the main thread only waits, and it alone gets `KeyboardInterrupt`. Raised inside
one of XGBoost's callbacks from C, as when a matrix is built, the exception would be lost and the work go on, or memory
would be damaged. The work is not unwound but ends with the process, so no fit delays it.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp
from threading import RLock, Thread, current_thread, main_thread
from typing import NoReturn

import psutil

STOPPED = 130  # exit status, as shells give it after Ctrl-C
CHECKED = 0.5  # seconds; Windows notices Ctrl-C only between two waits
MESSAGE = b"\nStopped; nothing was written half.\n"

uninterrupted = RLock()  # `with uninterrupted:` around what must be done as a whole, such as renaming two files
_temporary: set[Path] = set()


def run(command: Callable[[], int]) -> int:
    """The exit status of the command; what it raises is raised here. After Ctrl-C the process ends with status 130."""
    if current_thread() is not main_thread():
        return command()
    result: Future[int] = Future()

    def work() -> None:
        try:
            result.set_result(command())
        except BaseException as error:
            result.set_exception(error)

    try:
        Thread(target=work, name="command", daemon=True).start()
        while not result.done():
            wait([result], CHECKED)
    except KeyboardInterrupt:
        end()
    return result.result()


def end() -> NoReturn:
    """End this process and those that it started, without temporary folders."""
    with uninterrupted:
        for folder in _temporary:
            shutil.rmtree(folder, ignore_errors=True)
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                process.kill()
        os.write(2, MESSAGE)  # the work may hold the lock of sys.stderr
        os._exit(STOPPED)


@contextmanager
def temporary_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """A folder to build in, removed at the end, also after Ctrl-C."""
    with uninterrupted:
        folder = Path(mkdtemp(prefix=prefix, dir=parent))
        _temporary.add(folder)
    try:
        yield folder
    finally:
        with uninterrupted:
            shutil.rmtree(folder)
            _temporary.remove(folder)
