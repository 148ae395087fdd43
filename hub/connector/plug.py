"""The plug: what a connector is to the hub.

A connector is a small object found by entry point (group `hub.connectors`). It owns no database
and keeps no state; the host (`hub.intake`) owns raw storage, deduplication, order, retries and
dead letters. All methods but `hydrate` and `check` are pure.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol, TypeVar, runtime_checkable

from pydantic import BaseModel, ValidationError

from hub.connector.bounds import require_id
from hub.connector.canonical import CanonicalEvent, FactKey
from hub.errors import HubError, Malformed

M = TypeVar("M", bound=BaseModel)


class SignatureInvalid(HubError):
    """The delivery is not proven to come from the system it claims to come from."""

    code = "signature_invalid"


class Refused(HubError):
    """The payload is understood and yields no fact, for a stated reason (a draft, a test…)."""

    code = "refused"


class NotYet(HubError):
    """The upstream cannot give the snapshot now; the host retries after `retry_after_seconds`."""

    code = "not_yet"
    retryable = True

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message, retry_after_seconds=retry_after_seconds)
        self.retry_after_seconds = retry_after_seconds


class ReplayProtection(StrEnum):
    """What a system offers against a delivery being played again by someone else."""

    NONE = "none"
    DEDUP_ID = "dedup_id"
    SIGNED_TIMESTAMP = "signed_timestamp"


class Outcome(StrEnum):
    """What the host did with a delivery; the connector words the answer in its dialect.

    There is no outcome for a malformed body: the sender could not mend it, so it is stored and
    accepted, and a dead letter names the field.
    """

    ACCEPTED = "accepted"
    SIGNATURE_INVALID = "signature_invalid"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbound:
    """A request as it came: raw body, lower-cased header names, the URL the sender addressed."""

    body: bytes
    headers: Mapping[str, str]
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """An authentic delivery: its transport id and topic, where the system states them."""

    dedup_id: str | None
    topic: str | None = None
    triggered_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the sender is answered."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceEvent:
    """One event of the source's own kind. Thin events carry no snapshot and are hydrated.

    `version` orders snapshots of one entity (higher wins); None means the source gives no order.
    `address` is where `hydrate` finds the entity, in the connector's own words, where its id alone
    does not say.
    """

    type: str
    entity: str
    entity_id: str
    version: int | None = None
    occurred_at: datetime | None = None
    snapshot: Mapping[str, Any] | None = None
    address: str | None = None

    def __post_init__(self) -> None:
        require_id(self.entity_id, field=f"{self.entity}.id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """One configured connection as its connector sees it.

    `secrets` holds the current secret first and, during a rotation, the previous one after it.
    `config` is an instance of the connector's own `spec.config`.
    """

    connection_id: str
    config: Any
    secrets: Sequence[str]
    time_zone: str
    currency: str
    day_starts_at_hour: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RateBudget:
    """How many requests the upstream allows one credential in a window."""

    requests: int
    per_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What a connector needs and offers. `thin`: its events must be hydrated.

    `poll_seconds` is how often its streams are pulled where the system keeps a queue instead of
    sending; None: once a day, to find what was not sent.
    """

    name: str
    title: str
    config: type[BaseModel]
    replay_protection: ReplayProtection
    acknowledge_within_seconds: float
    thin: bool = False
    rate_budget: RateBudget | None = None
    poll_seconds: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What an upstream answered: the body as it came, header names in lower case."""

    body: bytes
    headers: Mapping[str, str]


class UpstreamClient(Protocol):
    """The HTTP client that the host lends: it keeps the rate budget and honours Retry-After.

    Paths are below the connection's `config.base_url`. Both calls raise NotYet for 429, 5xx and
    network failures (retry later) and Malformed, naming the path, for any other refusal. `form`
    is sent URL-encoded, as OAuth's token endpoints want it (RFC 6749, 4.4.2).
    """

    async def request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        json: object | None = None,
        form: Mapping[str, str] | None = None,
    ) -> Any:
        """Return the answer's JSON as `hub.connector.parse_json` reads it: exact decimals."""

    async def fetch(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        json: object | None = None,
        form: Mapping[str, str] | None = None,
    ) -> Answered:
        """Return the answer as it came: for pages that are kept raw, or whose headers count."""


