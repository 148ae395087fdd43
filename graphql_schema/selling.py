"""Keeping paid membership: trials, payments, refunds, upgrades, cancellations.

For staff, and for the business that sells the plan.
"""

from dataclasses import dataclass
from datetime import date
from typing import Annotated, Protocol

import strawberry

from graphql_schema.access import PLAN_KEEPERS, require
from graphql_schema.context import Context, Info
from graphql_schema.desk import KEY, LONGEST_KEY
from graphql_schema.fields import Given, count, resolved
from graphql_schema.finding import MemberKey, reached_member, whole_number
from graphql_schema.member import Member
from graphql_schema.rejections import (
    REFUSALS,
    MemberUnknown,
    Refused,
    Rejection,
    member_unknown,
    refused,
)
from graphql_schema.till import checked_key
from hub import errors
from hub.benefits.memberships.cancel import cancel
from hub.benefits.memberships.facts import payment_of
from hub.benefits.memberships.give_gifts import give_gifts
from hub.benefits.memberships.note_paid import note_paid
from hub.benefits.memberships.note_refunded import note_refunded
from hub.benefits.memberships.plans import Plan, plan_at
from hub.benefits.memberships.start_trial import start_trial
from hub.benefits.memberships.upgrade import upgrade
from hub.programme.queries import programme

_PLAN = "The plan's short name."
_WHOSE = "Whose plan."
_TAKEN = (
    "The business that took the money, which owes it to the plan's seller; unsaid: the one that "
    "calls, or the seller."
)


@strawberry.input(description="A trial to begin today.")
class StartTrialInput:
    """A trial."""

    member: MemberKey = strawberry.field(description=_WHOSE)
    plan: str = strawberry.field(description=_PLAN)
    idempotency_key: str = strawberry.field(description=KEY)


@strawberry.input(description="A payment for one period, made where the plan is sold.")
class NoteMembershipPaymentInput:
    """A payment."""

    member: MemberKey = strawberry.field(description=_WHOSE)
    plan: str = strawberry.field(description=_PLAN)
    amount_minor: int = count("What was paid, in minor units of `currency`.")
    currency: str = strawberry.field(description="ISO 4217 code of the currency.")
    idempotency_key: str = strawberry.field(description=KEY)
    paid_on: date | None = strawberry.field(
        default=None, description="The day on which it was paid; unsaid: today."
    )
    taken_by: str | None = strawberry.field(default=None, description=_TAKEN)


@strawberry.input(description="What was given back of a payment.")
class NoteMembershipRefundInput:
    """A refund."""

    payment: strawberry.ID = strawberry.field(description="The payment's number.")
    amount_minor: int = count("What was given back, in minor units of the payment's currency.")
    idempotency_key: str = strawberry.field(description=KEY)
    taken_by: str | None = strawberry.field(
        default=None,
        description="The business that gave it back; unsaid: the one that calls, or the seller.",
    )


@strawberry.input(description="A plan to leave for another one today.")
class UpgradeMembershipInput:
    """An upgrade."""

    member: MemberKey = strawberry.field(description=_WHOSE)
    from_plan: str = strawberry.field(description="The short name of the plan that ends.")
    to_plan: str = strawberry.field(description="The short name of the plan that begins.")
    paid_minor: int = count(
        "What was paid: the new plan's price less what is not used of the old one, in minor units."
    )
    idempotency_key: str = strawberry.field(description=KEY)


@strawberry.input(description="A plan to end today.")
class CancelMembershipInput:
    """A cancellation."""

    member: MemberKey = strawberry.field(description=_WHOSE)
    plan: str = strawberry.field(description=_PLAN)
    reason: str = strawberry.field(description="Why.")
    idempotency_key: str = strawberry.field(description=KEY)


@strawberry.type(description="The member's plans stand as they say.")
class MembershipKept:
    """What was asked for is done, now or before."""

    refund_due_minor: int = count(
        "What a cancellation leaves to give back, in minor units; otherwise 0."
    )
    credit_minor: int = count("What an upgrade took over, in minor units; otherwise 0.")
    member: Member = strawberry.field(description="The member, as things stand now.")


@strawberry.type(description="The plan's terms, or what the member has of it, do not allow that.")
class MembershipRefused(Rejection):
    """Nothing was stored: the same key may be used again."""

    field: str = strawberry.field(description="The part of the request that it is about.")
    due_minor: int | None = strawberry.field(
        description="What an upgrade costs now, in minor units, where that is it."
    )


