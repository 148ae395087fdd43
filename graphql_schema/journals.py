"""Journals: what a period means for the books of each legal entity, posted once."""

import base64
from datetime import date, datetime
from typing import Annotated

import strawberry

from graphql_schema.access import (
    CLOSE_READERS,
    CLOSERS,
    SETTLEMENT_READERS,
    only_business,
    require,
)
from graphql_schema.context import Context, Info
from graphql_schema.fields import Given, count, resolved
from graphql_schema.money import Money
from graphql_schema.programme import Business
from graphql_schema.rejections import Forbidden, InvalidInput, Rejection, unfit
from hub import errors
from hub.accounting.exports.export_journals import export_journals
from hub.accounting.journals import lines as booked
from hub.accounting.journals import queries
from hub.accounting.journals.eliminate import Elimination, EliminationRow, eliminate
from hub.accounting.journals.post_journals import post_journals
from hub.settlement.queries import period_by_code

Period = Annotated[
    str, strawberry.argument(description="The period's code: 2026-11 or 2026-11-03.")
]


@strawberry.type(description="A line of a journal: one of debit and credit is zero.")
class JournalLine:
    """A line."""

    row: strawberry.Private[booked.PostedLine]
    event: str = strawberry.field(
        description="What happened; the lines of an event balance by themselves."
    )
    purpose: str = strawberry.field(description="What the account is for.")
    account_code: str = strawberry.field(description="The account, as the books number it.")
    account_name: str = strawberry.field(description="The account's name.")
    tax_code: str | None = strawberry.field(description="The tax of what is owed, if there is one.")
    points: int = count("How many points it is about.")
    debit: Money = strawberry.field(description="What is debited.")
    credit: Money = strawberry.field(description="What is credited.")

    @resolved("The business that it is of.")
    async def business(self, info: Info) -> Business:
        """Return the business."""
        return Business.of(await info.context.business(self.row.business_id))

    @resolved("The business of the group on the other side; the group eliminates such lines.")
    async def counterparty(self, info: Info) -> Business | None:
        """Return the other business."""
        other = self.row.counterparty_id
        return None if other is None else Business.of(await info.context.business(other))

    @classmethod
    def of(cls, row: booked.PostedLine, currency: str) -> "JournalLine":
        """Show a line."""
        return cls(
            row=row,
            event=row.event,
            purpose=row.purpose.value,
            account_code=row.account_code,
            account_name=row.account_name,
            tax_code=row.tax_code,
            points=row.points,
            debit=Money(amount_minor=row.debit_minor, currency=currency),
            credit=Money(amount_minor=row.credit_minor, currency=currency),
        )


@strawberry.type(description="What a period means for a legal entity's books in a currency.")
class Journal:
    """A posted journal, never changed."""

    reference: str = strawberry.field(description="Its name in whatever books it is read into.")
    legal_entity: str = strawberry.field(description="The code of the legal entity.")
    dated: date = strawberry.field(description="The day that it is booked on: the period's last.")
    posted_at: datetime = strawberry.field(description="When it was posted.")
    posted_by: str = strawberry.field(description="Who posted it.")
    total: Money = strawberry.field(description="The sum of its debits, and of its credits.")
    lines: list[JournalLine] = strawberry.field(description="Its lines.")

    @classmethod
    def of(cls, row: booked.Journal) -> "Journal":
        """Show a journal."""
        return cls(
            reference=row.reference,
            legal_entity=row.legal_entity,
            dated=row.dated,
            posted_at=row.posted_at,
            posted_by=row.actor,
            total=Money(amount_minor=row.total_minor, currency=row.currency),
            lines=[JournalLine.of(line, row.currency) for line in row.lines],
        )


@strawberry.type(description="What is taken out of a business's figures in the group's books.")
class EliminationLine:
    """A row of the sheet."""

    row: strawberry.Private[EliminationRow]
    event: str = strawberry.field(description="The event whose lines it mirrors.")
    purpose: str = strawberry.field(description="What the account is for.")
    debit: Money = strawberry.field(description="What is debited.")
    credit: Money = strawberry.field(description="What is credited.")

    @resolved("The business whose figures it is taken out of.")
    async def business(self, info: Info) -> Business:
        """Return the business."""
        return Business.of(await info.context.business(self.row.business_id))

    @resolved("The business on the other side.")
    async def counterparty(self, info: Info) -> Business:
        """Return the other business."""
        return Business.of(await info.context.business(self.row.counterparty_id))


