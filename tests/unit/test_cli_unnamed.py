"""`hub settle PERIOD` and `hub settle verify FILE` live under one name."""

import pytest
from typer.testing import CliRunner

from hub.entrypoints.cli import app


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["settle", "2026-11", "--help"], "--early"),
        (["settle", "--early", "--help"], "--early"),
        (["settle", "verify", "--help"], "--lines"),
        (["settle", "--help"], "verify"),
        (["settle"], "verify"),
        (["payment", "prepare", "--help"], "--as"),
    ],
)
def test_words_that_name_no_command_are_for_the_one_without_a_name(
    words: list[str], shown: str
) -> None:
    assert shown in CliRunner().invoke(app, words, env={"COLUMNS": "200", "NO_COLOR": "1"}).output


def test_a_group_without_such_a_command_refuses_unknown_names() -> None:
    assert "No such command" in CliRunner().invoke(app, ["payment", "dance"]).output
