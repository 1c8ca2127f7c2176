"""What kind of file a model is, told from its bytes: nothing in it is loaded or run. Others are refused by name."""

import bz2
import lzma
import pickletools
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from inference.errors import TenfoldError

HEAD = 1 << 20  # bytes of a pickle that are looked through for what it holds
LARGEST_SEEN = 1 << 26  # bytes of a compressed pickle that are looked through for XGBoost's version
MLMODEL = "MLmodel"  # the description in every folder that MLflow saves
VERSION = re.compile(rb'"version":\[(\d+),(\d+),(\d+)\]')
# As pickles by XGBoost 1.0 to 1.5 hold a booster: JSON, which later versions no longer read inside a pickle.
LIBRARIES = {
    "lightgbm": "a LightGBM model",
    "catboost": "a CatBoost model",
    "sklearn.ensemble": "an ensemble of scikit-learn",
    "sklearn.linear_model": "a linear model of scikit-learn",
    "sklearn.tree": "a decision tree of scikit-learn",
    "sklearn.svm": "a support vector machine of scikit-learn",
    "sklearn.neural_network": "a neural network of scikit-learn",
    "sklearn.neighbors": "a nearest-neighbours model of scikit-learn",
    "sklearn.naive_bayes": "a naive Bayes model of scikit-learn",
    "statsmodels": "a statsmodels model",
    "torch": "a PyTorch model",
    "tensorflow": "a TensorFlow model",
    "keras": "a Keras model",
    "h2o": "an H2O model",
}
STARTS = {  # how files begin that are no pickle
    b"tree\nversion=": "a LightGBM model (text)",
    b"CBM1": "a CatBoost model",
    b"\x89HDF": "an HDF5 file, as Keras writes them",
    b"PK\x03\x04": "a zip file, such as PyTorch, Keras, skops or H2O write",
    b"binf": "a model in XGBoost's old binary format, which XGBoost 3.1 and later cannot read. With the version that "
    "wrote it: model.load_model(file); model.save_model('model.json'), and adopt that",
    b"PAR1": "a Parquet file",
    b"%PDF": "a PDF",
}


class WrongKind(TenfoldError):
    """A file that no release can be made of; the message says what it is and the way out. Nothing was loaded."""


class Kept(NamedTuple):
    """A model as somebody keeps it."""

    file: Path  # of an MLflow folder, the file in it
    content: bytes
    native: bool  # XGBoost's own format, in which there is no code; else a pickle

    @property
    def kind(self) -> str:
        """In words."""
        if not self.native:
            return "pickle"
        return "native model (JSON)" if self.content.lstrip()[1:2] in b'"\n\r\t ' else "native model (UBJ)"


def look(path: Path) -> Kept:
    """The model in a file or an MLflow folder. Raises `WrongKind` with what it is where it cannot be adopted."""
    if path.is_dir():
        return look(in_mlflow(path))
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WrongKind(f"{path}: {error.strerror}") from None
    if is_native(content):
        return Kept(path, content, True)
    try:
        refuse(content)
    except WrongKind as error:
        raise WrongKind(f"{path}: {error}") from None
    return Kept(path, content, False)


def is_native(content: bytes) -> bool:
    """Whether it is a model by `save_model`: a table with `learner` in it, in JSON or UBJ."""
    head = content.lstrip()[:400]
    return head[:1] == b"{" and (b'"learner"' in content if head[1:2] in b'"\n\r\t ' else b"learner" in head)


def refuse(content: bytes) -> None:
    """Raise `WrongKind` where the bytes are of another kind, or of a pickle that cannot give a model."""
    for start, what in STARTS.items():
        if content.startswith(start):
            raise WrongKind(f"it is {what}" + ("" if "adopt that" in what else f". {ONLY}"))
    seen = unpacked(content, LARGEST_SEEN)
    if not seen:
        raise WrongKind("it is empty")
    if is_text(seen[:4096]):
        raise WrongKind("it is a text, and no model: " + ONLY)
    named = list(globals_in(seen[:HEAD]))
    first = next((one for one in named if not one.startswith(("builtins", "copyreg", "numpy", "joblib"))), "")
    for library, what in LIBRARIES.items():
        if first == library or first.startswith(f"{library}."):
            raise WrongKind(f"it holds {first.rpartition('.')[2]}, {what}. {ONLY}")
    old = VERSION.search(seen)
    if old and any(one.startswith("xgboost") for one in named):
        version = ".".join(part.decode() for part in old.groups())
        raise WrongKind(
            f"its booster was pickled by XGBoost {version}, and later versions cannot read that pickle. The way out: "
            f"where XGBoost {version} is installed, load it and save it natively (a native file has no code in it and "
            f"needs no digest):\n    pip install xgboost=={version}\n"
            f"    model = joblib.load(…); model.save_model('model.json')\nThen adopt model.json"
        )


