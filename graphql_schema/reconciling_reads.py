"""Reads of reconciliation: a business sees its own books, finance and staff all."""

from collections.abc import Collection
from typing import Annotated

import strawberry

from graphql_schema.access import SETTLEMENT_READERS, only_business, require, visible_business
from graphql_schema.context import Context, Info
from graphql_schema.deprecated import replaced
from graphql_schema.fields import resolved
from graphql_schema.filters import by_businesses, comparable, either, ordered_page, said
from graphql_schema.pages import After, Before, Connection, First, Last, connection
from graphql_schema.reconciliation import (
    ReconciliationAge,
    ReconciliationBreak,
    ReconciliationMapping,
    ReconciliationMatch,
    ReconciliationRun,
)
from graphql_schema.reconciling_filters import (
    BREAK_ORDERS,
    ROLES,
    RULES,
    RUN_ORDERS,
    SUGGESTION_ORDERS,
    ReconciliationBreakFilter,
    ReconciliationBreakOrder,
    ReconciliationBreakOrderField,
    ReconciliationRunFilter,
    ReconciliationRunOrder,
    ReconciliationSuggestionFilter,
    ReconciliationSuggestionOrder,
)
from hub.errors import Malformed
from hub.reconciliation.ageing import ageing
from hub.reconciliation.breaks import BREAKS, KINDS, STATES, UNRESOLVED, BreakFilter, breaks
from hub.reconciliation.matches import SUGGESTIONS, SuggestionFilter, suggestions
from hub.reconciliation.runs import RUNS, RunFilter, runs
from hub.reconciliation.save_mapping import mappings

_Business = Annotated[
    str | None, strawberry.argument(description="The code of one business; a business: its own.")
]
_SINCE = "2026-11-28"
_OldBusiness = Annotated[
    str | None,
    strawberry.argument(
        description="The code of one business; a business: its own.",
        deprecation_reason=replaced(since=_SINCE, by="`filter.business`"),
    ),
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
        filter: Annotated[  # noqa: A002
            ReconciliationRunFilter | None, strawberry.argument(description="Only these runs.")
        ] = None,
        order_by: Annotated[
            ReconciliationRunOrder | None,
            strawberry.argument(description="How they are ordered; unsaid: the newest first."),
        ] = None,
        business: _OldBusiness = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[ReconciliationRun]:
        """Return a page of runs."""
        only = said(filter)
        code = either("business", business, only.pop("business", None))
        ids = await _visible(info.context, code)
        _known("filter.role", only.get("role"), ROLES)
        page = {"first": first, "after": after, "last": last, "before": before}
        asked, order = ordered_page(filter, order_by, RUN_ORDERS, RUNS, **page)
        async with info.context.reading() as db:
            rows = await runs(
                db, business_ids=ids, only=RunFilter(**only), order=order, stretch=asked.stretch
            )
        return connection(rows, asked, node=ReconciliationRun.of, place=order.place)

    @resolved("What is suggested to belong together and waits for a person, oldest first.")
    async def reconciliation_suggestions(
        self,
        info: Info,
        *,
        filter: Annotated[  # noqa: A002
            ReconciliationSuggestionFilter | None,
            strawberry.argument(description="Only these suggestions."),
        ] = None,
        order_by: Annotated[
            ReconciliationSuggestionOrder | None,
            strawberry.argument(description="How they are ordered; unsaid: the oldest first."),
        ] = None,
        business: _OldBusiness = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[ReconciliationMatch]:
        """Return a page of suggestions."""
        only = said(filter)
        code = either("business", business, only.pop("business", None))
        ids = await _visible(info.context, code)
        _known("filter.rules", only.get("rules"), RULES)
        if "rules" in only:
            only["rules"] = [RULES[name] for name in only["rules"]]
        page = {"first": first, "after": after, "last": last, "before": before}
        asked, order = ordered_page(filter, order_by, SUGGESTION_ORDERS, SUGGESTIONS, **page)
        async with info.context.reading() as db:
            rows = await suggestions(
                db,
                business_ids=ids,
                only=SuggestionFilter(**only),
                order=order,
                stretch=asked.stretch,
            )
        return connection(rows, asked, node=ReconciliationMatch.of, place=order.place)

    @resolved("Breaks, oldest first; unless states are named, those that are open.")
    async def reconciliation_breaks(
        self,
        info: Info,
        *,
        filter: Annotated[  # noqa: A002
            ReconciliationBreakFilter | None, strawberry.argument(description="Only these breaks.")
        ] = None,
        order_by: Annotated[
            ReconciliationBreakOrder | None,
            strawberry.argument(description="How they are ordered; unsaid: the oldest first."),
        ] = None,
        business: _OldBusiness = None,
        states: Annotated[
            list[str] | None,
            strawberry.argument(
                description=f"Of: {', '.join(STATES)}.",
                deprecation_reason=replaced(since=_SINCE, by="`filter.states`"),
            ),
        ] = None,
        kinds: Annotated[
            list[str] | None,
            strawberry.argument(
                description=f"Of: {', '.join(KINDS)}.",
                deprecation_reason=replaced(since=_SINCE, by="`filter.kinds`"),
            ),
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[ReconciliationBreak]:
        """Return a page of breaks."""
        only = said(filter)
        for field, known in (("states", STATES), ("kinds", KINDS), ("role", ROLES)):
            _known(f"filter.{field}", only.get(field), known)
        _known("states", states, STATES)
        _known("kinds", kinds, KINDS)
        code = either("business", business, only.pop("business", None))
        states = either("states", states, only.pop("states", None))
        kinds = either("kinds", kinds, only.pop("kinds", None))
        ids = await _visible(info.context, code)
        by_amount = order_by and order_by.field is ReconciliationBreakOrderField.AMOUNT
        comparable(only.get("currency"), by_amount or "least_amount_minor" in only)
        page = {"first": first, "after": after, "last": last, "before": before}
        asked, order = ordered_page(filter, order_by, BREAK_ORDERS, BREAKS, **page)
        held = BreakFilter(
            least_minor=only.pop("least_amount_minor", None),
            **await by_businesses(info.context, only, "counterparty"),
        )
        async with info.context.reading() as db:
            rows = await breaks(
                db,
                business_ids=ids,
                states=UNRESOLVED if states is None else states,
                kinds=kinds,
                only=held,
                order=order,
                **asked.reads,
            )
        return connection(rows, asked, node=ReconciliationBreak.of, place=order.place)

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


def _known(field: str, said: str | Collection[str] | None, known: Collection[str]) -> None:
    if not {*([said] if isinstance(said, str) else said or ())} <= {*known}:
        raise Malformed(f"{field} is of: {', '.join(known)}", field=field)
