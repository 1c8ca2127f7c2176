"""Writes a release: the files that scoring reads, the manifest over them, and the folder named by its digest."""

import hashlib
import io
import json
import os
import platform
import shutil
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from inference.release import FORMAT, MODEL, TABLES, Release, open_release
from inference.rows import Table
from models.evaluate import deciles
from models.train import Trained

LIBRARIES = ("numpy", "pandas", "scikit-learn", "xgboost-cpu")


def export(trained: Trained, metrics: Mapping[str, Any], releases: Path) -> Release:
    """Write the release into `releases`, in place of older ones of the same recipe, and open it."""
    files = {MODEL: bytes(trained.model.get_booster().save_raw("ubj"))}
    if trained.tables:
        files[TABLES] = tables_as_bytes(trained.tables)
    manifest = json.dumps(
        describe(trained, metrics, files), ensure_ascii=False, allow_nan=False, indent=1, sort_keys=True
    )
    content = manifest.encode() + b"\n"
    digest = hashlib.sha256(content).hexdigest()
    name = trained.recipe.name
    building = releases / f".{name}.new"
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    for file, data in {**files, "manifest.json": content}.items():
        (building / file).write_bytes(data)
    folder = releases / f"{name}-{digest[:12]}"
    for old in releases.glob(f"{name}-" + "[0-9a-f]" * 12):
        shutil.rmtree(old)
    building.rename(folder)
    return open_release(folder, digest)


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


def describe(trained: Trained, metrics: Mapping[str, Any], files: Mapping[str, bytes]) -> dict[str, Any]:
    """The manifest, as plain JSON values."""
    recipe, sample = trained.recipe, trained.sample
    at = np.concatenate([loans for loans, _ in trained.unseen])
    unseen = trained.calibration.pds(np.concatenate([p for _, p in trained.unseen]))
    repeats = len(trained.unseen)
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
            "of": "PDs of training loans by models that had not seen them",
            "loans": len(at) // repeats,
            "bad_rate": float(sample.bad[at].mean()),
            "pd_percentiles": [float(q) for q in np.quantile(unseen, np.linspace(0, 1, 101))],
            "bands": [
                {"low": d.low, "high": d.high, "loans": d.loans // repeats, "bad": d.bad // repeats}
                for d in deciles(sample.bad[at], unseen)
            ],
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
        "golden": golden(trained),
        "files": {
            name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)} for name, data in files.items()
        },
    }


def golden(trained: Trained) -> list[dict[str, Any]]:
    """Made-up applications with the PD that this release gives them: any reader must reproduce these.

    The example, and the example with each number at the ends of its usual range.
    """
    applications = [dict(trained.form.example)]
    for spec in trained.fields:
        if spec["kind"] == "number":
            applications += [{**trained.form.example, spec["name"]: end} for end in spec["usual"]]
    rows = trained.builder.build(
        trained.form.encode({name: [one[name] for one in applications] for name in trained.form.names})
    )
    pds = trained.calibration.pds(trained.model.predict_proba(rows)[:, 1].astype(np.float64))
    return [{"answers": one, "pd": float(pd)} for one, pd in zip(applications, pds, strict=True)]


def month_text(month: int) -> str:
    """A month counted from year 0 as YYYY-MM."""
    return f"{month // 12:04d}-{month % 12 + 1:02d}"
