"""Write a release: the files that scoring reads, the manifest over them, and the folder named by its digest."""

import hashlib
import io
import json
import os
import platform
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import to_builtins
from onnxmltools import convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType
from xgboost import XGBClassifier

from inference.application import Form
from inference.blocks import Table
from inference.disk import sync
from inference.errors import BadRelease
from inference.fields import ChoiceField, NumberField
from inference.manifest import FORMAT
from inference.release import MODEL, ONNX, TABLES, Release, open_release
from models.interrupts import temporary_folder, uninterrupted
from models.metrics import Floats, Labels, deciles
from models.train import Trained

LIBRARIES = ("numpy", "pandas", "scikit-learn", "xgboost-cpu", "onnxmltools")
ENOUGH = 100  # loans with the same answer, for a percentile among them
OPSET = 15  # of ONNX: old enough for current runtimes
Card = Callable[[Release], Mapping[str, bytes]]  # an opened release -> the files that describe it, by name


def no_card(release: Release) -> Mapping[str, bytes]:
    return {}


def export(trained: Trained, metrics: Mapping[str, Any], releases: Path, card: Card = no_card) -> Release:
    """Write the release, with its model card, into `releases`, beside earlier ones of the same recipe, and open it."""
    files = {MODEL: bytes(trained.model.get_booster().save_raw("ubj")), ONNX: as_onnx(trained.model)}
    if trained.tables:
        files[TABLES] = tables_as_bytes(trained.tables)
    return write_release(describe(trained, metrics), files, releases, card)


def write_release(
    manifest: Mapping[str, Any], files: Mapping[str, bytes], releases: Path, card: Card = no_card
) -> Release:
    """Write the files and the manifest over them into `releases`, in a folder named by its digest, and open it.

    `card` gives the files that describe the opened release; the digest does not cover them. Nothing else in `releases`
    is deleted or written over: if the same release already exists, only its description is written anew.
    Raises `BadRelease` if the new one cannot be opened or its name is taken by something else.
    """
    listed = {name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)} for name, data in files.items()}
    text = json.dumps({**manifest, "files": listed}, ensure_ascii=False, allow_nan=False, indent=1, sort_keys=True)
    content = text.encode() + b"\n"
    digest = hashlib.sha256(content).hexdigest()
    folder = releases / f"{manifest['name']}-{digest[:12]}"
    releases.mkdir(parents=True, exist_ok=True)
    # Built outside the releases, so that a killed process leaves no partial release behind.
    with temporary_folder(releases, f".{manifest['name']}.") as parent:
        building = parent / folder.name
        building.mkdir()
        for name, data in {**files, "manifest.json": content}.items():
            put_file(building / name, data)
        description = card(open_release(building, digest))
        for name, data in description.items():
            put_file(building / name, data)
        try:
            building.rename(folder)
        except OSError:  # of several kinds: POSIX replaces an empty folder, and refuses any other
            if not folder.exists():
                raise
    sync(releases)
    try:
        release = open_release(folder, digest)
    except BadRelease as error:
        reason = f"{error.actual} in {error.file}, and left it as it is; move the folder away first"
        raise BadRelease(folder, "no such folder, or this same release in it", reason) from error
    for name, data in description.items():
        if not (folder / name).exists() or (folder / name).read_bytes() != data:
            put_file(folder / name, data)
    return release