MembershipResult = Annotated[
    MembershipKept | MembershipRefused | MemberUnknown | Refused,
    strawberry.union("MembershipResult", description="What came of a change of a plan."),
]


class _Asked(Protocol):
    @property
    def member(self) -> MemberKey: ...

    @property
    def idempotency_key(self) -> str: ...


async def _taker(context: Context, said: str | None) -> int | None:
    """Return who took the money: a business only says so of itself; raises Forbidden, NotFound."""
    own = context.caller.business
    if own is not None and said not in (None, own):
        raise errors.Forbidden("a business tells of the money that it took", field="taken_by")
    name = own or said
    return None if name is None else (await context.business_by_code(name)).business_id


@dataclass(frozen=True, slots=True)
class _Counter:
    """Who keeps plans, for which member, under which number, on which day."""

    member: Member
    actor: str
    number: str
    today: date


async def _seller(context: Context, *codes: str) -> tuple[str, str]:
    """Return who acts, and what its keys begin with, having looked that it may sell the plans.

    Raises Unauthenticated, Forbidden for another's plan, and Malformed.
    """
    caller = require(context.principal, *PLAN_KEEPERS)
    own = caller.business
    own_id = await context.own_business_id()
    for code in codes:
        if not code.isprintable():
            raise errors.Malformed("no plan is called that", field="plan")
        async with context.reading() as db:
            plan: Plan = await plan_at(db, code=code, at=context.now)
        if own_id is not None and not plan.kept_by(own_id):
            raise errors.Forbidden("a business keeps only the plans that it sells", field="plan")
    return caller.subject, f"business:{own}" if own is not None else "staff"


async def _open(context: Context, asked: _Asked, *codes: str) -> _Counter | MemberUnknown:
    checked_key(asked.idempotency_key, longest=LONGEST_KEY)
    actor, begins = await _seller(context, *codes)
    member = await reached_member(context, asked.member)
    if member is None:
        return member_unknown()
    return _Counter(member, actor, f"{begins}:{asked.idempotency_key}", await context.load.today())


def _refused(no: errors.HubError) -> MembershipRefused | Refused:
    if isinstance(no, errors.Rejected):
        due = no.facts.get("due_minor")
        field = {"from_plan": "fromPlan", "paid_minor": "paidMinor"}.get(
            str(no.facts.get("field")), "plan"
        )
        return MembershipRefused(
            message=no.message, field=field, due_minor=due if isinstance(due, int) else None
        )
    if isinstance(no, errors.NotFound):
        return refused(errors.Malformed(no.message, field=str(no.facts.get("field", "plan"))))
    if isinstance(no, REFUSALS):
        return refused(no)
    raise no


async def _kept(
    context: Context, member: Member, *, refund_minor: int = 0, credit_minor: int = 0
) -> MembershipKept:
    """Give what is due for it now, and answer; whatever cannot be given yet, the hub gives later.

    It is a transaction of its own, for balances are locked before plans.
    """
    async with context.writing() as db:
        await give_gifts(
            db, now=context.now, time_zone=(await programme(db)).time_zone,
            keyring=context.keyring, member_ids=[member.member_id],
        )  # fmt: skip
    return MembershipKept(refund_due_minor=refund_minor, credit_minor=credit_minor, member=member)


