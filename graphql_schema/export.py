"""`python -m graphql_schema.export [--check]`: write the schema's SDL, or say how it differs."""

import argparse
import difflib
import sys
from pathlib import Path

from graphql_schema.schema import build_schema

PATH = Path(__file__).with_name("schema.graphql")


def sdl() -> str:
    """Return the schema in the schema definition language."""
    return build_schema().as_str().rstrip() + "\n"


def difference() -> str:
    """Return how the committed file differs from the schema; empty when it does not."""
    committed = PATH.read_text() if PATH.exists() else ""
    lines = difflib.unified_diff(
        committed.splitlines(keepends=True), sdl().splitlines(keepends=True), PATH.name, "the code"
    )
    return "".join(lines)


def main() -> int:
    """Run the command; returns the exit status: 1 when `--check` finds a difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only, write nothing")
    if not parser.parse_args().check:
        PATH.write_text(sdl())
        return 0
    found = difference()
    sys.stdout.write(found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
