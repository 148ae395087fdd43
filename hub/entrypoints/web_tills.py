"""`POST /tills/{connection}/{operation}`: carts for tills that do not speak GraphQL, signed.

A request is signed by a secret of its connection as Standard Webhooks 1.0.0 says; its body names
the operation, so that a request for one cannot be sent on as another.
"""

import base64
import binascii
import hashlib
import hmac
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from starlette.exceptions import HTTPException
from starlette.responses import Response

from hub.benefits.carts.asked import CartAsked, Counter, placed
from hub.benefits.carts.quote_cart import quote_cart
from hub.benefits.carts.redeem_cart import redeem_cart
from hub.benefits.carts.refund_cart import refund_cart
from hub.benefits.carts.release_cart import release_cart
from hub.benefits.carts.reserve_cart import reserve_cart
from hub.benefits.carts.views import CartRefusal
from hub.clock import business_date, now
from hub.connector import Inbound, SignatureInvalid, field_path, require_match
from hub.crypto.keyring import Keyring
from hub.entrypoints.patience import within
from hub.entrypoints.till_models import (
    SAID,
    CartSaid,
    MemberSaid,
    QuoteSaid,
    RedeemSaid,
    RefundSaid,
    ReleaseSaid,
    ReserveSaid,
)
from hub.errors import Conflict, Malformed, NotFound, Unavailable
from hub.intake.connections import Switchboard, Wired
from hub.members.identifiers import Kind
from hub.members.queries import find
from hub.programme.queries import businesses, programme

PATIENCE_SECONDS = 5.0
_TOLERANCE = timedelta(minutes=5)
_KINDS = {"phone": Kind.PHONE, "email": Kind.EMAIL, "loyalty_id": Kind.LOYALTY_ID}
# What is over once it is asked again: another was first, or the member was merged or split.
_AGAIN_STATES = ("40",)
_JSON = "application/json"


