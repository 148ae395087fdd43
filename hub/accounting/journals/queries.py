"""Reads of journals, and of the charts of accounts that they are posted to."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.accounting.journals.lines import Journal, PostedLine
from hub.programme.chart import Purpose


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account of a legal entity's chart."""

    code: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """What an entity's books call things (see hub.programme.chart.BooksConfig)."""

    company_code: str | None = None
    voucher_group: str = "记"
    document_type: str = "SA"
    currency_code: str | None = None
    untaxed: str = "Tax Exempt"


async def chart(db: AsyncConnection, *, on: date) -> dict[tuple[int, Purpose], Account]:
    """Return the accounts in force on a business date, by legal entity and purpose."""
    rows = await db.execute(
        text("""
          SELECT DISTINCT ON (legal_entity_id, purpose) legal_entity_id, purpose, code, name
          FROM chart_account WHERE effective_from <= :day
          ORDER BY legal_entity_id, purpose, effective_from DESC"""),
        {"day": on},
    )
    return {
        (row.legal_entity_id, Purpose(row.purpose)): Account(code=row.code, name=row.name)
        for row in rows
    }


async def books(db: AsyncConnection, *, on: date) -> dict[int, Books]:
    """Return what the books of each legal entity call things on a business date."""
    rows = await db.execute(
        text("""
          SELECT DISTINCT ON (legal_entity_id) legal_entity_id, company_code, voucher_group,
            document_type, currency_code, untaxed
          FROM chart_books WHERE effective_from <= :day
          ORDER BY legal_entity_id, effective_from DESC"""),
        {"day": on},
    )
    found = {}
    for row in rows:
        said = row._asdict()
        entity_id = said.pop("legal_entity_id")
        found[entity_id] = Books(**said)
    return found


async def journals(
    db: AsyncConnection, *, period_ids: Sequence[int], legal_entity_id: int | None = None
) -> dict[int, list[Journal]]:
    """Return the posted journals of each period, by legal entity and currency.

    With a `legal_entity_id`, only that entity's.
    """
    facts = {"ids": list(period_ids), "entity": legal_entity_id}
    lines = await db.execute(
        text("""
          SELECT journal_id, line_no, event, purpose, account_code, account_name, l.business_id,
            counterparty_id, b.code AS business, c.code AS counterparty, tax_code, points,
            debit_minor, credit_minor
          FROM journal JOIN journal_line l USING (journal_id)
          JOIN business b ON b.business_id = l.business_id
          LEFT JOIN business c ON c.business_id = counterparty_id
          WHERE period_id = ANY (CAST(:ids AS integer[]))
            AND journal.legal_entity_id
              = coalesce(CAST(:entity AS smallint), journal.legal_entity_id)
          ORDER BY journal_id, line_no"""),
        facts,
    )
    of_journal: dict[int, list[PostedLine]] = defaultdict(list)
    for row in lines:
        said = row._asdict()
        journal_id, purpose = said.pop("journal_id"), Purpose(said.pop("purpose"))
        of_journal[journal_id].append(PostedLine(purpose=purpose, **said))
    rows = await db.execute(
        text("""
          SELECT journal_id, reference, j.period_id, p.code AS period_code, legal_entity_id,
            e.code AS legal_entity, currency, dated, posted_at, actor, total_minor
          FROM journal j JOIN journal_posting USING (period_id)
          JOIN settlement_period p USING (period_id) JOIN legal_entity e USING (legal_entity_id)
          WHERE j.period_id = ANY (CAST(:ids AS integer[]))
            AND legal_entity_id = coalesce(CAST(:entity AS smallint), legal_entity_id)
          ORDER BY j.period_id, e.code, currency"""),
        facts,
    )
    found: dict[int, list[Journal]] = {period_id: [] for period_id in period_ids}
    for row in rows:
        said = row._asdict()
        lines_of = tuple(of_journal[said.pop("journal_id")])
        found[row.period_id].append(Journal(**said, lines=lines_of))
    return found
