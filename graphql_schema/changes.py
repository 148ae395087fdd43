"""`python -m graphql_schema.changes [--promise]`: what would break those who use the API.

The schema that was promised to them is kept as `promised.graphql`. What is added since is no
matter; what is taken away, or asked for, breaks somebody: then the check fails, until the new
schema is promised (`--promise`) and the changelog says so.
"""

import argparse
import sys
from pathlib import Path

from graphql import build_schema as parsed
from graphql import find_breaking_changes, find_dangerous_changes

from graphql_schema.export import sdl

PROMISED = Path(__file__).with_name("promised.graphql")


def breaking(promised: str, now: str) -> list[str]:
    """Return what of a promised schema is not kept by another, a sentence each."""
    found = find_breaking_changes(parsed(promised), parsed(now))
    return [change.description for change in found]


def dangerous(promised: str, now: str) -> list[str]:
    """Return what may surprise a client that does not expect it, such as new values of an enum."""
    found = find_dangerous_changes(parsed(promised), parsed(now))
    return [change.description for change in found]


def main() -> int:
    """Run the command; returns the exit status: 1 when something that was promised breaks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--promise", action="store_true", help="promise the schema as it is now")
    now = sdl()
    if parser.parse_args().promise:
        PROMISED.write_text(now)
        return 0
    promised = PROMISED.read_text()
    for told in dangerous(promised, now):
        sys.stdout.write(f"may surprise: {told}\n")
    broken = breaking(promised, now)
    for told in broken:
        sys.stdout.write(f"breaks: {told}\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