def put_file(file: Path, content: bytes) -> None:
    """Replace a file atomically and sync it; after a kill or a power cut the old file is still there."""
    new = file.with_name(f".{file.name}.{os.getpid()}.new")
    with uninterrupted:
        try:
            with new.open("wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(new, file)
        finally:
            new.unlink(missing_ok=True)
    sync(file.parent)


def as_onnx(model: XGBClassifier) -> bytes:
    """The model in ONNX, the same bytes every time: float32 rows (m, n) in, label and probabilities (m, 2) out."""
    rows = [("rows", FloatTensorType([None, model.n_features_in_]))]
    converted = convert_xgboost(model, initial_types=rows, target_opset=OPSET)
    converted.graph.name = "model"  # instead of a random one
    return bytes(converted.SerializeToString(deterministic=True))


def make_current(release: Release) -> None:
    """Name this release in DEFAULT as the one of its recipe that serves, instead of the previous one.

    A recipe that is not listed is added at the end, so the first line, which serves by default, keeps its recipe.
    """
    pointer = release.folder.parent / "DEFAULT"
    listed = pointer.read_text(encoding="utf-8").split() if pointer.exists() else []
    recipe = release.manifest.name
    replaced = [name for name in listed if name.rpartition("-")[0] == recipe]
    listed = [release.folder.name if name in replaced else name for name in listed]
    listed += [] if replaced else [release.folder.name]
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
    places = np.concatenate([loans for loans, _ in trained.unseen])
    unseen_pds = trained.calibration.pds(np.concatenate([p for _, p in trained.unseen]))
    return {
        "format": FORMAT,
        "name": recipe.name,
        "title": recipe.title,
        "notice": recipe.notice,
        "date": recipe.date,
        "groups": recipe.groups,
        **({"questions": recipe.questions} if recipe.questions else {}),  # so that older recipes keep their digest
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
                "PDs of training loans by models that had not seen them",
                sample.bad[places],
                unseen_pds,
                len(trained.unseen),
            ),
            "by": by_answer(trained.form, sample.values[places], sample.bad[places], unseen_pds, len(trained.unseen)),
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
        **({"origin": {"by": recipe.lender.maker or recipe.lender.owner}} if recipe.lender else {}),
    }


def population(sample_name: str, bad: Labels, pds: Floats, repeats: int = 1) -> dict[str, Any]:
    """The distribution of PDs, and the outcomes of each tenth; with repeats each loan counts once per repeat."""
    return {
        "of": sample_name,
        "loans": len(bad) // repeats,
        "bad_rate": float(bad.mean()),
        "pd_percentiles": [float(q) for q in np.quantile(pds, np.linspace(0, 1, 101))],
        "bands": [
            {"low": d.low, "high": d.high, "loans": d.loans // repeats, "bad": d.bad // repeats}
            for d in deciles(bad, pds)
        ],
    }


def by_answer(form: Form, values: Floats, bad: Labels, pds: Floats, repeats: int = 1) -> dict[str, Any]:
    """The same for each answer that enough loans gave: field -> code -> loans, bad, PDs at each twentieth."""
    by_field: dict[str, Any] = {}
    for index, field in enumerate(form.fields):
        if not isinstance(field, ChoiceField):
            continue
        groups = np.array([field.group_of(value) for value in values[:, index]])
        for code in dict.fromkeys(field.groups):
            chosen = groups == code
            if chosen.sum() >= repeats * ENOUGH:
                by_field.setdefault(field.name, {})[code] = {
                    "loans": int(chosen.sum()) // repeats,
                    "bad": int(bad[chosen].sum()) // repeats,
                    "pd_percentiles": [round(float(q), 6) for q in np.quantile(pds[chosen], np.linspace(0, 1, 21))],
                }
    return by_field


def golden(form: Form, pds: Callable[[Floats], Floats]) -> list[dict[str, Any]]:
    """Made-up applications with the PD that `pds` gives their encoded answers: any reader must reproduce them.

    The example, and the example with each number at the ends of its usual range.
    """
    applications = [dict(form.example)]
    for field in form.fields:
        if isinstance(field, NumberField):
            applications += [{**form.example, field.name: end} for end in field.usual]
    values = form.encode({name: [application[name] for application in applications] for name in form.names})
    return [
        {"answers": application, "pd": float(pd)} for application, pd in zip(applications, pds(values), strict=True)
    ]


def month_text(month: int) -> str:
    """A month counted from year 0 as YYYY-MM."""
    return f"{month // 12:04d}-{month % 12 + 1:02d}"
