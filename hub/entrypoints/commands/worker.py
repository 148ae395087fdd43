"""`hub worker`: works through what deliveries and the schedule caused."""

import runpy
import sys
from typing import Annotated

import typer

from hub.config import settings
from hub.entrypoints.embedded.process import die_with_supervisor
from hub.entrypoints.stack import refuse_unbound


def worker(
    processes: Annotated[int, typer.Option(min=1, help="processes, each with its own engine")] = 1,
    threads: Annotated[int, typer.Option(min=1, help="threads in each process")] = 4,
) -> None:
    """Run Dramatiq's workers until told to stop; what is under way has ten seconds to end."""
    die_with_supervisor()
    refuse_unbound(settings())
    sys.argv = [
        "dramatiq",
        "hub.entrypoints.worker",
        f"--processes={processes}",
        f"--threads={threads}",
        "--worker-shutdown-timeout=10000",
    ]
    # As `python -m dramatiq` would, in this very process: a signal meets no middleman.
    runpy.run_module("dramatiq", run_name="__main__", alter_sys=True)
