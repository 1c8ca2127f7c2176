"""Writes a release: the files that scoring reads, the manifest over them, and the folder named by its digest."""

import hashlib
import io
import json
import os
import platform
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from msgspec import to_builtins
from onnxmltools import convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType
from xgboost import XGBClassifier

from inference.application import Form
from inference.blocks import Table
from inference.errors import BadRelease
from inference.fields import ChoiceField, NumberField
from inference.manifest import FORMAT
from inference.release import MODEL, ONNX, TABLES, Release, open_release
from models.metrics import Floats, Labels, deciles
from models.train import Trained

LIBRARIES = ("numpy", "pandas", "scikit-learn", "xgboost-cpu", "onnxmltools")
ENOUGH = 100  # loans with the same answer, for a percentile among them
OPSET = 15  # of ONNX: old enough for any runtime of these years


def export(trained: Trained, metrics: Mapping[str, Any], releases: Path) -> Release:
    """Write the release into `releases`, beside earlier ones of the same recipe, and open it."""
    files = {MODEL: bytes(trained.model.get_booster().save_raw("ubj")), ONNX: as_onnx(trained.model)}
    if trained.tables:
        files[TABLES] = tables_as_bytes(trained.tables)
    return write_release(describe(trained, metrics), files, releases)


def write_release(manifest: Mapping[str, Any], files: Mapping[str, bytes], releases: Path) -> Release:
    """Write the files and the manifest over them into `releases`, in a folder named by its digest, and open it.

    Nothing in `releases` is deleted or written over: where the same release is there already, it is left as it is.
    Raises `BadRelease` where the new one cannot be opened, or something else has its name.
    """
    listed = {name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)} for name, data in files.items()}
    text = json.dumps({**manifest, "files": listed}, ensure_ascii=False, allow_nan=False, indent=1, sort_keys=True)
    content = text.encode() + b"\n"
    digest = hashlib.sha256(content).hexdigest()
    folder = releases / f"{manifest['name']}-{digest[:12]}"
    releases.mkdir(parents=True, exist_ok=True)
    # Built where nobody looks for releases: a process that is killed leaves no half of one behind.
    with TemporaryDirectory(prefix=f".{manifest['name']}.", dir=releases) as parent:
        building = Path(parent) / folder.name
        building.mkdir()
        for name, data in {**files, "manifest.json": content}.items():
            put_file(building / name, data)
        open_release(building, digest)
        try:
            building.rename(folder)
        except OSError:  # of several kinds: POSIX replaces an empty folder, and refuses any other
            if not folder.exists():
                raise
    sync_folder(releases)
    try:
        return open_release(folder, digest)
    except BadRelease as error:
        found = f"{error.actual} in {error.file}, and left it as it is; move the folder away first"
        raise BadRelease(folder, "no such folder, or this same release in it", found) from error


def put_file(file: Path, content: bytes) -> None:
    """Put a file in place whole and on disk; until then what was there stays, also after a kill or a power cut."""
    new = file.with_name(f".{file.name}.{os.getpid()}.new")
    try:
        with new.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(new, file)
    finally:
        new.unlink(missing_ok=True)
    sync_folder(file.parent)


def sync_folder(folder: Path) -> None:
    """A new name is on disk once its folder is."""
    if os.name == "nt":  # where folders cannot be opened
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def as_onnx(model: XGBClassifier) -> bytes:
    """The model in ONNX, the same bytes every time: float32 rows (m, n) in, label and probabilities (m, 2) out."""
    rows = [("rows", FloatTensorType([None, model.n_features_in_]))]
    converted = convert_xgboost(model, initial_types=rows, target_opset=OPSET)
    converted.graph.name = "model"  # instead of a random one
    return bytes(converted.SerializeToString(deterministic=True))


def make_current(release: Release) -> None:
    """Name this release in DEFAULT as the one of its recipe that serves, in the place of the one before it.

    A recipe that is not listed comes last: the first line, which serves where no setting says otherwise, stays the
    same recipe's.
    """
    pointer = release.folder.parent / "DEFAULT"
    listed = pointer.read_text(encoding="utf-8").split() if pointer.exists() else []
    recipe = release.manifest.name
    before = [name for name in listed if name.rpartition("-")[0] == recipe]
    listed = [release.folder.name if name in before else name for name in listed]
    listed += [] if before else [release.folder.name]
    put_file(pointer, "".join(f"{name}\n" for name in listed).encode())


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
        "features": to_builtins(recipe.features),
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
