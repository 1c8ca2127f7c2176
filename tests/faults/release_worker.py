"""Opens releases as the server does, and says what became of each: `release_worker.py`.

Reads a line from stdin for each, `<folder> <engine> …`. They are opened by a child that is forked before XGBoost has
done anything, so that one which dies takes no other with it, and the next one costs no start of Python. Stdout has one
JSON line for each: `[outcome, why]`, where the outcome is `opened`, `refused`, `bug` for an error that is not ours,
or `killed` with the signal; SIGALRM for one that took too long.
"""

import json
import os
import sys
import traceback
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # a fork takes one thread along
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import resource
import signal

import daal4py  # noqa: F401 - before the fork, like the next two
import onnxruntime  # noqa: F401
import xgboost  # noqa: F401

from inference.engines import golden_differences, open_engine
from inference.errors import TenfoldError
from inference.measure import ProcessSampler
from inference.release import open_release
from inference.scorer import Scorer

MEMORY = 2 << 30  # bytes, beside what the imports take: what asks for more fails
SECONDS = 60  # of one release
ANSWERS = os.dup(1)
os.dup2(2, 1)  # what libraries print is no answer


def tried(folder: Path, engines: list[str], sampler: ProcessSampler) -> tuple[str, str]:
    """What becomes of one release: opened where one engine or more scores with it."""
    try:
        release = open_release(folder)
        refusals = []
        for name in engines:
            try:
                scorer = Scorer(release, open_engine(name, release), process=sampler)
                golden_differences(scorer.engine, release)
                scorer.score(release.form.example)
            except TenfoldError as error:
                refusals.append(f"{name}: {type(error).__name__}: {error}")
    except TenfoldError as error:
        return "refused", f"{type(error).__name__}: {error}"
    except Exception:
        return "bug", traceback.format_exc()
    return ("refused" if len(refusals) == len(engines) else "opened"), " / ".join(refusals)


def work() -> None:
    """Take one line after another until there are no more."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * os.sysconf("SC_PAGE_SIZE") + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sampler = ProcessSampler()
    sampler.close()
    while line := os.read(0, 1 << 16):  # unbuffered: what this child has not taken is there for the next one
        folder, *engines = line.decode().split()
        signal.alarm(SECONDS)
        said = tried(Path(folder), engines, sampler)
        signal.alarm(0)
        os.write(ANSWERS, f"{json.dumps(said)}\n".encode())
    os._exit(0)


def main() -> None:
    while True:
        child = os.fork()
        if not child:
            work()
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            return
        os.write(ANSWERS, f"{json.dumps(('killed', signal.Signals(os.WTERMSIG(status)).name))}\n".encode())


if __name__ == "__main__":
    main()
