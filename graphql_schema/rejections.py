"""What a mutation may answer instead of success. A decline is an answer, not an error."""

from contextvars import ContextVar

import strawberry

from graphql_schema.fields import count
from hub.errors import Conflict, Malformed, Rejected
from hub.errors import Forbidden as ForbiddenError
from hub.ledger.codes import Outcome
from hub.ledger.post import Answer


@strawberry.interface(description="An answer other than success. Asking again changes nothing.")
class Rejection:
    """Any typed rejection."""

    message: str = strawberry.field(description="What is wrong and what helps, in words.")


@strawberry.type(description="The member cannot spend that many points now.")
class InsufficientPoints(Rejection):
    """A decline, stored under the idempotency key."""

    available: int = count("How many points could be spent when the request was first answered.")


@strawberry.type(description="More than the year's limits of transfers and pools allow.")
class LimitReached(Rejection):
    """A decline, stored under the idempotency key."""

    available: int = count("How many points could be moved when the request was first answered.")


@strawberry.type(description="The business does not take so many points for this bill.")
class PointsNotAccepted(Rejection):
    """Nothing was stored: the same key may be used again."""

    nearest_points: int = count("The nearest number that it takes; 0: none for this bill.")


@strawberry.type(description="There is no such member, or none that the caller may know of.")
class MemberUnknown(Rejection):
    """Nothing was stored: the same key may be used again."""


@strawberry.type(description="The business has no such hold.")
class HoldUnknown(Rejection):
    """A decline, stored under the idempotency key."""


@strawberry.type(description="Nothing is left of the hold, or its time is over.")
class HoldClosed(Rejection):
    """A decline, stored under the idempotency key."""


@strawberry.type(description="The hold has fewer points left than asked for.")
class HoldExceeded(Rejection):
    """A decline, stored under the idempotency key."""

    remaining: int = count("How many points were left when the request was first answered.")


@strawberry.type(description="The business made no such redemption of this member's points.")
class RedemptionUnknown(Rejection):
    """A decline, stored under the idempotency key."""


@strawberry.type(description="Fewer points of the redemption are left to give back.")
class RedemptionExceeded(Rejection):
    """A decline, stored under the idempotency key."""

    remaining: int = count("How many points were left when the request was first answered.")


@strawberry.type(description="The idempotency key was used before for a different request.")
class IdempotencyConflict(Rejection):
    """Nothing happened."""

    field: str = strawberry.field(description="The part of the request that differs.")


@strawberry.type(description="Part of the input is not as it must be.")
class InvalidInput(Rejection):
    """Nothing was stored: the same key may be used again."""

    field: str = strawberry.field(description="The part that is wrong.")


@strawberry.type(description="The caller may not do this.")
class Forbidden(Rejection):
    """Nothing was stored."""


Refused = IdempotencyConflict | InvalidInput | Forbidden

_FIELDS = {
    "member_id": "member",
    "receiver_id": "receiver",
    "counterpart_id": "receiver",
    "ends_on": "endsOn",
    "ends_at": "endsAt",
    "placed_by": "placedBy",
    "amount_minor": "amountMinor",
    "to_plan": "toPlan",
    "taken_by": "takenBy",
    "adjustment_id": "adjustment",
    "expires_on": "expiresOn",
    "kind": "operation",
    "benefit_code": "benefit",
    "ttl_seconds": "ttlSeconds",
    "idempotency_key": "idempotencyKey",
    "bill_minor": "billMinor",
    "delivery_minor": "deliveryMinor",
    "external_id": "externalId",
    "effective_from": "effectiveFrom",
    "point_value": "pointValue",
    "goods_discount": "goodsDiscount",
    "least_share": "leastShare",
    "client_id": "clientId",
    "keep_days": "keepDays",
    "valid_until": "validUntil",
    "trial_until": "trialUntil",
}


