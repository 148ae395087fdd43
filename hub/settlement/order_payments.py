"""Order payments: the file by which a bank pays what was released."""

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.crypto.keyring import Keyring
from hub.programme.queries import programme
from hub.settlement.accounts import accounts
from hub.settlement.documents.pain001 import write_pain001
from hub.settlement.payments import payments
from hub.settlement.queries import Period


async def order_payments(db: AsyncConnection, *, period: Period, keyring: Keyring) -> bytes:
    """Return a period's payments as pain.001.001.09, the same bytes whenever it is asked for.

    Raises Rejected when there are none, or one that was not released.
    """
    group = await programme(db)
    orders = (await payments(db, period_ids=[period.period_id]))[period.period_id]
    held = {id_ for one in orders for id_ in (one.debtor_account_id, one.creditor_account_id)}
    return write_pain001(
        orders,
        period=period.code,
        group=group.name,
        time_zone=group.time_zone,
        accounts=await accounts(db, account_ids=sorted(held), keyring=keyring),
    )
