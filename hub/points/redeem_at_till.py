"""Redeem at a till: what most redemptions are, in one statement that is a transaction by itself."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, TypeAlias

from hub.clock import business_date
from hub.db.caller import Presented
from hub.errors import Malformed, Rejected
from hub.ledger.post import Answer, post_redeem_at_till
from hub.points.checks import bill, key, positive
from hub.programme.acting import Acting

Fetch: TypeAlias = Callable[[str, Sequence[Any]], Awaitable[Sequence[Any] | None]]


async def redeem_at_till(
    fetch: Fetch,
    *,
    acting: Acting,
    member: int | Presented,
    points: int,
    bill_minor: int | None,
    idempotency_key: str,
    now: datetime,
) -> Answer | None:
    """Spend `points` of a member at a business that was met before; None: ask `redeem`.

    `fetch` runs a statement by itself and commits it. `member` is a number, which counts where it
    has an account at the business, or what was presented. Too few points is an answer, as there.
    Nothing is done of what `redeem` would refuse, or where anything is not as it was when the
    business was met; what was answered before is left to it, which compares the requests.
    """
    edition, group_zone, business = acting.edition, acting.group_zone, acting.business
    if edition is None or group_zone is None or business.stopped_issuers:
        return None
    try:
        positive(points)
        bill(bill_minor)
        key(idempotency_key)
        if acting.acceptance is not None:
            acting.acceptance.check(points, bill_minor=bill_minor)
    except (Malformed, Rejected):
        return None
    answer = await post_redeem_at_till(
        fetch,
        business_id=business.business_id,
        edition=edition,
        idempotency_key=idempotency_key,
        member=member,
        points=points,
        business_date=business_date(
            now, business.time_zone, day_starts_at_hour=business.day_starts_at_hour
        ),
        today=business_date(now, group_zone),
        now=now,
    )
    return None if answer is None or answer.replayed else answer
