"""What the hub asks systems for: how far each stream is, and asking for the past."""

from datetime import datetime
from typing import Annotated

import strawberry
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_schema.access import CONNECTION_KEEPERS, require
from graphql_schema.context import Context, Info
from graphql_schema.fields import Given, count, resolved, shown
from graphql_schema.filters import by_businesses, filtered_page, said, unknown
from graphql_schema.pages import After, Before, Connection, First, Last, connection
from graphql_schema.programme import Business
from graphql_schema.rejections import Forbidden, InvalidInput, unfit
from hub import errors
from hub.db.keyset import Stretch
from hub.intake import streams
from hub.intake.connections import Wired, wired_by_code
from hub.intake.queries import is_connection
from hub.outbox.messages import put


@strawberry.type(description="What of a connection's system is asked for, page by page.")
class PullStream:
    """A stream as it stands."""

    business_id: strawberry.Private[int]
    connection: str = strawberry.field(description="The connection's code.")
    connector: str = strawberry.field(description="Which system's language it speaks.")
    stream: str = strawberry.field(
        description="What is asked for, such as orders; `live`: what is listened to."
    )
    backfilling: bool = strawberry.field(
        description="True during a backfill, false for the daily look."
    )
    since: datetime = strawberry.field(description="What changed from then on is asked for.")
    pages: int = count("How many pages came, ever.")
    began_at: datetime | None = strawberry.field(
        description="When the pull under way began; null: none is."
    )
    ended_at: datetime | None = strawberry.field(
        description="When a pull last came to its end; null: none did yet."
    )
    next_at: datetime = strawberry.field(description="When it goes on, or begins again.")
    failing: bool = strawberry.field(
        description="Whether something stopped it when it was last tried; it is tried again."
    )

    @classmethod
    def of(cls, row: streams.StreamView) -> "PullStream":
        """Show a stream."""
        return shown(cls, row)

    @resolved("The business whose system it is.")
    async def business(self, info: Info) -> Business:
        """Return whose connection it is."""
        return Business.of(await info.context.business(self.business_id))


@strawberry.input(description="Which streams; all that is said holds.")
class PullStreamFilter:
    """By what they are of, and how they fare."""

    business: str | None = strawberry.field(
        default=None, description="Of this business's systems, by its code."
    )
    connection: str | None = strawberry.field(
        default=None, description="Of this connection, by its code."
    )
    failing: bool | None = strawberry.field(
        default=None, description="Those that something stopped when last tried, or the others."
    )


@strawberry.input(description="What a system knows of the past is to be asked for.")
class BackfillConnectionInput:
    """A backfill."""

    connection: str = strawberry.field(description="The connection's code.")
    since: datetime = strawberry.field(
        description="What changed from then on, a moment in the past with an offset from UTC."
    )


@strawberry.type(description="Workers pull what the system knows. Nothing is posted twice.")
class BackfillBegun:
    """Success."""

    streams: list[PullStream] = strawberry.field(
        description="The connection's streams, which tell by `backfilling` while it goes on."
    )


BackfillConnectionResult = Annotated[
    BackfillBegun | InvalidInput | Forbidden,
    strawberry.union("BackfillConnectionResult", description="What came of asking for the past."),
]


@strawberry.type
class PullQuery:
    """Reads of streams."""

    @resolved("What systems are asked for, by connection and stream, and how far that is. For "
              "staff and admins.")  # fmt: skip
    async def pull_streams(
        self,
        info: Info,
        *,
        filter: Annotated[  # noqa: A002
            PullStreamFilter | None, strawberry.argument(description="Only these streams.")
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[PullStream]:
        """Return a page of streams; raises NotFound for an unknown business or connection."""
        context, order = info.context, streams.BY_CONNECTION
        require(context.principal, *CONNECTION_KEEPERS)
        paging = {"first": first, "after": after, "last": last, "before": before}
        asked = filtered_page(filter, order, **paging)
        only = await by_businesses(context, said(filter), "business")
        async with context.reading() as db:
            rows = await streams.stream_page(db, only=only, stretch=asked.stretch)
            code = only.get("connection")
            if not rows and code is not None and not await is_connection(db, code=code):
                raise unknown("connection", code)
        return connection(rows, asked, node=PullStream.of, place=order.place)


@strawberry.type
class PullMutation:
    """Asking systems."""

    @resolved("Have workers pull everything that a connection's system knows since then; one under "
              "way begins anew. For staff and admins.")  # fmt: skip
    async def backfill_connection(
        self,
        info: Info,
        input: Given[BackfillConnectionInput],  # noqa: A002
    ) -> BackfillConnectionResult:
        """Ask for it and commit, or answer why not."""
        context = info.context
        try:
            require(context.principal, *CONNECTION_KEEPERS)
            if input.since.utcoffset() is None or input.since >= context.now:
                raise errors.Malformed(
                    "a moment in the past, with an offset from UTC, was expected", field="since"
                )
            async with context.writing() as db:
                wired = await _wired(context, db, input.connection)
                ids = await streams.backfill(db, wired=wired, since=input.since, now=context.now)
                await put(db, actor=streams.PULL_STREAM, references=ids, available_at=context.now)
                rows = await streams.stream_page(
                    db, only={"stream_ids": ids}, stretch=Stretch(len(ids))
                )
        except (errors.Malformed, errors.Forbidden) as no:
            return unfit(no)
        return BackfillBegun(streams=[PullStream.of(row) for row in rows])


async def _wired(context: Context, db: AsyncConnection, code: str) -> Wired:
    """Return the connection of that code; raises Malformed where none is, or it cannot be used.

    It is read as it is written to: no reader of the API is shown what a connection is set up with.
    """
    try:
        return await wired_by_code(db, code, keyring=context.keyring)
    except (errors.NotFound, errors.Unavailable) as no:
        raise errors.Malformed(no.message, field="connection") from no
