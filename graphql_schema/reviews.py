"""Reviews: doubts about who somebody is, side by side, For staff."""

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import Any

import strawberry
from strawberry import relay

from graphql_schema.access import CORRECTORS, masks, require
from graphql_schema.accounts import Account
from graphql_schema.audit import read_in_full
from graphql_schema.context import Context, Info
from graphql_schema.fields import resolved
from graphql_schema.member import Masked, Member
from hub.crypto.tokens import Scope
from hub.members.review.agreement import Agreement
from hub.members.review.comparison import Candidate, Comparison, Side
from hub.members.review.items import ReviewItem as Item
from hub.members.review.queries import ReviewStep as Step


@strawberry.enum(description="Where a review stands.")
class ReviewState(Enum):
    """States of a review."""

    OPEN = strawberry.enum_value("open", description="It waits for somebody.")
    ACCEPTED = strawberry.enum_value("accepted", description="Yes: it is one person.")
    REJECTED = strawberry.enum_value(
        "rejected", description="No, as far as one can tell; the same doubt is not put again."
    )
    NOT_SAME = strawberry.enum_value(
        "not_same", description="No: two people, and nothing proposes them again."
    )
    DISMISSED = strawberry.enum_value(
        "dismissed", description="Nobody decided it: it was settled by what happened elsewhere."
    )


@strawberry.enum(description="Why somebody should look at it.")
class ReviewReason(Enum):
    """What was met."""

    SEVERAL_OWNERS = strawberry.enum_value(
        "several_owners", description="The verified identifiers are several members'."
    )
    CONFLICTING_IDENTIFIER = strawberry.enum_value(
        "conflicting_identifier", description="They have another one of what a person has once."
    )
    NAME_CONTRADICTS = strawberry.enum_value(
        "name_contradicts", description="The identifier fits, the name cannot be theirs."
    )
    SECOND_ACCOUNT = strawberry.enum_value(
        "second_account", description="They have an account at this business already."
    )
    UNVERIFIED_IDENTIFIER = strawberry.enum_value(
        "unverified_identifier", description="An identifier that nobody verified points at them."
    )
    IDENTIFIER_TAKEN = strawberry.enum_value(
        "identifier_taken", description="The identifier is another member's."
    )
    STALE_IDENTIFIER = strawberry.enum_value(
        "stale_identifier", description="They had the phone, and did not show it for long."
    )
    SHARED_IDENTIFIER = strawberry.enum_value(
        "shared_identifier",
        description="The account's link rests on an identifier that many people give.",
    )
    BATCH_MATCH = strawberry.enum_value(
        "batch_match", description="The batch matcher finds it likely."
    )


@strawberry.enum(description="How two sides agree on something.")
class Agrees(Enum):
    """Degrees of agreement."""

    SAME = strawberry.enum_value("same", description="They say the same.")
    ALIKE = strawberry.enum_value(
        "alike", description="They may mean the same: another script, initials, no year."
    )
    DIFFERENT = strawberry.enum_value("different", description="They say something else.")
    UNKNOWN = strawberry.enum_value("unknown", description="One of them says nothing.")


@strawberry.type(description="What an account says of its person.")
class SaidOfPerson:
    """A value, and what is known of it as an identifier."""

    attribute: str = strawberry.field(description="What: name, phone, email, birthday …")
    value: str = strawberry.field(description="The value, masked or in full.")
    verified: bool = strawberry.field(description="Whether the source had it proven.")
    observed_at: datetime = strawberry.field(description="When it was last said.")
    owned: bool = strawberry.field(
        description="Whether it is an identifier that leads to this account's member."
    )
    last_seen_at: datetime | None = strawberry.field(
        description="When it was last shown as an identifier; null for what is none."
    )
    shared: bool = strawberry.field(
        description="Whether many people give it, so that it says nothing."
    )


