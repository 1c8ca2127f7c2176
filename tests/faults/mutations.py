"""Ways to spoil bytes, texts and JSON: seeded, so that a case that fails is there again."""

import copy
import json
import math
import random
import re
from collections.abc import Callable
from typing import Any

NUMBERS = (
    b"0", b"-1", b"1", b"127", b"255", b"65536", b"2147483647", b"-2147483648", b"4294967296", b"9223372036854775807",
    b"18446744073709551616", b"1e308", b"-1e309", b"NaN", b"Infinity", b"5e-324", b"1" * 400, b"0.1", b"00", b"0x10",
    "١٢".encode(), "½".encode(), b"1_000",
)  # fmt: skip
TOKENS = (
    b"\0", b"\xff\xfe", b"\xed\xa0\x80", b"\xf0\x9f\x92\xa9", b"\r\n", b'"', b"'", b"\\", b"\\u0000", b"\\ud800",
    b"{", b"}", b"[", b"]", b":", b",", b"null", b"true", b"%00", b"%", b"%ff", b"&", b"=", b";", b"..", b"../", b"//",
    b"<script>", b"${x}", b"{0}", "\u202e".encode(), "\u2028".encode(), "é".encode(), "ß".encode(), b"[" * 2000,
    b"A" * 5000, b" " * 3000, b"'; DROP TABLE entries; --",
)  # fmt: skip
WORDS = (bytes(4), b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\0\0\0\x80", b"\1\0\0\0", bytes(8))
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 10**6, 10**9, 2**31, 2**63, 2**64, 10**400, 1e308, -1e308, 5e-324, 0.5, math.nan,
    math.inf, -math.inf, "", " ", "a", "0", "1", "-1", "1e999", "nan", "not_stated", "\0", "\ud800", "é\u202e<b>",
    "x" * 10_000, "{0}", "%s", "__class__", "../x", [], [[]], {}, [None], ["a"], [0],
    {"": 0}, {"en": "a", "fr": "b"}, [1, 2, 3],
)  # fmt: skip
DIGITS = re.compile(rb"-?\d+(\.\d+)?")


def spoil_bytes(whole: bytes, chance: random.Random) -> bytes:
    """Some bytes changed, cut, doubled, moved or put in, at one place or a few."""
    content = bytearray(whole)
    for _ in range(chance.choice((1, 1, 1, 2, 4, 12))):
        at = chance.randrange(len(content) + 1)
        length = min(chance.choice((1, 2, 4, 8, 64, 1024)), len(content) - at)
        kind = chance.choice(("flip", "byte", "word", "number", "token", "cut", "delete", "double", "splice", "zero"))
        if kind == "flip" and at < len(content):
            content[at] ^= 1 << chance.randrange(8)
        elif kind == "byte" and at < len(content):
            content[at] = chance.randrange(256)
        elif kind == "word":
            word = chance.choice(WORDS)
            content[at : at + len(word)] = word
        elif kind == "number" and (found := DIGITS.search(content, at)):
            content[found.start() : found.end()] = chance.choice(NUMBERS)
        elif kind == "token":
            content[at:at] = chance.choice(TOKENS)
        elif kind == "cut" and chance.random() < 0.3:
            del content[at:]
        elif kind == "delete":
            del content[at : at + length]
        elif kind == "double":
            content[at:at] = content[at : at + length] * chance.choice((1, 1, 2, 50))
        elif kind == "splice":
            other = chance.randrange(len(content) + 1)
            content[at : at + length] = content[other : other + length]
        elif kind == "zero":
            content[at : at + length] = bytes(length)
    if content == whole:
        content += b"\0"
    return bytes(content)


def spoil_json(whole: Any, chance: random.Random) -> bytes:
    """A JSON text of the same object with one place or a few changed: other types, other sizes, gone, twice."""
    changed = copy.deepcopy(whole)
    for _ in range(chance.choice((1, 1, 1, 2, 5))):
        changed = change(changed, chance)
    text = json.dumps(changed)
    if chance.random() < 0.05 and text.startswith("{") and len(text) > 2:
        key = chance.choice(list(changed))
        text = f"{text[:-1]}, {json.dumps(key)}: {json.dumps(chance.choice(VALUES))}}}"  # a key twice
    return text.encode()


def change(whole: Any, chance: random.Random) -> Any:
    """One place of an object changed; from the top down, so that small parts come as often as large ones."""
    inside = isinstance(whole, (dict, list)) and len(whole) > 0 and chance.random() < 0.92
    if not inside:
        return another(whole, chance)
    key = chance.choice(list(whole)) if isinstance(whole, dict) else chance.randrange(len(whole))
    what = chance.random()
    if what < 0.82:
        whole[key] = change(whole[key], chance)
    elif what < 0.88:
        del whole[key]
    elif isinstance(whole, list):
        whole.insert(chance.randrange(len(whole) + 1), copy.deepcopy(whole[key]))
    else:
        name = str(another(key, chance)) if chance.random() < 0.5 else chance.choice(list(whole))
        whole[name] = whole.pop(key)
    return whole


def another(value: Any, chance: random.Random) -> Any:
    """Another value: near to this one, or of another kind."""
    near: list[Callable[[], Any]] = []
    if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300:
        near = [lambda: -value, lambda: value + 1, lambda: value * 1e6, lambda: value / 1e6, lambda: str(value)]
        near.append(lambda: [value])
    elif isinstance(value, str):
        near = [lambda: value + "x", lambda: value[:-1], lambda: value.upper(), lambda: [value], lambda: value * 100]
        near.append(lambda: spoil_bytes(value.encode("utf-8", "replace"), chance).decode("utf-8", "replace"))
    elif isinstance(value, (list, dict)):
        near = [lambda: list(value), lambda: [value], lambda: {"a": value}]
        near.append(lambda: nested(value, chance.choice((5, 60))))
    if near and chance.random() < 0.5:
        return chance.choice(near)()
    return copy.deepcopy(chance.choice(VALUES))


def nested(value: Any, depth: int) -> Any:
    for _ in range(depth):
        value = [value]
    return value
