"""How staff decide reviews."""

from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Annotated, Any

import strawberry
from strawberry import relay

from graphql_schema.access import CORRECTORS, require
from graphql_schema.context import Context, Info
from graphql_schema.fields import Given, resolved
from graphql_schema.finding import node_key
from graphql_schema.rejections import REFUSALS, Refused, Rejection, refused
from graphql_schema.reviews import ReviewItem, ReviewState
from hub import errors
from hub.intake.accept_review import accept_review
from hub.intake.mark_not_the_same import mark_not_the_same
from hub.intake.reject_review import reject_review
from hub.intake.undo_review import undo_review
from hub.members.review import items
from hub.members.review.assign_review import assign_review

_REVIEW = "The review's node id."
_NOTE = "Why; kept in the review's history, and it must not name a person."


@strawberry.input(description="Yes: the account is the candidate's.")
class AcceptReviewInput:
    """An acceptance."""

    review: relay.GlobalID = strawberry.field(description=_REVIEW)
    candidate: relay.GlobalID | None = strawberry.field(
        default=None, description="Which member; needed where several are in doubt."
    )
    note: str | None = strawberry.field(default=None, description=_NOTE)


@strawberry.input(description="A review to reject, to mark or to undo.")
class ReviewInput:
    """A decision without more to say than why."""

    review: relay.GlobalID = strawberry.field(description=_REVIEW)
    note: str | None = strawberry.field(default=None, description=_NOTE)


@strawberry.input(description="Who is to look at a review.")
class AssignReviewInput:
    """An assignment."""

    review: relay.GlobalID = strawberry.field(description=_REVIEW)
    to: str | None = strawberry.field(
        default=None, description="The subject of somebody of staff; unsaid: nobody any more."
    )


@strawberry.type(description="It is done, or was done before.")
class Reviewed:
    """A review after what was asked."""

    review: ReviewItem = strawberry.field(description="The review, as it stands now.")


@strawberry.type(description="There is no such review.")
class ReviewUnknown(Rejection):
    """Nothing was changed."""


@strawberry.type(description="It was decided otherwise, or settled by what happened elsewhere.")
class ReviewDecided(Rejection):
    """Nothing was changed."""

    state: ReviewState = strawberry.field(description="Where the review stands.")


@strawberry.enum(description="Why a decision cannot be carried out.")
class ReviewRefusal(Enum):
    """What stands against a decision."""

    SET_APART = strawberry.enum_value(
        "set_apart", description="They were said to be two people: undo that first."
    )
    IN_POOL = strawberry.enum_value("in_pool", description="One of them is in a pool.")
    MEMBER_ERASED = strawberry.enum_value("member_erased", description="One of them was erased.")
    CANNOT_SPLIT = strawberry.enum_value(
        "cannot_split", description="The account is all that the member is."
    )
    HELD_ACROSS = strawberry.enum_value(
        "held_across", description="Holds keep points of the other side: end them first."
    )
    NOTHING_TO_UNDO = strawberry.enum_value("nothing_to_undo", description="Nobody has decided it.")
    OTHER = strawberry.enum_value("other", description="What the message says.")


@strawberry.type(description="The decision cannot be carried out. Nothing was changed.")
class ReviewRefused(Rejection):
    """A refusal."""

    reason: ReviewRefusal = strawberry.field(description="Why.")


ReviewResult = Annotated[
    Reviewed | ReviewUnknown | ReviewDecided | ReviewRefused | Refused,
    strawberry.union("ReviewResult", description="What came of a decision on a review."),
]


@strawberry.type
class ReviewingMutation:
    """How staff work through the queue."""

    @resolved("Make one member of the account's and the candidate's; where they are one, let the "
              "link stand. For staff; to accept twice is to accept once.")  # fmt: skip
    async def accept_review(
        self,
        info: Info,
        input: Given[AcceptReviewInput],  # noqa: A002
    ) -> ReviewResult:
        """Accept and commit, or answer why not."""

        async def accept(facts: dict[str, Any]) -> items.ReviewItem:
            candidate = None
            if input.candidate is not None:
                (candidate,) = node_key(input.candidate, "Member", parts=1, field="candidate")
            return await accept_review(**facts, candidate_id=candidate, note=input.note)

        return await _done(info.context, input.review, accept)

    @resolved("Leave members as they are; where the account's own link is in doubt, split it off. "
              "For staff; to reject twice is to reject once.")  # fmt: skip
    async def reject_review(
        self,
        info: Info,
        input: Given[ReviewInput],  # noqa: A002
    ) -> ReviewResult:
        """Reject and commit, or answer why not."""
        return await _done(
            info.context, input.review, lambda facts: reject_review(**facts, note=input.note)
        )

    @resolved("Say that they are two people: nothing proposes them again. For staff; twice is "
              "once.")  # fmt: skip
    async def mark_not_the_same(
        self,
        info: Info,
        input: Given[ReviewInput],  # noqa: A002
    ) -> ReviewResult:
        """Mark and commit, or answer why not."""
        return await _done(
            info.context, input.review, lambda facts: mark_not_the_same(**facts, note=input.note)
        )

    @resolved("Say who looks at an open review. For staff.")
    async def assign_review(
        self,
        info: Info,
        input: Given[AssignReviewInput],  # noqa: A002
    ) -> ReviewResult:
        """Assign and commit, or answer why not."""
        return await _done(
            info.context, input.review, lambda facts: assign_review(**facts, to=input.to)
        )

    @resolved("Take a decision back, with what it did, whatever was decided since. For staff; to "
              "undo twice is to undo once.")  # fmt: skip
    async def undo_review(
        self,
        info: Info,
        input: Given[ReviewInput],  # noqa: A002
    ) -> ReviewResult:
        """Undo and commit, or answer why not."""
        return await _done(
            info.context, input.review, lambda facts: undo_review(**facts, note=input.note)
        )


async def _done(
    context: Context,
    review: relay.GlobalID,
    verb: Callable[[dict[str, Any]], Awaitable[items.ReviewItem]],
) -> Reviewed | ReviewUnknown | ReviewDecided | ReviewRefused | Refused:
    """Carry out a decision of staff and commit, or answer why not."""
    try:
        caller = require(context.principal, *CORRECTORS)
        (review_id,) = node_key(review, "ReviewItem", parts=1, field="review")
        async with context.writing() as db:
            facts = {"db": db, "review_id": review_id, "actor": caller.subject, "now": context.now}
            item = await verb(facts)
    except items.ReviewDecided as decided:
        found = await context.load.reviews.load(review_id)
        if found is None:
            return ReviewUnknown(message="there is no such review")
        return ReviewDecided(message=decided.message, state=ReviewState[found.state.upper()])
    except errors.NotFound as unknown:
        return ReviewUnknown(message=unknown.message)
    except errors.Rejected as no:
        known = {one.name.lower(): one for one in ReviewRefusal}
        return ReviewRefused(message=no.message, reason=known.get(no.code, ReviewRefusal.OTHER))
    except REFUSALS as no:
        return refused(no)
    return Reviewed(review=ReviewItem.of(item))
