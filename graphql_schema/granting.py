"""Granting benefits by hand, and revoking what was granted. For staff."""

from datetime import date
from typing import Annotated

import strawberry

from graphql_schema.access import CORRECTORS, require
from graphql_schema.context import Info
from graphql_schema.desk import KEY, open_desk
from graphql_schema.fields import Given, resolved
from graphql_schema.finding import MemberKey, whole_number
from graphql_schema.member import Member
from graphql_schema.quotas import EntitlementGrant
from graphql_schema.rejections import (
    REFUSALS,
    MemberUnknown,
    Refused,
    Rejection,
    member_unknown,
    refused,
)
from graphql_schema.using import named_benefit
from hub import errors
from hub.benefits.entitlements.grant_entitlement import grant_entitlement
from hub.benefits.entitlements.queries import grant_of
from hub.benefits.entitlements.revoke import revoke
from hub.points.checks import reasoned


@strawberry.input(description="Uses of a benefit to grant.")
class GrantEntitlementInput:
    """A grant by hand."""

    member: MemberKey = strawberry.field(description="To whom.")
    benefit: str = strawberry.field(description="The benefit's short name.")
    quantity: int = strawberry.field(description="How many uses.")
    ends_on: date = strawberry.field(description="The last day on which it can be used.")
    reason: str = strawberry.field(description="Why; the ledger keeps it, and the member sees it.")
    idempotency_key: str = strawberry.field(description=KEY)
    starts_on: date | None = strawberry.field(
        default=None, description="The first day on which it can be used; unsaid: today."
    )


@strawberry.input(description="A grant of which nothing more may be used.")
class RevokeEntitlementInput:
    """A revocation."""

    grant: strawberry.ID = strawberry.field(description="The grant's number.")
    reason: str = strawberry.field(description="Why; the ledger keeps it.")


@strawberry.type(description="The grant stands as it says.")
class EntitlementGranted:
    """What was granted, or revoked."""

    grant: EntitlementGrant = strawberry.field(description="The grant, as it stands now.")
    member: Member = strawberry.field(description="The member, as things stand now.")


@strawberry.type(description="There is no such grant.")
class GrantUnknown(Rejection):
    """Nothing was stored."""


@strawberry.type(description="A tier grants it: it goes with the tier.")
class GrantOfTier(Rejection):
    """Nothing was stored."""


GrantEntitlementResult = Annotated[
    EntitlementGranted | MemberUnknown | Refused,
    strawberry.union("GrantEntitlementResult", description="What came of granting a benefit."),
]
RevokeEntitlementResult = Annotated[
    EntitlementGranted | GrantUnknown | GrantOfTier | Refused,
    strawberry.union("RevokeEntitlementResult", description="What came of revoking a grant."),
]


@strawberry.type
class GrantingMutation:
    """How staff give benefits, and take them back."""

    @resolved("Grant a member uses of a benefit, beside what a tier gives. For staff.")
    async def grant_entitlement(
        self,
        info: Info,
        input: Given[GrantEntitlementInput],  # noqa: A002
    ) -> GrantEntitlementResult:
        """Grant and commit, or answer why not."""
        context = info.context
        try:
            desk = await open_desk(
                context,
                roles=CORRECTORS,
                member=input.member,
                idempotency_key=input.idempotency_key,
            )
            named_benefit(input.benefit, None)
            reasoned(input.reason)
        except errors.NotFound:
            return member_unknown()
        except REFUSALS as no:
            return refused(no)
        try:
            async with context.writing() as db:
                made = await grant_entitlement(
                    db,
                    member_id=desk.member.member_id,
                    benefit_code=input.benefit,
                    quantity=input.quantity,
                    source="staff",
                    source_id=desk.idempotency_key,
                    starts_on=input.starts_on or desk.today,
                    ends_on=input.ends_on,
                    reason=input.reason,
                    actor=desk.caller.subject,
                    now=context.now,
                )
                shown = await grant_of(db, entitlement_id=made.entitlement_id, now=context.now)
        except errors.NotFound as unknown:
            return refused(errors.Malformed(unknown.message, field="benefit"))
        except REFUSALS as no:
            return refused(no)
        if shown is None:
            raise RuntimeError("what was granted is not there")
        return EntitlementGranted(grant=EntitlementGrant.of(shown), member=desk.member)

    @resolved("End what is left of a grant; what is held stays held. For staff; to revoke twice is "
              "to revoke once.")  # fmt: skip
    async def revoke_entitlement(
        self,
        info: Info,
        input: Given[RevokeEntitlementInput],  # noqa: A002
    ) -> RevokeEntitlementResult:
        """Revoke and commit, or answer why not."""
        context = info.context
        try:
            caller = require(context.principal, *CORRECTORS)
            entitlement_id = whole_number(input.grant, field="grant")
            async with context.writing() as db:
                await revoke(
                    db,
                    entitlement_id=entitlement_id,
                    reason=input.reason,
                    actor=caller.subject,
                    now=context.now,
                )
                shown = await grant_of(db, entitlement_id=entitlement_id, now=context.now)
        except errors.NotFound as unknown:
            return GrantUnknown(message=unknown.message)
        except errors.Rejected as no:
            return GrantOfTier(message=no.message)
        except REFUSALS as no:
            return refused(no)
        if shown is None:
            raise RuntimeError("what was revoked is not there")
        return EntitlementGranted(
            grant=EntitlementGrant.of(shown), member=Member(member_id=shown.member_id)
        )