@strawberry.type
class SellingMutation:
    """How plans are kept. For staff, and for the business that sells the plan."""

    @resolved("Begin a plan's trial today, once in a member's life. For staff, and for the "
              "business that sells the plan.")  # fmt: skip
    async def start_trial(
        self,
        info: Info,
        input: Given[StartTrialInput],  # noqa: A002
    ) -> MembershipResult:
        """Start and commit, or answer why not."""
        context = info.context
        try:
            at = await _open(context, input, input.plan)
            if isinstance(at, MemberUnknown):
                return at
            async with context.writing() as db:
                await start_trial(
                    db, member_id=at.member.member_id, plan_code=input.plan, source_id=at.number,
                    today=at.today, now=context.now, actor=at.actor,
                )  # fmt: skip
        except errors.HubError as no:
            return _refused(no)
        return await _kept(context, at.member)

    @resolved("Take it that one period of a plan was paid for: it starts the plan or renews it. "
              "For staff, and for the business that sells the plan.")  # fmt: skip
    async def note_membership_payment(
        self,
        info: Info,
        input: Given[NoteMembershipPaymentInput],  # noqa: A002
    ) -> MembershipResult:
        """Note and commit, or answer why not."""
        context = info.context
        try:
            at = await _open(context, input, input.plan)
            if isinstance(at, MemberUnknown):
                return at
            if input.paid_on is not None and input.paid_on > at.today:
                raise errors.Malformed("that day is still to come", field="paidOn")
            taken_by = await _taker(context, input.taken_by)
            async with context.writing() as db:
                await note_paid(
                    db, member_id=at.member.member_id, plan_code=input.plan,
                    amount_minor=input.amount_minor, currency=input.currency, source="api",
                    source_id=at.number, paid_at=context.now, day=input.paid_on or at.today,
                    now=context.now, actor=at.actor, taken_by=taken_by,
                )  # fmt: skip
        except errors.HubError as no:
            return _refused(no)
        return await _kept(context, at.member)

    @resolved("Take it that a payment for a plan was given back: all of it ends the period, a part "
              "shortens it. For staff, and for the business that sells the plan.")  # fmt: skip
    async def note_membership_refund(
        self,
        info: Info,
        input: Given[NoteMembershipRefundInput],  # noqa: A002
    ) -> MembershipResult:
        """Note and commit, or answer why not."""
        context = info.context
        try:
            require(context.principal, *PLAN_KEEPERS)
            checked_key(input.idempotency_key, longest=LONGEST_KEY)
            number = whole_number(input.payment, field="payment")
            async with context.reading() as db:
                paid = await payment_of(db, fact_id=number)
            if paid is None:
                raise errors.Malformed("there is no such payment", field="payment")
            try:
                actor, begins = await _seller(context, paid.plan_code)
            except errors.Forbidden as no:  # as if it were not there
                raise errors.Malformed("there is no such payment", field="payment") from no
            taken_by = await _taker(context, input.taken_by)
            today = await context.load.today()
            async with context.writing() as db:
                await note_refunded(
                    db, payment=paid.source_id, amount_minor=input.amount_minor,
                    currency=paid.currency, source=paid.source,
                    source_id=f"desk:{begins}:{input.idempotency_key}", refunded_at=context.now,
                    day=today, now=context.now, actor=actor, taken_by=taken_by,
                )  # fmt: skip
        except errors.HubError as no:
            return _refused(no)
        return await _kept(context, Member(member_id=paid.member_id))

    @resolved("Leave a plan for another one today; what is not used of the one is paid of the "
              "other. For staff, and for the business that sells both.")  # fmt: skip
    async def upgrade_membership(
        self,
        info: Info,
        input: Given[UpgradeMembershipInput],  # noqa: A002
    ) -> MembershipResult:
        """Upgrade and commit, or answer why not."""
        context = info.context
        try:
            at = await _open(context, input, input.from_plan, input.to_plan)
            if isinstance(at, MemberUnknown):
                return at
            taken_by = await _taker(context, None)
            async with context.writing() as db:
                done = await upgrade(
                    db, member_id=at.member.member_id, from_plan=input.from_plan,
                    to_plan=input.to_plan, paid_minor=input.paid_minor, source_id=at.number,
                    today=at.today, now=context.now, actor=at.actor, taken_by=taken_by,
                )  # fmt: skip
        except errors.HubError as no:
            return _refused(no)
        return await _kept(context, at.member, credit_minor=done.credit_minor)

    @resolved("End a plan today; what is not used of what was paid is due back. For staff, and for "
              "the business that sells the plan.")  # fmt: skip
    async def cancel_membership(
        self,
        info: Info,
        input: Given[CancelMembershipInput],  # noqa: A002
    ) -> MembershipResult:
        """Cancel and commit, or answer why not."""
        context = info.context
        try:
            at = await _open(context, input, input.plan)
            if isinstance(at, MemberUnknown):
                return at
            async with context.writing() as db:
                done = await cancel(
                    db, member_id=at.member.member_id, plan_code=input.plan, source_id=at.number,
                    today=at.today, now=context.now, reason=input.reason, actor=at.actor,
                )  # fmt: skip
        except errors.HubError as no:
            return _refused(no)
        return await _kept(context, at.member, refund_minor=done.refund_minor)
