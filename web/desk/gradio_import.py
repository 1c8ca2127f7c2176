"""Gradio, imported as `gr` in this one place, in about half of the time that `import gradio` takes."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_interface_files() -> Iterator[None]:
    """Within it Gradio is imported quickly. By itself it reads, parses and writes, every time, an interface file for
    editors beside the source of each of its 80 components; not for a class whose source is in no file."""
    original = inspect.getfile

    def getfile(thing: object) -> str:
        if isinstance(thing, type) and thing.__module__.startswith("gradio."):
            raise OSError("no file is needed")
        return original(thing)  # type: ignore[arg-type]

    inspect.getfile = getfile  # type: ignore[assignment]
    try:
        yield
    finally:
        inspect.getfile = original


with without_interface_files():
    import gradio as gr

__all__ = ["gr"]
