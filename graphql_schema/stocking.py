"""Receiving the stock of rewards."""

from typing import Annotated

import strawberry

from graphql_schema import access
from graphql_schema.context import Info
from graphql_schema.desk import KEY, LONGEST_KEY
from graphql_schema.fields import Given, count, resolved
from graphql_schema.rejections import (
    REFUSALS,
    InvalidInput,
    Refused,
    Rejection,
    refused,
)
from graphql_schema.rewards import Reward, offering
from graphql_schema.till import checked_key
from hub import errors
from hub.benefits.rewards import queries
from hub.benefits.rewards.stock import stock


@strawberry.input(description="Pieces of a reward that came in, or were taken off the shelf.")
class StockRewardInput:
    """A receipt of stock."""

    reward: str = strawberry.field(description="The reward's short name.")
    quantity: int = count("How many pieces came in; below zero: were taken off.")
    idempotency_key: str = strawberry.field(description=KEY)


@strawberry.type(description="There are not so many pieces to take off the shelf.")
class StockExceeded(Rejection):
    """Nothing was stored: the same key may be used again."""

    available: int = count("Pieces that there are.")


@strawberry.type(description="The shelf of a reward, as it is now.")
class RewardStocked:
    """Stock was received or taken off."""

    reward: Reward = strawberry.field(description="The reward, with what is left of it.")


StockRewardResult = Annotated[
    RewardStocked | StockExceeded | Refused,
    strawberry.union("StockRewardResult", description="What came of a receipt of stock."),
]


@strawberry.type
class StockingMutation:
    """What is on the shelves."""

    @resolved("Receive pieces of a reward, or take some off the shelf. For the business that "
              "offers it, and staff.")  # fmt: skip
    async def stock_reward(
        self,
        info: Info,
        input: Given[StockRewardInput],  # noqa: A002
    ) -> StockRewardResult:
        """Receive and commit, or answer why not."""
        context = info.context
        try:
            caller = access.require(context.principal, *access.REWARD_KEEPERS)
            checked_key(input.idempotency_key, longest=LONGEST_KEY)
            business = await offering(context, input.reward)
            access.acts_at(caller, business.code)
            async with context.writing() as db:
                await stock(
                    db,
                    reward_code=input.reward,
                    quantity=input.quantity,
                    actor=caller.subject,
                    idempotency_key=f"{caller.business or 'staff'}:{input.idempotency_key}",
                    now=context.now,
                )
        except errors.Rejected as no:
            left = no.facts["available"]
            return StockExceeded(message=no.message, available=left if type(left) is int else 0)
        except errors.NotFound as unknown:
            return InvalidInput(message=unknown.message, field="reward")
        except REFUSALS as no:
            return refused(no)
        async with context.reading() as db:
            row = await queries.reward_named(db, code=input.reward, now=context.now)
        if row is None:
            return InvalidInput(message="the reward's terms are not in force yet", field="reward")
        return RewardStocked(reward=Reward.of(row))
