"""Every role by every field, of its own and of others: what is declared, and not a word more.

It is declared in `access_matrix.txt`, for each question and for the fields of every type as they
are met in all the answers, of questions and of mutations. HUB_WRITE_ACCESS=1 writes it anew: read
what it then says.

Selections are made of the schema, so that a new field is asked for by everybody until it is
declared; and it is to be shown to somebody, so that what is declared of it means something. The
others' world is full of words and amounts that nobody else has; in an answer to whom they are not
meant for, none of them may be.
"""

import os
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from graphql import GraphQLObjectType

from hub.crypto.tokens import Principal
from tests.integration.api_kit import Api
from tests.support.access_asking import HAN, SCHEMA, asked, fields, made_up, mutation
from tests.support.access_nodes import node_ids
from tests.support.access_seen import CALLERS, CODES
from tests.support.access_story import tell
from tests.support.access_strangers import alike, no_id, tried
from tests.support.access_unshown import EXCUSED
from tests.support.access_world import World

# Of the stranger: who it is; and what it has, which nobody needs to be told but those concerned.
PERSON = ("Canaryhan", "13977778888", "g-canary")
ANYTHING = "canary"
"""What is in all that anybody wrote or said of the stranger."""
FIGURES = ("7331", "777", "6.22", "622", "6.216")
DECLARED = Path(__file__).with_name("access_matrix.txt")
HEAD = f"""\
# What is shown of what, to {", ".join(CALLERS)}.
# First what is asked for and what comes of it: S shown, 0 null, H hidden with what it is of; or the
# error: {", ".join(f"{short} {code}" for code, short in CODES.items())}.
# A mutation that asks for nothing there is: + let in, or the error.
# "node of" is who is shown Han's or the hotel's by its id; others, as if it were not there.
# "tried" is what others and the hotel were let do, done by TRYING to what is theirs: F not for its
# role, - not to be done to others' things, N answered as if it were not there, + done, to its own.
# Then every type's fields as they are met in all these answers, and in those of mutations to who
# may do them: S shown once, 0 nothing there, an error; - of that type nothing was shown.
"""
TRYING = ("other member", "other business")
TILLS = ("business", "other business")
STRANGERS = ("other member", "other business", "finance", "admin")


@pytest.fixture
async def world(api: Api) -> World:
    return await tell(api)


def leaked(text: str, words: tuple[str, ...]) -> list[str]:
    found = [word for word in words if re.search(rf"(?<![\w.]){re.escape(word)}(?![\w])", text)]
    return found or [word for word in words if word == ANYTHING and word in text.lower()]


def kept_from(caller: str, world: World) -> tuple[str, ...]:
    """Return the words that a caller must not be told."""
    match caller:
        case "nobody" | "other member" | "other business":
            return (ANYTHING, *PERSON, *FIGURES, world.ids["han"])
        case "business":
            return PERSON[1:2]
        case "staff":
            return PERSON[:2]
        case "finance" | "admin":
            return (*PERSON, world.ids["han"])
    return ()


def verdict(answer: dict[str, Any], root: str, name: str | None) -> str:
    if "errors" in answer:
        code: str = answer["errors"][0]["extensions"]["code"]
        return CODES[code]
    found = answer["data"][root]
    if name is None:
        return "0" if found is None else "S"
    return "H" if found is None else "0" if found[name] is None else "S"


class Question(NamedTuple):
    """An operation, and what it is declared under: a section, the root, and the field below."""

    query: str
    section: str
    root: str
    name: str | None = None


def questions(world: World) -> Iterator[Question]:
    """Yield what is asked of everybody."""
    query_type = SCHEMA.query_type
    assert query_type is not None
    for section, type_name, root in (
        ("member", "Member", f'member(id: "{world.ids["han"]}")'),
        ("presented", "Member", f'memberByIdentifier(presented: {{ phone: "{HAN}" }})'),
        ("settlementPeriod", "SettlementPeriod", f'settlementPeriod(code: "{world.period}")'),
    ):
        type_ = SCHEMA.type_map[type_name]
        assert isinstance(type_, GraphQLObjectType)
        for name in type_.fields:
            query = f"{{ {root} {{ {asked(type_, name)} }} }}"
            yield Question(query, section, root.partition("(")[0], name)
    for name in query_type.fields:
        if name != "settlementPeriod":  # field by field above
            query = f"{{ {asked(query_type, name)} }}"
            for what, value in world.named.items():
                query = query.replace(what, f'"{value}"')
            yield Question(query, "query", name)


AT_ONCE = 25


