"""Export journals: what was posted, as other books read it in. The same every time."""

from collections.abc import Callable, Mapping, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.accounting.exports.beancount import beancount
from hub.accounting.exports.files import File
from hub.accounting.exports.generic import generic
from hub.accounting.exports.kingdee import kingdee
from hub.accounting.exports.sap import sap
from hub.accounting.exports.xero import xero
from hub.accounting.exports.yonyou import yonyou
from hub.accounting.journals.lines import Journal
from hub.accounting.journals.queries import Books, books, journals
from hub.errors import Malformed, NotFound
from hub.settlement.queries import period_by_id

FORMATS: Mapping[str, Callable[[Sequence[Journal], Mapping[int, Books]], list[File]]] = {
    "csv": generic,
    "beancount": beancount,
    "kingdee": kingdee,
    "yonyou": yonyou,
    "sap": sap,
    "xero": xero,
}


async def export_journals(
    db: AsyncConnection, *, period_id: int, to: str, legal_entity_id: int | None = None
) -> list[File]:
    """Return a posted period's journals as files of a format, one legal entity's or all.

    Raises Malformed for a format that is none, NotFound while nothing is posted, and Rejected for
    what a format cannot say.
    """
    if to not in FORMATS:
        raise Malformed(f"there is no format {to!r}: take {', '.join(FORMATS)}", field="format")
    period = await period_by_id(db, period_id)
    found = (await journals(db, period_ids=[period_id], legal_entity_id=legal_entity_id))[period_id]
    if not found:
        raise NotFound(f"no journals of {period.code} are posted", period=period.code)
    return FORMATS[to](found, await books(db, on=period.ends_on))
