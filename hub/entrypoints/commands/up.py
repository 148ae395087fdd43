"""`hub up`: the whole hub on this machine, until Ctrl-C."""

from functools import partial
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from hub.config import Settings
from hub.entrypoints.stack import Stopped, load_sample, processes_of, running_stack
from hub.entrypoints.supervisor import listen_for_stop


def up(
    sample: Annotated[
        bool | None,
        typer.Option(
            help="play a sample group; by default only when the database is the hub's own"
        ),
    ] = None,
) -> None:
    """Run the whole hub on this machine until Ctrl-C, with its own servers where none are set."""
    run_stack(sample=sample, console=Console())


def run_stack(*, sample: bool | None, console: Console) -> None:
    """Run until a signal asks to stop. Raises AlreadyRunning or Unavailable.

    `sample=None` means yes exactly when the database is our own: nobody else's database is filled
    with invented people unasked.
    """
    settings = Settings()
    wanted = settings.database_url is None if sample is None else sample
    say = partial(console.print, style="dim", highlight=False, markup=False)
    stop_wanted = listen_for_stop()
    try:
        with running_stack(
            settings,
            processes=processes_of(settings, sample=wanted),
            say=say,
            stop_wanted=stop_wanted,
        ) as supervisor:
            say(f"serving at {settings.base_url}")
            if wanted and not load_sample(settings, supervisor, stop_wanted) and not stop_wanted():
                console.print("the sample group was not loaded completely: `hub sample load`")
            if not stop_wanted():
                console.print(_where_to_look(settings))
            supervisor.tend_until(stop_wanted)
    except Stopped:
        return
    console.print("stopped; everything is kept for the next start", style="dim")


def _where_to_look(settings: Settings) -> Table:
    base = settings.base_url
    table = Table.grid(padding=(0, 2))
    table.add_row("GraphQL", f"{base}/graphql")
    table.add_row("a token for it", "hub token --help")
    table.add_row("health", f"{base}/readyz")
    table.add_row("metrics", f"{base}/metrics")
    table.add_row("logs", str(settings.state_dir / "logs"))
    table.add_row("what is wrong", "hub doctor")
    table.add_row("stop", "Ctrl-C; the state stays")
    return table
