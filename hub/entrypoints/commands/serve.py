"""`hub serve`: the API alone."""

import uvicorn

from hub.config import settings
from hub.entrypoints.embedded.process import die_with_supervisor
from hub.entrypoints.stack import refuse_unbound
from hub.entrypoints.web_protocol import MOST_BYTES, DroppableSocket


def serve() -> None:
    """Serve GraphQL, the hooks and the probes on HUB_HOST and HUB_PORT."""
    die_with_supervisor()
    chosen = settings()
    refuse_unbound(chosen)
    uvicorn.run(
        "hub.entrypoints.web:app",
        host=chosen.host,
        port=chosen.port,
        loop="uvloop",
        http="httptools",
        ws=DroppableSocket,
        ws_max_size=MOST_BYTES,
        lifespan="on",
        access_log=False,  # addresses carry connection names; metrics count instead
        server_header=False,
        log_level=chosen.log_level,
        timeout_graceful_shutdown=5,
    )
