"""Ending: what using, releasing and cancelling share: each refers to a hold or to a use."""

from datetime import datetime
from typing import Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.entitlements.requests import ANSWER, UseAnswer, answer, check_request
from hub.clock import business_date
from hub.errors import NotFound
from hub.programme.queries import programme

_CALLS = {
    "cancel": """entitlement_give_back(CAST(:business_id AS smallint), :key, :reference_id,
      CAST(:quantity AS integer), :today, :now)""",
    **dict.fromkeys(
        ("capture", "release", "lapse"),
        """entitlement_end_hold(CAST(:business_id AS smallint), :key, :kind, :reference_id,
      CAST(:quantity AS integer), :today, :now)""",
    ),
}


async def end(
    db: AsyncConnection,
    *,
    kind: Literal["capture", "release", "lapse", "cancel"],
    business_id: int,
    reference_id: int,
    quantity: int | None,
    idempotency_key: str,
    now: datetime,
) -> UseAnswer:
    """Do `kind` to a hold or use of the business; `quantity` None: to all that is left.

    Raises NotFound when the business made no such hold or use, Malformed and Conflict.
    """
    check_request(idempotency_key, quantity)
    facts = {
        "business_id": business_id,
        "key": idempotency_key,
        "reference_id": reference_id,
        "quantity": quantity,
        "today": business_date(now, (await programme(db)).time_zone),
        "now": now,
        "member_id": 0,
    }
    if kind != "cancel":
        facts["kind"] = kind
    row = (
        await db.execute(
            text(f"""
              SELECT {ANSWER} FROM {_CALLS[kind]} t
              JOIN benefit b ON b.benefit_id = (t.request).benefit_id"""),  # noqa: S608
            facts,
        )
    ).first()
    if row is None:
        what = "use" if kind == "cancel" else "hold"
        raise NotFound(f"this business made no {what} of number {reference_id}", field=what)
    asked: dict[str, object] = {"kind": kind, "reference_id": reference_id}
    if quantity is not None:
        asked["quantity"] = quantity
    return answer(row, **asked)
