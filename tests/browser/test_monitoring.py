"""The page Monitor in a browser: in English and French, on a phone, in dark colours, without faults that axe finds."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import lent_ledgers
import pytest
from live import Desk, Server
from test_spelt_out import bare

from inference.release import open_release
from inference.settings import default_release
from inference.watch.expected import month
from web.pages.texts import texts_in

MONTHS = month(datetime.now(UTC).date().isoformat()) - lent_ledgers.FIRST  # up to the last month
PHONE, WIDE = (390, 844), (1366, 900)


@pytest.fixture(scope="module")
def watched(serve: Callable[..., Server]) -> Iterator[Server]:
    """A server whose ledger holds a book that got worse."""
    release = open_release(default_release())
    folder = Path(tempfile.mkdtemp(prefix="tenfold-"))  # not pytest's, into which the server may not look: it is nobody
    file = folder / "ledger.sqlite3"
    lent_ledgers.write(file, MONTHS, 60, release.form, release.digest, 4.0)
    for path in (folder, *folder.iterdir()):
        path.chmod(0o777)
    yield serve(default_release(), TENFOLD_LEDGER=str(file))
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("size", [PHONE, WIDE], ids=["phone", "wide"])
@pytest.mark.parametrize("colours", ["light", "dark"])
def test_the_monitor_is_read_by_everybody(
    open_desk: Callable[..., Desk],
    watched: Server,
    language: str,
    size: tuple[int, int],
    colours: Literal["light", "dark"],
) -> None:
    """The alarm, both charts and every table; nothing runs off the page, and axe finds nothing serious."""
    desk = open_desk(None, watched, size=size, colours=colours)
    page = desk.page
    page.goto(f"{watched.url}{'/fr' if language == 'fr' else ''}/monitor")
    texts = texts_in(language)
    assert page.get_attribute("html", "lang") == language
    text = page.inner_text("main")
    for part in ("bands", "quarters", "overrides", "drift", "bad_expected", "cusum"):
        assert texts(f"monitor.{part}") in text, part
    assert page.locator("main svg").count() >= 2
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    desk.axe()
    desk.shoot(f"monitor-{language}-{size[0]}-{colours}")
    page.emulate_media(media="print")
    assert bare(page, texts) == []
