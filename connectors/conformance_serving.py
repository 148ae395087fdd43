# ruff: noqa: S101, D102 (it is tests: they assert, and are named for what they say)
"""The test kit for dialects whose system asks the hub and waits: one subclass, as the other kit's.

A subclass says how its system proves who it is and gives some calls of its own, each with what it
asks for; the kit forges, rotates keys, and has every call answered in every way there is.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, NamedTuple

import pytest

from connectors.conformance import NOW, Body
from hub.connector import (
    Accrue,
    Call,
    Connection,
    Enquire,
    Found,
    Inbound,
    Known,
    NobodyKnown,
    Noted,
    NothingSpent,
    Quote,
    Quoted,
    Result,
    Reversed,
    Serving,
    SignatureInvalid,
    Spend,
    Spent,
)
from hub.errors import Conflict, HubError, Malformed, Unavailable

SOMEBODY = Known(loyalty_id="hub-1", points=1300, name="L*", phone="+1******00")
REFUSALS: Sequence[HubError] = (
    SignatureInvalid("this is not you"),
    Malformed("what is this?", field="body"),
    NobodyKnown("nobody has this number"),
    NothingSpent("nothing was spent"),
    Conflict("another request had this key", field="points"),
)


class Asked(NamedTuple):
    """A body of a call, and what it asks for."""

    body: Body
    call: Call


class ServingConformance:
    """Subclass it, name the class `Test…`, and fill in what has no default."""

    connector: ClassVar[Serving]
    connection: ClassVar[Connection]
    keys: ClassVar[Sequence[str]]
    """The key that the connection is configured with, and the one before it."""
    unconfigured: ClassVar[Connection]
    """A connection that is to answer no calls."""

    asked: ClassVar[Sequence[Asked]]
    malformed: ClassVar[Sequence[tuple[Body, str]]]
    """Bodies that cannot be read, and the field that must be named."""

    def prove(self, body: Body, key: str | None) -> Inbound:
        """Wrap a body as the system would send it, with its key or with none."""
        raise NotImplementedError

    # What follows is the kit.

    def read(self, body: Body, key: str | None = None) -> Call:
        """Read a call with the current key, or with another."""
        inbound = self.prove(body, self.keys[0] if key is None else key)
        return self.connector.read_call(inbound, self.connection, NOW)

    def results(self, call: Call) -> list[Result]:
        """Return everything that may come of a call, but for what is raised."""
        if isinstance(call, Enquire):
            return [Found(people=()), Found(people=(SOMEBODY, replace(SOMEBODY, name=None)))]
        if isinstance(call, Quote):
            asks = len(call.asks)
            return [
                Quoted(person=SOMEBODY, refusals=refusals)
                for refusals in ((None,) * asks, ("there are too few",) * asks)
            ]
        if isinstance(call, Spend):
            declined = Spent(person=SOMEBODY, points=0, refusal="there are too few")
            return [Spent(person=SOMEBODY, points=call.points), declined]
        return [Noted()] if isinstance(call, Accrue) else [Reversed(points=5), Reversed(points=0)]

    def test_each_call_asks_for_what_it_should(self) -> None:
        for asked in self.asked:
            assert self.read(asked.body) == asked.call
            assert self.read(asked.body) == asked.call

    def test_the_previous_key_is_good_during_a_rotation(self) -> None:
        assert self.read(self.asked[0].body, self.keys[1]) == self.asked[0].call

    def test_who_cannot_prove_who_they_are_asks_nothing(self) -> None:
        for body in (self.asked[0].body, Body(b"\xff\xfe{not json")):
            for inbound in (self.prove(body, "nobody's key"), self.prove(body, None)):
                with pytest.raises(SignatureInvalid):
                    self.connector.read_call(inbound, self.connection, NOW)
            known = self.prove(body, self.keys[0])
            with pytest.raises(SignatureInvalid):
                self.connector.read_call(known, self.unconfigured, NOW)

    def test_what_cannot_be_read_names_its_field(self) -> None:
        for body, field in self.malformed:
            with pytest.raises(Malformed) as caught:
                self.read(body)
            assert caught.value.field == field

    def test_whatever_comes_of_a_call_is_answered(self) -> None:
        for body, call in self.asked:
            inbound = self.prove(body, self.keys[0])
            for result in self.results(call):
                reply = self.connector.answer_call(inbound, call, result, self.connection)
                assert reply.status < 500
                assert self.connector.answer_call(inbound, call, result, self.connection) == reply

    def test_a_refusal_is_told_and_never_looks_like_success(self) -> None:
        for body, call in self.asked:
            inbound = self.prove(body, self.keys[0])
            for said in REFUSALS:
                read = None if isinstance(said, SignatureInvalid | Malformed) else call
                reply = self.connector.answer_call(inbound, read, said, self.connection)
                assert 400 <= reply.status < 500
            late = Unavailable("there was no answer in time")
            assert self.connector.answer_call(inbound, call, late, self.connection).status >= 500
