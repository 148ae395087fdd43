"""Pages of what belongs to many, read together: a list of pages costs as many statements as one."""

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.codes import Coded, known_codes
from hub.benefits.referrals.queries import Referral, ReferralFilter, referrals_of
from hub.benefits.rewards import queries as rewards
from hub.benefits.tiers.history import HeldTier, HistoryFilter, tier_history
from hub.crypto.keyring import Keyring
from hub.db.keyset import Keyset, Stretch
from hub.ledger import queries as ledger
from hub.settlement import queries as settlement
from hub.settlement.disputes import Dispute, DisputeFilter, disputes_of_periods

if TYPE_CHECKING:
    from graphql_schema.loaders import Loader

Only = TypeVar("Only", bound=Hashable)
Row = TypeVar("Row")
_Read = Callable[[AsyncConnection, list[Any]], Awaitable[Mapping[Any, Any]]]
_Key = tuple[Only, Stretch, int]
"""Which rows are asked for, which stretch of them, and whose."""


def by_shape(
    read: Callable[[AsyncConnection, list[int], Only, Stretch], Awaitable[Mapping[int, Row]]],
) -> Callable[[AsyncConnection, list[_Key[Only]]], Awaitable[Mapping[_Key[Only], Row]]]:
    """Have pages of the same shape read together, of all whose they are."""

    async def load(db: AsyncConnection, keys: Sequence[_Key[Only]]) -> Mapping[_Key[Only], Row]:
        shapes: dict[tuple[Only, Stretch], list[int]] = {}
        for only, stretch, owner in keys:
            shapes.setdefault((only, stretch), []).append(owner)
        found = {}
        for (only, stretch), owners in shapes.items():
            rows = await read(db, owners, only, stretch)
            found.update({(only, stretch, owner): rows[owner] for owner in owners})
        return found

    return load


class PageLoaders:
    """The loaders of pages, made by `of` as all are."""

    def __init__(
        self, of: "Callable[[_Read], Loader[Any, Any]]", *, now: datetime, keyring: Keyring
    ) -> None:
        self.codes: Loader[Coded, bool] = of(known_codes)
        self.referrals: Loader[_Key[ReferralFilter], list[Referral]] = of(
            by_shape(
                lambda db, ids, only, stretch: referrals_of(
                    db, member_ids=ids, only=only, stretch=stretch, now=now, keyring=keyring
                )
            )
        )
        self.tiers: Loader[_Key[HistoryFilter], list[HeldTier]] = of(
            by_shape(
                lambda db, ids, only, stretch: tier_history(
                    db, member_ids=ids, only=only, stretch=stretch
                )
            )
        )
        self.entries: Loader[_Key[tuple[ledger.EntryFilter, Keyset]], list[ledger.Entry]] = of(
            by_shape(
                lambda db, ids, only, stretch: ledger.entries(
                    db, member_ids=ids, only=only[0], order=only[1], stretch=stretch
                )
            )
        )
        self.orders: Loader[_Key[rewards.OrderFilter], list[rewards.Order]] = of(
            by_shape(
                lambda db, ids, only, stretch: rewards.orders_of(
                    db, member_ids=ids, only=only, stretch=stretch
                )
            )
        )
        self.order_steps: Loader[int, list[rewards.Step]] = of(rewards.steps_of)
        self.rewards: Loader[str, rewards.Reward | None] = of(
            lambda db, codes: rewards.rewards_named(db, codes=codes, now=now)
        )
        self.disputes: Loader[_Key[tuple[DisputeFilter, Keyset]], list[Dispute]] = of(
            by_shape(
                lambda db, ids, only, stretch: disputes_of_periods(
                    db, period_ids=ids, only=only[0], order=only[1], stretch=stretch
                )
            )
        )
        self.lines: Loader[
            _Key[tuple[settlement.LineFilter, Keyset]], list[settlement.Obligation]
        ] = of(
            by_shape(
                lambda db, ids, only, stretch: settlement.lines_of(
                    db, period_ids=ids, only=only[0], order=only[1], stretch=stretch
                )
            )
        )
