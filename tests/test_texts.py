"""The page's words: every key is there in both languages and used, nothing is asked for that is not there, and the
words are those that people in lending use."""

import ast
import json
import re
import string
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from web.pages.texts import FOLDER, LANGUAGES

WEB = FOLDER.parent.parent
ANY = "[a-z0-9_]+"  # a part of a key that varies
WORDS = {language: json.loads((FOLDER / f"{language}.json").read_text("utf-8")) for language in LANGUAGES}
# Phrases that nobody at a desk would say; what stands instead is in the texts.
BANNED = {
    "en": (
        "will stand", "stands in the form", "any more", "of before", "otherwise than", "belong together",
        "answers to this", "whoever", "told on", "taken on trust", "too close to call", "understood",
        "by itself alone", "is none", "are none",
        "somebody was quicker", "to be decided by", "the desk", "bad record", "money units",
    ),
    "fr": (
        "bureau", "pris sur parole", "motifs (projet)", "autre que suggéré", "projet de notification", "son registre",
        "rejoué", "personne ayant", "avant le {", "augmente ×", "à trancher par", "notification",
    ),
}  # fmt: skip


def fields_of(text: str) -> set[str]:
    """The names of a text's placeholders."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def pattern_of(node: ast.expr) -> str | None:
    """A regular expression for what a string expression can be; None where it is no string of ours."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return re.escape(node.value)
    if isinstance(node, ast.JoinedStr):
        parts = [pattern_of(part) if isinstance(part, ast.Constant) else ANY for part in node.values]
        return "".join(part for part in parts if part)
    return None


def trees() -> Iterator[tuple[Path, ast.Module]]:
    for file in sorted(WEB.rglob("*.py")):
        yield file, ast.parse(file.read_text("utf-8"))


def in_templates() -> Iterator[tuple[str, str]]:
    """The same of templates, which name whole keys."""
    for file in sorted((FOLDER.parent / "templates").rglob("*.html")):
        for key in re.findall(r"\btexts\(\"([^\"]+)\"", file.read_text("utf-8")):
            yield file.name, re.escape(key)


def asked_for() -> Iterator[tuple[str, str]]:
    """Each place where a text is asked for by name: file and line, and the pattern of its key."""
    yield from in_templates()
    for file, tree in trees():
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Call) and node.args):
                continue
            name = ast.unparse(node.func)
            if name in ("texts", "self._texts", "officer", "said") or re.fullmatch(r"texts_in\(.*\)", name):
                alternatives = (
                    [node.args[0].body, node.args[0].orelse] if isinstance(node.args[0], ast.IfExp) else [node.args[0]]
                )
                for one in alternatives:
                    if pattern := pattern_of(one):
                        yield f"{file.name}:{node.lineno}", pattern


def test_both_languages_have_the_same_keys_and_placeholders() -> None:
    """A text that one language lacks, or that has another figure in it, fails when somebody reads that page."""
    assert len(WORDS["en"]) > 200
    assert list(WORDS["en"]) == list(WORDS["fr"])
    other = {key for key, text in WORDS["en"].items() if fields_of(text) != fields_of(WORDS["fr"][key])}
    assert other == set()


@pytest.mark.slow
def test_nothing_is_asked_for_that_is_not_there() -> None:
    """Every key that the code names is in the files; of a key with a part that varies at least one is."""
    found = list(asked_for())
    assert len(found) > 100
    missing = [
        (place, pattern) for place, pattern in found if not any(re.fullmatch(pattern, key) for key in WORDS["en"])
    ]
    assert missing == []


@pytest.mark.slow
def test_no_text_is_left_over() -> None:
    """Every key is named by some string of the code or a template, or by one with a part that varies."""
    patterns = {pattern for _, pattern in in_templates()}
    for _, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, (ast.Constant, ast.JoinedStr)) and (pattern := pattern_of(node)) and "." in pattern:
                patterns.add(pattern)
    exact = {re.sub(r"\\(.)", r"\1", one) for one in patterns if ANY not in one}
    # One that is nothing but parts that vary names no key.
    varying = [re.compile(one) for one in patterns if ANY in one and re.search("[a-z]", one.replace(ANY, ""))]
    unused = [key for key in WORDS["en"] if key not in exact and not any(one.fullmatch(key) for one in varying)]
    assert unused == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_banned_phrase(language: str) -> None:
    """Inverted, riddling and internal words stay out."""
    found = [
        (key, phrase)
        for key, text in WORDS[language].items()
        for phrase in BANNED[language]
        if re.search(rf"(?<!\w){re.escape(phrase)}(?!\w)", text.lower())
    ]
    assert found == []


