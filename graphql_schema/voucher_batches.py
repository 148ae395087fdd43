"""Batches of voucher codes: making them, and how far they are. Codes themselves are not told."""

from datetime import datetime
from typing import Annotated

import strawberry

from graphql_schema.access import CORRECTORS, require
from graphql_schema.context import Info
from graphql_schema.fields import Given, count, resolved, shown
from graphql_schema.filters import filtered_page, refuse_unknown, said
from graphql_schema.pages import After, Before, Connection, First, Last, connection
from graphql_schema.rejections import REFUSALS, Refused, refused
from hub import errors
from hub.benefits.vouchers import batches
from hub.benefits.vouchers.generate import MOST_CODES, generate, open_batch

# What one mutation makes: a fraction of a second, and its transaction holds up nobody for long.
_MOST_AT_ONCE = 10_000


@strawberry.type(
    description="Codes that were made together and belonged to nobody then. They are written to a "
    "file by `hub voucher export`, where the keyring is: who has a code has the voucher."
)
class VoucherBatch:
    """A batch as it stands."""

    name: str = strawberry.field(description="Its name; no other batch has it.")
    campaign: str = strawberry.field(description="The short name of the campaign that it is of.")
    wanted: int = count("How many codes it is to have.")
    made: int = count("How many of them are made.")
    created_at: datetime = strawberry.field(description="When it was begun.")

    @classmethod
    def of(cls, row: batches.Batch) -> "VoucherBatch":
        """Show a batch."""
        return shown(cls, row, campaign=row.campaign_code)


@strawberry.input(description="Which batches; all that is said holds.")
class VoucherBatchFilter:
    """By what they are of."""

    campaign: str | None = strawberry.field(
        default=None, description="Of this campaign, by its short name."
    )


@strawberry.input(description="Codes of a campaign that belong to nobody yet.")
class GenerateVouchersInput:
    """A batch, begun or gone on with."""

    campaign: str = strawberry.field(
        description="The campaign's short name; the vouchers have its terms as the batch was begun."
    )
    batch: str = strawberry.field(
        description="The batch's name, 1 to 100 characters, which tells it from all others: the "
        "same name goes on with the same batch."
    )
    count: int = count(f"How many codes the batch is to have in all, 1 to {MOST_CODES:,}.")


@strawberry.type(description="The batch has its codes, or more of them than before.")
class VouchersGenerated:
    """Success."""

    batch: VoucherBatch = strawberry.field(
        description="The batch; while `made` is less than `wanted`, the same request makes more."
    )


GenerateVouchersResult = Annotated[
    VouchersGenerated | Refused,
    strawberry.union("GenerateVouchersResult", description="What came of making codes."),
]


@strawberry.type
class VoucherBatchQuery:
    """Reads of batches."""

    @resolved("Batches of voucher codes, the newest first. For staff.")
    async def voucher_batches(
        self,
        info: Info,
        *,
        filter: Annotated[  # noqa: A002
            VoucherBatchFilter | None, strawberry.argument(description="Only these batches.")
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[VoucherBatch]:
        """Return a page of batches; raises NotFound for an unknown campaign."""
        context, order = info.context, batches.NEWEST_BATCHES
        require(context.principal, *CORRECTORS)
        paging = {"first": first, "after": after, "last": last, "before": before}
        asked, only = filtered_page(filter, order, **paging), said(filter)
        async with context.reading() as db:
            rows = await batches.batch_page(db, only=only, stretch=asked.stretch)
        if not rows:
            await refuse_unknown(context, only, "campaign")
        return connection(rows, asked, node=VoucherBatch.of, place=order.place)


@strawberry.type
class VoucherBatchMutation:
    """Codes by the batch."""

    @resolved(f"Make codes that belong to nobody yet, up to {_MOST_AT_ONCE} at once: asked again "
              "it goes on with what is missing, and of a batch that is complete it makes no more. "
              "For staff.")  # fmt: skip
    async def generate_vouchers(
        self,
        info: Info,
        input: Given[GenerateVouchersInput],  # noqa: A002
    ) -> GenerateVouchersResult:
        """Make codes and commit, or answer why not."""
        context = info.context
        try:
            require(context.principal, *CORRECTORS)
            async with context.writing() as db:
                opened = await open_batch(
                    db,
                    campaign_code=input.campaign,
                    name=input.batch,
                    count=input.count,
                    now=context.now,
                )
                await generate(
                    db, batch_id=opened.batch_id, keyring=context.keyring, at_most=_MOST_AT_ONCE
                )
                row = await batches.batch_named(db, name=opened.name)
        except errors.NotFound as no:
            return refused(errors.Malformed(no.message, field="campaign"))
        except REFUSALS as no:
            return refused(no)
        return VouchersGenerated(batch=VoucherBatch.of(row))
