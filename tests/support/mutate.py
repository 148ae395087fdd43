"""Bodies of a story with something dropped, replaced or garbled: what no vendor documents.

Whatever comes, a dialect may say only that it is malformed, naming the field, or refused, saying
why; and a bill that it does accept adds up.
"""

import copy
import json
import os
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from connectors.conformance import Body, DialectConformance, require_balance
from hub.connector import CanonicalEvent, NotYet, Refused, parse_json
from hub.errors import Malformed

FUZZ = settings(
    max_examples=int(os.environ.get("HUB_FUZZ_EXAMPLES", "200")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.differing_executors],
)

# What upstreams have been seen to put where something else was meant.
ODDITIES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    10**30,
    "",
    " ",
    "0",
    "-0.00",
    "-1.00",
    "1,234.56",
    "12.345",
    "1e999999",
    "NaN",
    "Infinity",
    "null",
    "0000-00-00 00:00:00",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999+14:00",
    "2026-03-29T02:30:00",
    "2026-02-30T00:00:00Z",
    "\0",
    "\ud800",
    "x" * 500,
    "9" * 5000,
    "１２.００",
    [],
    {},
    [None],
    [[]],
    {"": None},
)

Path = tuple[int | str, ...]


def paths_of(document: Any, at: Path = ()) -> list[Path]:
    """Return where everything below `document` is."""
    inner = (
        document.items()
        if isinstance(document, dict)
        else enumerate(document)
        if isinstance(document, list)
        else ()
    )
    found = []
    for key, value in inner:
        found += [(*at, key), *paths_of(value, (*at, key))]
    return found


def at_path(document: Any, path: Path) -> Any:
    """Return what is found by following `path`."""
    for part in path:
        document = document[part]
    return document


@st.composite
def mutants(draw: st.DrawFn, documents: Sequence[Any], most: int = 3) -> Any:
    """Draw one of `documents` (JSON values) with one to `most` changes at random places."""
    document = copy.deepcopy(draw(st.sampled_from(documents)))
    for _ in range(draw(st.integers(1, most))):
        paths = paths_of(document)
        if not paths:
            break
        *way, last = draw(st.sampled_from(paths))
        place = at_path(document, tuple(way))
        change = draw(st.sampled_from(("drop", "odd", "kin", "garble", "repeat")))
        if change == "drop":
            del place[last]
        elif change == "odd":
            place[last] = copy.deepcopy(draw(st.sampled_from(ODDITIES)))
        elif change == "kin":
            other = draw(st.sampled_from(paths))
            place[last] = copy.deepcopy(at_path(document, other))
        elif change == "garble":
            place[last] = garbled(draw, place[last])
        elif isinstance(place, list):
            place.append(copy.deepcopy(place[last]))
    return document


def garbled(draw: st.DrawFn, value: Any) -> Any:
    """Return a value that looks nearly like `value`."""
    if isinstance(value, bool) or value is None:
        return str(value)
    if isinstance(value, str):
        cut = draw(st.integers(0, len(value)))
        return value[:cut] + draw(st.text(max_size=3)) + value[cut + 1 :]
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, list):
        return {str(i): item for i, item in enumerate(value)}
    return draw(st.one_of(st.integers(), st.just(str(value)), st.just(-value)))


def _as_json(document: Any) -> bytes:
    return json.dumps(document, default=str).encode()


def mutant_bodies(
    bodies: Sequence[Body],
    *,
    read: Callable[[bytes], Any] = parse_json,
    write: Callable[[Any], bytes] = _as_json,
) -> st.SearchStrategy[Body]:
    """Draw one of `bodies`, changed. `read` and `write` open and close a dialect's wrapping."""
    pairs = [(body.topic, read(body.raw)) for body in bodies]
    topics = st.sampled_from(sorted({topic for topic, _ in pairs}, key=str))
    told = [
        mutants([document]).map(lambda changed, topic=topic: Body(write(changed), topic))
        for topic, document in pairs
    ]
    mistold = mutants([document for _, document in pairs]).flatmap(
        lambda changed: topics.map(lambda topic: Body(write(changed), topic))
    )
    return st.one_of(*told, mistold)


async def read_calmly(kit: DialectConformance, body: Body) -> list[CanonicalEvent]:
    """Read a body as a host does. Fails when anything is raised but Malformed, Refused or, by what
    fetches, NotYet; when these do not say what for; and when an accepted bill does not balance.
    """
    try:
        found = await kit.events(body)
    except NotYet:
        return []
    except (Malformed, Refused) as why:
        said = why.field if isinstance(why, Malformed) else why.message
        if not said:
            raise AssertionError("nothing says what is wrong") from why
        return []
    for event in found:
        require_balance(event, settled=False)
    return found


async def ask_calmly(answer: Awaitable[object]) -> None:
    """Await what an upstream's strange answers make of a question: an answer, or a clear no."""
    try:
        await answer
    except (Malformed, NotYet, Refused) as why:
        assert why.message, "nothing says what is wrong"  # noqa: PT017
