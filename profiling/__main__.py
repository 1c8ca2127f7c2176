"""`python -m profiling COMMAND`: what profiles and logs say."""

import argparse
import sys
from importlib import import_module

from inference.extras import MissingExtra

COMMANDS = {  # name -> module of profiling/study, help
    "profile": ("before_after", "profile the old path and the new one on real loans"),
    "report": ("report", "compare two .prof files, from any program and Python"),
    "log": ("log", "latency, CPU and memory in performance logs"),
}


def main(arguments: list[str] | None = None) -> int:
    """The exit status of the command; 1 where a package is missing, with how to install it."""
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
        return int(given.run(given))
    except MissingExtra as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
