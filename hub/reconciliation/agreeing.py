"""Whether rows of both sides may be put together: their sums agree within the book's tolerance."""

from collections.abc import Sequence
from decimal import Decimal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Rejected
from hub.reconciliation.mapping import MappingConfig, Tolerance
from hub.reconciliation.matches import difference


async def tolerance_of(db: AsyncConnection, book_id: int) -> Tolerance:
    """Return the tolerance of a book: that of the mapping that was saved last."""
    config = await db.scalar(
        text("""
          SELECT config FROM reconciliation_mapping WHERE book_id = :id
          ORDER BY saved_at DESC, version DESC LIMIT 1"""),
        {"id": book_id},
    )
    return MappingConfig.model_validate(config).tolerance


async def refuse_difference(
    db: AsyncConnection, *, book_id: int, partner_rows: Sequence[int], hub_rows: Sequence[int]
) -> None:
    """Raise Rejected when the sums differ by more than the tolerance, whatever their days."""
    allowed = await tolerance_of(db, book_id)
    found = await difference(db, partner_rows=partner_rows, hub_rows=hub_rows)
    rounding = Decimal("0.5") * len(partner_rows) if found.rounded else 0
    differs = []
    if found.currencies > 1:
        differs.append("in currency")
    elif found.amount is not None and abs(found.amount) > allowed.amount_minor + rounding:
        differs.append(f"by {found.amount.normalize():f} minor units")
    if found.points is not None and abs(found.points) > allowed.points:
        differs.append(f"by {found.points} points")
    if differs:
        raise Rejected(
            f"the rows differ {' and '.join(differs)}: adjust the break or have it written off",
            field="match",
        )
