"""People under resolution: what stands for a batch when it begins, and what it changes."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from hub.connector import HintType
from hub.crypto.fields import DataKey
from hub.members.identifiers import Identifier, Kind, Reading, Trait

STALE_AFTER = timedelta(days=90)
"""Numbers are given to somebody else some months after they were given up."""
HUB_PREFIX = "hub:"
"""External ids that begin so are the hub's own, of walk-in accounts; no source may use them."""


class Outcome(StrEnum):
    """How a sighting was resolved."""

    KNOWN = "known"
    MATCHED = "matched"
    NEW = "new"
    NEW_WITH_REVIEW = "new_with_review"
    ANONYMOUS = "anonymous"
    ERASED = "erased"


class Reason(StrEnum):
    """Why a person should look at it."""

    SEVERAL_OWNERS = "several_owners"
    CONFLICTING_IDENTIFIER = "conflicting_identifier"
    NAME_CONTRADICTS = "name_contradicts"
    SECOND_ACCOUNT = "second_account"
    UNVERIFIED_IDENTIFIER = "unverified_identifier"
    IDENTIFIER_TAKEN = "identifier_taken"
    STALE_IDENTIFIER = "stale_identifier"
    SHARED_IDENTIFIER = "shared_identifier"
    BATCH_MATCH = "batch_match"
    """The batch matcher finds it likely, and leaves it to a person."""


@dataclass(eq=False, slots=True)
class Person:
    """A member under resolution."""

    member_id: int
    new: bool = False
    accounts: list["Account"] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    birthdays: list[str] = field(default_factory=list)
    """Read only where a claim may pass from one person to another."""
    held: dict[tuple[Kind, int], "Claim"] = field(default_factory=dict)
    """Open verified claims of the kinds that a person has one of, by the birth that has it.

    A person who was merged may have several: each birth keeps its own.
    """

    def holding(self, kind: Kind) -> list["Claim"]:
        """Return the open verified claims of a kind that a person has one of."""
        return [claim for (held, _), claim in self.held.items() if held is kind]


@dataclass(eq=False, slots=True)
class Account:
    """An account under resolution; a new one gets its key when it is stored."""

    account_id: int
    business_id: int
    external_id: str
    person: Person
    born_id: int
    """The member it was born to, which a merge does not change."""
    key: DataKey | None = None
    walk_in: bool = False
    method: str = "birth"
    erased: bool = False
    """Its key was destroyed: whoever is seen on it is nobody we know, and nothing is recorded."""


@dataclass(eq=False, slots=True)
class Claim:
    """A verified identifier's open claim; `claim_id` is None until it is stored."""

    identifier: Identifier
    person: Person
    account: Account | None
    last_seen_at: datetime
    born_id: int
    claim_id: int | None = None

    def is_stale(self, at: datetime) -> bool:
        """Whether a phone was unseen for so long that it may be somebody else's by `at`."""
        return self.identifier.kind is Kind.PHONE and at - self.last_seen_at > STALE_AFTER


@dataclass(slots=True)
class Standing:
    """What stands for the people of a batch; grows as the batch is worked through."""

    accounts: dict[tuple[int, str], Account] = field(default_factory=dict)
    owners: dict[tuple[Kind, bytes], Claim] = field(default_factory=dict)
    shared: set[tuple[Kind, bytes]] = field(default_factory=set)
    """Identifiers that many people give, by any of their blind indexes."""
    released: set[tuple[Kind, bytes]] = field(default_factory=set)
    """Identifiers that were taken for shared until staff said that they are one person's."""
    fresh_members: deque[int] = field(default_factory=deque)
    fresh_accounts: deque[int] = field(default_factory=deque)
    """Numbers for those who may be new, the next one last, enough for the whole batch."""

    def owner(self, identifier: Identifier) -> Claim | None:
        """Return the open verified claim on an identifier."""
        return self.owners.get((identifier.kind, identifier.digest))


@dataclass(slots=True)
class Changes:
    """What is to be written for a batch."""

    persons: list[Person] = field(default_factory=list)
    accounts: list[Account] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    seen: set[Claim] = field(default_factory=set)
    closed: list[Claim] = field(default_factory=list)
    evidence: dict[tuple[Account, Identifier], datetime] = field(default_factory=dict)
    traits: dict[tuple[Account, HintType], tuple[Trait, datetime]] = field(default_factory=dict)
    as_given: dict[tuple[Account, HintType], tuple[Trait, datetime]] = field(default_factory=dict)
    reviews: dict[tuple[Account, Reason], list[Person]] = field(default_factory=dict)

    def doubt(self, account: Account, reason: Reason, candidates: Sequence[Person]) -> None:
        """Put to review whether the account is one of the candidates'."""
        known = self.reviews.setdefault((account, reason), [])
        known += [person for person in candidates if person not in known]


@dataclass(frozen=True, slots=True)
class Seen:
    """One sighting, read: where, under which id of the business's own, when, and what it says.

    `proven`: the person has just shown that the verified identifiers are in their hands.
    """

    business_id: int
    external_id: str | None
    seen_at: datetime
    reading: Reading
    proven: bool = False
