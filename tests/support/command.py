"""The `hub` command, run in the test's own process: a new one takes a second to start."""

import asyncio
from dataclasses import dataclass

from typer.testing import CliRunner

from hub.entrypoints.cli import app
from hub.errors import HubError


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended and what it said, a refusal as the command line tells it."""

    returncode: int
    stdout: str
    stderr: str


async def hub(*words: str, **environment: object) -> Said:
    """Run a command with these settings in the environment.

    Not one that reads them by `hub.config.settings`, as servers do: those are read once.
    """
    settings = {name: str(value) for name, value in environment.items()}
    done = await asyncio.to_thread(CliRunner().invoke, app, list(words), env=settings)
    stderr = done.stderr
    if isinstance(done.exception, HubError):
        stderr += f"hub: {done.exception.message} [{done.exception.code}]"
    elif done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Said(done.exit_code, done.stdout, stderr)
