"""What documents show is so: code in them runs and prints what stands below it, tables list what there is, links lead
somewhere."""

import contextlib
import hashlib
import io
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from parts import some

from inference.blocks import Feature
from inference.manifest import FORMAT, Manifest
from inference.settings import RELEASES, ROOT

DOCS = ROOT / "docs"
BLOCK = re.compile(r"```python\n(.*?)```\n(?:```text\n(.*?)```)?", re.DOTALL)


def page(name: str) -> str:
    return (DOCS / name).read_text("utf-8")


@pytest.mark.slow
def test_the_page_on_python_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """From top to bottom, and each part prints what the page says."""
    monkeypatch.setenv("TENFOLD_LOG", str(tmp_path / "p.jsonl"))
    names: dict[str, object] = {}
    blocks = BLOCK.findall(page("python.md"))
    assert len(blocks) > 4
    for code, expected in blocks:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, "docs/python.md", "exec"), names)  # noqa: S102 - our own page
        assert printed.getvalue() == expected, code


# --- the format of a release ---


def checker() -> dict[str, object]:
    """The functions of the page's program."""
    ((code, _),) = BLOCK.findall(page("release-format.md"))
    assert len(code.splitlines()) <= 23
    names: dict[str, object] = {"__name__": "page"}
    exec(compile(code, "docs/release-format.md", "exec"), names)  # noqa: S102 - our own page
    return names


def test_the_program_of_the_release_format_finds_what_is_wrong(tmp_path: Path) -> None:
    """Nothing in the releases there are; one byte of each kind of file in a copy."""
    check = checker()["check"]
    assert callable(check)
    folders = some(folder for folder in RELEASES.iterdir() if folder.is_dir())
    for folder in folders:
        assert check(folder) == ""
        for name in ("manifest.json", "model.ubj"):
            copy = tmp_path / folder.name
            shutil.copytree(folder, copy)
            content = bytearray((copy / name).read_bytes())
            content[len(content) // 2] ^= 1
            (copy / name).write_bytes(content)
            assert check(copy).startswith(name)
            shutil.rmtree(copy)


def test_the_release_format_lists_all_that_a_manifest_holds() -> None:
    """Each key of a manifest, each kind of block; and no others."""
    text = page("release-format.md")
    keys = re.findall(
        r"^\| ((?:`\w+`(?:, )?)+) \|", text.partition("## manifest.json")[2].partition("\nA field has")[0], re.M
    )
    listed = [name for row in keys for name in re.findall(r"`(\w+)`", row)]
    assert sorted(listed) == sorted(Manifest.__struct_fields__)
    blocks = re.findall(r"^\| `(\w+)` \|", text.partition("| block of")[2].partition("## history")[0], re.M)
    assert sorted(blocks) == sorted(spec.__struct_config__.tag for spec in some(Feature.__args__))
    assert f"JSON, format {FORMAT} |" in text


def test_the_glossary_is_in_order() -> None:
    """Each word once, from a to z, with a meaning."""
    rows = re.findall(r"^\| \*\*(.+?)\*\* \| (.+) \|$", page("glossary.md"), re.MULTILINE)
    words = [word for word, _ in rows]
    assert len(words) > 30
    assert words == sorted(set(words), key=str.lower)


def test_every_decision_is_listed() -> None:
    """docs/contributing.md names each page of docs/decisions."""
    named = set(re.findall(r"\]\(decisions/([\w.-]+)\)", page("contributing.md")))
    assert named == {file.name for file in some((DOCS / "decisions").iterdir())}


# --- links ---


def slug(heading: str) -> str:
    """The anchor of a heading, as hosts of Markdown make it."""
    text = re.sub(r"\[(.*?)\]\(.*?\)", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", text.lower()).strip().replace(" ", "-")


def links() -> list[tuple[str, str, str]]:
    """Page, target and anchor of every relative link of every document, pictures too; not those in code."""
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = []
    for name in some(listed.split()):
        text = re.sub(r"```.*?```|`[^`\n]*`", "", (ROOT / name).read_text("utf-8"), flags=re.DOTALL)
        found += [(name, *parts) for parts in re.findall(r"\]\(([^)#:\s]*)(?:#([^)\s]*))?\)", text)]
    return found


def test_links_between_documents_lead_somewhere() -> None:
    """Each names a file or a folder that is there, and an anchor that is a heading of it."""
    wrong = []
    for name, target, anchor in some(links()):
        file = (ROOT / name).parent.joinpath(target) if target else ROOT / name
        headings = re.findall(r"^#+ (.+)$", file.read_text("utf-8"), re.M) if anchor and file.is_file() else []
        if not file.exists() or (anchor and anchor not in map(slug, headings)):
            wrong.append((name, target, anchor))
    assert wrong == []
    assert len(links()) > 80


def test_every_document_is_reached_from_the_readme() -> None:
    """By links, from page to page: nothing is written that nobody finds."""
    listed = subprocess.run(
        ["git", "ls-files", "docs/*.md"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    leads: dict[Path, set[Path]] = {}
    for name, target, _ in links():
        if target.endswith(".md"):
            leads.setdefault(ROOT / name, set()).add((ROOT / name).parent.joinpath(target).resolve())
    reached, waiting = {ROOT / "README.md"}, [ROOT / "README.md"]
    while waiting:
        new = leads.get(waiting.pop(), set()) - reached
        reached |= new
        waiting += new
    assert {
        str((ROOT / name).relative_to(ROOT)) for name in some(listed.split()) if ROOT / name not in reached
    } == set()


@pytest.mark.parametrize("folder", ["docs"])
def test_pictures_are_small_and_used(folder: str) -> None:
    """Each is below 200 KB, and a document shows it; none is there twice."""
    shown = {(ROOT / name).parent.joinpath(target).resolve() for name, target, _ in some(links())}
    pictures = some((ROOT / folder).glob("*.png"))
    digests = {hashlib.sha256(file.read_bytes()).hexdigest() for file in pictures}
    assert len(digests) == len(pictures)
    assert [file.name for file in pictures if file.stat().st_size >= 200_000] == []
    assert [file.name for file in pictures if file not in shown] == []
