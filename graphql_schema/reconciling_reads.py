"""Reads of reconciliation: a business sees its own books, finance and staff all."""

from typing import Annotated

import strawberry

from graphql_schema.access import SETTLEMENT_READERS, only_business, require, visible_business
from graphql_schema.context import Context, Info
from graphql_schema.fields import resolved
from graphql_schema.pages import After, Before, Connection, First, Last, connection, window
from graphql_schema.reconciliation import (
    ReconciliationAge,
    ReconciliationBreak,
    ReconciliationMapping,
    ReconciliationMatch,
    ReconciliationRun,
)
from hub.errors import Malformed
from hub.reconciliation.ageing import ageing
from hub.reconciliation.breaks import BREAKS, KINDS, STATES, UNRESOLVED, breaks
from hub.reconciliation.matches import MATCHES, matches
from hub.reconciliation.runs import RUNS, runs
from hub.reconciliation.save_mapping import mappings

_Business = Annotated[
    str | None, strawberry.argument(description="The code of one business; a business: its own.")
]


@strawberry.type
class ReconciliationQuery:
    """Reads of books, runs and breaks."""

    @resolved("The mappings by which books are read.")
    async def reconciliation_mappings(
        self, info: Info, business: _Business = None
    ) -> list[ReconciliationMapping]:
        """Return the mappings in force."""
        ids = await _visible(info.context, business)
        async with info.context.reading() as db:
            return [ReconciliationMapping.of(row) for row in await mappings(db, business_ids=ids)]

    @resolved("Runs over books, newest first.")
    async def reconciliation_runs(
        self,
        info: Info,
        *,
        business: _Business = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[ReconciliationRun]:
        """Return a page of runs."""
        ids = await _visible(info.context, business)
        asked = window(first=first, after=after, last=last, before=before, shape=RUNS.shape)
        async with info.context.reading() as db:
            rows = await runs(db, business_ids=ids, stretch=asked.stretch)
        return connection(rows, asked, node=ReconciliationRun.of, place=RUNS.place)

    @resolved("What is suggested to belong together and waits for a person, oldest first.")
    async def reconciliation_suggestions(
        self,
        info: Info,
        *,
        business: _Business = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[ReconciliationMatch]:
        """Return a page of suggestions."""
        ids = await _visible(info.context, business)
        asked = window(first=first, after=after, last=last, before=before, shape=MATCHES.shape)
        async with info.context.reading() as db:
            rows = await matches(db, business_ids=ids, **asked.reads)
        return connection(rows, asked, node=ReconciliationMatch.of, place=MATCHES.place)

    @resolved("Breaks, oldest first; unless states are named, those that are open.")
    async def reconciliation_breaks(
        self,
        info: Info,
        *,
        business: _Business = None,
        states: Annotated[
            list[str] | None, strawberry.argument(description=f"Of: {', '.join(STATES)}.")
        ] = None,
        kinds: Annotated[
            list[str] | None, strawberry.argument(description=f"Of: {', '.join(KINDS)}.")
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[ReconciliationBreak]:
        """Return a page of breaks."""
        ids = await _visible(info.context, business)
        for field, said, known in (("states", states, STATES), ("kinds", kinds, KINDS)):
            if not {*(said or ())} <= {*known}:
                raise Malformed(f"{field} are {', '.join(known)}", field=field)
        asked = window(first=first, after=after, last=last, before=before, shape=BREAKS.shape)
        async with info.context.reading() as db:
            rows = await breaks(
                db,
                business_ids=ids,
                states=UNRESOLVED if states is None else states,
                kinds=KINDS if kinds is None else kinds,
                **asked.reads,
            )
        return connection(rows, asked, node=ReconciliationBreak.of, place=BREAKS.place)

    @resolved("How many breaks are open, for how long, and what they come to.")
    async def reconciliation_ageing(
        self, info: Info, business: _Business = None
    ) -> list[ReconciliationAge]:
        """Return the ageing report."""
        ids = await _visible(info.context, business)
        async with info.context.reading() as db:
            rows = await ageing(db, now=info.context.now, business_ids=ids)
        return [ReconciliationAge.of(row) for row in rows]


async def _visible(context: Context, business: str | None) -> list[int]:
    """Return the businesses whose books the caller asks for; raises Forbidden, NotFound."""
    caller = require(context.principal, *SETTLEMENT_READERS)
    code = only_business(caller) if business is None else visible_business(caller, asked=business)
    if code is not None:
        return [(await context.business_by_code(code)).business_id]
    return list(await context.load.businesses())
