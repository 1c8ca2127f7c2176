"""The study that this project grew out of, its commands, and the benchmarks.

Python 3.15 has a standard package of this name (PEP 799, `profiling.tracing` and `profiling.sampling`). Whichever is
found first, the other's modules must be found too.
"""

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)
