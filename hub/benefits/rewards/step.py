"""What the verbs on an order share: find it, lock it, and write down where it stands now."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.rewards.codes import OrderState
from hub.benefits.rewards.queries import HOLDER
from hub.errors import NotFound, Rejected


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """An order as it stands, locked. `member_id` is whose it is now, after merges and splits."""

    order_id: int
    member_id: int
    business_id: int
    points: int
    price_minor: int
    state: OrderState
    tx_id: int | None
    hold_id: int | None
    pay_by: datetime | None
    payment_reference: str | None
    delivery_note: str | None
    voucher_id: int | None
    entitlement_id: int | None

    @property
    def digital(self) -> bool:
        """Say whether it brought a voucher or a benefit, which may be taken back."""
        return self.voucher_id is not None or self.entitlement_id is not None


async def lock_order(db: AsyncConnection, *, order_id: int) -> Standing:
    """Lock an order and return it as it stands; raises NotFound. Balances and stock come after."""
    row = (
        await db.execute(
            text("""
              SELECT order_id, business_id, points, price_minor, state, tx_id, hold_id, pay_by,
                payment_reference, delivery_note, voucher_id, entitlement_id
              FROM reward_order WHERE order_id = :order_id AND state IS NOT NULL FOR UPDATE"""),
            {"order_id": order_id},
        )
    ).one_or_none()
    if row is None:
        raise NotFound(f"there is no order {order_id}", field="order")
    # Whose it is may have changed while the lock was waited for.
    holder: int = await db.scalar(
        text(f"SELECT {HOLDER} FROM reward_order o WHERE order_id = :order_id"),  # noqa: S608
        {"order_id": order_id},
    )
    facts = {**row._asdict(), "state": OrderState(row.state)}
    return Standing(**facts, member_id=holder)


def must_be(standing: Standing, states: Collection[OrderState], doing: str) -> None:
    """Raise Rejected (`state`) unless the order stands so that this can be done."""
    if standing.state not in states:
        raise Rejected(
            f"the order is {standing.state.value.replace('_', ' ')}: it cannot be {doing}",
            state=standing.state.value,
        )


async def step(
    db: AsyncConnection,
    *,
    order_id: int,
    state: OrderState,
    actor: str,
    now: datetime,
) -> None:
    """Write down that an order stands so from now on, and who did it."""
    await db.execute(
        text("""
          WITH moved AS (UPDATE reward_order SET state = :state WHERE order_id = :order_id)
          INSERT INTO reward_order_step (order_id, step, at, state, actor)
          SELECT :order_id, coalesce(max(step), 0) + 1, :now, :state, :actor
          FROM reward_order_step WHERE order_id = :order_id"""),
        {"order_id": order_id, "state": state, "actor": actor, "now": now},
    )
