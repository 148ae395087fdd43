# ruff: noqa: S101, S311, D102 (it is tests: they assert, shuffle, and are named for what they say)
"""The test kit that every dialect passes, ours or a third party's: one subclass, one file.

A subclass says how its system signs and gives some bodies of its own; the kit does to them what
the world does: repeats, shuffles, forges, rotates secrets, cuts fields out. The kit needs pytest
with pytest-asyncio, and nothing of the hub but the plug.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, ClassVar, NamedTuple

import pytest

from hub.connector import (
    Answered,
    CanonicalEvent,
    Checking,
    Connection,
    Connector,
    EventType,
    FactKey,
    Hydrating,
    Inbound,
    Outcome,
    Pulling,
    Refused,
    SignatureInvalid,
    SourceEvent,
    parse_json,
)
from hub.errors import Malformed

NOW = datetime(2026, 3, 31, 12, 0, tzinfo=UTC)
SINCE = datetime(2026, 1, 1, tzinfo=UTC)


class Body(NamedTuple):
    """A raw body and the topic that its delivery states, if the system has topics."""

    raw: bytes
    topic: str | None = None


Answer = bytes | Answered


class CannedUpstream:
    """An upstream that answers from a table: `(method, path)` to JSON text, to what is answered
    with headers, or to a function of the request's body (JSON or form) that makes either.
    """

    def __init__(self, answers: Mapping[tuple[str, str], Answer | Callable[[Any], Answer]]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, str, Mapping[str, str], object]] = []

    async def request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        json: object | None = None,
        form: Mapping[str, str] | None = None,
    ) -> Any:
        """Answer one request as the host's client does, read by `parse_json`."""
        answer = await self.fetch(method, path, headers=headers, json=json, form=form)
        return parse_json(answer.body)

    async def fetch(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        json: object | None = None,
        form: Mapping[str, str] | None = None,
    ) -> Answered:
        """Answer one request; what the table lacks is refused, naming the path."""
        sent = form if json is None else json
        self.asked.append((method, path, headers or {}, sent))
        answer = self.answers.get((method, path))
        if answer is None:
            raise Malformed(f"{method} {path} answered 404", field=path)
        found = answer(sent) if callable(answer) else answer
        return Answered(body=found, headers={}) if isinstance(found, bytes) else found