@strawberry.type(description="An account in a review.")
class ReviewedAccount:
    """One account with what it says."""

    account: Account = strawberry.field(description="The account.")
    side: strawberry.Private[Side]
    member_id: strawberry.Private[int]

    @resolved("What the business said of the person; staff may ask for it in full, which is "
              "logged.")  # fmt: skip
    def said(self, info: Info, masked: Masked = None) -> list[SaidOfPerson]:
        """Return the values, masked as access demands."""
        caller = require(info.context.principal, *CORRECTORS)
        hidden = masks(caller, asked=masked)
        if not hidden:
            for one in self.side.said:
                read_in_full(
                    info.context, caller, member_id=self.member_id, attribute=one.attribute
                )
        return [
            SaidOfPerson(
                attribute=one.attribute,
                value=one.masked if hidden else one.value,
                verified=one.verified,
                observed_at=one.observed_at,
                owned=one.known is not None and one.known.verified,
                last_seen_at=one.known.last_seen_at if one.known else None,
                shared=one.known is not None and one.known.shared,
            )
            for one in self.side.said
        ]

    @classmethod
    def of(cls, member_id: int, side: Side) -> "ReviewedAccount":
        """Show an account of a member."""
        return cls(account=Account.of(member_id, side.account), side=side, member_id=member_id)


@strawberry.type(description="How the account and a candidate agree on an attribute.")
class AttributeAgreement:
    """One line of the comparison."""

    attribute: str = strawberry.field(description="What: name, phone, email, birthday …")
    agrees: Agrees = strawberry.field(description="How.")


@strawberry.type(description="What one field adds to the weight of a match.")
class MatchWeight:
    """A step of the waterfall."""

    field: str = strawberry.field(description="Which field.")
    level: str = strawberry.field(description="How well it agrees.")
    weight: float = strawberry.field(description="Bits: for (positive) or against.")


@strawberry.type(description="Why the batch matcher asks.")
class MatchEvidence:
    """A waterfall of weights."""

    score: float | None = strawberry.field(description="The weight in all, in bits.")
    weights: list[MatchWeight] = strawberry.field(description="What each field adds, in order.")
    vetoes: list[str] = strawberry.field(
        description="What forbids to merge them unasked, however well the rest agrees."
    )

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> "MatchEvidence":
        """Show what a matcher stored; what it left out is left out."""
        return cls(
            score=told.get("score"),
            weights=[
                MatchWeight(
                    field=str(one.get("field", "")),
                    level=str(one.get("level", "")),
                    weight=float(one.get("weight", 0)),
                )
                for one in told.get("weights", ())
            ],
            vetoes=[str(one) for one in told.get("vetoes", ())],
        )


@strawberry.type(description="A member whose the account may be, as it is now.")
class ReviewCandidate:
    """One of the candidates."""

    member: Member = strawberry.field(description="The member.")
    own: bool = strawberry.field(
        description="Whether the account is this member's now: then the doubt is about its link."
    )
    accounts: list[ReviewedAccount] = strawberry.field(description="Its other accounts.")
    agreement: list[AttributeAgreement] = strawberry.field(
        description="How these agree with the account, attribute by attribute."
    )
    evidence: MatchEvidence | None = strawberry.field(
        description="Why the batch matcher asks; null for other reasons."
    )

    @classmethod
    def of(cls, found: Candidate, own_id: int) -> "ReviewCandidate":
        """Show a candidate."""
        return cls(
            member=Member(member_id=found.member_id),
            own=found.member_id == own_id,
            accounts=[ReviewedAccount.of(found.member_id, side) for side in found.sides],
            agreement=[
                AttributeAgreement(attribute=attribute, agrees=_AGREES[agreement])
                for attribute, agreement in found.agreement.items()
            ],
            evidence=None if found.evidence is None else MatchEvidence.of(found.evidence),
        )


_AGREES = {one: Agrees[one.name] for one in Agreement}


