"""`python -m profiling COMMAND`: what profiles and logs say."""

import argparse
import sys

from profiling import profile, report


def main(arguments: list[str] | None = None) -> int:
    """The exit status of the command."""
    parser = argparse.ArgumentParser(prog="python -m profiling", description=__doc__)
    commands = parser.add_subparsers(required=True)
    for module in (profile, report):
        module.add_command(commands)
    given = parser.parse_args(arguments)
    return int(given.run(given))


if __name__ == "__main__":
    sys.exit(main())
