"""Sharing points in a pool: open, join, contribute, leave; and redeem from it at a till."""

from typing import Annotated

import strawberry

from graphql_schema.access import GIVERS, reads_pool_code
from graphql_schema.context import Info
from graphql_schema.counter import open_counter
from graphql_schema.desk import BUSINESS, FOR_WHOM, KEY, open_books, open_desk
from graphql_schema.fields import Given, count, resolved
from graphql_schema.finding import MemberKey
from graphql_schema.member import Member
from graphql_schema.pools import Pool
from graphql_schema.rejections import (
    REFUSALS,
    InsufficientPoints,
    LimitReached,
    MemberUnknown,
    PointsNotAccepted,
    Refused,
    Rejection,
    member_unknown,
    not_accepted,
    not_moved,
    refused,
    too_few,
)
from graphql_schema.spending import RedeemInput
from graphql_schema.till import receipt
from hub import errors
from hub.ledger.codes import Outcome
from hub.points.acting_account import acting_account
from hub.points.contribute import contribute
from hub.points.join_pool import join_pool
from hub.points.leave_pool import leave_pool
from hub.points.open_pool import open_pool
from hub.points.purpose import Purpose
from hub.points.redeem_from_pool import redeem_from_pool


@strawberry.input(description="A pool to open, or to leave.")
class PoolInput:
    """An opening or a leaving."""

    idempotency_key: str = strawberry.field(description=KEY)
    member: MemberKey | None = strawberry.field(default=None, description=FOR_WHOM)
    business: str | None = strawberry.field(default=None, description=BUSINESS)


@strawberry.input(description="A pool to join. To join twice is to join once.")
class JoinPoolInput:
    """A joining."""

    code: str = strawberry.field(description="The pool's code, from one of its members.")
    member: MemberKey | None = strawberry.field(default=None, description=FOR_WHOM)


@strawberry.input(description="Points to put into one's pool.")
class ContributeInput:
    """A contribution."""

    points: int = count("How many points.")
    idempotency_key: str = strawberry.field(description=KEY)
    member: MemberKey | None = strawberry.field(default=None, description=FOR_WHOM)
    business: str | None = strawberry.field(default=None, description=BUSINESS)


@strawberry.type(description="The member is in this pool.")
class InPool:
    """An opening or a joining."""

    pool: Pool = strawberry.field(description="The pool.")
    member: Member = strawberry.field(description="The member, as things stand now.")


@strawberry.type(description="Points are in the pool, and stay marked as the member's own.")
class Contributed:
    """A contribution that was posted."""

    transaction: strawberry.ID = strawberry.field(description="Number of the transaction.")
    points: int = count("How many points were put in.")
    member: Member = strawberry.field(description="The member, as things stand now.")


@strawberry.type(description="The member left the pool.")
class LeftPool:
    """A leaving that was posted."""

    transaction: strawberry.ID = strawberry.field(description="Number of the transaction.")
    points: int = count("How many of the member's own points came back.")
    member: Member = strawberry.field(description="The member, as things stand now.")


@strawberry.type(description="Points of the pool were spent.")
class RedeemedFromPool:
    """A redemption that was posted."""

    transaction: strawberry.ID = strawberry.field(description="Number for the receipt.")
    points: int = count("How many points were spent.")
    member: Member = strawberry.field(description="Who spent them, as things stand now.")


@strawberry.type(description="No open pool has this code.")
class PoolUnknown(Rejection):
    """Nothing was stored."""


@strawberry.type(description="The pool has as many members as the group allows.")
class PoolFull(Rejection):
    """Nothing was stored."""


@strawberry.type(description="The member is in another pool, and has to leave it first.")
class AlreadyInPool(Rejection):
    """Nothing was stored."""


@strawberry.type(description="The member is in no pool.")
class NotInPool(Rejection):
    """Nothing was stored: the same key may be used again."""


OpenPoolResult = Annotated[
    InPool | AlreadyInPool | MemberUnknown | Refused,
    strawberry.union("OpenPoolResult", description="What came of opening a pool."),
]
JoinPoolResult = Annotated[
    InPool | PoolUnknown | PoolFull | AlreadyInPool | MemberUnknown | Refused,
    strawberry.union("JoinPoolResult", description="What came of joining a pool."),
]
ContributeResult = Annotated[
    Contributed | InsufficientPoints | LimitReached | NotInPool | MemberUnknown | Refused,
    strawberry.union("ContributeResult", description="What came of a contribution."),
]
LeavePoolResult = Annotated[
    LeftPool | NotInPool | MemberUnknown | Refused,
    strawberry.union("LeavePoolResult", description="What came of leaving a pool."),
]
RedeemFromPoolResult = Annotated[
    RedeemedFromPool | InsufficientPoints | PointsNotAccepted | NotInPool | MemberUnknown | Refused,
    strawberry.union("RedeemFromPoolResult", description="What came of spending from a pool."),
]


