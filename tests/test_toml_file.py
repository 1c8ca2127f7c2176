"""Where each key of a TOML file stands, and which questions are open in it."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.settings import ROOT
from models.toml_file import BadFile, TomlFile, leaves, named, places

TEXT = """\
a = 1  # a comment with "quotes" and = signs
b.c = [1, 2, # inside
  { d = "x # no comment", "e f" = \'\'\'
two = 2
lines\'\'\' },
]
[t]
k = "it's"
[[list]]
x = 1979-05-27T07:32:00Z
[[list]]
x = -1.5e3
[list.deep]
y = true
"""


def test_every_key_has_its_line() -> None:
    """In tables, lists, tables in lists; a text of several lines, a comment with signs in it, hide nothing."""
    lines = dict(places(TEXT))
    assert {named(key): line for key, line in lines.items()} == {
        "a": 1, "b.c": 2, "b.c[1]": 2, "b.c[2]": 2, "b.c[3]": 3, "b.c[3].d": 3, 'b.c[3]."e f"': 3, "t": 7, "t.k": 8,
        "list[1]": 9, "list[1].x": 10, "list[2]": 11, "list[2].x": 12, "list[2].deep": 13, "list[2].deep.y": 14,
    }  # fmt: skip


@pytest.mark.parametrize("file", sorted([ROOT / "pyproject.toml", *ROOT.glob("models/**/recipes/*.toml")]))
def test_the_lines_of_real_files_are_of_what_tomllib_reads(file: Path) -> None:
    """Every value has a line, and the line holds its key."""
    text = file.read_text("utf-8")
    lines, said = dict(places(text)), tomllib.loads(text)
    found = list(leaves(said))
    assert len(found) > 20
    written = text.split("\n")
    for key, _ in found:
        assert key in lines
        if isinstance(key[-1], str):
            assert key[-1] in written[lines[key] - 1]


@given(st.text(alphabet="ab=[]{}\"'#,.\n 01-", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    """What tomllib takes has its lines found; anything else is refused by name."""
    try:
        said = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        with pytest.raises(BadFile, match="is no TOML"):
            TomlFile.parse(text, "it")
        return
    lines = TomlFile.parse(text, "it").lines
    assert {key for key, _ in leaves(said)} <= lines.keys()


@pytest.mark.parametrize(
    ("text", "open_"),
    [
        ('a = 1  # ASK why', ["line 1: a: ASK why"]),
        ('a = "ASK"', ["line 1: a: answer this"]),
        ('a = "ASK: who signs"', ["line 1: a: who signs"]),
        ('a = [ { why = "ASK" } ]', ["line 1: a[1].why: answer this"]),
        ("\n# ASK what is this", ["line 2: ASK what is this"]),
        ('# date = "x"  # ASK: a date?', ['line 1: date = "x"  # ASK: a date?']),
        ("\n[t] # ASK all of it", ["line 2: t: ASK all of it"]),
        ("# Lines marked ASK must be answered\na = 1  # asked, a TASK", []),
        ('a = "what you ASK # ASK"', []),
    ],
)  # fmt: skip
def test_open_questions(text: str, open_: list[str]) -> None:
    """A value, or a comment behind one, or a line of comment; a sentence that speaks of ASK is no question."""
    assert [str(one) for one in TomlFile.parse(text, "it").questions()] == open_


def test_problems_come_in_the_order_of_their_lines() -> None:
    """All in one message, each with the file."""
    toml = TomlFile.parse("a = 1\nb = 2\n[c]\nd = 3\n", "it.toml")
    toml.wrong(("c", "d"), "no")
    toml.wrong(("a",), "neither")
    toml.wrong(("c", "missing"), "gone")
    with pytest.raises(BadFile) as caught:
        toml.done()
    assert (
        str(caught.value) == "it.toml: line 1: a: neither\nit.toml: line 3: c.missing: gone\nit.toml: line 4: c.d: no"
    )