class Connector(Protocol):
    """A dialect. See the method docstrings for what each may raise."""

    @property
    def spec(self) -> Spec:
        """What this connector needs and offers."""

    def verify(self, inbound: Inbound, connection: Connection, now: datetime) -> Delivery:
        """Prove authenticity over the raw bytes, in constant time; raises SignatureInvalid."""

    def acknowledge(self, outcome: Outcome) -> Reply:
        """Word the answer that this system expects."""

    def decode(self, body: bytes, topic: str | None) -> Sequence[SourceEvent]:
        """Read a raw body. Raises Malformed naming the field; Refused when nothing is in it."""

    def map(
        self,
        event: SourceEvent,
        posted: Collection[FactKey],
        connection: Connection,
    ) -> Sequence[CanonicalEvent]:
        """Yield the difference between a snapshot and the facts already posted for its entity.

        Pure and deterministic. Raises Malformed naming the field, Refused with the reason.
        """


@runtime_checkable
class Hydrating(Protocol):
    """A connector whose events may come without their snapshot (`event.snapshot is None`)."""

    async def hydrate(
        self, client: UpstreamClient, event: SourceEvent, connection: Connection
    ) -> Mapping[str, Any]:
        """Fetch the snapshot that `event` points at; raises NotYet, Refused or Malformed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of a stream as it came, and where the next one begins.

    `body` is kept raw like a delivery and read by `decode(body, topic)`: what was pulled takes the
    path of what was pushed. None: there was nothing. `cursor` is the connector's own text; the host
    stores it after the page. `done`: the stream has nothing more for now; `cursor` is then where
    the next pull goes on.
    """

    body: bytes | None
    topic: str
    cursor: str | None
    done: bool


@runtime_checkable
class Pulling(Protocol):
    """A connector that can ask for what happened: for backfill, and to find what webhooks lost."""

    @property
    def streams(self) -> Sequence[str]:
        """What can be pulled, each with a cursor of its own, in the order to pull them."""

    async def pull(
        self,
        client: UpstreamClient,
        stream: str,
        cursor: str | None,
        connection: Connection,
        *,
        since: datetime,
        until: datetime,
    ) -> Page:
        """Fetch one page of `stream` from `cursor`; None begins with what changed at `since`.

        A page from a queue that forgets what it has given is committed before the next is asked
        for. Raises NotYet, Malformed.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRow:
    """One event of a file: which rows (the heading is row 1) made it, and what stands in them.

    `document` is what is stored as one line of a delivery and read by `decode(…, "file")`; None:
    `error` says which field is wrong.
    """

    numbers: Sequence[int]
    cells: Sequence[Mapping[str, str]]
    document: bytes | None = None
    error: HubError | None = None


@runtime_checkable
class Dropping(Protocol):
    """A connector that reads files of a business's own: nightly batches, exports, corrections."""

    def read_file(self, name: str, body: bytes, connection: Connection) -> Iterator[FileRow]:
        """Read a file, whose kind `name` tells, as its connection's columns are configured.

        Raises Malformed for what is no such file or lacks a column; what is wrong with one event
        is in its row.
        """


@runtime_checkable
class Checking(Protocol):
    """A connector that can prove its credentials against the upstream."""

    async def check(self, client: UpstreamClient, connection: Connection) -> str:
        """Return one plain sentence on whom the credentials speak for; raises NotYet, Malformed."""


@runtime_checkable
class Answering(Protocol):
    """A connector whose answer must name what it answers: a message's own name, or its token."""

    def answer(self, outcome: Outcome, inbound: Inbound) -> Reply:
        """Word the answer to `inbound`. Without ACCEPTED nobody has proven it: do not read it."""


def field_path(location: Sequence[int | str]) -> str:
    """Write a pydantic error location the way people write paths: `lines[2].price`."""
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return path or "body"


def read_as(model: type[M], value: object) -> M:
    """Validate an upstream value against `model`; raises Malformed naming the first wrong field."""
    try:
        return model.model_validate(value)
    except ValidationError as bad:
        first = bad.errors(include_url=False)[0]
        raise Malformed(first["msg"], field=field_path(first["loc"])) from bad
