"""The command line: every command is there, and a refusal is one line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hub.entrypoints.cli import COMMANDS, app
from hub.entrypoints.commands.programme import read_group
from hub.errors import Malformed

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


@pytest.mark.parametrize(
    "wrong",
    [
        ["intake", "list", "--limit", "-1"],
        ["intake", "list", "--limit", "9" * 30],
        ["intake", "replay", "0"],
        ["intake", "replay", "9" * 30],
        ["token", "--role", "member", "--member", "-5"],
        ["token", "--role", "member", "--member", "9" * 30],
    ],
    ids=" ".join,
)
def test_a_number_out_of_range_is_an_error_of_usage(wrong: list[str]) -> None:
    assert CliRunner().invoke(app, wrong).exit_code == 2


def test_a_group_file_that_is_no_text_is_malformed(tmp_path: Path) -> None:
    file = tmp_path / "group.toml"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(Malformed, match="cannot be read"):
        read_group(file)


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
