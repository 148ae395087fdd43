"""What a request for vouchers is and what is answered: now, or as when its key came first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.vouchers.worth import Verdict
from hub.errors import Conflict, Malformed

LONGEST_KEY = 200
LONGEST_TTL_SECONDS = 7 * 24 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What became of one voucher of a request.

    `quantity` was taken of it (uses, or minor units), `amount_minor` off the bill; `left` is what
    is free after it. `entry_id` numbers a redemption, to cancel it by. `voucher_id` is None for a
    code that nobody was given.
    """

    voucher_id: int | None
    verdict: Verdict
    quantity: int = 0
    amount_minor: int = 0
    left: int = 0
    entry_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VoucherAnswer:
    """The hub's word on a request: TAKEN, or why not (of several vouchers, the first reason).

    `request_id` numbers it; of a reservation, it is what is redeemed or released later, until
    `expires_at`.
    """

    request_id: int
    kind: str
    outcome: Verdict
    replayed: bool
    member_id: int | None
    parts: tuple[Part, ...]
    at: datetime
    expires_at: datetime | None

    @property
    def amount_minor(self) -> int:
        """What all of it takes off the bill."""
        return sum(part.amount_minor for part in self.parts if part.verdict is Verdict.TAKEN)


def checked_key(idempotency_key: str) -> None:
    """Raise Malformed for a key of no or too many characters."""
    if not 1 <= len(idempotency_key) <= LONGEST_KEY:
        raise Malformed(
            f"an idempotency key has from 1 to {LONGEST_KEY} characters", field="idempotency_key"
        )


async def run(
    db: AsyncConnection,
    call: str,
    facts: Mapping[str, object],
    *,
    kind: str,
    asked: Mapping[str, object],
) -> VoucherAnswer:
    """Call a function of requests and return its answer; raises Conflict, naming the field.

    `asked` is what a request under the same key must say again.
    """
    row = (
        await db.execute(
            text(f"SELECT f.replayed, (f.r).* FROM {call} f"),  # noqa: S608 - constants of ours
            {**facts, "asked": orjson.dumps(asked).decode()},
        )
    ).one()
    return await answered(db, row, kind=kind, asked=asked)


async def answered(
    db: AsyncConnection, row: Row[Any], *, kind: str, asked: Mapping[str, object]
) -> VoucherAnswer:
    """Read a row of voucher_request; raises Conflict where it was another request."""
    if row.replayed and asked.get("member_id") is not None:
        asked = {**asked, "member_id": await _as_asked(db, asked["member_id"], row)}
    return _answer(row, kind=kind, asked=asked)


async def _as_asked(db: AsyncConnection, member_id: object, row: Row[Any]) -> object:
    """Return the member of the first request where it is the same person, merged or split since."""
    first = row.asked.get("member_id")
    if first in (None, member_id):
        return member_id
    kin = await db.scalar(
        text("SELECT CAST(:first AS bigint) = ANY (ledger_kin(ARRAY[CAST(:now AS bigint)]))"),
        {"first": first, "now": member_id},
    )
    return first if kin else member_id


def _answer(row: Row[Any], *, kind: str, asked: object) -> VoucherAnswer:
    if row.replayed:
        _same(row, kind, asked)
    return VoucherAnswer(
        request_id=row.request_id,
        kind=row.kind,
        outcome=Verdict(row.outcome),
        replayed=row.replayed,
        member_id=row.member_id,
        parts=_parts(row.parts),
        at=row.at,
        expires_at=row.expires_at,
    )


def _same(row: Row[Any], kind: str, asked: object) -> None:
    said: dict[str, Any] = orjson.loads(orjson.dumps(asked))
    stored: dict[str, Any] = row.asked
    differs = "kind" if row.kind != kind else None
    for field in sorted({*said, *stored}):
        if differs is None and said.get(field) != stored.get(field):
            differs = field
    if differs is not None:
        raise Conflict(
            f"this idempotency key was used before for another request (its {differs} differs): "
            "send that one again, or use a new key",
            field=differs,
        )


def _parts(packed: Sequence[Mapping[str, Any]]) -> tuple[Part, ...]:
    return tuple(
        Part(
            voucher_id=each["voucher"],
            verdict=Verdict(each["verdict"]),
            quantity=each.get("quantity", 0),
            amount_minor=each.get("amount", 0),
            left=each.get("left", 0),
            entry_id=each.get("entry"),
        )
        for each in packed
    )