ONLY = (
    "Only an XGBoost classifier can be adopted: a model saved by save_model (.json, .ubj), a pickle of an "
    "XGBClassifier, a Booster or a Pipeline that ends in one, or a folder that MLflow saved"
)


def unpacked(content: bytes, most: int) -> bytes:
    """The beginning of a file that joblib may have compressed."""
    try:
        if content[:2] == b"\x1f\x8b":
            return zlib.decompressobj(31).decompress(content, most)
        if content[:1] == b"x" and content[1:2] in (b"\x01", b"\x5e", b"\x9c", b"\xda"):
            return zlib.decompressobj().decompress(content, most)
        if content[:3] == b"BZh":
            return bz2.BZ2Decompressor().decompress(content, most)
        if content[:6] == b"\xfd7zXZ\x00" or content[:3] == b"\x5d\x00\x00":
            return lzma.LZMADecompressor().decompress(content, most)
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError):
        return content[:most]  # broken: loading says how
    return content[:most]


def is_text(head: bytes) -> bool:
    """Whether the bytes are plain text; a pickle of protocol 0 is too, and ends its first opcode as one."""
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return all(one.isprintable() or one in "\r\n\t" for one in text) and not re.match(r"(c\S+\n\S+\n|[(\]}])", text)


def globals_in(content: bytes) -> Iterator[str]:
    """The names of classes and functions that a pickle asks for, in order, as far as its opcodes can be followed."""
    strings: list[str] = []
    memo: dict[int, str] = {}
    try:
        for opcode, argument, _ in pickletools.genops(content):
            if opcode.name == "GLOBAL":
                yield str(argument).replace(" ", ".")
            elif opcode.name == "STACK_GLOBAL" and len(strings) > 1:
                yield f"{strings[-2]}.{strings[-1]}"
            elif "UNICODE" in opcode.name:
                strings.append(str(argument))
            elif opcode.name == "MEMOIZE":
                memo[len(memo)] = strings[-1] if strings else ""
            elif opcode.name in ("BINPUT", "LONG_BINPUT"):
                memo[int(str(argument))] = strings[-1] if strings else ""
            elif opcode.name in ("BINGET", "LONG_BINGET"):
                strings.append(memo.get(int(str(argument)), ""))
    except (ValueError, IndexError, UnicodeDecodeError):
        return  # the arrays that joblib writes between opcodes, or a broken file: loading says how


def in_mlflow(folder: Path) -> Path:
    """The model's file in a folder that MLflow saved: its MLmodel names it, XGBoost's own or a pickle."""
    try:
        text = (folder / MLMODEL).read_text("utf-8-sig")
    except FileNotFoundError:
        raise WrongKind(f"{folder}: it is a folder without {MLMODEL}, and no folder that MLflow saved") from None
    except (OSError, UnicodeDecodeError) as error:
        raise WrongKind(f"{folder / MLMODEL}: {error}") from None
    flavors = re.findall(r"^  (\w+):\s*$", text, re.MULTILINE)
    said = dict(re.findall(r"^    (data|pickled_model|model_path):\s*['\"]?([^'\"\n]+?)['\"]?\s*$", text, re.MULTILINE))
    known = [one for one in ("xgboost", "sklearn") if one in flavors]
    if not known:
        others = ", ".join(one for one in flavors if one != "python_function") or "no model"
        raise WrongKind(f"{folder}: MLflow saved {others} there. {ONLY}")
    names = [said.get("data"), said.get("pickled_model"), said.get("model_path"),
             "model.xgb", "model.ubj", "model.json", "model.pkl"]  # fmt: skip
    for name in names:
        file = folder / name if name else folder
        if file.is_file() and folder.resolve() in file.resolve().parents:
            return file
    raise WrongKind(f"{folder}: {MLMODEL} names no file that is there")
