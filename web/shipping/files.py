"""What serving needs of a checkout, copied into another folder: `python -m web.shipping.files OUT [RELEASE]`.

A Space and a container's image are such folders. Only the standard library is needed, since nothing is installed yet
when an image is made.
"""

import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from inference.errors import BadSetting
from inference.settings import FOLDER, RELEASES, ROOT, current_releases

# Neither training, nor tests, nor documents; .dockerignore lets in the same.
SERVED = ("app.py", "tenfold.py", "requirements.txt", "LICENSE", "inference", "ledger", "logs/README.md", "web")


def chosen_releases(named: str | None) -> list[Path]:
    """The folders of the releases to copy: a release's folder, a name in DEFAULT, or all in DEFAULT. Earlier ones stay
    behind: a new ledger has no score of theirs. Raises `BadSetting`."""
    current = current_releases()
    if named is None:
        return list(current.values())
    if named in current:
        return [current[named]]
    folder = Path(named).resolve()
    if not FOLDER.fullmatch(folder.name) or not (folder / "manifest.json").is_file():
        known = ", ".join(current)
        raise BadSetting(f"{named}: the folder of a release, such as releases/own-0123456789ab, or one of {known}")
    return [folder]


def copy_served(out: Path, releases: Iterable[Path]) -> list[Path]:
    """Copy what serving needs, with these releases, the first of them the default; returns the copies' paths below
    `out`, sorted. Raises `BadSetting` where `out` has something in it already."""
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise BadSetting(f"{out}: a new folder, or an empty one, is needed")
    releases = list(releases)
    sources = [(ROOT / name, out / name) for name in SERVED]
    below = out / RELEASES.relative_to(ROOT)
    sources += [(folder, below / folder.name) for folder in releases]
    for source, target in sources:
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=left_behind)
        else:
            shutil.copyfile(source, target)
    (below / "DEFAULT").write_text("".join(f"{folder.name}\n" for folder in releases), "utf-8")
    return sorted(file.relative_to(out) for file in out.rglob("*") if file.is_file())


def left_behind(folder: str, names: list[str]) -> set[str]:
    """Of a folder: what Python and editors leave there, and links, which could lead anywhere."""
    return {
        name for name in names if name.startswith(".") or name == "__pycache__" or os.path.islink(f"{folder}/{name}")
    }


def main(arguments: list[str]) -> int:
    """Copy. Returns the exit status."""
    try:
        copy_served(Path(arguments[0]), chosen_releases(arguments[1] if len(arguments) > 1 else None))
    except BadSetting as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
