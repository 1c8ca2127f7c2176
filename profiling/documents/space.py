"""Put together what a Hugging Face Space needs, and list it: `python -m profiling.documents.space`. Nothing is sent.

A Space serves; it neither trains nor tests. Its repository takes binary files only through LFS or Xet, which
`hf upload` does by itself, so the folder is uploaded rather than pushed with git.
"""

import shutil
import subprocess
import sys

from inference.settings import ROOT, current_releases

SPACE = ROOT / "build" / "space"
SERVED = (  # and the releases that serve: without a ledger nobody replays what earlier ones decided
    "app.py",
    "requirements.txt",
    "README.md",
    "LICENSE",
    "docs",
    "inference",
    "ledger",
    "logs",
    "models/releases/DEFAULT",
    "web",
)


def main() -> int:
    """Copy the committed files that serving needs into build/space, list them, and print the command."""
    shutil.rmtree(SPACE, ignore_errors=True)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", *SERVED, *map(str, current_releases().values())],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    total = 0
    for name in sorted(filter(None, listed)):
        target = SPACE / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target)
        total += target.stat().st_size
        sys.stdout.write(f"{target.stat().st_size:>10,}  {name}\n")
    sys.stdout.write(f"{total:>10,}  bytes in all, in {SPACE.relative_to(ROOT)}\n\nTo publish it:\n")
    sys.stdout.write(f"  hf upload USER/SPACE {SPACE.relative_to(ROOT)} . --type space --delete '*'\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
