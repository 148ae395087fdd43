"""Upstreams misbehave on request: too busy, broken, silent, or changing while they are read."""

import asyncio
from collections.abc import Awaitable, Callable

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

Endpoint = Callable[[Request], Awaitable[Response]]


class Trouble(BaseModel):
    """How the APIs misbehave, each for so many calls, in this order.

    `reject_next` calls are answered 429 with `retry_after_seconds`; `fail_next` are answered 500;
    `stall_next` are answered only after `stall_seconds`. After each of `shift_next` calls the
    longest resting record of the system changes, so that pages shift.

    Of streams: `refuse_next` subscriptions are told that there is another consumer; `resend_next`
    begin at the very first event, whatever they ask for; `duplicate_next` events are sent twice;
    after `drop_after` events more the line breaks.
    """

    model_config = ConfigDict(extra="forbid")

    reject_next: int = Field(default=0, ge=0)
    retry_after_seconds: int = Field(default=1, ge=0)
    fail_next: int = Field(default=0, ge=0)
    stall_next: int = Field(default=0, ge=0)
    stall_seconds: int = Field(default=11, ge=0, le=60)
    shift_next: int = Field(default=0, ge=0)
    refuse_next: int = Field(default=0, ge=0)
    resend_next: int = Field(default=0, ge=0)
    duplicate_next: int = Field(default=0, ge=0)
    drop_after: int | None = Field(default=None, ge=0)


class Troubles:
    """The trouble that is left. One for all systems: a call of any of them uses it up."""

    def __init__(self) -> None:
        self.left = Trouble()

    def guard(self, answer: Endpoint, touch: Callable[[], None] | None = None) -> Endpoint:
        """Return `answer` with whatever trouble is left in its way."""

        async def guarded(request: Request) -> Response:
            left = self.left
            if left.reject_next:
                left.reject_next -= 1
                wait = {"retry-after": str(left.retry_after_seconds)}
                return Response(status_code=429, headers=wait)
            if left.fail_next:
                left.fail_next -= 1
                return Response(status_code=500)
            if left.stall_next:
                left.stall_next -= 1
                await asyncio.sleep(left.stall_seconds)
            response = await answer(request)
            if touch is not None and left.shift_next:
                left.shift_next -= 1
                touch()
            return response

        return guarded
