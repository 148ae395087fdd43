"""Reads of what is due: a period's totals less what is disputed. Integer minor units."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.settlement.netting import Gross, Net, net_multilaterally


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What a debtor is to pay a creditor for a period, before netting.

    `due_minor` is `gross_minor` less `disputed_minor`; `carried_in_minor` is the part of the gross
    that earlier periods had held back.
    """

    debtor_id: int
    creditor_id: int
    currency: str
    gross_minor: int
    disputed_minor: int
    carried_in_minor: int
    due_minor: int


async def dues(db: AsyncConnection, *, period_ids: Sequence[int]) -> dict[int, list[Due]]:
    """Return what is due of each period; nothing of one that is not approved."""
    found: dict[int, list[Due]] = {period_id: [] for period_id in period_ids}
    rows = await db.execute(
        text("""
          SELECT period_id, debtor_id, creditor_id, currency, gross_minor, disputed_minor,
            carried_in_minor, due_minor
          FROM settlement_due WHERE period_id = ANY (CAST(:ids AS integer[]))
          ORDER BY period_id, debtor_id, creditor_id, currency"""),
        {"ids": list(period_ids)},
    )
    for row in rows:
        facts = row._asdict()
        found[facts.pop("period_id")].append(Due(**facts))
    return found


async def net_dues(db: AsyncConnection, *, period_id: int) -> list[Net]:
    """Return what each business receives or pays for an approved period: the net of its dues.

    Per currency they sum to zero.
    """
    return net_multilaterally(
        Gross(
            debtor_id=due.debtor_id,
            creditor_id=due.creditor_id,
            currency=due.currency,
            gross_minor=due.due_minor,
        )
        for due in (await dues(db, period_ids=[period_id]))[period_id]
    )
