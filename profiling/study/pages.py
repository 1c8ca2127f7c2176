"""HTML reports from Jinja2 templates: one file that loads nothing.

A view is a frozen dataclass of finished texts and numbers, and names its template. Every text is escaped, and a name
that a view lacks is an error.
"""

import json
from base64 import b64encode
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol

from inference.extras import extra
from profiling.output import write_text

if TYPE_CHECKING:
    from jinja2 import Environment

FOLDER = Path(__file__).with_name("templates")


class View(Protocol):
    """What one template shows."""

    template: ClassVar[str]  # its name below `FOLDER`


def write_page(file: Path, view: View) -> None:
    """Write a report. Raises `MissingExtra` where Jinja2 is not installed, `CannotWrite`."""
    write_text(file, render(view))


def render(view: View) -> str:
    """A report's HTML."""
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return environment().get_template(view.template).render(view=view, now=now)


def environment() -> "Environment":
    """The templates. In them `for_script(facts)` is JSON for a script element that runs nothing: no text can end it.

    `script` is the only script that a page may run; its policy names it by its digest.
    """
    with extra("profile"):  # imported here: output to a terminal does not need it
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
        from markupsafe import Markup

    def for_script(facts: object) -> Markup:
        text = json.dumps(facts, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        return Markup(text.replace("<", r"\u003c"))  # noqa: S704 - escaped

    jinja = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = (FOLDER / "profile.js").read_text("utf-8")
    jinja.globals["for_script"] = for_script
    jinja.globals["script"] = Markup(script)  # noqa: S704 - our own file
    jinja.globals["script_digest"] = b64encode(sha256(script.encode()).digest()).decode()
    return jinja
