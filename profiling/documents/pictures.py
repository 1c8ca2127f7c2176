"""Pictures of pages for documents: taken by Chromium, and made small."""

from pathlib import Path

from PIL import Image
from playwright.sync_api import Page

COLOURS = 128  # pages have few; a picture of one then takes a third of its bytes
LARGEST = 200_000  # bytes


def take(page: Page, picture: Path, full_page: bool = False) -> None:
    """What the page shows, or all of it. Raises `ValueError` if the picture is too large for a repository."""
    page.mouse.move(0, 0)
    page.evaluate("document.activeElement.blur()")
    page.screenshot(path=picture, full_page=full_page)
    shrink(picture)
    print(f"docs/{picture.name}")


def shrink(picture: Path) -> None:
    """Fewer colours, in place."""
    with Image.open(picture) as taken:
        small = taken.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    small.save(picture, optimize=True)
    if picture.stat().st_size >= LARGEST:
        raise ValueError(f"{picture} has {picture.stat().st_size:,} bytes: take less of the page")