DENIED: ContextVar[list[str] | None] = ContextVar("denied", default=None)
"""Where it is noted which arguments `Forbidden` was the answer to, if somebody keeps that."""
REFUSALS = (Conflict, Malformed, ForbiddenError)
"""What `refused` makes an answer of."""


def refused(error: Conflict | Malformed | ForbiddenError, *, reference: str = "hold") -> Refused:
    """Return the typed rejection for what a verb raised, naming the field as the input does.

    `reference` is what the input calls the posting or the lot that it refers to.
    """
    if isinstance(error, Conflict):
        field = {**_FIELDS, "reference_tx": reference}.get(error.field, error.field)
        return IdempotencyConflict(message=error.message, field=field)
    return unfit(error, reference=reference)


def unfit(
    error: Malformed | ForbiddenError, *, reference: str = "hold"
) -> InvalidInput | Forbidden:
    """Return the typed rejection for what a verb raised that has no idempotency key."""
    if isinstance(error, ForbiddenError):
        denied = DENIED.get()
        if denied is not None:
            field = error.facts.get("field")
            denied.append(field if isinstance(field, str) else "")
        return Forbidden(message=error.message)
    field = {**_FIELDS, "reference_tx": reference}.get(error.field, error.field)
    return InvalidInput(message=error.message, field=field)


def member_unknown() -> MemberUnknown:
    """Return the one answer for a member who is not there and one who may not be known."""
    return MemberUnknown(message="no such member is known here")


def too_few(answer: Answer) -> InsufficientPoints:
    """Return the rejection for the ledger's decline of a redemption or a hold."""
    if answer.outcome is not Outcome.INSUFFICIENT_POINTS:
        raise RuntimeError(f"{answer.outcome.name} is no answer to this request")
    available = answer.available or 0
    return InsufficientPoints(
        message=f"{available} points can be spent, {answer.points} were asked for",
        available=available,
    )


def not_moved(answer: Answer) -> InsufficientPoints | LimitReached:
    """Return the rejection for the ledger's decline of a transfer or a contribution."""
    if answer.outcome is not Outcome.LIMIT_EXCEEDED:
        return too_few(answer)
    available = answer.available or 0
    return LimitReached(
        message=f"the year's limits leave {available} points, {answer.points} were asked for",
        available=available,
    )


def not_held(answer: Answer) -> HoldUnknown | HoldClosed | HoldExceeded:
    """Return the rejection for the ledger's decline of a capture or a void."""
    match answer.outcome:
        case Outcome.HOLD_UNKNOWN:
            return HoldUnknown(message="this business has no such hold")
        case Outcome.HOLD_CLOSED:
            return HoldClosed(message="nothing is left of the hold, or its time is over")
        case Outcome.HOLD_EXCEEDED:
            remaining = answer.available or 0
            return HoldExceeded(
                message=f"{remaining} points are left of the hold, {answer.points} were asked for",
                remaining=remaining,
            )
        case outcome:
            raise RuntimeError(f"{outcome.name} is no answer to this request")


def not_accepted(no: Rejected) -> PointsNotAccepted:
    """Return the rejection for what an acceptor's rule does not take."""
    nearest = no.facts.get("nearest_points")
    if not isinstance(nearest, int):
        raise no
    return PointsNotAccepted(message=no.message, nearest_points=nearest)


def not_restored(answer: Answer) -> RedemptionUnknown | RedemptionExceeded:
    """Return the rejection for the ledger's decline of a restore."""
    match answer.outcome:
        case Outcome.REDEMPTION_UNKNOWN:
            return RedemptionUnknown(message="this business has no such redemption of this member")
        case Outcome.REDEMPTION_EXCEEDED:
            remaining = answer.available or 0
            return RedemptionExceeded(
                message=f"{remaining} points of it are left to give back, {answer.points} were "
                "asked for",
                remaining=remaining,
            )
        case outcome:
            raise RuntimeError(f"{outcome.name} is no answer to this request")
