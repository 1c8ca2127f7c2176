"""The command `tenfold COMMAND …`; each command is the same as one of `python -m …`."""

import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from inference.errors import TenfoldError
from inference.pipes import until_closed
from inference.version import VERSION


class Command(NamedTuple):
    """A command: the module whose `main` runs it, the arguments before the user's own, and a line of help."""

    module: str
    words: tuple[str, ...]
    help: str


FIRST = {
    "serve": Command("app", (), "serve the desk and the API on http://127.0.0.1:7860"),
    "score": Command("web.score", (), "score one application, or many: JSON lines, CSV"),
    "book": Command("web.book", (), "score a file of applications, and record the run; Parquet, CSV, Arrow or XLSX"),
    "train": Command("models.__main__", ("train",), "train, evaluate and export releases"),
    "profile": Command("profiling.__main__", (), "profile code, compare profiles, read performance logs"),
}
OTHERS = {
    "adopt": Command("models.__main__", ("adopt",), "make a release of an XGBoost model that was trained elsewhere"),
    "check": Command(
        "inference.__main__",
        ("check",),
        "open a release and score its golden applications; for a NAME.toml, list its open questions",
    ),
    "choose": Command("models.__main__", ("choose",), "compare groups of columns by what they add"),
    "compare": Command("models.__main__", ("compare",), "see who would be decided otherwise by another release"),
    "evaluate": Command("models.__main__", ("evaluate",), "measure a release on loans whose end is known"),
    "evidence": Command("ledger.pack.command", (), "pack what an examiner asks for first into one file"),
    "ledger": Command("ledger.__main__", (), "verify, replay, export, back up, purge the record of decisions"),
    "monitor": Command("ledger.__main__", ("monitor",), "whether a release still holds: outcomes and drift"),
    "new": Command("models.__main__", ("new",), "draft a recipe from a file of past loans"),
    "numbers": Command("inference.__main__", ("numbers",), "list the number formats that are accepted"),
    "outcomes": Command("ledger.__main__", ("outcomes",), "record what became of loans, from a CSV"),
    "outbox": Command("ledger.__main__", ("outbox",), "list the events that were sent or wait, send one again, test"),
    "rows": Command("inference.__main__", ("rows",), "list the columns of a release's rows, and how they are written"),
    "search": Command("models.__main__", ("search",), "try random parameters of a recipe"),
    "space": Command("web.shipping.space", (), "write the folder of a Hugging Face Space of one's own"),
    "stability": Command("models.__main__", ("stability",), "measure how often a small change turns the decision"),
    "tokens": Command("web.__main__", ("tokens",), "manage the tokens of systems that call the API"),
    "users": Command("web.__main__", ("users",), "manage the users who may log in"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. Returns its exit status; 2 if there is no such command, 1 if it failed."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words == ["--version"]:
        print(f"tenfold {VERSION}")
        return 0
    if not words or words[0] in ("-h", "--help"):
        print(usage())
        return 0 if words else 2
    command = {**FIRST, **OTHERS}.get(words[0])
    if words[0] == "check" and any(word.endswith(".toml") for word in words[1:]):
        command = Command("models.__main__", ("check",), "")
    if command is None:
        print(f"tenfold: there is no command {words[0]!r}\n\n{usage()}", file=sys.stderr)
        return 2
    # Put our folder first, so that `profiling` is ours: Python 3.15 has a standard package of that name.
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    try:
        run = import_module(command.module).main
        return until_closed(lambda: int(run([*command.words, *words[1:]])))
    except TenfoldError as error:
        print(f"tenfold {words[0]}: {error}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] not in ("models", "profiling"):
            raise
        print(f"tenfold {words[0]}: this copy of Tenfold serves and does no more; use a checkout", file=sys.stderr)
        return 1


def usage() -> str:
    """The list of commands, with those that most people need first."""
    width = max(map(len, (*FIRST, *OTHERS))) + 2

    def listed(commands: dict[str, Command]) -> str:
        return "\n".join(f"  {name:{width}}{command.help}" for name, command in commands.items())

    return (
        f"usage: tenfold COMMAND …\n       tenfold --version\n\n{listed(FIRST)}\n\n{listed(OTHERS)}\n\n"
        "Run 'tenfold COMMAND --help' for details."
    )


if __name__ == "__main__":
    sys.exit(main())
