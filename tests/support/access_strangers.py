"""What strangers try on what is others': the same words as who may, and words for what is not."""

import base64
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

from graphql import GraphQLInputObjectType, get_named_type, get_nullable_type, is_list_type

from tests.integration.test_graphql_card import gid
from tests.support.access_asking import NAMED, SCHEMA, mutation
from tests.support.access_world import World

NOWHERE = 2**40
_NUMBERS = ("dispute", "correction", "number", "lines", "line")
"""What is known by a number of its own."""
_WORDS = {"phone": NAMED["phone"], "basket": "no-cart", "endToEndId": "NONE", "mapping": "none"}
"""What is known by words."""
_CODED = ("Business", "SettlementPeriod")
"""Nodes that are known by a code."""
_SAME = ("receiver", "shown")
"""To whom something is given, by the number or code that they told."""


async def tried(
    world: World, caller: str, let_in: dict[str, str]
) -> AsyncIterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Yield what each mutation that a caller is let in to answers of what is others', under the
    very key of theirs, and what it answers of what is not there.
    """
    for verb, facts in _each(world):
        if let_in[verb] == "F":
            continue
        of_nobody = _of_nobody(_type(verb), facts)
        if "idempotencyKey" in of_nobody:
            of_nobody["idempotencyKey"] += "-x"
        answers = [
            await world.api.ask(mutation(verb), world.callers[caller], input=asked)
            for asked in (_of_han(world, facts), of_nobody)
        ]
        world.seen.note(answers[0], caller, SCHEMA.mutation_type)
        yield verb, answers[0]["data"][verb], answers[1]["data"][verb]


def _each(world: World) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each mutation once, as it was done to something of Han or of the hotel."""
    done = {}
    for verb, _, facts, answer in world.said:
        if "message" not in answer:
            done.setdefault(verb, facts)
    # Whom a code was shown to knows who showed it from then on.
    yield from sorted(done.items(), key=lambda one: one[0] == "join")


def _of_han(world: World, facts: dict[str, Any]) -> dict[str, Any]:
    """Name the member by an id: who presents a phone is served by whomever it likes."""
    return {**facts, "member": {"id": world.ids["han"]}} if "member" in facts else facts


def _type(verb: str) -> GraphQLInputObjectType:
    assert SCHEMA.mutation_type is not None
    type_ = get_named_type(SCHEMA.mutation_type.fields[verb].args["input"].type)
    assert isinstance(type_, GraphQLInputObjectType)
    return type_


def _of_nobody(type_: GraphQLInputObjectType, facts: dict[str, Any]) -> dict[str, Any]:
    """Return facts that name nothing there is."""
    return {key: _nothing(type_.fields[key].type, key, value) for key, value in facts.items()}


def _nothing(type_: Any, key: str, value: Any) -> Any:
    type_ = get_nullable_type(type_)
    if key in _SAME or value is None:
        return value
    if is_list_type(type_):
        return [_nothing(type_.of_type, key, one) for one in value]
    if key == "member":
        return {"id": gid("Member", NOWHERE)}
    if isinstance(type_, GraphQLInputObjectType):
        return _of_nobody(type_, value)
    if type_.name == "ID":
        return no_id(str(value))
    return NOWHERE if key in _NUMBERS else _WORDS.get(key, value)


def alike(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer without the numbers that it was asked for by."""
    message = re.sub(r"\d+|'[^']*'", "…", answer.get("message", ""))
    return {**answer, "message": message}


def no_id(id_: str) -> str:
    """Return an id like the one that is given, of nothing."""
    if id_.isdigit():
        return str(NOWHERE)
    if len(id_) % 4:  # of a passkey
        return "bm9uZQ"
    kind, numbers = base64.b64decode(id_).decode().split(":")
    if kind in _CODED:
        return gid(kind, "2001-01")
    return gid(kind, *(NOWHERE for _ in re.findall(r"\d+", numbers)))
