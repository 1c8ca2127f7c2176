"""`python -m profiling COMMAND`: what profiles and logs say."""

import argparse
import sys
from importlib import import_module

COMMANDS = ("profile", "report", "log")  # modules of this package


def main(arguments: list[str] | None = None) -> int:
    """The exit status of the command."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(prog="python -m profiling", description=__doc__)
    commands = parser.add_subparsers(required=True)
    # Only what is asked for is imported: `profile` needs a second and 150 MB for pandas and XGBoost, `log` neither.
    for name in [name for name in COMMANDS if name in arguments[:1]] or COMMANDS:
        import_module(f"profiling.{name}").add_command(commands)
    given = parser.parse_args(arguments)
    return int(given.run(given))


if __name__ == "__main__":
    sys.exit(main())
