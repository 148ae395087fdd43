"""Send: sign an event and hand it to its subscriber, as Standard Webhooks has it.

Standard Webhooks 1.0.0 (standardwebhooks.com): `webhook-id` stays the same when a call is repeated,
the signature covers id, time and body, any 2xx is success, 410 means that nobody is there any more.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import httpx2
import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection
from standardwebhooks import Webhook

from hub.connector.requests import retry_after_seconds
from hub.crypto.delivery import open_sealed
from hub.crypto.keyring import Keyring
from hub.egress.events import Written, written
from hub.egress.subscribe import secrets_place

# Standard Webhooks: receivers have 15 to 30 seconds.
TIMEOUT_SECONDS = 15.0
GONE = 410


@dataclass(frozen=True, slots=True)
class Call:
    """One event on its way to one subscriber; its repr shows no secret.

    `name` is its `webhook-id`; unsaid, its event's.
    """

    event_delivery_id: int
    subscription_id: int
    url: str
    event: Written
    secrets: tuple[str, ...] = field(repr=False)
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a call. No status: nobody answered."""

    status: int | None
    error: str | None = None
    retry_after_seconds: float = 0

    @property
    def delivered(self) -> bool:
        """Whether the subscriber has it."""
        return self.status is not None and 200 <= self.status < 300


async def calls(
    db: AsyncConnection, *, event_delivery_ids: Sequence[int], keyring: Keyring
) -> list[Call]:
    """Return the calls that are still to be made: not those delivered, or stopped meanwhile."""
    rows = await db.execute(
        text("""
          SELECT d.event_delivery_id, d.event_id, s.subscription_id, s.code, s.url, s.secrets
          FROM event_delivery d JOIN subscription s USING (subscription_id)
          WHERE d.event_delivery_id = ANY (CAST(:ids AS bigint[])) AND d.state = 'pending'
            AND s.active
          ORDER BY d.event_delivery_id"""),
        {"ids": list(event_delivery_ids)},
    )
    found = rows.all()
    events = await written(db, event_ids=[row.event_id for row in found])
    return [
        Call(
            event_delivery_id=row.event_delivery_id,
            subscription_id=row.subscription_id,
            url=row.url,
            event=events[row.event_id],
            secrets=tuple(
                orjson.loads(open_sealed(keyring, row.secrets, context=secrets_place(row.code)))
            ),
        )
        for row in found
    ]


def signed(call: Call, now: datetime) -> dict[str, str]:
    """Return the headers of a call at `now`, signed with every secret of the subscription."""
    name, body = call.name or f"evt_{call.event.event_id}", call.event.body.decode()
    signatures = [Webhook(one).sign(msg_id=name, timestamp=now, data=body) for one in call.secrets]
    return {
        "content-type": "application/json",
        "webhook-id": name,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


async def send(
    http: httpx2.AsyncClient, *, call: Call, now: datetime, timeout_seconds: float = TIMEOUT_SECONDS
) -> Answer:
    """Make one call; never raises for what the other side does. A redirect is not followed.

    Whoever answers drop by drop, or without end, is held to the same time, and no more of what it
    says is read than its head.
    """
    try:
        async with (
            asyncio.timeout(timeout_seconds),
            http.stream(
                "POST", call.url, content=call.event.body, headers=signed(call, now)
            ) as said,
        ):
            status, wait = said.status_code, said.headers.get("retry-after")
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as failure:  # a TimeoutError is one
        return Answer(None, f"no answer: {type(failure).__name__}")
    if 200 <= status < 300:
        return Answer(status)
    return Answer(status, f"answered {status}", retry_after_seconds(wait) or 0)


async def note_answer(
    db: AsyncConnection, *, call: Call, answer: Answer, died: bool, now: datetime
) -> None:
    """Keep what came of a call, and stop a subscription whose receiver says that it is gone."""
    state = "delivered" if answer.delivered else "dead" if died else "pending"
    await db.execute(
        text("""
          UPDATE event_delivery SET attempts = attempts + 1, status = :status, error = :error,
            tried_at = :now, state = :state,
            ended_at = CASE WHEN :state <> 'pending' THEN CAST(:now AS timestamptz) END
          WHERE event_delivery_id = :id AND state = 'pending'"""),
        {
            "id": call.event_delivery_id,
            "status": answer.status,
            "error": answer.error,
            "state": state,
            "now": now,
        },
    )
    if answer.status == GONE:
        await db.execute(
            text("""
              WITH stopped AS (
                UPDATE subscription SET active = false,
                  stopped_because = 'its receiver answered 410'
                WHERE subscription_id = :id AND active)
              UPDATE event_delivery SET state = 'dead', ended_at = :now,
                error = 'the subscription was stopped'
              WHERE subscription_id = :id AND state = 'pending'"""),
            {"id": call.subscription_id, "now": now},
        )
