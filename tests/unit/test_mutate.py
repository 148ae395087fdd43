"""The mutator changes what it is given, and whoever reads what it made carelessly is found out."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pytest
from hypothesis import find, given, settings

from connectors.conformance import Body, DialectConformance
from hub.connector import CanonicalEvent, Connector, Refused, SourceEvent, parse_object
from tests.support.mutate import ask_calmly, mutant_bodies, mutants, read_calmly

DOCUMENT = {"id": 1, "lines": [{"price": "1.00", "tax": None}], "paid": True}


@given(mutants([DOCUMENT]))
def test_what_is_given_stays_as_it_is(changed: Any) -> None:
    assert DOCUMENT == {"id": 1, "lines": [{"price": "1.00", "tax": None}], "paid": True}
    assert isinstance(changed, dict)


@pytest.mark.parametrize(
    "change",
    [
        lambda made: "lines" not in made,
        lambda made: made.get("lines") == [],
        lambda made: len(made.get("lines") or ()) == 2,
        lambda made: made.get("id") is None and "id" in made,
        lambda made: isinstance(made.get("paid"), str),
        lambda made: "price" not in (made.get("lines") or [{}])[0],
    ],
)
def test_every_place_is_reached(change: Any) -> None:
    several = settings(max_examples=5000, database=None)

    def made(document: Any) -> bool:
        try:
            return bool(change(document))
        except (AttributeError, KeyError, TypeError):
            return False

    assert find(mutants([DOCUMENT]), made, settings=several) is not None


class Careless:
    """A dialect that trusts what comes."""

    def decode(self, body: bytes, topic: str | None) -> Sequence[SourceEvent]:
        parsed = parse_object(body)
        if parsed["id"] == 7:
            raise Refused("")
        return [SourceEvent(type="x", entity="order", entity_id=str(parsed["id"]), snapshot=parsed)]

    def map(
        self, event: SourceEvent, posted: Mapping[Any, Any], connection: Any
    ) -> Sequence[CanonicalEvent]:
        return []


class Kit(DialectConformance):
    __test__: ClassVar[bool] = False
    connector: ClassVar[Connector] = Careless()  # type: ignore[assignment]
    connection = None  # type: ignore[assignment]


async def test_a_careless_dialect_is_found_out() -> None:
    with pytest.raises(KeyError):
        await read_calmly(Kit(), Body(b"{}"))
    with pytest.raises(AssertionError):
        await read_calmly(Kit(), Body(b'{"id": 7}'))
    assert await read_calmly(Kit(), Body(b'{"id": 1}')) == []


async def test_a_question_that_fails_otherwise_is_found_out() -> None:
    async def careless() -> None:
        raise KeyError("id")

    with pytest.raises(KeyError):
        await ask_calmly(careless())


@given(mutant_bodies([Body(b'{"id": 1}', "a"), Body(b'{"id": 2}', "b")]))
def test_bodies_come_with_topics_of_the_story(body: Body) -> None:
    assert body.topic in ("a", "b")
