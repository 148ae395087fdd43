"""What a system asks of the hub while a guest waits, and what it is answered.

A dialect only translates: `read_call` proves a request authentic and says what it asks for,
`answer_call` words what came of it. The host (`hub.intake.serve`) does what is asked.

A call that moves points has a `key`, which makes it one however often it is sent.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeAlias, runtime_checkable

from hub.connector.canonical import Hint
from hub.connector.plug import Connection, Inbound, Reply
from hub.errors import HubError


@dataclass(frozen=True, slots=True, kw_only=True)
class Enquire:
    """Who is this? Phone, email or loyalty number; each may lead to a member."""

    hints: tuple[Hint, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What would be taken of this member's points for a bill; each of `asks` by itself."""

    loyalty_id: str
    bill_minor: int
    asks: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Spend:
    """Take `points` of a member for a bill, all or none."""

    key: str
    loyalty_id: str
    points: int
    bill_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Accrue:
    """A bill was paid. It earns by what the source says of the bill itself, never by this call."""

    key: str
    loyalty_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reverse:
    """Give back what the call under `spent_key` took: `points` of it, or None, all that is left.

    `may_be_earn`: what is reversed may as well have been an Accrue, of which nothing is kept.
    """

    key: str
    spent_key: str
    points: int | None = None
    may_be_earn: bool = False


Call: TypeAlias = Enquire | Quote | Spend | Accrue | Reverse


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A member, as far as the business may see: `loyalty_id` is the hub's own name for them there.

    Name, phone and email are masked; `points` are what could be spent now.
    """

    loyalty_id: str
    points: int
    name: str | None = None
    phone: str | None = None
    email: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Who an enquiry leads to; nobody is an answer too."""

    people: tuple[Known, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quoted:
    """A member, and for each of the asks None, or why so many points would not be taken."""

    person: Known
    refusals: tuple[str | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Points were taken, or `refusal` says why not. `person` has what is left."""

    person: Known
    points: int
    refusal: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """Nothing was to be done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reversed:
    """So many points were given back; 0 where nothing had been taken."""

    points: int


Result: TypeAlias = Found | Quoted | Spent | Noted | Reversed


class NobodyKnown(HubError):
    """No member answers to the loyalty number of a call."""

    code = "nobody_known"


class NothingSpent(HubError):
    """Nothing was spent under the key that a call wants to reverse, or less than it says."""

    code = "nothing_spent"


@runtime_checkable
class Serving(Protocol):
    """A connector whose system asks the hub and waits for the answer. Both methods are pure."""

    def read_call(self, inbound: Inbound, connection: Connection, now: datetime) -> Call:
        """Prove a request authentic and say what it asks for.

        Raises SignatureInvalid; Malformed naming the field; Refused for what cannot be asked.
        """

    def answer_call(
        self, inbound: Inbound, call: Call | None, result: Result | HubError, connection: Connection
    ) -> Reply:
        """Word what came of a request; `call` is None when `read_call` raised `result`.

        `result` may be any HubError: these two methods' own, NobodyKnown, NothingSpent, Conflict,
        and Unavailable when there was no answer in time (nothing was done then).
        """
