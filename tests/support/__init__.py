"""What tests share: servers, and a look at processes from outside."""

from pathlib import Path


def program(name: str) -> str:
    """Return the path of one of the programs beside this file, to run as a process."""
    return str(Path(__file__).with_name(f"{name}.py"))
