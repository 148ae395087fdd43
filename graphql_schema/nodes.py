"""Relay's `node` and `nodes`: anything with an id, if the caller may see it."""

from collections.abc import Awaitable, Callable
from typing import Annotated, cast

import strawberry
from strawberry import relay

from graphql_schema.access import CORRECTORS, EVERYBODY, MEMBER_READERS, only_business, require
from graphql_schema.accounts import visible_accounts
from graphql_schema.context import Context, Info
from graphql_schema.corrections import Adjustment
from graphql_schema.entries import Entry
from graphql_schema.fields import resolved
from graphql_schema.finding import node_key
from graphql_schema.member import visible_member
from graphql_schema.points import Hold, Lot
from graphql_schema.programme import business_node
from graphql_schema.reviews import review_node
from graphql_schema.rewards import RewardOrder, visible_order
from graphql_schema.settlement import period_node
from hub.crypto.tokens import Scope
from hub.errors import Malformed

MOST_NODES = 100

_IDS = Annotated[
    list[strawberry.ID], strawberry.argument(description=f"Node ids, up to {MOST_NODES}.")
]


async def _member(info: Info, id_: relay.GlobalID) -> relay.Node | None:
    return await visible_member(info.context, *node_key(id_, "Member", parts=1, field="id"))


async def _account(info: Info, id_: relay.GlobalID) -> relay.Node | None:
    member_id, account_id = node_key(id_, "Account", parts=2, field="id")
    if await visible_member(info.context, member_id) is None:
        return None
    accounts = await visible_accounts(info, member_id)
    return next((one for one in accounts if one.account_id == account_id), None)


async def _entry(info: Info, id_: relay.GlobalID) -> relay.Node | None:
    member_id, tx_id, seq = node_key(id_, "Entry", parts=3, field="id")
    if not await _reaches(info.context, member_id):
        return None
    row = await info.context.load.entries.load((member_id, tx_id, min(seq, 2**15 - 1)))
    if row is None or not await _sees(info.context, row.business_id):
        return None
    return Entry.of(row)


async def _lot(info: Info, id_: relay.GlobalID) -> relay.Node | None:
    member_id, lot_id = node_key(id_, "Lot", parts=2, field="id")
    if not await _reaches(info.context, member_id):
        return None
    rows = await info.context.load.lots.load(member_id)
    row = next((row for row in rows if row.lot_id == lot_id), None)
    if row is None or not await _sees(info.context, row.issuer_id):
        return None
    return Lot.of(row)


async def _hold(info: Info, id_: relay.GlobalID) -> relay.Node | None:
    member_id, hold_id = node_key(id_, "Hold", parts=2, field="id")
    if not await _reaches(info.context, member_id):
        return None
    row = await info.context.load.holds.load((member_id, hold_id))
    if row is None or not await _sees(info.context, row.business_id):
        return None
    return Hold.of(row)


async def _adjustment(info: Info, id_: relay.GlobalID) -> relay.Node | None:
    member_id, adjustment_id = node_key(id_, "Adjustment", parts=2, field="id")
    require(info.context.principal, *CORRECTORS, scope=Scope.MEMBERS_READ)
    row = await info.context.load.adjustments_by_key.load((member_id, adjustment_id))
    return None if row is None else Adjustment.of(row)


async def _review(info: Info, id_: relay.GlobalID) -> relay.Node | None:
    (review_id,) = node_key(id_, "ReviewItem", parts=1, field="id")
    return await review_node(info.context, review_id)


async def _reward_order(info: Info, id_: relay.GlobalID) -> relay.Node | None:
    (order_id,) = node_key(id_, "RewardOrder", parts=1, field="id")
    row = await visible_order(info.context, order_id)
    return None if row is None else RewardOrder.of(row)


async def _business(info: Info, id_: relay.GlobalID) -> relay.Node | None:
    return await business_node(info, id_.node_id)


async def _period(info: Info, id_: relay.GlobalID) -> relay.Node | None:
    return await period_node(info, id_.node_id)


async def _reaches(context: Context, member_id: int) -> bool:
    """Return whether the caller may ask for rows of the member, before it is known which there are.

    A business sees its own rows of anybody; everybody else sees all rows of whom they may see.
    """
    own = only_business(require(context.principal, *MEMBER_READERS, scope=Scope.MEMBERS_READ))
    return own is not None or await visible_member(context, member_id) is not None


async def _sees(context: Context, business_id: int) -> bool:
    """Return whether the caller may see rows of a business."""
    own = only_business(context.caller)
    return own is None or (await context.business(business_id)).code == own


_FINDERS: dict[str, Callable[[Info, relay.GlobalID], Awaitable[relay.Node | None]]] = {
    "Member": _member,
    "Account": _account,
    "Entry": _entry,
    "Lot": _lot,
    "Hold": _hold,
    "Adjustment": _adjustment,
    "ReviewItem": _review,
    "RewardOrder": _reward_order,
    "Business": _business,
    "SettlementPeriod": _period,
}


async def _find(info: Info, id_: relay.GlobalID) -> relay.Node | None:
    require(info.context.principal, *EVERYBODY)
    finder = _FINDERS.get(id_.type_name)
    if finder is None:
        raise Malformed(f"nothing here is called {id_.type_name!r}", field="id")
    return await finder(info, id_)


async def _find_one(info: Info, id_: str) -> relay.Node | None:
    try:
        of = relay.GlobalID.from_id(id_)
    except relay.GlobalIDValueError as no:
        raise Malformed(f"{id_[:50]!r} is no id of a node", field="ids") from no
    return await _find(info, of)


@strawberry.type
class NodeQuery:
    """Reads by node id.

    Written out instead of `strawberry.relay.node()`, whose field can serve one schema only.
    """

    @resolved("Anything that has an id; null when it is not there for the caller.")
    async def node(
        self,
        info: Info,
        id: Annotated[relay.GlobalID, strawberry.argument(description="A node id.")],  # noqa: A002
    ) -> relay.Node | None:
        """Return one node."""
        return await _find(info, id)

    @resolved("Several things that have ids, in their order, null where one is not there.")
    async def nodes(self, info: Info, ids: _IDS) -> list[relay.Node | None]:
        """Return nodes; raises Malformed for too many.

        One that is refused is null and has an error of its own: the others are told.
        """
        require(info.context.principal, *EVERYBODY)
        if len(ids) > MOST_NODES:
            raise Malformed(f"ask for up to {MOST_NODES} nodes at once", field="ids")
        return cast("list[relay.Node | None]", [_find_one(info, id_) for id_ in ids])
