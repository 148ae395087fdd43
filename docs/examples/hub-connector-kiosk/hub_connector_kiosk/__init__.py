"""Kiosk: what it sends, and what it means."""

import hashlib
import hmac
from collections.abc import Collection, Sequence
from datetime import datetime

from hub.connector import (
    CanonicalEvent,
    Connection,
    Delivery,
    DialectConfig,
    EventType,
    FactKey,
    HintType,
    Inbound,
    Line,
    LineKind,
    Outcome,
    Party,
    Read,
    Refund,
    Refused,
    ReplayProtection,
    Reply,
    Role,
    SourceEvent,
    Spec,
    Tender,
    TenderKind,
    Totals,
    hints,
    parse_object,
    read_as,
    require_match,
    trading_day,
)
from hub.errors import Malformed
from hub.units import Money


class Config(DialectConfig):
    """What a connection is configured with, beside what every connection has."""


class Ticket(Read):
    """A ticket as the system writes it: what is not named here is ignored."""

    id: str
    kind: str
    at: datetime
    total: str
    of: str | None = None
    phone: str | None = None
    customer: str | None = None


class Dialect:
    """The dialect: each call is one ticket, signed over its raw body."""

    spec = Spec(
        name="kiosk",
        title="Kiosk",
        config=Config,
        replay_protection=ReplayProtection.NONE,
        acknowledge_within_seconds=5,
    )

    def verify(self, inbound: Inbound, connection: Connection, now: datetime) -> Delivery:
        """Prove the signature over the raw bytes, before anything is read of them."""
        expected = [
            hmac.new(secret.encode(), inbound.body, hashlib.sha256).hexdigest()
            for secret in connection.secrets
        ]
        require_match(inbound.headers.get("x-signature"), expected, what="X-Signature")
        return Delivery(dedup_id=None)

    def acknowledge(self, outcome: Outcome) -> Reply:
        """Say what makes the sender stop, or come again."""
        status = {Outcome.ACCEPTED: 200, Outcome.SIGNATURE_INVALID: 401}.get(outcome, 503)
        return Reply(status=status)

    def decode(self, body: bytes, topic: str | None) -> Sequence[SourceEvent]:
        """Read a body: a ticket, or a page of them. A refund belongs to its sale's history."""
        document = parse_object(body)
        tickets = document.get("tickets", [document])
        if not isinstance(tickets, list):
            raise Malformed("a list of tickets was expected", field="tickets")
        events = []
        for ticket in tickets:
            read = read_as(Ticket, ticket)
            if read.kind not in ("sale", "refund"):
                raise Refused(f"a ticket of kind {read.kind} is no sale and no refund")
            events.append(
                SourceEvent(
                    type=read.kind, entity="sale", entity_id=read.of or read.id, snapshot=ticket
                )
            )
        return events

    def map(
        self, event: SourceEvent, posted: Collection[FactKey], connection: Connection
    ) -> Sequence[CanonicalEvent]:
        """Say what happened, but for what was posted before. Pure."""
        ticket = read_as(Ticket, event.snapshot)
        fact = FactKey(ticket.kind, ticket.id)
        if fact in posted:
            return []
        minor = Money.parse(ticket.total, connection.currency, field="total").minor
        sale = ticket.kind == "sale"
        if not sale and ticket.of is None:
            raise Malformed("a refund says of which sale", field="of")
        told = hints(connection.config, {HintType.PHONE: ticket.phone})
        customer = Party(role=Role.PURCHASER, external_id=ticket.customer, hints=told)
        return [
            CanonicalEvent(
                type=EventType.SALE_COMPLETED if sale else EventType.REFUND_RECORDED,
                fact=fact,
                occurred_at=ticket.at,
                business_date=trading_day(connection, None, ticket.at),
                entity=event.entity,
                entity_id=event.entity_id,
                currency=connection.currency,
                lines=(Line(id="1", kind=LineKind.ITEM, gross_minor=minor, net_minor=minor),)
                if sale
                else (),
                tenders=(Tender(id="1", kind=TenderKind.CARD, amount_minor=minor),),
                totals=Totals(net_minor=minor, tax_minor=0, tip_minor=0, total_minor=minor)
                if sale
                else None,
                refund=None
                if sale
                else Refund(
                    original=FactKey("sale", str(ticket.of)),
                    amount_minor=minor,
                    unallocated_minor=minor,
                ),
                parties=(customer,) if ticket.customer or told else (),
            )
        ]


connector = Dialect()