async def let_in(api: Api, principal: Principal | None) -> dict[str, str]:
    """Return of every mutation whether a caller is let in: + or the refusal, as in CODES."""
    writes = SCHEMA.mutation_type
    assert writes is not None
    found: dict[str, str] = {}
    ahead = [*writes.fields]
    at_once = AT_ONCE if principal else 1  # who is nobody is refused by an error, which ends it
    while ahead:
        asked = ahead[:at_once]
        types = {name: writes.fields[name].args["input"].type for name in asked}
        declared = ", ".join(f"${name}: {type_}" for name, type_ in types.items())
        body = " ".join(f"{name}(input: ${name}) {{ __typename }}" for name in asked)
        variables = {name: made_up(type_) for name, type_ in types.items()}
        answer = await api.ask(f"mutation ({declared}) {{ {body} }}", principal, **variables)
        if "errors" in answer:
            # What failed ended the operation: it is left out, and the others are asked again.
            name = answer["errors"][0]["path"][0]
            found[name] = CODES[answer["errors"][0]["extensions"]["code"]]
            ahead.remove(name)
            continue
        for name in asked:
            kind = answer["data"][name]["__typename"]
            found[name] = "F" if kind == "Forbidden" else "M" if kind == "InvalidInput" else "+"
        ahead = ahead[at_once:]
    return found


async def test_every_root_type_and_field_by_every_caller(api: Api, world: World) -> None:
    found: dict[str, dict[str, str]] = defaultdict(dict)
    seen, who = world.seen, world.callers
    for query, section, root, name in questions(world):
        said = ""
        # A member that was asked for is named by its id, whatever is shown.
        named = world.ids["han"] if name else ""
        for caller, principal in who.items():
            if section == "presented" and caller not in TILLS:
                continue
            # Where nothing may be told: the plan where there is one, then the resolvers.
            for ask in (api.ask, api.resolved) if name and caller in STRANGERS else (api.ask,):
                answer = await ask(query, principal)
                told = leaked(str(answer).replace(named, ""), kept_from(caller, world))
                assert not told, (query, caller, told)
                seen.note(answer, caller, SCHEMA.query_type)
                if "errors" in answer:
                    break  # these were the resolvers
            said += verdict(answer, root, name)
        found[section][name or root] = said
    # A copy of everything held about one is to name nobody else.
    copied = await api.ask(mutation("exportMember"), world.li.principal, input={})
    assert copied["data"]["exportMember"]["document"]
    assert not leaked(str(copied), kept_from("other member", world))
    found["mutation"] = {}
    for principal in who.values():
        for name, said in (await let_in(api, principal)).items():
            found["mutation"][name] = found["mutation"].get(name, "") + said
    found["node of"] = await nodes_asked(world)
    found["tried"] = await strangers_try(world, found["mutation"])
    assert seen.unshown() == EXCUSED
    lines = [HEAD, *_asked(found), *seen.lines()]
    if os.environ.get("HUB_WRITE_ACCESS"):
        DECLARED.write_text("\n".join(lines) + "\n")
    assert "\n".join(lines) + "\n" == DECLARED.read_text()


async def nodes_asked(world: World) -> dict[str, str]:
    """Return by type who is shown a node by its id: as if it were not there, or it is."""
    found = {}
    for type_, id_ in (await node_ids(world)).items():
        shown = fields_of(type_)
        for caller, principal in world.callers.items():
            theirs, nothing = [
                await world.api.ask(f'{{ node(id: "{one}") {{ __typename {shown} }} }}', principal)
                for one in (id_, no_id(id_))
            ]
            if not (theirs.get("data") or {}).get("node"):
                assert hidden(theirs) == hidden(nothing), (type_, caller, theirs, nothing)
                assert not leaked(str(theirs), kept_from(caller, world)), (type_, caller)
            found[type_] = found.get(type_, "") + verdict(theirs, "node", None)
    return found


def fields_of(type_: str) -> str:
    of = SCHEMA.type_map[type_]
    assert isinstance(of, GraphQLObjectType)
    return f"... on {type_} {{ {fields(of)} }}"


def hidden(answer: dict[str, Any]) -> list[Any]:
    return [answer.get("data"), [error["extensions"]["code"] for error in answer.get("errors", ())]]


async def strangers_try(world: World, let_in: dict[str, str]) -> dict[str, str]:
    """Return what becomes of mutations of what is others', which must not tell that it is there."""
    found: dict[str, str] = dict.fromkeys(let_in, "")
    for caller in TRYING:
        of = CALLERS.index(caller)
        its = {verb: said[of] for verb, said in let_in.items()}
        answers = [answer async for answer in tried(world, caller, its)]
        for verb, theirs, nothing in answers:
            done = "message" not in theirs
            assert done or alike(theirs) == alike(nothing), (verb, caller, theirs, nothing)
            # Whom it was shown a code by, it serves.
            assert verb == "join" or not leaked(str(theirs), kept_from(caller, world)), theirs
            its[verb] = "+" if done else "N"
        for verb, said in its.items():
            found[verb] += "-" if said in "UMRA" else said
    return found


def _asked(found: dict[str, dict[str, str]]) -> Iterator[str]:
    for root, verdicts in found.items():
        names: dict[str, list[str]] = defaultdict(list)
        for name, said in verdicts.items():
            names[said].append(name)
        for said, of in sorted(names.items()):
            yield f"{root} {said} {' '.join(of)}"
