"""`hub scheduler`: relays messages to the workers and fires what is due."""

import asyncio
import signal

import uvloop

from hub.config import Settings, settings
from hub.entrypoints.embedded.process import die_with_supervisor
from hub.entrypoints.logs import configure_logs
from hub.entrypoints.scheduler import serve


def scheduler() -> None:
    """Run one scheduler until told to stop. Several may run: each slot fires once."""
    die_with_supervisor()
    configure_logs(settings().log_level)
    uvloop.run(_until_stopped(settings()))


async def _until_stopped(chosen: Settings) -> None:
    serving = asyncio.create_task(serve(chosen))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, serving.cancel)
    try:
        await serving
    except asyncio.CancelledError:
        return
