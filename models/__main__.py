"""`python -m models COMMAND`: the commands, where what training needs is installed."""

import sys

from inference.extras import MissingExtra, extra
from models.interrupts import run


def main(arguments: list[str] | None = None) -> int:
    """The exit status of the command: 1 where a package is missing, with how to install it; 130 after Ctrl-C."""
    return run(lambda: command(arguments))


def command(arguments: list[str] | None) -> int:
    try:
        with extra("train"):
            from models import commands
    except MissingExtra as error:
        print(error, file=sys.stderr)
        return 1
    return commands.main(arguments)


if __name__ == "__main__":
    sys.exit(main())
