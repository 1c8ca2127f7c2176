"""Profiles a script in a process of its own: `python …/script_profile.py OUT.prof THREADS.json SCRIPT.py ARGUMENTS…`.

As `python -m cProfile` does, with two differences: what other threads called meanwhile is counted, and the script is
the module `__main__`, so that what it defines can be pickled. It is run by its path and imports nothing of ours: the
script must find its own modules, and none that we brought along.
"""

import cProfile
import io
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType, ModuleType


def profiled_with_threads(profiler: cProfile.Profile, run: Callable[[], object]) -> dict[str, float]:
    """Run under the profiler, which sees this thread alone, and count what the threads do that are started meanwhile.

    `calls` in `threads` other threads, and their share of the CPU time, `cpu`, 0 to 1. Errors of `run` are passed on.
    """
    counts: dict[int, int] = {}

    def count(frame: FrameType, event: str, _: object) -> None:
        if event in ("call", "c_call"):
            thread = threading.get_ident()
            counts[thread] = counts.get(thread, 0) + 1

    threading.setprofile(count)
    used, mine = time.process_time(), time.thread_time()
    try:
        run()
    finally:
        threading.setprofile(None)
        used, mine = time.process_time() - used, time.thread_time() - mine
        profiler.create_stats()
    others = max(0.0, 1 - mine / used) if used > 0.01 else 0.0
    return {"calls": sum(counts.values()), "threads": len(counts), "cpu": others}


def main() -> None:
    """Run the script, and leave both files however it ends, but for a kill."""
    out, threads, script, *arguments = sys.argv[1:]
    sys.argv[:] = [script, *arguments]
    sys.path[0] = os.path.dirname(os.path.abspath(script))
    with io.open_code(script) as stream:
        code = compile(stream.read(), script, "exec")
    module = ModuleType("__main__")
    module.__file__ = script
    sys.modules["__main__"] = module
    profiler = cProfile.Profile()
    error: BaseException | None = None

    def run() -> None:
        nonlocal error
        try:
            profiler.runcall(exec, code, vars(module))
        except BaseException as raised:
            error = raised  # raised again below, once the files are written

    counts = profiled_with_threads(profiler, run)
    profiler.dump_stats(out)
    with open(threads, "w", encoding="utf-8") as stream_out:
        json.dump(counts, stream_out)
    if error is not None:
        raise error


if __name__ == "__main__":
    main()
