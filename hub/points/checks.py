"""What every verb asks of its input."""

from datetime import datetime, timedelta

from hub.errors import Malformed
from hub.units import MOST_MINOR

# A till that asks for more has a bug; a bigint would still hold a million times as much.
MOST_POINTS = 10**12
LONGEST_KEY = 200
LONGEST_REASON = 500
LONGEST_ACTOR = 200
FIRST_YEAR = 2000
FASTEST_CLOCK = timedelta(hours=24)


def positive(points: int, *, field: str = "points") -> None:
    """Raise Malformed unless `points` is a sensible positive count."""
    if type(points) is not int or not 0 < points <= MOST_POINTS:
        raise Malformed(f"{field} must be a whole number from 1 to {MOST_POINTS}", field=field)


def bill(bill_minor: int | None) -> None:
    """Raise Malformed unless what a bill comes to, if that is said, is an amount."""
    if bill_minor is not None and not 0 <= bill_minor <= MOST_MINOR:
        raise Malformed(f"a bill is from 0 to {MOST_MINOR} minor units", field="bill_minor")


def key(idempotency_key: str) -> None:
    """Raise Malformed unless the key can be stored and compared."""
    if not 1 <= len(idempotency_key) <= LONGEST_KEY or not idempotency_key.isprintable():
        raise Malformed(
            f"an idempotency key has 1 to {LONGEST_KEY} printable characters",
            field="idempotency_key",
        )


def timely(occurred_at: datetime, now: datetime) -> None:
    """Raise Malformed for an instant that no till means: without offset, ancient, or to come.

    A till's clock may be ahead of ours by FASTEST_CLOCK.
    """
    if occurred_at.utcoffset() is None:
        raise Malformed("an instant needs a UTC offset", field="occurred_at")
    if occurred_at.year < FIRST_YEAR:
        raise Malformed(f"nothing is posted from before {FIRST_YEAR}", field="occurred_at")
    if occurred_at > now + FASTEST_CLOCK:
        raise Malformed(
            f"{occurred_at.isoformat()} lies ahead: what has not happened yet is not posted",
            field="occurred_at",
        )


def reasoned(reason: str) -> None:
    """Raise Malformed unless `reason` says something that can be kept."""
    if not 1 <= len(reason.strip()) <= LONGEST_REASON or not reason.isprintable():
        raise Malformed(f"a reason has 1 to {LONGEST_REASON} printable characters", field="reason")


def named(actor: str, *, field: str = "actor") -> None:
    """Raise Malformed unless `actor` names somebody; blanks at an end would make one person two."""
    if not 1 <= len(actor) <= LONGEST_ACTOR or not actor.isprintable() or actor != actor.strip():
        raise Malformed(
            f"{field} names somebody, in 1 to {LONGEST_ACTOR} printable characters without a blank "
            "at either end",
            field=field,
        )
