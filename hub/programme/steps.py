"""The steps from a bill to its points, kept with an earn so that they can be told later."""

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction


class StepKind(StrEnum):
    """What a step did. The values are stored; they are never renamed."""

    BASE = "base"
    CONVERSION = "conversion"
    RATE = "rate"
    MULTIPLIER = "multiplier"
    FLOOR = "floor"
    CAP_PER_EVENT = "cap_per_event"
    CAP_PER_DAY = "cap_per_day"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step. `value` is its number as exact text: a rate, a factor, points before rounding.

    `lines` are those it was for (none: the whole bill), `points` what it left (None: it did not
    say), `qualifying` a rate of qualifying points.
    """

    kind: StepKind
    value: str
    reason: str = ""
    lines: tuple[str, ...] = ()
    points: int | None = None
    qualifying: str | None = None


def pack(step: Step) -> dict[str, object]:
    """Return a step as JSON values, without what it does not say."""
    facts = {name: getattr(step, name) for name in Step.__slots__}
    return {name: value for name, value in facts.items() if value not in (None, "", ())}


def unpack(packed: dict[str, object]) -> Step:
    """Read what `pack` wrote."""
    facts = {
        **packed,
        "kind": StepKind(str(packed["kind"])),
        "lines": tuple(packed.get("lines", ())),  # type: ignore[arg-type]
    }
    return Step(**facts)  # type: ignore[arg-type]


def exact(value: Fraction) -> str:
    """Return a fraction of tenths, hundredths … as text, to its last digit."""
    places = 0
    while 10**places % value.denominator:
        places += 1
    whole, rest = divmod(value.numerator, value.denominator)
    if not places:
        return str(whole)
    return f"{whole}.{rest * 10**places // value.denominator:0{places}d}"
