"""Which passwords are too easily guessed. NIST SP 800-63B section 3.1.1: length, a list of common ones, no other rules.

Words that say where the password is used are refused as well: OWASP ASVS 5.0, 6.1.2 and 6.2.11, lists them as OURS.
`common_passwords.txt` holds the words of five letters and more, and all entries of twelve characters and more, of the
20,000 most common passwords that Django checks (BSD licence; made by Royce Williams).
"""

import re
import unicodedata
from functools import cache
from pathlib import Path

SHORTEST, LONGEST = 12, 200  # characters
FEWEST_DIFFERENT = 5
LIST = Path(__file__).with_name("common_passwords.txt")
# The product, what it does, and its roles; whatever is made of these alone is guessed first.
OURS = (
    "tenfold", "officer", "manager", "metrics", "desk", "admin", "credit", "scoring", "score", "card", "loan",
    "lending", "lender", "bank", "risk", "ledger", "applicant", "password", "login",
)  # fmt: skip
MADE_OF_OURS = re.compile(f"(?:(?:{'|'.join(OURS)})s?)+")
LEET = str.maketrans("013457@$!", "oieastasi")


def normalised(password: str) -> str:
    """The same password whichever way a keyboard composes its accents (Unicode NFC)."""
    return unicodedata.normalize("NFC", password)


def password_problem(name: str, password: str) -> str:
    """Why somebody of this name may not have this password; empty where they may."""
    password = normalised(password)
    if not SHORTEST <= len(password) <= LONGEST:
        return f"a password has {SHORTEST} to {LONGEST} characters"
    if name in password.lower() or len(set(password)) < FEWEST_DIFFERENT:
        return "this password is too easily guessed: it holds the name, or only a few characters"
    if is_common(password):
        return (
            "this password is too easily guessed: it is a common one, or a common one with a few characters around it"
        )
    if any(MADE_OF_OURS.fullmatch(form) for form in forms(password)):
        return "this password is too easily guessed: it is made of words about this app"
    return ""


def is_common(password: str) -> bool:
    """Whether it is on the list, or a word of the list repeated, with digits for letters, or with digits and signs
    before and after it."""
    return any(once(form) in common() for form in forms(password))


def forms(password: str) -> tuple[str, ...]:
    """What a password looks like in lower case: whole, without what surrounds it, with letters for digits, and its
    letters alone, before and after that."""
    folded = password.casefold()
    bare = "".join(mark for mark in folded if mark.isalpha())
    read = core(folded).translate(LEET)
    return folded, core(folded), read, bare, "".join(mark for mark in read if mark.isalpha())


def core(text: str) -> str:
    """What is left between the digits and signs at both ends."""
    letters = [at for at, mark in enumerate(text) if mark.isalpha()]
    return text[letters[0] : letters[-1] + 1] if letters else text


def once(text: str) -> str:
    """The shortest text that this one repeats: `qwerty` of `qwertyqwerty`."""
    at = (text + text).find(text, 1)
    return text[:at]


@cache
def common() -> frozenset[str]:
    """The list, read when the first password is set."""
    return frozenset(LIST.read_text("utf-8").split())
