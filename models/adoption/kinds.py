"""What kind of file a model is, told from its bytes: nothing in it is loaded or run. Others are refused by name."""

import bz2
import io
import lzma
import pickletools
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from inference.errors import TenfoldError

HEAD = 1 << 20  # bytes of a pickle that are looked through for what it holds
LARGEST_SEEN = 1 << 26  # bytes of a compressed pickle that are looked through for XGBoost's version
SAVE_NATIVELY = "Where the model is: model.save_model('model.json'), and adopt that"
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
    "sklearn.discriminant_analysis": "a discriminant analysis of scikit-learn",
    "sklearn.cluster": "a clustering of scikit-learn",
    "sklearn.preprocessing": "a step that prepares inputs, and no model (--steps takes it beside a model)",
    "sklearn.impute": "a step that fills missing values, and no model (--steps takes it beside a model)",
    "sklearn.compose": "a step that prepares inputs, and no model (--steps takes it beside a model)",
    "pandas": "a table of pandas, and no model",
    "statsmodels": "a statsmodels model",
    "torch": "a PyTorch model",
    "tensorflow": "a TensorFlow model",
    "keras": "a Keras model",
    "h2o": "an H2O model",
    "autogluon": "an AutoGluon model",
    "pycaret": "a PyCaret model",
}
STARTS = {  # how files begin that are no pickle
    b"tree\nversion=": "a LightGBM model (text)",
    b"CBM1": "a CatBoost model",
    b"\x89HDF": "an HDF5 file, as Keras writes them",
    b"binf": "a model in XGBoost's old binary format, which XGBoost 3.1 and later cannot read. With the version that "
    "wrote it: model.load_model(file); model.save_model('model.json'), and adopt that",
    b"booster[0]:": f"a text of an XGBoost model's trees (dump_model), which nothing can load. {SAVE_NATIVELY}",
    b"PAR1": "a Parquet file",
    b"%PDF": "a PDF",
    b"SQLite format 3": "an SQLite database",
    b"RDX3\n": "a workspace of R",
    b"RDX2\n": "a workspace of R",
    b"\x93NUMPY": "an array of NumPy",
    b"\x28\xb5\x2f\xfd": "compressed with Zstandard: decompress it, and adopt that",
}
# A zip file by what is in it: the first that matches.
IN_ZIPS = {
    r"(^|/)schema\.json$": "a skops file. skops.io.load(file, trusted=…) loads it: save the XGBClassifier in it by "
    "save_model('model.json'), or dump it by joblib, and adopt that",
    r"(^|/)MLmodel$": "a zip of a folder that MLflow saved: unpack it, and adopt that",
    r"(^|/)data\.pkl$": "a PyTorch model",
    r"^(config\.json|metadata\.json|model\.weights\.h5)$": "a Keras model",
    r"^model\.ini$": "an H2O model (MOJO)",
    r"^\[Content_Types\]\.xml$": "an Office document, such as a workbook",
    r"\.npy$": "arrays of NumPy (npz)",
}
JSON_KINDS = {  # of a JSON text: what it must hold
    b'"tree_info"': "a LightGBM model (JSON)",
    b'"oblivious_trees"': "a CatBoost model (JSON)",
    b'"nodeid"': f"a list of an XGBoost model's trees (dump_model), which nothing can load. {SAVE_NATIVELY}",
    b'"gradient_booster"': f"an XGBoost configuration (save_config), which holds no trees. {SAVE_NATIVELY}",
    b'"learner"': f"an XGBoost configuration (save_config), which holds no trees. {SAVE_NATIVELY}",
}
FOLDERS = {  # a file in a folder: what wrote it
    "saved_model.pb": "TensorFlow saved a model there",
    "learner.pkl": "AutoGluon saved a model there",
    "predictor.pkl": "AutoGluon saved a model there",
    "metadata/part-00000": "Spark saved a model there",
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
    """Whether it is a model by `save_model`: a table with `learner` and its trees in it, in JSON or UBJ."""
    head = content.lstrip()[:400]
    if head[:1] != b"{":
        return False
    if head[1:2] in b'"\n\r\t ':
        return b'"learner"' in content and any(part in content for part in (b'"tree_param"', b'"gblinear"'))
    return b"learner" in head


def refuse(content: bytes) -> None:
    """Raise `WrongKind` where the bytes are of another kind, or of a pickle that cannot give a model."""
    for start, what in STARTS.items():
        if content.startswith(start):
            raise WrongKind(f"it is {what}" + ("" if "adopt that" in what else f". {ONLY}"))
    if content.startswith(b"PK"):
        raise WrongKind(in_zip(content))
    if is_onnx(content):
        raise WrongKind(f"it is an ONNX model. {ONLY}")
    if content[4:8] == b"TFL3":
        raise WrongKind(f"it is a TensorFlow Lite model. {ONLY}")
    seen = unpacked(content, LARGEST_SEEN)
    if not seen:
        raise WrongKind("it is empty")
    if seen is not content and seen != content:  # what gzip and the like hold may be of these kinds too
        refuse_text(seen, "compressed, ")
    refuse_text(seen, "")
    names = list(globals_in(seen[:HEAD]))
    first = next((name for name in names if not name.startswith(("builtins", "copyreg", "numpy", "joblib"))), "")
    for library, what in LIBRARIES.items():
        if first == library or first.startswith((f"{library}.", f"{library}_")):
            beside = [name for name in names if name.startswith("xgboost")]
            if beside and what.endswith("beside a model)"):
                break  # a list or dict of a step and a model
            raise WrongKind(f"it holds {first.rpartition('.')[2]}, {what}. {ONLY}")
    old = VERSION.search(seen)
    if old and any(name.startswith("xgboost") for name in names):
        version = ".".join(part.decode() for part in old.groups())
        raise WrongKind(
            f"its booster was pickled by XGBoost {version}, and later versions cannot read that pickle. The way out: "
            f"where XGBoost {version} is installed, load it and save it natively (a native file has no code in it and "
            f"needs no digest):\n    pip install xgboost=={version}\n"
            f"    model = joblib.load(…); model.save_model('model.json')\nThen adopt model.json"
        )


def refuse_text(content: bytes, how: str) -> None:
    """Raise `WrongKind` where the bytes are a text."""
    head = content[:4096].lstrip()
    if is_native(content):
        raise WrongKind(f"it is a native XGBoost model, {how}not as it was saved: unpack it, and adopt that")
    if head.startswith(b"tree\nversion="):
        raise WrongKind(f"it is {how}a LightGBM model (text). {ONLY}")
    if head[:1] in (b"{", b"[") and is_text(head, cut=True):
        for part, what in JSON_KINDS.items():
            if part in content:
                raise WrongKind(f"it is {how}{what}" + ("" if "adopt that" in what else f". {ONLY}"))
    if b"<PMML" in head:
        raise WrongKind(f"it is {how}a PMML document. {ONLY}")
    if is_text(head, cut=True):
        raise WrongKind(f"it is {how}a text, and no model: {ONLY}")


def is_onnx(content: bytes) -> bool:
    """Whether it is an ONNX model: a protocol buffer that begins with its version and its producer's name."""
    return content[:1] == b"\x08" and content[1:2] < b"\x20" and content[2:3] in (b"\x12", b"\x3a", b"\x42") and (
        b"onnx" in content[:400].lower() or b"ai.onnx" in content[-4096:] or b"pytorch" in content[:64]
    )  # fmt: skip


def in_zip(content: bytes) -> str:
    """What a zip file is, by the names in it."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError):
        return "it begins as a zip file, and is a broken one"
    for pattern, what in IN_ZIPS.items():
        if any(re.search(pattern, name) for name in names):
            return f"it is {what}" + ("" if "adopt that" in what else f". {ONLY}")
    inside = ", ".join(name for name in names[:10] if not name.endswith("/")) or "nothing"
    return f"it is a zip file of {inside}{' and more' if len(names) > 10 else ''}: unpack it, and adopt the model in it"


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


def is_text(head: bytes, *, cut: bool = False) -> bool:
    """Whether the bytes are plain text; a pickle of protocol 0 is too, and ends its first opcode as one.

    `cut`: they may end within a letter.
    """
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if not (cut and error.start > len(head) - 4):
            return False
        text = head[: error.start].decode("utf-8")
    plain = all(letter.isprintable() or letter in "\r\n\t\ufeff" for letter in text)
    return plain and not re.match(r"(c\S+\n\S+\n|[(\]}])", text)


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
        for name, what in FOLDERS.items():
            if (folder / name).exists():
                raise WrongKind(f"{folder}: {what}. {ONLY}") from None
        raise WrongKind(f"{folder}: it is a folder without {MLMODEL}, and no folder that MLflow saved") from None
    except (OSError, UnicodeDecodeError) as error:
        raise WrongKind(f"{folder / MLMODEL}: {error}") from None
    flavors = re.findall(r"^  (\w+):\s*$", text, re.MULTILINE)
    named_files = dict(
        re.findall(r"^    (data|pickled_model|model_path):\s*['\"]?([^'\"\n]+?)['\"]?\s*$", text, re.MULTILINE)
    )
    usable = [flavor for flavor in ("xgboost", "sklearn") if flavor in flavors]
    if not usable:
        others = ", ".join(flavor for flavor in flavors if flavor != "python_function") or "no model"
        raise WrongKind(f"{folder}: MLflow saved {others} there. {ONLY}")
    names = [named_files.get("data"), named_files.get("pickled_model"), named_files.get("model_path"),
             "model.xgb", "model.ubj", "model.json", "model.pkl"]  # fmt: skip
    for candidate in names:
        file = folder / candidate if candidate else folder
        if file.is_file() and folder.resolve() in file.resolve().parents:
            return file
    raise WrongKind(f"{folder}: {MLMODEL} names no file that is there")
