"""`python -m profiling COMMAND`: what profiles and logs say."""

import argparse
import sys
from importlib import import_module

from inference.errors import TenfoldError
from inference.extras import MissingExtra
from profiling.output import patient

COMMANDS = {  # name -> module of profiling/study, help
    "run": ("run", "time and profile a function or script of yours"),
    "before-after": ("before_after", "two functions on the same rows, side by side"),
    "report": ("report", "look into a .prof file, or compare two, from any program and Python"),
    "log": ("log", "latency, CPU and memory in logs; before and after a date or release"),
    "profile": ("tenfold_paths", "profile Tenfold's old path and its new one on real loans"),
}


def main(arguments: list[str] | None = None) -> int:
    """The command's exit status; 1 where a package is missing, with how to install it, 2 for what cannot be done."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(prog="python -m profiling", description=__doc__)
    commands = parser.add_subparsers(required=True)
    for name, (where, what) in COMMANDS.items():
        command = commands.add_parser(name, help=what)
        # Only what is asked for is imported: `profile` needs a second and 150 MB for XGBoost, `report` does not.
        if name in arguments[:1]:
            module = import_module(f"profiling.study.{where}")
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    given = parser.parse_args(arguments)
    try:
        with patient():
            return int(given.run(given))
    except MissingExtra as error:
        print(error, file=sys.stderr)
        return 1
    except TenfoldError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