def test_french_typography() -> None:
    """A narrow no-break space before ; ! ? and %, a no-break space before : and inside « »: never a plain one."""
    marks = {key: text for key, text in WORDS["fr"].items() if re.search(r"[;!?%:»]|«", text)}
    assert len(marks) > 50
    wrong = [
        key
        for key, text in marks.items()
        if re.search(r"(?<![\u202f])[;!?%](?!\w)|(?<![\u00a0\w/}])[:»]|[^\u00a0\s/\w}]:|«(?!\u00a0)| [;!?%:»]", text)
    ]
    assert wrong == []


def test_no_text_is_typed_with_straight_marks() -> None:
    """Apostrophes and quotation marks are typographic, and three dots are one mark."""
    found = [
        (language, key)
        for language in LANGUAGES
        for key, text in WORDS[language].items()
        if re.search(r"'|\"|\.\.\.", text)
    ]
    assert found == []


PROJECT = FOLDER.parent.parent.parent
CODE_BANNED = (  # in code, comments, tests and documents; a regular expression each, of whole words
    "is none", "are none", "(?:is|be|was|are) no (?:\\w+ )+any more", "none any more", "of before", "by itself alone",
    "told on", "stands in the form", "belongs together", "answers to this", "otherwise than", "understood", "whoever",
)  # fmt: skip


def test_no_banned_words_in_code_and_documents() -> None:
    """Plain English: the phrases that the page may not have are in no docstring, comment, name or document either."""
    listed = subprocess.run(["git", "ls-files"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout.split()
    kinds = {".py", ".md", ".toml", ".js", ".css"}
    files = [
        PROJECT / name for name in listed if Path(name).suffix in kinds and not name.startswith("models/releases/")
    ]
    files = [file for file in files if file.name not in ("CHANGELOG.md", Path(__file__).name)]
    assert len(files) > 200
    banned = re.compile(rf"\b(?:{'|'.join(CODE_BANNED)})\b")
    found = {
        f"{file.relative_to(PROJECT)}:{number}": match[0]
        for file in files
        for number, line in enumerate(file.read_text("utf-8").splitlines(), 1)
        if (match := banned.search(line))
    }
    assert not found


# Names that say nothing of a value, and what is named so for a reason; a package is added once its names are mended.
BARE_NAMES = {
    "told", "found", "one", "said", "whole", "at", "made", "asked", "understood", "apart", "held", "kept", "ats",
}  # fmt: skip
NAMED_PACKAGES = ["inference", "ledger", "models", "profiling", "web"]
MANIFEST_KEYS = {("inference/fields.py", "whole")}  # an attribute is called what the key in manifest.json is called


def names_given(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Every name that a program gives to something, with its line: variables, arguments, attributes, functions."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name, node.lineno
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.arg(arg=name):
                yield name, node.lineno
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield name, node.lineno
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                yield from ((alias.asname, node.lineno) for alias in aliases if alias.asname)


def test_every_kind_of_name_is_read() -> None:
    """Variables of loops, comprehensions, `with`, `except`, `match` and `:=`, arguments, attributes, functions."""
    program = """
import v1 as a1
from v2 import v3 as a2
async def a3(a4, /, a5, *a6, a7=1, **a8):
    self.a9 = a10 = [a11 for a11 in v4 if (a12 := v5)]
    with v6 as (a13, a14):
        a15: int = v7
    for a16 in v8:
        a17 += lambda a18: v9
    try:
        def a19(): v10(v11=1)
    except v12 as a20:
        pass
    match v13:
        case [a21, *a22]: pass
        case v14.v15 as a23: pass
"""
    names = {name for name, _ in names_given(ast.parse(program))}
    assert names == {f"a{number}" for number in range(1, 24)}


@pytest.mark.slow
@pytest.mark.parametrize("package", NAMED_PACKAGES)
def test_names_say_what_a_value_is(package: str) -> None:
    """Nothing is called `found`, `at` or `one`, with or without an underscore before it."""
    files = sorted((PROJECT / package).rglob("*.py"))
    assert len(files) > 10
    given = [
        (file.relative_to(PROJECT).as_posix(), name, line)
        for file in files
        for name, line in names_given(ast.parse(file.read_text("utf-8")))
    ]
    assert len(given) > 1000
    bare = [
        f"{file}:{line}: {name}"
        for file, name, line in given
        if name.strip("_") in BARE_NAMES and (file, name) not in MANIFEST_KEYS
    ]
    assert bare == []
