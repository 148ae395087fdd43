"""Transfer: give points to another member, with the lots they came in."""

from datetime import date, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Malformed, NotFound
from hub.ledger.codes import Kind, Unit
from hub.ledger.post import Answer, post_move
from hub.members.queries import current_members
from hub.points.acting_account import acting_account
from hub.points.answers import same_request
from hub.points.checks import key, positive, timely
from hub.programme.policy_queries import policies


async def transfer(
    db: AsyncConnection,
    *,
    business_id: int,
    member_id: int,
    receiver_id: int,
    points: int,
    idempotency_key: str,
    occurred_at: datetime,
    business_date: date,
    today: date,
    now: datetime,
    account_id: int | None = None,
    unit: int = Unit.SPENDABLE,
) -> Answer:
    """Move `points` from a member to another; issuer, cost and last day stay what they are.

    A merged-away id leads to whom the member is now. The receiver holds them on its oldest account
    at the business, else on the lots' own. `today` is the group's date, which decides what is valid
    and to which year the points policy's limits count it. Too few points, and more than the limits
    leave, are answers (`available`: what could be moved). Raises NotFound for who is no member,
    Malformed for a transfer to oneself and what no till means, Conflict when the key was used for
    another request.
    """
    positive(points)
    key(idempotency_key)
    timely(occurred_at, now)
    now_are = await current_members(db, member_ids=[member_id, receiver_id])
    for field, asked in (("member_id", member_id), ("receiver_id", receiver_id)):
        if asked not in now_are:
            raise NotFound(f"there is no member {asked}", field=field)
    giver, receiver = now_are[member_id], now_are[receiver_id]
    if giver == receiver:
        raise Malformed("nobody gives points to themselves", field="receiver_id")
    policy = (await policies(db)).points(now)
    answer = await post_move(
        db,
        kind=Kind.TRANSFER,
        business_id=business_id,
        idempotency_key=idempotency_key,
        from_id=giver,
        to_id=receiver,
        account_id=account_id,
        to_account_id=await acting_account(db, member_id=receiver, business_id=business_id),
        points=points,
        year=today.year,
        occurred_at=occurred_at,
        business_date=business_date,
        today=today,
        now=now,
        unit=unit,
        sent_limit=policy.send_limit_points,
        received_limit=policy.receive_limit_points,
    )
    return same_request(
        answer,
        kind=Kind.TRANSFER,
        member_id=giver,
        counterpart_id=receiver,
        points=points,
        unit=unit,
    )
