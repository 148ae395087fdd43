"""The server's side of a socket: what a message may weigh, and a way to drop who never reads."""

import logging
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.http11 import Request

DROP = "hub.drop"
"""The extension of ASGI by which the application ends a connection at once."""
MOST_BYTES = 64 * 1024

_log = logging.getLogger("hub.sockets")
_log.setLevel(logging.WARNING)


class DroppableSocket(WebSocketsSansIOProtocol):
    """A socket that can be ended while its peer reads nothing, so that it holds nothing here.

    A closing frame would have to be read, too. The log is told neither addresses nor queries.
    """

    def __init__(self, *given: Any, **chosen: Any) -> None:
        super().__init__(*given, **chosen)
        self.logger = _log

    def handle_connect(self, event: Request) -> None:
        """Begin, and let the application drop the connection."""
        super().handle_connect(event)
        if not self.close_sent:
            self.scope["extensions"] = {
                **(self.scope.get("extensions") or {}),
                DROP: {"drop": self.transport.abort},
            }

    def handle_close(self, event: Frame) -> None:
        """End, unless the peer's farewell comes when it was dropped already."""
        if not self.disconnected:
            super().handle_close(event)
