"""What every dialect needs: exact numbers, signatures compared in constant time, trading days.

All of it is pure. A dialect's own rules stay with the dialect.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from hub.clock import business_date
from hub.connector.bounds import require_instant
from hub.connector.canonical import Hint, HintType, Line, LineKind
from hub.connector.plug import Connection, RateBudget, SignatureInvalid
from hub.errors import Malformed

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Outlet(BaseModel):
    """Where an outlet's trading day differs from its connection's."""

    model_config = ConfigDict(extra="forbid")

    time_zone: str
    day_starts_at_hour: int = Field(default=0, ge=0, le=23)


class DialectConfig(BaseModel):
    """What every connection is configured with, whatever system it speaks to.

    `base_url` is the upstream's API that the host's client asks. `verifies` lists the hints that
    this business proves itself (a code sent to the phone, a passport at the desk) before it types
    them into its system: no system says so in its payloads, and without proof a hint links nobody.
    `rate_budget` replaces the dialect's own where the upstream grants this credential another.
    `tills` are a hotel's: the connections whose checks, charged to its rooms, tell themselves.
    """

    model_config = ConfigDict(extra="forbid")

    base_url: str | None = None
    access_token: SecretStr | None = None
    outlets: Mapping[str, Outlet] = Field(default_factory=dict)
    verifies: frozenset[HintType] = frozenset()
    rate_budget: RateBudget | None = None
    tills: frozenset[str] = frozenset()


class Read(BaseModel):
    """The base of upstream models: they name only what is read, and ignore the rest.

    A null where a field has another default is taken for absent: systems write either.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)
    _absent: ClassVar[frozenset[str] | None] = None

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, value: Any) -> Any:
        if not isinstance(value, dict) or None not in value.values():
            return value
        absent = cls.__dict__.get("_absent")
        if absent is None:
            absent = cls._absent = frozenset(
                key
                for name, field in cls.model_fields.items()
                if not field.is_required() and field.default is not None
                for key in (name, field.alias or name)
            )
        return {key: one for key, one in value.items() if one is not None or key not in absent}


def parse_json(body: bytes) -> Any:
    """Parse a JSON body with its decimals exact; raises Malformed, naming `body`.

    Some systems write money as JSON numbers; parsing them as floats would already be a loss.
    """
    try:
        return json.loads(body, parse_float=Decimal, parse_constant=_no_constant)
    except (UnicodeDecodeError, ValueError, RecursionError) as bad:
        raise Malformed(f"not JSON: {bad}", field="body") from bad


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


def parse_object(body: bytes) -> dict[str, Any]:
    """Parse a body that must be a JSON object; raises Malformed, naming `body`."""
    parsed = parse_json(body)
    if not isinstance(parsed, dict):
        raise Malformed("a JSON object was expected", field="body")
    return parsed


def require_object(document: Any, key: str) -> Mapping[str, Any]:
    """Return the object under `key` of an upstream's answer; raises Malformed, naming `key`."""
    return require_mapping(document.get(key) if isinstance(document, Mapping) else None, key)


def require_mapping(value: object, field: str) -> Mapping[str, Any]:
    """Return a JSON object; raises Malformed, naming `field`, for anything else."""
    if not isinstance(value, Mapping):
        raise Malformed("a JSON object was expected", field=field)
    return value


def hmac_sha256_base64(secret: str, message: bytes) -> str:
    """Sign `message` the way most systems do: base64 of HMAC-SHA256."""
    return base64.b64encode(hmac.new(secret.encode(), message, hashlib.sha256).digest()).decode()


def require_match(given: str | None, expected: Iterable[str], *, what: str) -> None:
    """Raise SignatureInvalid unless `given` is one of `expected`.

    Every candidate is compared, each in constant time: how long the answer takes tells nothing
    about which secret nearly matched.
    """
    if not given:
        raise SignatureInvalid(f"{what} is missing")
    found = False
    for candidate in expected:
        found |= hmac.compare_digest(given.encode(), candidate.encode())
    if not found:
        raise SignatureInvalid(f"{what} does not match")


def trading_day(connection: Connection, outlet: str | None, instant: datetime) -> date:
    """Return the business date of `instant` at an outlet, or at the connection's own zone.

    Raises Malformed for an instant that is in no calendar of ours.
    """
    own = connection.config.outlets.get(outlet) if outlet else None
    zone = own.time_zone if own else connection.time_zone
    starts_at = own.day_starts_at_hour if own else connection.day_starts_at_hour
    require_instant(instant, field="occurred_at")
    return business_date(instant, zone, day_starts_at_hour=starts_at)


def version_at(instant: datetime | None) -> int | None:
    """Return an instant as whole milliseconds: the order of snapshots that carry no version."""
    return None if instant is None else (instant - _EPOCH) // timedelta(milliseconds=1)


def person_name(given: str | None, family: str | None) -> str | None:
    """Write a name the way it is read: 李静怡 without a space and family first, Li Jingyi with."""
    parts = [part.strip() for part in (given, family) if part and part.strip()]
    if len(parts) == 2 and all(any("\u3400" <= c <= "\u9fff" for c in part) for part in parts):
        return parts[1] + parts[0]
    return " ".join(parts) or None


def full_birthday(text: str | None) -> str | None:
    """Return an ISO date that names a year, or None: half a birthday identifies nobody."""
    try:
        return date.fromisoformat(text).isoformat() if text else None
    except ValueError:
        return None


def hints(config: DialectConfig, found: Mapping[HintType, str | None]) -> tuple[Hint, ...]:
    """Make hints of what was found; empty values are dropped, proof comes from `verifies`."""
    return tuple(
        Hint(type=kind, value=value.strip(), verified=kind in config.verifies)
        for kind, value in found.items()
        if value and value.strip()
    )


def rounding_line(
    residual_minor: int, *, allowed_minor: int, currency: str, field: str
) -> tuple[Line, ...]:
    """Turn what is left between a bill's total and its lines into an explicit line.

    Raises Malformed, naming `field`, when more than `allowed_minor` is left: that is no rounding
    but a line this dialect did not understand, and guessing would give points away.
    """
    if residual_minor == 0:
        return ()
    if abs(residual_minor) > allowed_minor:
        raise Malformed(
            f"the lines leave {residual_minor} minor units of {currency} of the total unexplained",
            field=field,
        )
    return (
        Line(
            id="rounding",
            kind=LineKind.ROUNDING,
            gross_minor=residual_minor,
            net_minor=residual_minor,
        ),
    )
