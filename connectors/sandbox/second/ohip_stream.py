"""OPERA's event stream: `graphql-transport-ws`, one consumer, an offset, and what goes wrong."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from connectors.sandbox.second.accounts import OHIP_CHAIN
from connectors.sandbox.trouble import Troubles

_PROTOCOL = "graphql-transport-ws"
_INPUT = re.compile(r'(chainCode|offset): "([^"]*)"')
_BAD_REQUEST, _UNAUTHORISED, _TAKEN = 4400, 4401, 4409


class Stream:
    """The events of a chain. `asked` has the offset that every subscription asked for."""

    def __init__(
        self, messages: Sequence[bytes], *, app_key: str, token: str, troubles: Troubles
    ) -> None:
        self._messages = [json.loads(body) for body in messages]
        self._key = hashlib.sha256(app_key.encode()).hexdigest()
        self._token = token
        self._troubles = troubles
        self._taken = False
        self.asked: list[str | None] = []

    async def serve(self, socket: WebSocket) -> None:
        """Serve one socket."""
        if socket.query_params.get("key") != self._key:
            await socket.close()  # before it is accepted: an HTTP error
            return
        await socket.accept(subprotocol=_PROTOCOL)
        holds = False
        try:
            while True:
                message = json.loads(await socket.receive_text())
                match message.get("type"):
                    case "connection_init":
                        given = (message.get("payload") or {}).get("Authorization")
                        if given != f"Bearer {self._token}":
                            await socket.close(_UNAUTHORISED)
                            return
                        await socket.send_json({"type": "ping"})
                        await socket.send_json({"type": "connection_ack"})
                    case "subscribe":
                        refused = self._refuses(message)
                        if refused:
                            await socket.close(refused)
                            return
                        self._taken = holds = True
                        if not await self._tell(socket, message):
                            return
                    case "ping":
                        await socket.send_json({"type": "pong"})
                    case "complete":
                        self._taken = holds = False
                        await socket.close()
                        return
        except WebSocketDisconnect:
            pass
        finally:
            if holds:
                self._taken = False

    def _refuses(self, message: Mapping[str, Any]) -> int | None:
        left = self._troubles.left
        if left.refuse_next:
            left.refuse_next -= 1
            return _TAKEN
        if self._taken:
            return _TAKEN
        asked = dict(_INPUT.findall(message["payload"]["query"]))
        return None if asked.get("chainCode") == OHIP_CHAIN else _BAD_REQUEST

    async def _tell(self, socket: WebSocket, message: Mapping[str, Any]) -> bool:
        """Send from an offset on, itself included; False: the line broke."""
        offset = dict(_INPUT.findall(message["payload"]["query"])).get("offset")
        self.asked.append(offset)
        left = self._troubles.left
        start = int(offset) if offset else 0
        if left.resend_next:
            left.resend_next -= 1
            start = 0
        for event in self._messages[start:]:
            if left.drop_after is not None:
                if not left.drop_after:
                    left.drop_after = None
                    await socket.close(1011)
                    return False
                left.drop_after -= 1
            copies = 1
            if left.duplicate_next:
                left.duplicate_next -= 1
                copies = 2
            for _ in range(copies):
                await socket.send_json({**event, "id": message["id"]})
        return True