@strawberry.type(description="Something that was done with a review.")
class ReviewStep:
    """A line of the history."""

    done: str = strawberry.field(
        description="What: assigned, accepted, rejected, not_same, dismissed or undone."
    )
    done_at: datetime = strawberry.field(description="When.")
    done_by: str = strawberry.field(description="By whom.")
    note: str | None = strawberry.field(description="Why; of an assignment, to whom.")

    @classmethod
    def of(cls, step: Step) -> "ReviewStep":
        """Show a step."""
        return cls(done=step.done, done_at=step.done_at, done_by=step.done_by, note=step.note)


@strawberry.type(
    description="A doubt: is this account one of the candidates'? Decided by staff, once."
)
class ReviewItem(relay.Node):
    """A review; its two sides are read when they are asked for."""

    review_id: strawberry.Private[int]
    reason: ReviewReason = strawberry.field(description="Why it is asked.")
    state: ReviewState = strawberry.field(description="Where it stands.")
    opened_at: datetime = strawberry.field(description="When the doubt was first met.")
    score: float | None = strawberry.field(
        description="The highest weight of a candidate, in bits, where the batch matcher asks."
    )
    assigned_to: str | None = strawberry.field(description="Who looks at it.")
    decided_at: datetime | None = strawberry.field(description="When it was decided.")
    decided_by: str | None = strawberry.field(description="Who decided it.")
    decision: str | None = strawberry.field(
        description="What was done: merged, link_kept, left_apart, split_off, set_apart; settled "
        "by what happened elsewhere; joined with the same doubt."
    )
    note: str | None = strawberry.field(description="Why it was decided so.")
    undone_at: datetime | None = strawberry.field(
        description="When the last decision was taken back; null once it is decided anew."
    )

    @classmethod
    def resolve_id(cls, root: "ReviewItem", *, info: strawberry.Info) -> str:
        """Return the node id's second half."""
        return str(root.review_id)

    @classmethod
    def of(cls, item: Item) -> "ReviewItem":
        """Show a review as it stands."""
        return cls(
            review_id=item.review_id,
            reason=ReviewReason[item.reason.upper()],
            state=ReviewState[item.state.upper()],
            opened_at=item.opened_at,
            score=item.score,
            assigned_to=item.assigned_to,
            decided_at=item.decided_at,
            decided_by=item.decided_by,
            decision=item.decision,
            note=item.note,
            undone_at=item.undone_at,
        )

    @resolved("The account that was seen; null when its person was erased meanwhile.")
    async def seen(self, info: Info) -> ReviewedAccount | None:
        """Return the one side."""
        found = await self._comparison(info)
        return None if found is None else ReviewedAccount.of(found.item.member_id, found.seen)

    @resolved("The member whose account it is now.")
    async def member(self, info: Info) -> Member | None:
        """Return the account's member."""
        found = await self._comparison(info)
        return None if found is None else Member(member_id=found.item.member_id)

    @resolved("Whose it may be: of an open review those left to decide on, else all that there "
              "were, as they are now.")  # fmt: skip
    async def candidates(self, info: Info) -> list[ReviewCandidate]:
        """Return the other side."""
        found = await self._comparison(info)
        if found is None:
            return []
        return [ReviewCandidate.of(one, found.item.member_id) for one in found.candidates]

    @resolved("What was done with it, oldest first.")
    async def history(self, info: Info) -> list[ReviewStep]:
        """Return the steps."""
        require(info.context.principal, *CORRECTORS)
        steps = await info.context.load.review_steps.load(self.review_id)
        return [ReviewStep.of(step) for step in steps]

    async def _comparison(self, info: Info) -> Comparison | None:
        require(info.context.principal, *CORRECTORS)
        return await info.context.load.comparisons.load(self.review_id)


async def review_node(context: Context, review_id: int) -> ReviewItem | None:
    """Find a review by its number."""
    require(context.principal, *CORRECTORS, scope=Scope.MEMBERS_READ)
    row = await context.load.reviews.load(review_id)
    return None if row is None else ReviewItem.of(row)
