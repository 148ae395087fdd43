"""The batch match: its runs, and what speaks for two members being one person. For staff."""

from datetime import datetime
from enum import Enum
from typing import Annotated

import strawberry
from strawberry import relay

from graphql_schema.access import CORRECTORS, require
from graphql_schema.context import Info
from graphql_schema.fields import resolved
from graphql_schema.finding import node_key
from graphql_schema.pages import DEFAULT_PAGE, LARGEST_PAGE
from hub import errors
from hub.members.batch import queries
from hub.members.batch.explain_match import Explained, explain_match
from hub.members.batch.queries import Run


@strawberry.enum(description="What a run looks at.")
class MatchKind(Enum):
    """Kinds of run."""

    FULL = strawberry.enum_value("full", description="All accounts; it learns the weights anew.")
    INCREMENTAL = strawberry.enum_value(
        "incremental", description="Accounts that changed, and whomever that concerns."
    )


@strawberry.enum(description="What the hub does with a pair of accounts by itself.")
class MatchBand(Enum):
    """Bands of weight."""

    AUTOMATIC = strawberry.enum_value("automatic", description="It makes them one person.")
    REVIEW = strawberry.enum_value("review", description="It asks somebody.")
    REJECT = strawberry.enum_value("reject", description="Nothing.")


@strawberry.type(description="A run of the batch match.")
class MatchRun:
    """A run."""

    number: strawberry.ID = strawberry.field(description="Its number.")
    kind: MatchKind = strawberry.field(description="What it looked at.")
    started_at: datetime = strawberry.field(description="When it decided.")
    finished_at: datetime | None = strawberry.field(
        description="When its last step was taken; null: it was cut off, and the next one goes on."
    )
    accounts: int = strawberry.field(description="How many accounts it looked at.")
    pairs: int = strawberry.field(description="How many pairs of accounts it weighed.")
    merged: int = strawberry.field(description="How many merges it made, once it is finished.")
    split: int = strawberry.field(
        description="How many merges or links it took back, once it is finished."
    )
    asked: int = strawberry.field(
        description="How many doubts it put to people, once it is finished."
    )
    left_over: int = strawberry.field(description="How many steps are not taken yet.")

    @classmethod
    def of(cls, run: Run) -> "MatchRun":
        """Show one."""
        return cls(
            number=strawberry.ID(str(run.run_id)),
            kind=MatchKind(run.kind),
            started_at=run.started_at,
            finished_at=run.finished_at,
            accounts=run.accounts,
            pairs=run.pairs,
            merged=run.merged,
            split=run.split,
            asked=run.asked,
            left_over=run.left_over,
        )


@strawberry.type(description="What agreement or disagreement on a field adds.")
class FieldWeight:
    """One step of the waterfall."""

    field: str = strawberry.field(description="The field.")
    level: str = strawberry.field(description="different, partly, near or equal.")
    bits: float = strawberry.field(description="What it adds: powers of two of the odds.")
    one: str | None = strawberry.field(description="What the first account says, masked.")
    other: str | None = strawberry.field(description="What the other account says, masked.")


@strawberry.type(description="Two accounts, weighed as things stand now.")
class MatchExplanation:
    """A waterfall of weights."""

    account: strawberry.ID = strawberry.field(description="Number of the first member's account.")
    other_account: strawberry.ID = strawberry.field(description="Number of the other's.")
    base: float = strawberry.field(
        description="What any two accounts weigh: they are seldom one person's."
    )
    weights: list[FieldWeight] = strawberry.field(description="What each field adds.")
    bits: float = strawberry.field(description="All together.")
    vetoes: list[str] = strawberry.field(
        description="What forbids that they are made one by themselves."
    )
    verified_by_both: list[str] = strawberry.field(
        description="Kinds of identifier that both have verified, and agree on."
    )
    second_account: bool = strawberry.field(
        description="Whether both are records of one business, which a person has one of."
    )
    band: MatchBand = strawberry.field(description="What comes of it.")

    @classmethod
    def of(cls, pair: Explained) -> "MatchExplanation":
        """Show one."""
        return cls(
            account=strawberry.ID(str(pair.account_id)),
            other_account=strawberry.ID(str(pair.other_account_id)),
            base=pair.base,
            weights=[
                FieldWeight(field=w.field, level=w.level, bits=w.bits, one=w.one, other=w.other)
                for w in pair.weights
            ],
            bits=pair.bits,
            vetoes=list(pair.vetoes),
            verified_by_both=list(pair.verified_by_both),
            second_account=pair.second_account,
            band=MatchBand(pair.band),
        )


_ONE = Annotated[relay.GlobalID, strawberry.argument(description="A member's node id.")]
_OTHER = Annotated[relay.GlobalID, strawberry.argument(description="The other member's node id.")]


@strawberry.type
class MatchingQuery:
    """Reads of the batch match."""

    @resolved("What speaks for and against two members being one person: each account of one with "
              "each of the other's, the best first. Values are masked. For staff.")  # fmt: skip
    async def explain_match(self, info: Info, a: _ONE, b: _OTHER) -> list[MatchExplanation]:
        """Weigh them by the latest model."""
        context = info.context
        require(context.principal, *CORRECTORS)
        (member_id,) = node_key(a, "Member", parts=1, field="a")
        (other_id,) = node_key(b, "Member", parts=1, field="b")
        async with context.reading() as db:
            found = await explain_match(
                db, member_id=member_id, other_id=other_id, keyring=context.keyring
            )
        return [MatchExplanation.of(pair) for pair in found]

    @resolved("Runs of the batch match, the latest first. For staff.")
    async def match_runs(
        self,
        info: Info,
        first: Annotated[
            int, strawberry.argument(description=f"How many, up to {LARGEST_PAGE}.")
        ] = DEFAULT_PAGE,
    ) -> list[MatchRun]:
        """Return the latest runs."""
        context = info.context
        require(context.principal, *CORRECTORS)
        if not 1 <= first <= LARGEST_PAGE:
            raise errors.Malformed(f"`first` must be from 1 to {LARGEST_PAGE}", field="first")
        async with context.reading() as db:
            found = await queries.runs(db, limit=first)
        return [MatchRun.of(run) for run in found]
