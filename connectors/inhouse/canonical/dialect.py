"""Standard Webhooks 1.0.0 (standardwebhooks.com) with the hub's canonical form inside."""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.inhouse.canonical.config import CanonicalConfig
from connectors.inhouse.canonical.mapping import to_event
from hub.connector import (
    CanonicalEvent,
    Connection,
    Delivery,
    EventType,
    FactKey,
    FileRow,
    Inbound,
    Outcome,
    Refused,
    ReplayProtection,
    Reply,
    SignatureInvalid,
    SourceEvent,
    Spec,
    parse_json,
    require_match,
)
from hub.errors import Malformed

FILE = "file"
"""The topic of events that were read from a file: one JSON object a line."""
_TOLERANCE = timedelta(minutes=5)
_PREFIX = "whsec_"
# Everything that happened to one sale is its history: one entity, one order of effects.
_ENTITIES = {
    EventType.SALE_COMPLETED: ("sale", ("id",)),
    EventType.SALE_VOIDED: ("sale", ("id",)),
    EventType.REFUND_RECORDED: ("sale", ("sale", "stay", "payment")),
    EventType.STAY_COMPLETED: ("sale", ("id",)),
    EventType.STAY_CANCELLED: ("sale", ("id",)),
    EventType.STAY_NO_SHOW: ("sale", ("id",)),
    EventType.PAYMENT_RECORDED: ("payment", ("id",)),
    EventType.PAYMENT_REVERSED: ("payment", ("id",)),
    EventType.PROFILE_CHANGED: ("customer", ("id",)),
    EventType.MEMBERSHIP_PAID: ("membership", ("id",)),
    EventType.MEMBERSHIP_REFUNDED: ("membership", ("payment",)),
}


class Canonical:
    """The dialect. A call holds one event, or several under `events`."""

    spec = Spec(
        name="canonical",
        title="Canonical events",
        config=CanonicalConfig,
        replay_protection=ReplayProtection.SIGNED_TIMESTAMP,
        acknowledge_within_seconds=15,
    )

    def verify(self, inbound: Inbound, connection: Connection, now: datetime) -> Delivery:
        """Check the signature over id, time and raw body, and that the time is near."""
        name = inbound.headers.get("webhook-id")
        stated = inbound.headers.get("webhook-timestamp")
        given = inbound.headers.get("webhook-signature")
        if not name or not stated or not given:
            raise SignatureInvalid("webhook-id, -timestamp and -signature are needed")
        sent_at = _timestamp(stated)
        message = f"{name}.{stated}.".encode() + inbound.body
        expected = [f"v1,{_sign(secret, message)}" for secret in connection.secrets if secret]
        _require_one(given.split(), expected)
        if abs(now - sent_at) > _TOLERANCE:
            raise SignatureInvalid("webhook-timestamp is more than five minutes away")
        return Delivery(dedup_id=name, triggered_at=sent_at)

    def acknowledge(self, outcome: Outcome) -> Reply:
        """Any 2xx is success; everything else is sent again."""
        status = {Outcome.ACCEPTED: 204, Outcome.SIGNATURE_INVALID: 401}.get(outcome, 503)
        return Reply(status=status)

    def decode(self, body: bytes, topic: str | None) -> Sequence[SourceEvent]:
        """Read a call's body, or lines of a file; see Connector.decode."""
        if topic == FILE:
            lines = body.split(b"\n")
            only = len(lines) == 1
            return [
                _event(parse_json(line), "" if only else f"[{i}]") for i, line in enumerate(lines)
            ]
        parsed = parse_json(body)
        if isinstance(parsed, dict) and "events" in parsed:
            events = parsed["events"]
            if not isinstance(events, list) or not events:
                raise Malformed("a list of events was expected", field="events")
            return [_event(one, f"events[{i}]") for i, one in enumerate(events)]
        return [_event(parsed, "")]

    def map(
        self, event: SourceEvent, posted: Collection[FactKey], connection: Connection
    ) -> Sequence[CanonicalEvent]:
        """Yield the event, unless it was posted; see Connector.map."""
        found = to_event(event, connection)
        return [] if found.fact in posted else [found]

    def read_file(self, name: str, body: bytes, connection: Connection) -> Iterator[FileRow]:
        """Read a file of the business's own; see Dropping.read_file."""
        from connectors.inhouse.canonical.files import rows  # noqa: PLC0415 - readers of tables

        for row in rows(name, body, connection.config):
            yield _checked(self, row, connection)


def _checked(dialect: Canonical, row: FileRow, connection: Connection) -> FileRow:
    """Say what is wrong with a row before anything is stored of it."""
    if row.error is not None or row.document is None:
        return row
    try:
        for event in dialect.decode(row.document, FILE):
            dialect.map(event, (), connection)
    except (Malformed, Refused) as wrong:
        return FileRow(numbers=row.numbers, cells=row.cells, document=None, error=wrong)
    return row


def _timestamp(stated: str) -> datetime:
    if not (stated.isascii() and stated.isdigit() and len(stated) <= 11):
        raise SignatureInvalid("webhook-timestamp is no time")
    return datetime.fromtimestamp(int(stated), UTC)


def _sign(secret: str, message: bytes) -> str:
    text = secret.removeprefix(_PREFIX)
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        key = secret.encode()
    return base64.b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode()


def _require_one(given: Sequence[str], expected: Sequence[str]) -> None:
    """Of several signatures, during a rotation, one is enough."""
    for one in given[:8]:
        try:
            require_match(one, expected, what="webhook-signature")
        except SignatureInvalid:
            continue
        return
    raise SignatureInvalid("webhook-signature does not match")


def _event(document: Any, path: str) -> SourceEvent:
    prefix = f"{path}." if path else ""
    if not isinstance(document, dict):
        raise Malformed("a JSON object was expected", field=path or "body")
    stated = document.get("type")
    try:
        kind = EventType(str(stated))
    except ValueError:
        if isinstance(stated, str) and stated:
            raise Refused(f"{stated[:60]} says nothing about sales, stays or customers") from None
        raise Malformed("a type was expected", field=f"{prefix}type") from None
    data = document.get("data")
    if not isinstance(data, dict):
        raise Malformed("a JSON object was expected", field=f"{prefix}data")
    entity, names = _ENTITIES[kind]
    entity_id = next((data[name] for name in names if data.get(name)), None)
    if not isinstance(entity_id, str):
        raise Malformed("an id was expected", field=f"{prefix}data.{names[0]}")
    version = data.get("version")
    return SourceEvent(
        type=kind.value,
        entity=entity,
        entity_id=entity_id,
        version=version if isinstance(version, int) and not isinstance(version, bool) else None,
        snapshot=data,
    )


def to_line(kind: str, data: dict[str, Any]) -> bytes:
    """Write an event as a line of a file's delivery."""
    return json.dumps({"type": kind, "data": data}, ensure_ascii=False).encode()