class TillDesk:
    """Answers the tills of all connections of one process."""

    def __init__(self, engine: AsyncEngine, keyring: Keyring) -> None:
        self._engine = engine
        self._keyring = keyring
        self._switchboard = Switchboard(keyring)

    async def answer(self, code: str, operation: str, inbound: Inbound) -> Response:
        """Answer one request; raises what the hub says no to, and Unavailable after some time."""
        kind = inbound.headers.get("content-type", _JSON).partition(";")[0].strip().lower()
        if kind != _JSON:
            raise HTTPException(415, f"send {_JSON}")
        try:
            told = await within(PATIENCE_SECONDS, self._do(code, operation, inbound))
        except TimeoutError as late:
            raise Unavailable("there was no answer in time: ask again with the same key") from late
        except DBAPIError as failure:
            state = getattr(failure.orig, "sqlstate", None) or ""
            if not state.startswith(_AGAIN_STATES):
                raise
            raise Unavailable("something else was changed at this moment: ask again") from failure
        return Response(orjson.dumps(told), media_type=_JSON)

    async def _do(self, code: str, operation: str, inbound: Inbound) -> dict[str, Any]:
        async with self._engine.connect() as db:
            at = now()
            wired = await self._switchboard.by_code(db, code, now=at)
            _require_signed(inbound, wired, at)
            if operation not in SAID:
                raise NotFound(f"tills do not {operation[:20]}", field="operation")
            try:
                said = SAID[operation].model_validate_json(inbound.body)
            except ValidationError as wrong:
                first = wrong.errors()[0]
                raise Malformed(first["msg"], field=field_path(first["loc"]) or "body") from wrong
            counter = await self._counter(db, wired, at)
            try:
                told = await self._serve(db, counter, said)
            except (Malformed, Conflict) as no:
                if isinstance(said, RefundSaid):
                    raise
                raise type(no)(no.message, field=placed(no.field)) from no
            await db.commit()
        return told

    async def _counter(self, db: AsyncConnection, wired: Wired, at: datetime) -> Counter:
        group = await programme(db)
        shop = next(one for one in await businesses(db) if one.business_id == wired.business_id)
        return Counter(
            business=shop,
            business_date=business_date(
                at, shop.time_zone, day_starts_at_hour=shop.day_starts_at_hour
            ),
            today=business_date(at, group.time_zone),
            now=at,
            time_zone=group.time_zone,
            keyring=self._keyring,
        )

    async def _serve(self, db: AsyncConnection, counter: Counter, said: Any) -> dict[str, Any]:
        answer: Any
        match said:
            case QuoteSaid():
                member_id, asked = await self._asked(db, said.cart)
                found = await quote_cart(db, counter=counter, member_id=member_id, asked=asked)
                refused = isinstance(found, CartRefusal)
                return {
                    "quote": None if refused else _told(found),
                    "refusal": _told(found) if refused else None,
                }
            case ReserveSaid():
                member_id, asked = await self._asked(db, said.cart)
                answer = await reserve_cart(
                    db,
                    counter=counter,
                    member_id=member_id,
                    asked=asked,
                    key=said.key,
                    ttl_seconds=said.ttl_seconds,
                    payable_minor=said.payable_minor,
                )
            case RedeemSaid():
                member_id, cart = None, None
                if said.cart is not None:
                    member_id, cart = await self._asked(db, said.cart)
                elif said.payable_minor is not None:
                    words = "that was said as it was reserved: leave it out"
                    raise Malformed(words, field="payable_minor")
                answer = await redeem_cart(
                    db,
                    counter=counter,
                    key=said.key,
                    member_id=member_id,
                    asked=cart,
                    payable_minor=said.payable_minor,
                )
            case ReleaseSaid():
                answer = await release_cart(db, counter=counter, key=said.key)
            case RefundSaid():
                lines = None
                if said.lines is not None:
                    lines = {one.id: one.quantity for one in said.lines}
                    if len(lines) != len(said.lines):
                        raise Malformed("a line is named twice", field="lines")
                answer = await refund_cart(
                    db, counter=counter, key=said.key, refund_key=said.refund_key, lines=lines
                )
        return _told(answer)

    async def _asked(self, db: AsyncConnection, said: CartSaid) -> tuple[int | None, CartAsked]:
        return await self._member(db, said.member), said.asked()

    async def _member(self, db: AsyncConnection, said: MemberSaid | None) -> int | None:
        """Return who pays; raises NotFound for whom nobody knows."""
        if said is None:
            return None
        given = {name: value for name, value in said.model_dump().items() if value is not None}
        if len(given) != 1:
            raise Malformed("give a phone, an email or a loyalty_id, and one", field="cart.member")
        [(name, value)] = given.items()
        found = await find(db, kind=_KINDS[name], value=value, keyring=self._keyring)
        if found is None:
            raise NotFound("no such member is known", field="cart.member")
        return found


def _require_signed(inbound: Inbound, wired: Wired, at: datetime) -> None:
    """Raise SignatureInvalid unless a secret of the connection signed this, not long ago."""
    headers = inbound.headers
    name, stated = headers.get("webhook-id"), headers.get("webhook-timestamp", "")
    if not name or not (stated.isascii() and stated.isdigit() and len(stated) <= 11):
        raise SignatureInvalid("webhook-id, -timestamp and -signature are needed")
    message = f"{name}.{stated}.".encode() + inbound.body
    expected = [f"v1,{_sign(secret, message)}" for secret in wired.plug.secrets if secret]
    given = headers.get("webhook-signature", "").split()[:8]
    one = next((each for each in given if each in expected), given[0] if given else None)
    require_match(one, expected, what="webhook-signature")
    if abs(at - datetime.fromtimestamp(int(stated), UTC)) > _TOLERANCE:
        raise SignatureInvalid("webhook-timestamp is more than five minutes away")


def _sign(secret: str, message: bytes) -> str:
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        key = secret.encode()
    return base64.b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode()


def _told(answer: Any) -> dict[str, Any]:
    """Return an answer as it is sent; who the member is stays with the hub."""
    told = asdict(answer)
    told.pop("member_id", None)
    if told.get("transaction") is not None:
        told["transaction"] = str(told["transaction"])
    return told
