"""Opens a release: digests first, parsing after.

A release is a folder `<name>-<first 12 of its digest>` with `manifest.json` and the files that scoring reads.
Its digest is the sha256 of the manifest, which holds the sha256 of every other file. Each file is read once,
checked, and those same bytes are parsed; the model card and its plots lie beside, outside the digest.
"""

import hashlib
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import orjson

from inference.application import Form
from inference.blocks import Table
from inference.calibration import Calibration
from inference.errors import BadRelease
from inference.fields import ANY, HIGH, LOW, NOT_STATED, ChoiceField, NumberField, untold
from inference.manifest import FORMAT, OLDEST, Manifest, UnknownFormat, read_manifest
from inference.policy import Points, Policy
from inference.rows import RowBuilder

LARGEST = 64 << 20  # bytes of one file; the embedded releases stay below 3 MB
MODEL, ONNX, TABLES = "model.ubj", "model.onnx", "history.npz"


@dataclass(frozen=True, slots=True)
class Release:
    """One trained model and all that scoring with it needs; immutable, named by its digest."""

    folder: Path
    name: str  # `<recipe>-<first 12 of the digest>`, as records and logs show it
    digest: str  # sha256 of manifest.json, 64 hex digits
    manifest: Manifest = field(repr=False)
    form: Form
    rows: RowBuilder
    calibration: Calibration
    points: Points
    policy: Policy
    model: bytes = field(repr=False)  # XGBoost's UBJ format
    onnx: bytes | None = field(repr=False)  # the same model for ONNX Runtime; not every release has it


def open_release(folder: Path | str, digest: str | None = None) -> Release:
    """Open the release in `folder`.

    `digest` is the expected sha256 of its manifest (at least 12 hex digits); without one the folder's name
    must end in it. Raises `BadRelease` where anything is missing, truncated, altered, of an unknown format,
    or does not fit together.
    """
    folder = Path(folder)
    expected = digest or folder.resolve().name.rpartition("-")[2]
    if not re.fullmatch(r"[0-9a-f]{12,64}", expected):
        found = expected if folder.exists() else "nothing there"
        raise BadRelease(folder, "a folder named <name>-<first 12 of its digest>, or an expected digest", found)
    content = read(folder / "manifest.json")
    found = hashlib.sha256(content).hexdigest()
    if not found.startswith(expected):
        raise BadRelease(folder / "manifest.json", f"sha256 {expected}", found)
    try:
        manifest = read_manifest(content)
        files = {name: verified(folder, name, file.sha256) for name, file in manifest.files.items()}
        if MODEL not in files:
            raise ValueError(f"files: {MODEL} is missing")
        form = Form(manifest.fields)
        release = Release(
            folder=folder,
            name=f"{manifest.name}-{found[:12]}",
            digest=found,
            manifest=manifest,
            form=form,
            rows=RowBuilder(form, manifest.features, parse_tables(files.get(TABLES))),
            calibration=manifest.calibration,
            points=manifest.points,
            policy=Policy(manifest.policy, form),
            model=files[MODEL],
            onnx=files.get(ONNX),
        )
        columns = [column.name for column in manifest.columns]
        check_groups(manifest)
        check_reasons(form, columns, manifest.format)
        form.parse(form.example)
        check_numbers(manifest)
        if not release.model.startswith(b"{"):  # XGBoost aborts the whole process where there is nothing to parse
            raise ValueError(f"{MODEL} is no UBJSON object")
    except UnknownFormat as error:
        raise BadRelease(folder / "manifest.json", f"format {OLDEST} to {FORMAT}", str(error)) from error
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        said = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        raise BadRelease(folder / "manifest.json", "a whole release", said) from error
    if tuple(columns) != release.rows.columns:
        wrong = next((pair for pair in zip(columns, release.rows.columns, strict=False) if pair[0] != pair[1]), None)
        raise BadRelease(
            folder / "manifest.json",
            f"{len(columns)} columns in order",
            f"{len(release.rows.columns)} from the feature list, first difference {wrong}",
        )
    return release