class DialectConformance:
    """Subclass it, name the class `Test…`, and fill in what has no default."""

    connector: ClassVar[Connector]
    connection: ClassVar[Connection]
    """Configured with two secrets: the current one, then the previous one."""

    signs_body: ClassVar[bool] = True
    signs_url: ClassVar[bool] = False
    bills_are_settled: ClassVar[bool] = True
    """Whether the tenders of a bill make up its total (a hotel's may be paid later)."""

    pushed: ClassVar[Sequence[Body]]
    """Webhook bodies of one story, in the order of the story; several facts, some repeated."""
    pulled: ClassVar[Sequence[Body]]
    """The same story as pages of the system's API."""
    expected: ClassVar[frozenset[FactKey]]
    """All the story's facts, but for `profile.changed`."""
    broken: ClassVar[Sequence[tuple[Body, str]]]
    """Bodies that lack or garble something, and the field that must be named."""
    refused: ClassVar[Sequence[tuple[Body, str]]]
    """Bodies that are understood and yield nothing, and words of the reason."""
    checked: ClassVar[str] = ""
    """Words that `check` must say of whom the credentials speak for."""

    def sign(self, body: Body, secret: str | None) -> Inbound:
        """Wrap a body as the system would send it, signed with `secret` or not at all."""
        raise NotImplementedError

    def upstream(self) -> CannedUpstream:
        """Return what answers hydration and `check`."""
        return CannedUpstream({})

    # What follows is the kit.

    async def events(
        self, body: Body, posted: Mapping[FactKey, CanonicalEvent] | None = None
    ) -> list[CanonicalEvent]:
        """Decode, hydrate and map one body the way a host does: what is refused of it matters only
        where nothing else in it is a fact.
        """
        found: list[CanonicalEvent] = []
        refused: list[Refused] = []
        events = self.connector.decode(body.raw, body.topic)
        for event in events:
            try:
                found += await self.mapped(event, posted or {})
            except Refused as reason:
                refused.append(reason)
        if refused and len(refused) == len(events):
            raise refused[0]
        return found

    async def yielded(
        self, body: Body, posted: Mapping[FactKey, CanonicalEvent] | None = None
    ) -> list[CanonicalEvent]:
        """Read one body; what is refused yields nothing."""
        try:
            return await self.events(body, posted)
        except Refused:
            return []

    async def mapped(
        self, event: SourceEvent, posted: Mapping[FactKey, CanonicalEvent]
    ) -> Sequence[CanonicalEvent]:
        """Hydrate an event if it is thin, and map it. What a posted fact already goes by, as a
        bill goes by its payments, is no news, as the host has it.
        """
        if event.snapshot is None:
            assert isinstance(self.connector, Hydrating), "a thin event, and no way to hydrate it"
            snapshot = await self.connector.hydrate(self.upstream(), event, self.connection)
            event = replace(event, snapshot=snapshot)
        found = self.connector.map(event, frozenset(posted), self.connection)
        named = {name for fact in posted.values() for name in fact.references}
        return [one for one in found if one.fact not in named]

    async def play(self, bodies: Sequence[Body]) -> dict[FactKey, CanonicalEvent]:
        """Post a story: one effect per fact, as the host's unique key has it.

        Which snapshot a fact was first read from is no part of the fact.
        """
        posted: dict[FactKey, CanonicalEvent] = {}
        for body in bodies:
            for event in await self.yielded(body, posted):
                assert event.fact not in posted, f"{event.fact} was posted and came again"
                posted[event.fact] = event
        return {
            fact: replace(event, source_version=None)
            for fact, event in posted.items()
            if event.type is not EventType.PROFILE_CHANGED
        }

    def verify(self, inbound: Inbound, secrets: Sequence[str] | None = None) -> None:
        """Verify with the connection's secrets, or with others."""
        connection = self.connection
        if secrets is not None:
            connection = replace(connection, secrets=secrets)
        self.connector.verify(inbound, connection, NOW)

    # Authenticity.

    def test_a_signed_delivery_is_accepted(self) -> None:
        for body in self.pushed:
            self.verify(self.sign(body, self.connection.secrets[0]))

    def test_the_previous_secret_is_good_during_a_rotation(self) -> None:
        self.verify(self.sign(self.pushed[0], self.connection.secrets[1]))

    def test_the_previous_secret_is_bad_after_the_rotation(self) -> None:
        old = self.sign(self.pushed[0], self.connection.secrets[1])
        with pytest.raises(SignatureInvalid):
            self.verify(old, secrets=self.connection.secrets[:1])

    def test_another_secret_is_refused(self) -> None:
        with pytest.raises(SignatureInvalid):
            self.verify(self.sign(self.pushed[0], "nobody's secret"))

    def test_a_delivery_without_signature_is_refused(self) -> None:
        with pytest.raises(SignatureInvalid):
            self.verify(self.sign(self.pushed[0], None))

    def test_a_connection_without_secret_accepts_nothing(self) -> None:
        for secret in ("", self.connection.secrets[0]):
            with pytest.raises(SignatureInvalid):
                self.verify(self.sign(self.pushed[0], secret), secrets=())

    def test_a_flipped_byte_is_refused(self) -> None:
        if not self.signs_body:
            pytest.skip("this system signs no bodies")
        signed = self.sign(self.pushed[0], self.connection.secrets[0])
        for at in (0, len(signed.body) // 2, len(signed.body) - 1):
            forged = bytearray(signed.body)
            forged[at] ^= 1
            with pytest.raises(SignatureInvalid):
                self.verify(Inbound(body=bytes(forged), headers=signed.headers, url=signed.url))

    def test_a_delivery_to_another_url_is_refused(self) -> None:
        if not self.signs_url:
            pytest.skip("this system signs no URLs")
        signed = self.sign(self.pushed[0], self.connection.secrets[0])
        elsewhere = "https://elsewhere.example/hooks/other"
        with pytest.raises(SignatureInvalid):
            self.verify(Inbound(body=signed.body, headers=signed.headers, url=elsewhere))

    def test_nothing_is_parsed_before_it_is_verified(self) -> None:
        garbage = Body(b"\xff\xfe{not json", self.pushed[0].topic)
        with pytest.raises(SignatureInvalid):
            self.verify(self.sign(garbage, "nobody's secret"))
        self.verify(self.sign(garbage, self.connection.secrets[0]))

    # Answers.

    def test_answers_say_what_the_sender_should_do(self) -> None:
        assert 200 <= self.connector.acknowledge(Outcome.ACCEPTED).status < 300
        assert self.connector.acknowledge(Outcome.SIGNATURE_INVALID).status == 401
        assert self.connector.acknowledge(Outcome.UNAVAILABLE).status >= 500

    # Reading.

    @pytest.mark.parametrize(
        "raw", [b"", b"{", b"\xff\xfe", b"null garbage", b'{"a": NaN}', b"[" * 100_000]
    )
    def test_garbage_names_the_body(self, raw: bytes) -> None:
        with pytest.raises(Malformed) as caught:
            self.connector.decode(raw, self.pushed[0].topic)
        assert caught.value.field == "body"

    async def test_what_is_broken_names_its_field(self) -> None:
        for body, field in self.broken:
            with pytest.raises(Malformed) as caught:
                await self.events(body)
            assert caught.value.field == field

    async def test_what_is_refused_says_why(self) -> None:
        for body, reason in self.refused:
            with pytest.raises(Refused) as caught:
                await self.events(body)
            assert reason in caught.value.message

    # Facts.

    async def test_the_story_yields_its_facts(self) -> None:
        assert frozenset(await self.play(self.pushed)) == self.expected

    async def test_repeats_and_shuffles_change_nothing(self) -> None:
        told = await self.play(self.pushed)
        for seed in range(8):
            bodies = list(self.pushed) * 3
            random.Random(seed).shuffle(bodies)
            assert await self.play(bodies) == told

    async def test_push_and_pull_agree(self) -> None:
        assert await self.play(self.pulled) == await self.play(self.pushed)

    async def test_all_streams_pulled_tell_the_story(self) -> None:
        if not isinstance(self.connector, Pulling):
            pytest.skip("this system cannot be asked for what happened")
        assert await self.play(await self.pull_all()) == await self.play(self.pushed)

    async def pull_all(self) -> list[Body]:
        """Pull every stream to its end, as the host does for a backfill."""
        connector, client, found = self.connector, self.upstream(), list[Body]()
        assert isinstance(connector, Pulling)
        for stream in connector.streams:
            cursor, seen = None, set[str | None]()
            while True:
                page = await connector.pull(
                    client, stream, cursor, self.connection, since=SINCE, until=NOW
                )
                if page.body is not None:
                    found.append(Body(page.body, page.topic))
                if page.done:
                    break
                assert page.cursor not in seen, f"{stream} goes round in circles"
                seen.add(cursor := page.cursor)
        return found

    async def test_what_webhooks_lost_a_pull_finds(self) -> None:
        told = await self.play(self.pushed)
        for lost in range(len(self.pushed)):
            came = [body for i, body in enumerate(self.pushed) if i != lost]
            assert await self.play([*came, *self.pulled]) == told

    async def test_what_is_posted_is_not_yielded_again(self) -> None:
        posted: dict[FactKey, CanonicalEvent] = {}
        for body in self.pushed:
            posted |= {event.fact: event for event in await self.yielded(body)}
        for body in self.pushed:
            assert await self.yielded(body, posted) == []

    async def test_mapping_is_deterministic(self) -> None:
        for body in self.pushed:
            assert await self.yielded(body) == await self.yielded(body)

    async def test_bills_balance(self) -> None:
        for event in (await self.play(self.pushed)).values():
            require_balance(event, settled=self.bills_are_settled)

    async def test_no_fact_is_anothers_other_name(self) -> None:
        facts = await self.play(self.pushed)
        others = {name for event in facts.values() for name in event.references}
        assert not others & set(facts)

    async def test_check_says_whom_the_credentials_speak_for(self) -> None:
        if not isinstance(self.connector, Checking):
            pytest.skip("this system only sends")
        assert self.checked in await self.connector.check(self.upstream(), self.connection)


def require_balance(event: CanonicalEvent, *, settled: bool) -> None:
    """Assert that lines, taxes and totals add up, and tenders too where the bill is `settled`."""
    net = sum(line.net_minor for line in event.lines)
    tax = sum(tax.amount_minor for line in event.lines for tax in line.taxes)
    for line in event.lines:
        included = sum(tax.amount_minor for tax in line.taxes if tax.included)
        assert line.gross_minor - line.discount_minor - included == line.net_minor
    if event.totals is not None:
        assert (net, tax) == (event.totals.net_minor, event.totals.tax_minor)
        if event.tenders and settled:
            paid = sum(tender.amount_minor + tender.tip_minor for tender in event.tenders)
            assert paid == event.totals.total_minor
    if event.refund is not None:
        assert net + tax + event.refund.unallocated_minor == event.refund.amount_minor
        assert event.refund.unallocated_minor >= 0
