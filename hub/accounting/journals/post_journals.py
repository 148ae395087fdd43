"""Post journals: a period's journals are written down, once, and never changed."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.accounting.journals.lines import Draft, Journal
from hub.accounting.journals.prepare import prepare
from hub.accounting.journals.queries import Account, chart, journals
from hub.errors import Rejected
from hub.points.checks import named
from hub.programme.chart import Purpose
from hub.settlement.queries import Period, period_by_id

_APPROVED = ("approved", "issued", "paid")
_JOURNAL = text("""
INSERT INTO journal (period_id, dated, total_minor, legal_entity_id, currency, reference)
VALUES (:period_id, :dated, :total_minor, :legal_entity_id, :currency, :reference)
RETURNING journal_id""")
_LINE = text("""
INSERT INTO journal_line (journal_id, line_no, debit_minor, credit_minor, points, business_id,
  counterparty_id, event, purpose, account_code, account_name, tax_code)
VALUES (:journal_id, :line_no, :debit_minor, :credit_minor, :points, :business_id,
  :counterparty_id, :event, :purpose, :account_code, :account_name, :tax_code)""")


async def post_journals(
    db: AsyncConnection, *, period_id: int, actor: str, now: datetime
) -> list[Journal]:
    """Post an approved and recognised period's journals, and return them.

    Posting twice is one effect: of two at once, one posts and the other finds it posted. Raises
    Rejected when the period is not approved or not recognised, or when charts of accounts lack
    accounts (it names all of them); NotFound; Malformed for a name that is none.
    """
    named(actor, field="actor")
    await db.execute(text("LOCK TABLE journal_posting IN SHARE ROW EXCLUSIVE MODE"))
    period = await period_by_id(db, period_id)
    known = await db.scalar(
        text("SELECT 1 FROM journal_posting WHERE period_id = :id"), {"id": period_id}
    )
    if not known:
        if period.state not in _APPROVED:
            raise Rejected(
                f"period {period.code} is {period.state}: it is posted once it is approved",
                period=period.code,
            )
        drafts = await prepare(db, period=period)
        accounts = await chart(db, on=period.ends_on)
        await _refuse_without_accounts(db, period, drafts, accounts)
        await db.execute(
            text("""
              INSERT INTO journal_posting (period_id, posted_at, actor)
              VALUES (:period_id, :now, :actor)"""),
            {"period_id": period_id, "now": now, "actor": actor},
        )
        for draft in drafts:
            await _keep(db, period, draft, accounts)
        # Whoever posts hears at once of what does not balance, and not at the end.
        for when in ("IMMEDIATE", "DEFERRED"):
            await db.execute(
                text(f"SET CONSTRAINTS journal_balances, journal_line_balances {when}")
            )
    return (await journals(db, period_ids=[period_id]))[period_id]


def reference(period: Period, draft: Draft) -> str:
    """Return what a journal is called everywhere. It fits the 16 characters that books keep."""
    return f"J{period.code.replace('-', '')}-{draft.legal_entity_id}{draft.currency}"


async def _refuse_without_accounts(
    db: AsyncConnection,
    period: Period,
    drafts: Sequence[Draft],
    accounts: Mapping[tuple[int, Purpose], Account],
) -> None:
    missing: dict[int, set[Purpose]] = defaultdict(set)
    for draft in drafts:
        for line in draft.lines:
            if (draft.legal_entity_id, line.purpose) not in accounts:
                missing[draft.legal_entity_id].add(line.purpose)
    if missing:
        rows = await db.execute(text("SELECT legal_entity_id, code FROM legal_entity"))
        codes = {row.legal_entity_id: row.code for row in rows}
        said = "; ".join(
            f"{codes[entity_id]}: {', '.join(sorted(purposes))}"
            for entity_id, purposes in sorted(missing.items())
        )
        raise Rejected(
            f"the charts of accounts of {period.ends_on} lack accounts ({said}): add them to the "
            "group's file under [[charts]], and apply it",
            field="charts",
        )


async def _keep(
    db: AsyncConnection,
    period: Period,
    draft: Draft,
    accounts: Mapping[tuple[int, Purpose], Account],
) -> None:
    journal_id = await db.scalar(
        _JOURNAL,
        {
            "period_id": period.period_id,
            "dated": period.ends_on,
            "total_minor": draft.total_minor,
            "legal_entity_id": draft.legal_entity_id,
            "currency": draft.currency,
            "reference": reference(period, draft),
        },
    )
    rows = []
    for line_no, line in enumerate(draft.lines, start=1):
        account = accounts[draft.legal_entity_id, line.purpose]
        rows.append(
            {
                "journal_id": journal_id,
                "line_no": line_no,
                "debit_minor": line.debit_minor,
                "credit_minor": line.credit_minor,
                "points": line.points,
                "business_id": line.business_id,
                "counterparty_id": line.counterparty_id,
                "event": line.event,
                "purpose": line.purpose.value,
                "account_code": account.code,
                "account_name": account.name,
                "tax_code": line.tax_code,
            }
        )
    await db.execute(_LINE, rows)
