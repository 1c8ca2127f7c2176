"""The version of Tenfold, stated here alone: pyproject.toml, the command, pages, records and descriptions read it."""

VERSION = "0.2.0"