def check_numbers(manifest: Manifest) -> None:
    """The API shows the figures of the training: whole numbers of more than 64 bits it could not write."""
    try:
        orjson.dumps(manifest.training)
    except TypeError as error:  # its own, a RecursionError among them
        raise ValueError(f"training: {error}") from None


def check_groups(manifest: Manifest) -> None:
    """Where there are headings, each field stands under one of them."""
    listed = {group.name for group in manifest.groups}
    if listed and (astray := [field.name for field in manifest.fields if field.group not in listed]):
        raise ValueError(f"groups: fields of one that is not listed: {', '.join(astray)}")


def check_reasons(form: Form, columns: Sequence[str], version: int) -> None:
    """Whatever answer raises the PD, the applicant can be told so: a text for each, and columns that there are."""
    for at, asked in enumerate(form.fields):
        place = f"fields[{at}] ({asked.name})"
        codes = [reason.code for reason in asked.reasons]
        if len(set(codes)) < len(codes):
            raise ValueError(f"{place}.reasons: one is listed twice")
        whens = (*asked.index, ANY) if isinstance(asked, ChoiceField) else (HIGH, LOW, NOT_STATED)
        for reason in asked.reasons:
            if reason.when not in whens or not set(reason.columns) <= set(columns):
                raise ValueError(f"{place}: reason {reason.code}: no such answer, or no such columns")
            if not reason.columns and reason.code != reason.when:
                raise ValueError(f"{place}: reason {reason.code}: it needs columns, or the code {reason.when}")
            if reason.columns and reason.code in whens:
                raise ValueError(f"{place}: reason {reason.code}: with columns it needs a code of its own")
        if version > OLDEST and isinstance(asked, NumberField) and math.isnan(asked.reference):
            raise ValueError(f"{place}.reference: one is needed, for an answer to be high or low beside it")
    lacking = [f"{asked.name}/{standing}" for asked in form.fields for standing in untold(asked)]
    if lacking and version > OLDEST:
        more = f" and {len(lacking) - 20} more" if lacking[20:] else ""
        raise ValueError(f"fields: no text for applicants for {', '.join(lacking[:20])}{more}")


def read(file: Path) -> bytes:
    """A file's bytes, read once; `BadRelease` where it is missing or larger than any release's."""
    try:
        with file.open("rb") as stream:
            content = stream.read(LARGEST + 1)
    except OSError as error:
        raise BadRelease(file, "a readable file", error.strerror or type(error).__name__) from error
    if len(content) > LARGEST:
        raise BadRelease(file, f"at most {LARGEST} bytes", "more")
    return content


def verified(folder: Path, name: str, sha256: str) -> bytes:
    """The bytes of one of a release's files, if their sha256 is the expected one."""
    if Path(name).name != name:
        raise BadRelease(folder / "manifest.json", "plain file names", repr(name))
    content = read(folder / name)
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise BadRelease(folder / name, f"sha256 {sha256}", f"{found} ({len(content)} bytes)")
    return content


def parse_tables(content: bytes | None) -> dict[str, Table]:
    """History tables from an .npz: `<table>.keys` (n,) text and `<table>.values` (n + 1, k) float32."""
    if content is None:
        return {}
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            arrays = dict(stored)
    except Exception as error:  # zipfile, zlib and NumPy raise a dozen kinds where a file is broken
        raise ValueError(f"{TABLES}: {type(error).__name__}: {error}") from error
    tables = {}
    for name, keys in arrays.items():
        table, _, part = name.rpartition(".")
        if part == "keys":
            values = arrays[f"{table}.values"]
            if keys.dtype.kind != "U" or keys.ndim != 1 or len(set(keys.tolist())) < len(keys):
                raise ValueError(f"{TABLES}: table {table}: distinct texts are needed as keys")
            if values.dtype != np.float32 or values.ndim != 2 or not np.isfinite(values).all():
                raise ValueError(f"{TABLES}: table {table}: finite float32 of two dimensions are needed")
            tables[table] = Table(tuple(keys.tolist()), values)
    return tables
