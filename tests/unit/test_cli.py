"""The command line: every command is there, and a refusal is one line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hub.entrypoints.cli import COMMANDS, app

EVERY = [
    (name,) if isinstance(place, str) else (name, below)
    for name, place in COMMANDS.items()
    for below in ([""] if isinstance(place, str) else place)
]


@pytest.mark.parametrize("command", EVERY)
def test_every_command_explains_itself(command: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*command, "--help"])
    assert shown.exit_code == 0
    assert f"{' '.join(command)} [OPTIONS]" in shown.output


def test_what_does_not_exist_is_an_error_of_usage() -> None:
    assert CliRunner().invoke(app, ["nonsense"]).exit_code == 2


def test_a_refusal_is_one_line_with_the_way_out(tmp_path: Path) -> None:
    env = {k: v for k, v in os.environ.items() if k not in {"DATABASE_URL", "REDIS_URL"}}
    refused = subprocess.run(
        [sys.executable, "-m", "hub.entrypoints.cli", "migrate"],
        env={**env, "HUB_STATE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert refused.stderr == (
        "hub: no server is known: run `make run`, or set DATABASE_URL [unavailable]\n"
    )
