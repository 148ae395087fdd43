"""Charts of accounts and posted periods: what the tests of journals share."""

from collections import defaultdict
from datetime import date, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.accounting.journals.lines import Journal
from hub.accounting.journals.post_journals import post_journals
from hub.programme.chart import (
    BooksConfig,
    ChartAccountConfig,
    ChartConfig,
    Purpose,
    apply_books,
    apply_chart,
)
from hub.settlement.approve_period import approve_period

CHART = {
    purpose: ChartAccountConfig(code=str(1001 + n), name=purpose.value.replace("_", " ").title())
    for n, purpose in enumerate(Purpose)
}
SINCE = date(2026, 1, 1)


async def give_charts(db: AsyncConnection, *entities: str) -> None:
    """Give legal entities an account for every purpose, and numbers of their own."""
    await apply_chart(
        db, ChartConfig(legal_entities=entities, effective_from=SINCE, accounts=CHART)
    )
    for n, entity in enumerate(entities):
        await apply_books(
            db, BooksConfig(legal_entity=entity, effective_from=SINCE, company_code=str(100 + n))
        )


async def posted(db: AsyncConnection, period_id: int, at: datetime) -> dict[str, Journal]:
    """Approve a recognised period and post it; return its journals by legal entity."""
    await approve_period(db, period_id=period_id, actor="li", now=at)
    made = await post_journals(db, period_id=period_id, actor="wei", now=at)
    return {journal.legal_entity: journal for journal in made}


def booked(journal: Journal) -> dict[Purpose, int]:
    """Return what a journal leaves on each account; credits are negative."""
    sums: dict[Purpose, int] = defaultdict(int)
    for line in journal.lines:
        sums[line.purpose] += line.signed_minor
    return dict(sums)
