"""Writes a release: the files that scoring reads, the manifest over them, and the folder named by its digest."""

import hashlib
import io
import json
import os
import platform
import shutil
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from onnxmltools import convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType
from xgboost import XGBClassifier

from inference.application import Form
from inference.fields import ChoiceField, NumberField
from inference.release import FORMAT, MODEL, ONNX, TABLES, Release, open_release
from inference.rows import Table
from models.evaluate import Floats, Labels, deciles
from models.train import Trained

LIBRARIES = ("numpy", "pandas", "scikit-learn", "xgboost-cpu", "onnxmltools")
ENOUGH = 100  # loans with the same answer, for a percentile among them
OPSET = 15  # of ONNX: old enough for any runtime of these years


def export(trained: Trained, metrics: Mapping[str, Any], releases: Path) -> Release:
    """Write the release into `releases`, in place of older ones of the same recipe, and open it."""
    files = {MODEL: bytes(trained.model.get_booster().save_raw("ubj")), ONNX: as_onnx(trained.model)}
    if trained.tables:
        files[TABLES] = tables_as_bytes(trained.tables)
    release = write_release(describe(trained, metrics), files, releases)
    for old in releases.glob(f"{trained.recipe.name}-" + "[0-9a-f]" * 12):
        if old.name != release.folder.name:
            shutil.rmtree(old)
    return release


def write_release(manifest: Mapping[str, Any], files: Mapping[str, bytes], releases: Path) -> Release:
    """Write the files and the manifest over them into `releases`, in a folder named by its digest, and open it."""
    listed = {name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)} for name, data in files.items()}
    text = json.dumps({**manifest, "files": listed}, ensure_ascii=False, allow_nan=False, indent=1, sort_keys=True)
    content = text.encode() + b"\n"
    digest = hashlib.sha256(content).hexdigest()
    name = manifest["name"]
    building = releases / f".{name}.new"
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    for file, data in {**files, "manifest.json": content}.items():
        (building / file).write_bytes(data)
    folder = releases / f"{name}-{digest[:12]}"
    shutil.rmtree(folder, ignore_errors=True)
    building.rename(folder)
    return open_release(folder, digest)


def as_onnx(model: XGBClassifier) -> bytes:
    """The model in ONNX, the same bytes every time: float32 rows (m, n) in, label and probabilities (m, 2) out."""
    rows = [("rows", FloatTensorType([None, model.n_features_in_]))]
    converted = convert_xgboost(model, initial_types=rows, target_opset=OPSET)
    converted.graph.name = "model"  # instead of a random one
    return bytes(converted.SerializeToString(deterministic=True))


def make_default(release: Release) -> None:
    """Name this release as the one that serves where no setting says otherwise."""
    pointer = release.folder.parent / "DEFAULT"
    new = pointer.with_suffix(".new")
    new.write_text(f"{release.folder.name}\n")
    os.replace(new, pointer)


def tables_as_bytes(tables: Mapping[str, Table]) -> bytes:
    """Tables as an uncompressed .npz without pickles; the same tables give the same bytes."""
    arrays: dict[str, Any] = {}
    for name, table in tables.items():
        arrays[f"{name}.keys"] = np.array(table.keys, dtype=np.str_)
        arrays[f"{name}.values"] = table.values
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, **arrays)
    return stream.getvalue()


def describe(trained: Trained, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest without its list of files, as plain JSON values."""

    def pds(values: Floats) -> Floats:
        rows = trained.builder.build(values)
        return trained.calibration.pds(trained.model.predict_proba(rows)[:, 1].astype(np.float64))

    recipe, sample = trained.recipe, trained.sample
    at = np.concatenate([loans for loans, _ in trained.unseen])
    unseen = trained.calibration.pds(np.concatenate([p for _, p in trained.unseen]))
    return {
        "format": FORMAT,
        "name": recipe.name,
        "title": recipe.title,
        "notice": recipe.notice,
        "date": recipe.date,
        "groups": recipe.groups,
        "fields": trained.fields,
        "features": recipe.features,
        "columns": [
            {"name": name, "index": index, "monotone": recipe.constraint(name)}
            for index, name in enumerate(trained.builder.columns)
        ],
        "calibration": {"intercept": trained.calibration.intercept, "slope": trained.calibration.slope},
        "policy": {**recipe.policy, "rare_below": recipe.rare_below},
        "points": recipe.points,
        "population": {
            **population(
                "PDs of training loans by models that had not seen them", sample.bad[at], unseen, len(trained.unseen)
            ),
            "by": by_answer(trained.form, sample.values[at], sample.bad[at], unseen, len(trained.unseen)),
        },
        "training": {
            "loans": len(sample.bad),
            "bad": int(sample.bad.sum()),
            "from": month_text(recipe.window[0]) if recipe.window else None,
            "to": month_text(recipe.window[2] - 1) if recipe.window else None,
            "tables_as_of": month_text(recipe.window[2] - 1) if recipe.window and trained.tables else None,
            "parameters": recipe.parameters,
            "metrics": metrics,
            "libraries": {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}},
        },
        "golden": golden(trained.form, pds),
    }


def population(of: str, bad: Labels, pds: Floats, repeats: int = 1) -> dict[str, Any]:
    """How PDs spread over loans, and what became of each tenth; with repeats every loan is there so many times."""
    return {
        "of": of,
        "loans": len(bad) // repeats,
        "bad_rate": float(bad.mean()),
        "pd_percentiles": [float(q) for q in np.quantile(pds, np.linspace(0, 1, 101))],
        "bands": [
            {"low": d.low, "high": d.high, "loans": d.loans // repeats, "bad": d.bad // repeats}
            for d in deciles(bad, pds)
        ],
    }


def by_answer(form: Form, values: Floats, bad: Labels, pds: Floats, repeats: int = 1) -> dict[str, Any]:
    """The same by each answer that enough loans gave: field -> code -> loans, bad, PDs at each twentieth."""
    found: dict[str, Any] = {}
    for at, field in enumerate(form.fields):
        if not isinstance(field, ChoiceField):
            continue
        groups = np.array([field.group_of(value) for value in values[:, at]])
        for code in dict.fromkeys(field.groups):
            there = groups == code
            if there.sum() >= repeats * ENOUGH:
                found.setdefault(field.name, {})[code] = {
                    "loans": int(there.sum()) // repeats,
                    "bad": int(bad[there].sum()) // repeats,
                    "pd_percentiles": [round(float(q), 6) for q in np.quantile(pds[there], np.linspace(0, 1, 21))],
                }
    return found


def golden(form: Form, pds: Callable[[Floats], Floats]) -> list[dict[str, Any]]:
    """Made-up applications with the PD that `pds` gives their encoded answers: any reader must reproduce these.

    The example, and the example with each number at the ends of its usual range.
    """
    applications = [dict(form.example)]
    for field in form.fields:
        if isinstance(field, NumberField):
            applications += [{**form.example, field.name: end} for end in field.usual]
    values = form.encode({name: [one[name] for one in applications] for name in form.names})
    return [{"answers": one, "pd": float(pd)} for one, pd in zip(applications, pds(values), strict=True)]


def month_text(month: int) -> str:
    """A month counted from year 0 as YYYY-MM."""
    return f"{month // 12:04d}-{month % 12 + 1:02d}"
