"""`tenfold space [RELEASE] OUT`: write the folder of a Hugging Face Space that serves a release. Nothing is sent."""

import argparse
import re
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from inference.errors import BadSetting
from inference.release import open_release
from inference.settings import ROOT
from web.shipping.files import chosen_releases, copy_served

APP = "space.py"  # what the Space starts
TEMPLATES = Path(__file__).with_name("templates")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    root = argparse.ArgumentParser(
        prog="tenfold space",
        description="Write a folder that is a Hugging Face Space once it is uploaded: README.md with its settings, the "
        "app, requirements.txt, the release and the code that serves. Nothing is sent.",
    )
    root.add_argument(
        "release", metavar="RELEASE", nargs="?",
        help="a release's folder, or a name in models/releases/DEFAULT (default: all that it names)",
    )  # fmt: skip
    root.add_argument("out", metavar="OUT", type=Path, help="the folder to make; it may be there if it is empty")
    root.add_argument(
        "--private", action="store_true",
        help="everybody logs in, and a ledger is kept; the first manager comes from the secret TENFOLD_FIRST_MANAGER. "
        "Without it the Space is a public demonstration that keeps nothing",
    )  # fmt: skip
    root.add_argument("--title", default="Tenfold", help="of the Space (default: Tenfold)")
    return root


def main(arguments: Sequence[str] = ()) -> int:
    """Write the folder, say what is in it, and what to do next."""
    options = parser().parse_args(arguments)
    if not re.fullmatch(r"[^\n\"\\]{1,60}", options.title):
        raise BadSetting("--title: 1 to 60 characters without quotes or backslashes are needed")
    releases = chosen_releases(options.release)
    for folder in releases:
        open_release(folder)  # raises for one byte that is not as it was made
    files = copy_served(options.out, releases)
    kind = "private" if options.private else "public"
    written = {
        "README.md": (TEMPLATES / f"{kind}.md").read_text("utf-8").format(
            title=options.title, gradio=gradio_version(), releases=", ".join(folder.name for folder in releases)
        ),
        APP: (TEMPLATES / f"{kind}.py.txt").read_text("utf-8"),
    }  # fmt: skip
    for name, text in written.items():
        (options.out / name).write_text(text, "utf-8")
    sizes: Counter[str] = Counter()
    for file in (*files, *map(Path, written)):
        sizes[file.parts[0]] += (options.out / file).stat().st_size
    for name, size in sorted(sizes.items()):
        say(f"{size:>10,}  {name}{'/' if (options.out / name).is_dir() else ''}")
    say(f"{sizes.total():>10,}  bytes in {len(files) + len(written)} files, in {options.out}\n\nTo publish it:")
    # Binary files reach a Space only through LFS or Xet, which this command does by itself and git does not.
    flag = " --private" if options.private else ""
    say(f"  hf repo create USER/SPACE --type space --space_sdk gradio{flag}")
    if options.private:
        say("  in the Space's settings: the secret TENFOLD_FIRST_MANAGER, NAME:PASSWORD; and storage, mounted at /data")
    say(f"  hf upload USER/SPACE {options.out} . --type space --delete '*'")
    return 0


def gradio_version() -> str:
    """The Gradio that requirements.txt pins: a Space installs the one that its README names."""
    pin = re.search(r"^gradio==(\S+)", (ROOT / "requirements.txt").read_text("utf-8"), re.MULTILINE)
    if pin is None:
        raise BadSetting(f"{ROOT / 'requirements.txt'} pins no gradio")
    return pin[1]


def say(text: str) -> None:
    print(text)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
