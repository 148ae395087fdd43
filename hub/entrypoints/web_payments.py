"""`GET /payments/{period}.xml`, the bank's file, and `/payments/{id}.pdf`, a remittance advice."""

import asyncio
import re

from starlette.requests import Request
from starlette.responses import Response

from graphql_schema.access import CLOSERS, SETTLEMENT_READERS, only_business, reader, require
from hub.crypto.tokens import Scope
from hub.db.caller import reading
from hub.entrypoints.web_denials import hide
from hub.entrypoints.web_state import state_of
from hub.entrypoints.web_statements import language_of
from hub.errors import NotFound
from hub.programme.queries import programme
from hub.settlement.accounts import endings
from hub.settlement.documents.advice import Advice, write_advice
from hub.settlement.documents.party import parties
from hub.settlement.order_payments import order_payments
from hub.settlement.payments import payment, settled
from hub.settlement.queries import period_by_code, period_by_id

_IS_OURS = re.compile(r"S[\d-]{4,32}-[A-Z]{3}", re.ASCII)
_PRIVATE = {"cache-control": "private, no-store"}


async def payment_order(request: Request) -> Response:
    """Answer a period's payment file, which holds whole account numbers, to finance alone.

    Raises Unauthenticated, Forbidden, NotFound, and Rejected before all payments are released.
    """
    state, code = state_of(request), request.path_params["period"]
    caller = require(await state.callers.of(request), *CLOSERS, scope=Scope.SETTLEMENT_CLOSE)
    async with reading(state.readers, reader(caller)) as db:
        period = await period_by_code(db, code)
        file = await order_payments(db, period=period, keyring=state.keyring)
    named = f'attachment; filename="{period.code}-pain.001.xml"'
    headers = {**_PRIVATE, "content-disposition": named}
    return Response(file, headers=headers, media_type="application/xml")


async def payment_advice(request: Request) -> Response:
    """Answer a payment's remittance advice, to whom settlement is shown and the two businesses.

    Raises Unauthenticated, Forbidden, NotFound (also where it is none of the caller's), Malformed.
    """
    state, end_to_end_id = state_of(request), request.path_params["id"]
    caller = require(
        await state.callers.of(request), *SETTLEMENT_READERS, scope=Scope.SETTLEMENT_READ
    )
    language = language_of(request)
    async with reading(state.readers, reader(caller)) as db:
        hide(
            request, f"Payment:{end_to_end_id}" if _IS_OURS.fullmatch(end_to_end_id) else "Payment"
        )
        found = await payment(db, end_to_end_id)
        known = await parties(db)
        sides = [known[found.debtor_id].code, known[found.creditor_id].code]
        if only_business(caller) not in (None, *sides):
            raise NotFound(f"there is no payment {end_to_end_id!r}", payment=end_to_end_id)
        hide(request, None)
        group = await programme(db)
        held = [found.debtor_account_id, found.creditor_account_id]
        advice = Advice(
            group=group.name,
            time_zone=group.time_zone,
            period=await period_by_id(db, found.period_id),
            payment=found,
            parties=known,
            endings=await endings(db, account_ids=held),
            settled=(await settled(db, payment_ids=[found.payment_id]))[found.payment_id],
        )
    content = await asyncio.to_thread(write_advice, advice, language=language)
    named = f'attachment; filename="{end_to_end_id}.pdf"'
    headers = {**_PRIVATE, "content-disposition": named}
    return Response(content, headers=headers, media_type="application/pdf")
