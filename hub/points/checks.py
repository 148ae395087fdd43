"""What every verb asks of its input."""

from hub.errors import Malformed

# A till that asks for more has a bug; a bigint would still hold a million times as much.
MOST_POINTS = 10**12


def positive(points: int, *, field: str = "points") -> None:
    """Raise Malformed unless `points` is a sensible positive count."""
    if not 0 < points <= MOST_POINTS:
        raise Malformed(f"{field} must be from 1 to {MOST_POINTS}", field=field)
