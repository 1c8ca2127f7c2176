"""The committed consumer loans as people hand them to models, and the fields file that a drafted one becomes."""

import hashlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from xgboost import XGBClassifier

from inference.engines import XGBoostEngine
from inference.fields import ChoiceField
from inference.release import Release
from models.adoption.adopt import Adoption, Source, adopt, write_draft
from models.data import loans

Labels = Any  # a column of 0 and 1
NUMBERS = ["amount", "price", "time", "income", "expenses", "assets", "seniority", "records"]
CHOICES = ["job", "home"]
SECONDS = 300.0


def table() -> tuple[pd.DataFrame, Labels]:
    """The loans as raw numbers and a column of 0 and 1 a choice, as pandas.get_dummies makes them; which went bad."""
    frame, bad = raw_table()
    return pd.get_dummies(frame, columns=CHOICES).astype(float), bad


def raw_table() -> tuple[pd.DataFrame, Labels]:
    """The loans before anything is made of them: eight numbers, and two columns of texts."""
    frame = loans.consumer()
    bad = frame.pop("bad")
    frame = frame.fillna({"income": 0, "assets": 0}).rename(columns={"term": "time"})
    frame["records"] = (frame.pop("prior_record") == "yes").astype(int)
    return frame.astype({"job": object, "home": object}), bad


def classifier(**parameters: Any) -> XGBClassifier:
    """A small one, the same on every run."""
    return XGBClassifier(**{"n_estimators": 40, "max_depth": 3, "learning_rate": 0.2, "n_jobs": 1, **parameters})


def digest(file: Path) -> str:
    """A file's sha256."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def drafted(
    model: Path,
    folder: Path,
    features: Path | None = None,
    edit: Callable[[str], str] = str,
    steps: Path | None = None,
) -> Path:
    """The fields file that `--draft` writes, its questions answered and its ranges wide enough for all loans."""
    source = Source.of(model, digest(model) if model.is_file() else None, steps, digest(steps) if steps else None)
    file = write_draft(source, features, folder, SECONDS)
    text = file.read_text("utf-8").replace("ASK", "was asked").replace("threshold = 0.5", "threshold = 0.3")
    text = re.sub(r"^range = \[0, .*\]$", "range = [0, 10_000_000]", text, flags=re.MULTILINE)
    text = re.sub(r"^range = \[-.*\]$", "range = [-10_000_000, 10_000_000]", text, flags=re.MULTILINE)
    file.write_text(edit(text), "utf-8")
    return file


def without_fields(text: str, *names: str) -> str:
    """A fields file without these fields."""
    for name in names:
        text, count = re.subn(rf"\n\[fields\.{name}\]\n(?:(?!\[).*\n)+", "\n", text)
        if not count:
            raise ValueError(f"no field {name}")
    return text


def released(
    model: Path,
    folder: Path,
    *,
    features: Path | None = None,
    edit: Callable[[str], str] = str,
    fields: Path | None = None,
    steps: Path | None = None,
) -> Adoption:
    """The release of a model, by its drafted form; made in spite of verdicts that only other answers would mend."""
    fields = fields or drafted(model, folder, features, edit, steps)
    return adopt(
        model, features, fields, digest(model) if model.is_file() else None, folder / "out", force=True,
        seconds=SECONDS, steps=steps, steps_sha256=digest(steps) if steps else None,
    )  # fmt: skip


def scored(release: Release, answers: pd.DataFrame) -> npt.NDArray[np.float32]:
    """What its engine says of these answers, a column a field; 0 and 1 are also no and yes, as a drafted form asks."""
    form = release.form
    columns: dict[str, Sequence[Any]] = {}
    for field in form.fields:
        column = answers[field.name].astype(object).where(answers[field.name].notna(), None)
        is_flag = isinstance(field, ChoiceField) and set(field.index) == {"no", "yes"}
        columns[field.name] = (column.map({0: "no", 1: "yes"}) if is_flag else column).tolist()
    return XGBoostEngine(release).predict_proba(release.rows.build(form.encode(columns)))


def differing(release: Release, answers: pd.DataFrame, expected: Any) -> int:
    """How many of all committed loans get another probability, to the last bit of float32."""
    probabilities = scored(release, answers)
    if not len(probabilities) == len(loans.consumer()) == len(expected):
        raise ValueError("all loans are compared")
    return int((probabilities != np.asarray(expected, np.float32)).sum())
