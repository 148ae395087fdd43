"""`hub serve`: the API alone."""

import math
import sys
import time
from types import FrameType

import uvicorn

from hub.config import settings
from hub.entrypoints import web_health
from hub.entrypoints.embedded.process import die_with_supervisor
from hub.entrypoints.stack import refuse_unbound
from hub.entrypoints.web_protocol import MOST_BYTES, DroppableSocket
from hub.entrypoints.web_wire import GatheringHttp

_COULD_NOT_START = 3


class DrainingServer(uvicorn.Server):
    """A server that is told to stop says so to whoever asks `/readyz`, and serves on for a while.

    So a balancer sends nobody any more before the door is closed. Told again, it stops at once;
    what is under way is answered in either case.
    """

    def __init__(self, config: uvicorn.Config, *, drain_seconds: float) -> None:
        super().__init__(config)
        self._drain_seconds = drain_seconds
        self._ends_at: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to leave; leave when it is the second time."""
        if self._drain_seconds and self._ends_at is None:
            self._captured_signals.append(sig)
            self._ends_at = time.monotonic() + self._drain_seconds
            web_health.leaving.set()
        else:
            super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        """Say whether the time has come to stop."""
        over = self._ends_at is not None and time.monotonic() >= self._ends_at
        return await super().on_tick(counter) or over


def serve() -> None:
    """Serve GraphQL, the hooks and the probes on HUB_HOST and HUB_PORT."""
    die_with_supervisor()
    chosen = settings()
    refuse_unbound(chosen)
    config = uvicorn.Config(
        "hub.entrypoints.web:app",
        host=chosen.host,
        port=chosen.port,
        loop="uvloop",
        http=GatheringHttp,
        ws=DroppableSocket,
        ws_max_size=MOST_BYTES,
        lifespan="on",
        access_log=False,  # addresses carry connection names; metrics count instead
        server_header=False,
        log_level=chosen.log_level,
        # Whatever may take so long by itself is answered before the process ends.
        timeout_graceful_shutdown=math.ceil(chosen.operation_seconds) + 1,
    )
    server = DrainingServer(config, drain_seconds=chosen.drain_seconds)
    server.run()
    if not server.started:
        sys.exit(_COULD_NOT_START)
