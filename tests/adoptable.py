"""A model to adopt, made as its owner would make it: the loans as a table of features, and the form of ADOPT.md."""

import hashlib
import re
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import numpy as np
import pandas as pd

from models.adoption import adopt
from profiling.documents.adopt_loans import classifier, raw_table, table

__all__ = ["FIELDS", "SENSIBLE", "Files", "classifier", "files", "raw_table", "standardised", "table"]

TOML = re.search(r"```toml\n(.*?)```", Path(adopt.__file__).with_name("ADOPT.md").read_text("utf-8"), re.DOTALL)
assert TOML
FIELDS: str = TOML[1]
SENSIBLE = {"amount": 1, "income": -1, "expenses": 1, "assets": -1, "seniority": -1}


class Files(NamedTuple):
    """What the command takes."""

    pickle: Path
    features: Path
    fields: Path

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.pickle.read_bytes()).hexdigest()


def standardised(more: int = 60) -> tuple[pd.DataFrame, Any]:
    """The same as the study had them: scaled, beside many features that no form asks for, some of them telling."""
    frame, bad = table()
    random = np.random.default_rng(0)
    telling = {f"EXT_{at}": 0.3 * bad + random.normal(size=len(bad)) for at in range(more // 6)}
    noise = {f"OTHER_{at}": random.normal(size=len(bad)) for at in range(more - len(telling))}
    gender = {"CODE_GENDER_M": random.integers(0, 2, len(bad))}
    frame = pd.concat([frame, pd.DataFrame({**telling, **noise, **gender})], axis=1)
    return (frame - frame.mean()) / frame.std(), bad


def files(folder: Path, model: Any, columns: Any, fields: str = FIELDS) -> Files:
    """The three files, in a folder."""
    made = Files(folder / "best_model.pkl", folder / "features.txt", folder / "fields.toml")
    joblib.dump(model, made.pickle)
    made.features.write_text("\n".join(columns) + "\n")
    made.fields.write_text(fields, "utf-8")
    return made
