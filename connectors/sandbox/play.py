"""Sends a world's deliveries to a hub over HTTP, the way the systems would."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Literal

import httpx2
from pydantic import BaseModel, ConfigDict, Field

from connectors.sandbox.delivery import Delivery
from connectors.sandbox.signing import sign

_ATTEMPTS = 6
_LANES = 16
_LONGEST_PAUSE_SECONDS = 2.0


class Target(BaseModel):
    """Where one system's webhooks go at the hub, and what signs them."""

    model_config = ConfigDict(extra="forbid")

    path: str
    secret: str


class Play(BaseModel):
    """How to play: in order (each system one after the other, as it happened) or shuffled, each
    delivery so many times, at so many a second in all (as fast as the hub takes them: none). Of
    `drop_one_in` deliveries one is lost on its way.
    """

    model_config = ConfigDict(extra="forbid")

    hub_url: str
    connections: Mapping[str, Target]
    order: Literal["in_order", "shuffled"] = "in_order"
    copies: int = Field(default=1, ge=1, le=10)
    seed: int = 7
    rate: int | None = Field(default=None, ge=1)
    drop_one_in: int | None = Field(default=None, ge=1)


@dataclass(slots=True)
class Played:
    """What came of it, per system: how many were sent, and how many of them were accepted."""

    sent: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)
    last_refusal: str | None = None

    def summary(self, systems: Iterable[str], seconds: float) -> dict[str, object]:
        """Return the whole in numbers."""
        return {
            "sent": sum(self.sent.values()),
            "accepted": sum(self.accepted.values()),
            "by_connector": {
                system: {"sent": self.sent[system], "accepted": self.accepted[system]}
                for system in systems
            },
            "last_refusal": self.last_refusal,
            "seconds": round(seconds, 2),
        }


async def play(deliveries: Sequence[Delivery], how: Play) -> dict[str, object]:
    """Send deliveries and return the summary; what the hub does not take is tried again."""
    started = time.monotonic()
    sent = [one for one in deliveries if one.system in how.connections]
    if how.drop_one_in:
        sent = [one for n, one in enumerate(sent, start=1) if n % how.drop_one_in]
    wanted = [(one, copy) for one in sent for copy in range(how.copies)]
    lanes = _lanes(wanted, how)
    played = Played()
    pace = _Pace(how.rate)
    async with httpx2.AsyncClient(timeout=10.0) as http:
        await asyncio.gather(*(_drive(http, lane, how, pace, played) for lane in lanes))
    return played.summary(how.connections, time.monotonic() - started)


_Copies = list[tuple[Delivery, int]]


def _lanes(wanted: _Copies, how: Play) -> list[_Copies]:
    """In order: one lane per system, so that what happened first arrives first. Else many."""
    if how.order == "in_order":
        return [[one for one in wanted if one[0].system == system] for system in how.connections]
    Random(how.seed).shuffle(wanted)  # noqa: S311  (a game, not a secret)
    return [wanted[lane::_LANES] for lane in range(_LANES)]


class _Pace:
    """Lets so many pass a second."""

    def __init__(self, rate: int | None) -> None:
        self._gap = 1 / rate if rate else 0.0
        self._next = time.monotonic()

    async def wait(self) -> None:
        if self._gap:
            self._next = max(self._next + self._gap, time.monotonic())
            await asyncio.sleep(self._next - time.monotonic())


async def _drive(
    http: httpx2.AsyncClient, lane: _Copies, how: Play, pace: _Pace, played: Played
) -> None:
    for delivery, copy in lane:
        await pace.wait()
        target = how.connections[delivery.system]
        url = how.hub_url.rstrip("/") + target.path
        signed = sign(delivery, url=url, secret=target.secret, copy=copy)
        played.sent[delivery.system] += 1
        for attempt in range(_ATTEMPTS):
            pause = min(0.1 * 2**attempt, _LONGEST_PAUSE_SECONDS)
            try:
                answer = await http.post(
                    signed.url, content=signed.body, headers=dict(signed.headers)
                )
            except httpx2.HTTPError as failure:
                played.last_refusal = f"{target.path}: {type(failure).__name__}"
            else:
                if answer.is_success:
                    played.accepted[delivery.system] += 1
                    break
                played.last_refusal = f"{target.path}: {answer.status_code}"
            await asyncio.sleep(pause)