@strawberry.type
class PoolingMutation:
    """What members do with a pool."""

    @resolved("Open a pool. For members, and for staff who act for one.")
    async def open_pool(self, info: Info, input: Given[PoolInput]) -> OpenPoolResult:  # noqa: A002
        """Open and commit, or answer why not."""
        context = info.context
        try:
            desk = await open_desk(
                context, roles=GIVERS, member=input.member, idempotency_key=input.idempotency_key
            )
            async with context.writing() as db:
                pool = await open_pool(
                    db,
                    member_id=desk.member.member_id,
                    idempotency_key=desk.idempotency_key,
                    now=context.now,
                )
        except errors.NotFound:
            return member_unknown()
        except errors.Rejected as no:
            return AlreadyInPool(message=no.message)
        except REFUSALS as no:
            return refused(no)
        shown = Pool.of(pool, with_code=reads_pool_code(desk.caller))
        return InPool(pool=shown, member=desk.member)

    @resolved("Join a pool with its code. For members, and for staff who act for one.")
    async def join_pool(self, info: Info, input: Given[JoinPoolInput]) -> JoinPoolResult:  # noqa: A002
        """Join and commit, or answer why not."""
        context = info.context
        try:
            # Joining has no key of its own: to have joined is what a repetition finds.
            desk = await open_desk(
                context, roles=GIVERS, member=input.member, idempotency_key="join"
            )
            async with context.writing() as db:
                pool = await join_pool(
                    db, member_id=desk.member.member_id, code=input.code, now=context.now
                )
        except errors.NotFound as unknown:
            if unknown.facts.get("field") == "code":
                return PoolUnknown(message=unknown.message)
            return member_unknown()
        except errors.Rejected as no:
            full = no.facts.get("field") == "code"
            return PoolFull(message=no.message) if full else AlreadyInPool(message=no.message)
        except REFUSALS as no:
            return refused(no)
        shown = Pool.of(pool, with_code=reads_pool_code(desk.caller))
        return InPool(pool=shown, member=desk.member)

    @resolved("Put points into the member's pool, within the year's limit. For members, and for "
              "staff who act for one.")  # fmt: skip
    async def contribute_to_pool(
        self,
        info: Info,
        input: Given[ContributeInput],  # noqa: A002
    ) -> ContributeResult:
        """Contribute and commit, or answer why not."""
        context = info.context
        try:
            desk, business = await open_books(context, input, roles=GIVERS)
            member_id = desk.member.member_id
            async with context.writing() as db:
                answer = await contribute(
                    db,
                    business_id=business.business_id,
                    member_id=member_id,
                    account_id=await acting_account(
                        db, member_id=member_id, business_id=business.business_id
                    ),
                    points=input.points,
                    idempotency_key=desk.idempotency_key,
                    occurred_at=context.now,
                    business_date=context.trading_day(business),
                    today=desk.today,
                    now=context.now,
                )
        except errors.NotFound:
            return member_unknown()
        except errors.Rejected as no:
            return NotInPool(message=no.message)
        except REFUSALS as no:
            return refused(no)
        if answer.outcome is not Outcome.POSTED:
            return not_moved(answer)
        return Contributed(transaction=receipt(answer), points=answer.points, member=desk.member)

    @resolved("Leave the member's pool with what is left of the member's own points. For members, "
              "and for staff who act for one.")  # fmt: skip
    async def leave_pool(self, info: Info, input: Given[PoolInput]) -> LeavePoolResult:  # noqa: A002
        """Leave and commit, or answer why not."""
        context = info.context
        try:
            desk, business = await open_books(context, input, roles=GIVERS)
            async with context.writing() as db:
                answer, *_ = await leave_pool(
                    db,
                    business_id=business.business_id,
                    member_id=desk.member.member_id,
                    idempotency_key=desk.idempotency_key,
                    occurred_at=context.now,
                    business_date=context.trading_day(business),
                    today=desk.today,
                    now=context.now,
                )
        except errors.NotFound:
            return member_unknown()
        except errors.Rejected as no:
            return NotInPool(message=no.message)
        except REFUSALS as no:
            return refused(no)
        return LeftPool(transaction=receipt(answer), points=answer.points, member=desk.member)

    @resolved("Spend points of the pool that a member is in, at once. For tills.")
    async def redeem_from_pool(
        self,
        info: Info,
        input: Given[RedeemInput],  # noqa: A002
    ) -> RedeemFromPoolResult:
        """Redeem and commit, or answer why not."""
        context = info.context
        try:
            counter = await open_counter(context, input)
            if counter is None:
                return member_unknown()
            till, member = counter.till, counter.member
            async with context.writing() as db:
                answer = await redeem_from_pool(
                    db,
                    business_id=till.business.business_id,
                    member_id=member.member_id,
                    account_id=counter.account_id,
                    points=input.points,
                    idempotency_key=till.idempotency_key,
                    occurred_at=context.now,
                    business_date=context.trading_day(till.business),
                    today=till.today,
                    now=context.now,
                    acceptance=counter.acceptance,
                    bill_minor=input.bill_minor,
                    purpose=Purpose(award=input.award, category=input.category),
                    stopped_issuers=till.business.stopped_issuers,
                )
        except errors.Rejected as no:
            outside = no.facts.get("field") == "member_id"
            return NotInPool(message=no.message) if outside else not_accepted(no)
        except REFUSALS as no:
            return refused(no)
        if answer.outcome is not Outcome.POSTED:
            return too_few(answer)
        return RedeemedFromPool(transaction=receipt(answer), points=answer.points, member=member)