@strawberry.type(description="A currency's elimination sheet: debits and credits are the same.")
class EliminationSheet:
    """What the businesses booked with each other, the other way round."""

    currency: str = strawberry.field(description="ISO 4217 currency.")
    total: Money = strawberry.field(description="The sum of debits, and of credits.")
    lines: list[EliminationLine] = strawberry.field(description="The sheet's rows.")

    @classmethod
    def of(cls, sheet: Elimination) -> "EliminationSheet":
        """Show a sheet."""
        return cls(
            currency=sheet.currency,
            total=Money(amount_minor=sheet.total_minor, currency=sheet.currency),
            lines=[
                EliminationLine(
                    row=row,
                    event=row.event,
                    purpose=row.purpose.value,
                    debit=Money(amount_minor=row.debit_minor, currency=sheet.currency),
                    credit=Money(amount_minor=row.credit_minor, currency=sheet.currency),
                )
                for row in sheet.rows
            ],
        )


@strawberry.type(description="A file of journals for other books to read.")
class JournalFile:
    """A file."""

    name: str = strawberry.field(description="Its name, different from others of the export.")
    media_type: str = strawberry.field(description="Its media type, with the encoding.")
    content_base64: str = strawberry.field(description="Its bytes, in base 64.")


@strawberry.input(description="A period to post.")
class PostJournalsInput:
    """A request to post."""

    period: str = strawberry.field(description="The period's code: 2026-11 or 2026-11-03.")


@strawberry.type(description="The period's journals are posted, by this request or an earlier one.")
class JournalsPosted:
    """What stands."""

    journals: list[Journal] = strawberry.field(description="The journals.")


@strawberry.type(description="There is no such period.")
class PostingUnknown(Rejection):
    """Nothing was stored."""


@strawberry.type(description="The period is not approved or recognised, or accounts are missing.")
class PostingNotReady(Rejection):
    """Nothing was stored."""


PostingResult = Annotated[
    JournalsPosted | PostingUnknown | PostingNotReady | InvalidInput | Forbidden,
    strawberry.union("PostingResult", description="What came of posting journals."),
]


@strawberry.type
class JournalQuery:
    """Reads of journals."""

    @resolved("A period's posted journals; none before they are. For finance and staff; a business "
              "sees those of its own legal entity.")  # fmt: skip
    async def journals(self, info: Info, period: Period) -> list[Journal]:
        """Return the journals that the caller may see."""
        return [Journal.of(row) for row in await _seen(info.context, period)]

    @resolved("What the group takes out of its figures for a posted period. For finance and staff.")
    async def elimination(self, info: Info, period: Period) -> list[EliminationSheet]:
        """Return the sheets, by currency."""
        require(info.context.principal, *CLOSE_READERS)
        return [
            EliminationSheet.of(sheet) for sheet in eliminate(await _seen(info.context, period))
        ]

    @resolved("A posted period's journals as files to read in elsewhere. For finance.")
    async def journal_files(
        self,
        info: Info,
        period: Period,
        format: Annotated[  # noqa: A002
            str,
            strawberry.argument(description="csv, beancount, kingdee, yonyou, sap or xero."),
        ],
    ) -> list[JournalFile]:
        """Return the files."""
        require(info.context.principal, *CLOSERS)
        async with info.context.reading() as db:
            found = await period_by_code(db, period)
            files = await export_journals(db, period_id=found.period_id, to=format)
        return [
            JournalFile(
                name=file.name,
                media_type=file.media_type,
                content_base64=base64.b64encode(file.content).decode(),
            )
            for file in files
        ]


async def _seen(context: Context, code: str) -> list[booked.Journal]:
    own = only_business(require(context.principal, *SETTLEMENT_READERS))
    entity = None if own is None else (await context.business_by_code(own)).legal_entity_id
    async with context.reading() as db:
        period = await period_by_code(db, code)
        found = await queries.journals(db, period_ids=[period.period_id], legal_entity_id=entity)
    return found[period.period_id]


@strawberry.type
class JournalMutation:
    """How finance posts."""

    @resolved("Post the journals of an approved and recognised period. For finance; to post twice "
              "is to post once.")  # fmt: skip
    async def post_journals(
        self,
        info: Info,
        input: Given[PostJournalsInput],  # noqa: A002
    ) -> PostingResult:
        """Post and commit, or answer why not."""
        try:
            caller = require(info.context.principal, *CLOSERS)
            async with info.context.writing() as db:
                period = await period_by_code(db, input.period)
                made = await post_journals(
                    db, period_id=period.period_id, actor=caller.subject, now=info.context.now
                )
        except errors.NotFound as unknown:
            return PostingUnknown(message=unknown.message)
        except errors.Rejected as no:
            return PostingNotReady(message=no.message)
        except (errors.Malformed, errors.Forbidden) as no:
            return unfit(no)
        return JournalsPosted(journals=[Journal.of(row) for row in made])
