"""Which passwords are too easily guessed. NIST SP 800-63B section 3.1.1: length, a list of common ones, no other rules.

Words about the app are refused too (OURS): OWASP ASVS 5.0, 6.1.2 and 6.2.11.
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
# The product, its purpose and its roles; passwords made only of these are guessed first.
OURS = (
    "tenfold", "officer", "manager", "metrics", "desk", "admin", "credit", "scoring", "score", "card", "loan",
    "lending", "lender", "bank", "risk", "ledger", "applicant", "password", "login",
)  # fmt: skip
MADE_OF_OURS = re.compile(f"(?:(?:{'|'.join(OURS)})s?)+")
LEET = str.maketrans("013457@$!", "oieastasi")


def normalised(password: str) -> str:
    """The password in Unicode NFC, so that it does not depend on how a keyboard composes accents."""
    return unicodedata.normalize("NFC", password)


def password_problem(name: str, password: str) -> str:
    """Why a user of this name may not have this password; an empty string if they may."""
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
    """Whether a password is on the list, or is an entry repeated, with digits for letters, or surrounded by digits and
    symbols."""
    return any(repeated_unit(form) in common() for form in forms(password))


def forms(password: str) -> tuple[str, ...]:
    """A password in lower case: complete, without surrounding digits and symbols, the latter with letters for digits,
    and only the letters of the first and of the last form."""
    folded = password.casefold()
    bare = "".join(letter for letter in folded if letter.isalpha())
    without_leet = core(folded).translate(LEET)
    return (
        folded,
        core(folded),
        without_leet,
        bare,
        "".join(letter for letter in without_leet if letter.isalpha()),
    )


def core(text: str) -> str:
    """A text without digits and symbols at both ends."""
    letters = [index for index, character in enumerate(text) if character.isalpha()]
    return text[letters[0] : letters[-1] + 1] if letters else text


def repeated_unit(text: str) -> str:
    """The shortest text that, repeated, makes this one: `qwerty` for `qwertyqwerty`."""
    period = (text + text).find(text, 1)
    return text[:period]


@cache
def common() -> frozenset[str]:
    """The list of common passwords, read when first needed."""
    return frozenset(LIST.read_text("utf-8").split())
