"""Words in five scripts that stand nowhere else, and every way in which one could be left behind in a file."""

import html
import json
import unicodedata
from urllib.parse import quote

WORDS = {
    "latin": "Žluťoučký-Křečková-7d31",
    "greek": "Ξεσκεπάζωψυχοφθόρα",
    "arabic": "ضظغمستهلك",
    "devanagari": "ज्ञानेश्वरठाकुर",
    "han": "龘靐齾佐々木さくら",
    "emoji": "🦜🥝🪺🛷",
}
ALL = " ".join(WORDS.values())  # 64 characters
SHORT = " ".join(word[:8] for word in WORDS.values())  # fits where 60 are allowed


def parts(word: str) -> list[str]:
    """What a log that holds some of a word holds at least: any four letters in a row, any one of an emoji."""
    length = 1 if ord(word[0]) > 0xFFFF else 4
    return [word[at : at + length] for at in range(len(word) - length + 1)]


def forms(text: str) -> set[bytes]:
    """A text as it is, decomposed, and as JSON, Python, URLs, HTML and other encodings write it."""
    escaped = json.dumps(text)[1:-1]
    percent = quote(text, safe="")
    found = {
        escaped, escaped.upper().replace("\\U", "\\u"), percent, percent.lower(), quote(percent), html.escape(text),
        text.encode("ascii", "xmlcharrefreplace").decode(), text.encode("unicode-escape").decode(), ascii(text)[1:-1],
        "".join(f"&#x{ord(one):x};" for one in text), "".join(f"&#x{ord(one):X};" for one in text),
        "".join(f"U+{ord(one):04X} " for one in text).strip(), repr(text.encode())[2:-1],
        text.encode().decode("latin-1"),  # bytes of UTF-8 read as Latin-1, and written again
    }  # fmt: skip
    kinds = {text, unicodedata.normalize("NFD", text), unicodedata.normalize("NFC", text)}
    return {one.encode() for one in found | kinds} | {text.encode("utf-16-le"), text.encode("utf-16-be")}


FORMS = {name: set().union(*(forms(part) for part in parts(word))) for name, word in WORDS.items()}


def left_in(content: bytes) -> list[str]:
    """The scripts whose canary is in a content, whole or in part."""
    return [name for name, found in FORMS.items() if any(form in content for form in found)]


def letters_in(text: str) -> set[str]:
    """Single letters of the canaries in a text, as they are or as JSON writes them: a list of them tells a name too.
    Only of scripts in which no text of ours is written."""
    rare = {letter for name, word in WORDS.items() if name != "latin" for letter in word}
    return {one for one in rare if one in text or json.dumps(one)[1:-1] in text.lower()}
