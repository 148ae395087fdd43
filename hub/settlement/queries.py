"""Reads of settlement: periods, their lines, their totals and their statements.

Amounts in `*_minor` are integer minor units; `exact`, `rounding` and `amount` are exact decimals in
major units.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.crypto.signing import Signature
from hub.db.keyset import Column, Keyset, Stretch, page_of
from hub.errors import NotFound
from hub.settlement.netting import Bilateral, Net

Cursor = tuple[date, int, int, int]
"""A line's place in its period: business date, what it derives from, and its own number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A settlement period; `starts_on` and `ends_on` are business dates, both inclusive."""

    period_id: int
    code: str
    starts_on: date
    ends_on: date
    state: str
    opened_at: datetime
    closed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Obligation:
    """What a debtor owes a creditor for one lot of points, or one use; negative when given back.

    `kind` is a LineKind and says which. `tx_id` and `seq` number what it derives from, by `source`:
    an entry, and so the receipt, or a use of a benefit. `account_id` is the acting account, never
    a person. Issuer, acceptor, account and rate are those of a consumed lot. `issued_on` is the day
    on which points were issued that were sold at issue.
    """

    line_id: int
    source: int
    tx_id: int
    seq: int
    kind: int
    account_id: int | None
    debtor_id: int
    creditor_id: int
    issuer_id: int | None
    acceptor_id: int | None
    points: int
    rate: Decimal | None
    amount: Decimal
    currency: str
    business_date: date
    occurred_at: datetime
    posted_at: datetime
    late: bool
    agreement_id: int | None
    tax_code: str | None
    tax_rate: Decimal | None
    tax_included: bool | None
    issued_on: date | None

    @property
    def cursor(self) -> Cursor:
        """Return the line's place in its period, to go on from."""
        return self.business_date, self.tx_id, self.seq, self.line_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """What a debtor owes a creditor for one kind of line under one tax.

    The lines' exact sum plus `rounding` is `net_minor`, or `gross_minor` where tax is included.
    """

    debtor_id: int
    creditor_id: int
    currency: str
    kind: int
    tax_code: str | None
    tax_rate: Decimal | None
    tax_included: bool | None
    lines: int
    points: int
    exact: Decimal
    rounding: Decimal
    net_minor: int
    tax_minor: int
    gross_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A business's statement as it was issued; `sha256` is that of `body`, canonical JSON.

    One from before there were such has no body: it is the `csv` that it was issued as.
    """

    period_id: int
    business_id: int
    created_at: datetime
    sha256: bytes
    body: bytes | None
    csv: bytes | None
    signature: Signature | None


_PERIOD = """
SELECT period_id, code, starts_on, ends_on, state, opened_at, closed_at FROM settlement_period"""


PERIODS = Keyset((Column("starts_on", date),), descending=True)
"""The newest first."""


class PeriodFilter(NamedTuple):
    """Which periods: in these states; with any day from `from_day` until `until_day`."""

    states: Sequence[str] | None = None
    from_day: date | None = None
    until_day: date | None = None


_PERIOD_FILTERS = {
    "states": "state = ANY (CAST(:states AS text[]))",
    "from_day": "ends_on >= :from_day",
    "until_day": "starts_on <= :until_day",
}


async def periods(
    db: AsyncConnection,
    *,
    only: PeriodFilter | None = None,
    order: Keyset = PERIODS,
    stretch: Stretch,
) -> list[Period]:
    """Return periods, by PERIODS unless they are to run backwards."""
    said = (only or PeriodFilter())._asdict()
    ending, facts = page_of(order, stretch, only=said, filters=_PERIOD_FILTERS)
    rows = await db.execute(text(f"{_PERIOD} {ending}"), facts)
    return [Period(**row._asdict()) for row in rows]


async def period_by_code(db: AsyncConnection, code: str) -> Period:
    """Return the period called `code`; raises NotFound."""
    named = text(f"{_PERIOD} WHERE code = :code")
    # What is not printable, such as NUL, names nothing; PostgreSQL would not even take it.
    row = (await db.execute(named, {"code": code})).first() if code.isprintable() else None
    if row is None:
        raise NotFound(f"there is no settlement period {code!r}", period=code)
    return Period(**row._asdict())


async def period_by_id(db: AsyncConnection, period_id: int) -> Period:
    """Return a period; raises NotFound."""
    row = (await db.execute(text(f"{_PERIOD} WHERE period_id = :id"), {"id": period_id})).first()
    if row is None:
        raise NotFound(f"there is no settlement period {period_id}", period=period_id)
    return Period(**row._asdict())


async def obligations(
    db: AsyncConnection,
    *,
    period_id: int,
    business_id: int | None = None,
    first: int,
    after: Cursor | None = None,
) -> list[Obligation]:
    """Return up to `first` lines of a closed period after the cursor, by date and receipt.

    With a `business_id`, only those in which it is debtor or creditor.
    """
    stretch = Stretch(first, after=after)
    only = LineFilter(business_id=business_id)
    return (await lines_of(db, period_ids=[period_id], only=only, stretch=stretch))[period_id]


class LineFilter(NamedTuple):
    """Which lines: those in which a business is debtor or creditor; what one owes, or is owed; of
    which kinds; on business dates from `from_day` until `until_day` (None: all).
    """

    business_id: int | None = None
    debtor_id: int | None = None
    creditor_id: int | None = None
    kinds: tuple[int, ...] | None = None
    from_day: date | None = None
    until_day: date | None = None


_LINE_FILTERS = {
    "business_id": ":business_id IN (debtor_id, creditor_id)",
    "debtor_id": "debtor_id = :debtor_id",
    "creditor_id": "creditor_id = :creditor_id",
    "kinds": "kind = ANY (CAST(:kinds AS smallint[]))",
    "from_day": "business_date >= :from_day",
    "until_day": "business_date <= :until_day",
}


LINES = Keyset(
    (
        Column("business_date", date),
        Column("tx_id", int),
        Column("seq", int),
        Column("line_id", int),
    )
)
"""By business date and receipt."""


async def lines_of(
    db: AsyncConnection,
    *,
    period_ids: Sequence[int],
    only: LineFilter,
    stretch: Stretch,
    order: Keyset = LINES,
) -> dict[int, list[Obligation]]:
    """Return lines of each closed period, by LINES unless they are to run backwards."""
    facts = {name: value for name, value in only._asdict().items() if value is not None}
    conditions = ["o.period_id = p.id", order.between(stretch)]
    conditions += [_LINE_FILTERS[name] for name in facts]
    facts |= {"ids": list(period_ids), "limit": stretch.limit}
    rows = await db.execute(
        text(f"""
          SELECT p.id AS period_id, x.* FROM unnest(CAST(:ids AS integer[])) AS p (id)
          CROSS JOIN LATERAL (
            SELECT line_id, source, tx_id, seq, kind, account_id, debtor_id, creditor_id, issuer_id,
              acceptor_id, points, rate, amount, currency, business_date, occurred_at, posted_at,
              late, agreement_id, tax_code, tax_rate, tax_included, issued_on
            FROM obligation o WHERE {" AND ".join(conditions)}
            ORDER BY {order.order(stretch)} LIMIT :limit) x"""),  # noqa: S608 - no input in it
        facts | order.facts(stretch),
    )
    found: dict[int, list[Obligation]] = {period_id: [] for period_id in period_ids}
    for row in rows:
        facts = row._asdict()
        found[facts.pop("period_id")].append(Obligation(**facts))
    return found


async def totals(db: AsyncConnection, *, period_ids: Sequence[int]) -> dict[int, list[Total]]:
    """Return the gross totals of each period."""
    rows = await _of_periods(
        db,
        """SELECT period_id, debtor_id, creditor_id, currency, kind, tax_code, tax_rate,
             tax_included, lines, points, exact, rounding, net_minor, tax_minor, gross_minor
           FROM settlement_gross WHERE period_id = ANY(CAST(:ids AS integer[]))
           ORDER BY period_id, debtor_id, creditor_id, currency, kind, tax_code, tax_rate,
             tax_included""",
        period_ids,
    )
    return {period_id: [Total(**facts) for facts in found] for period_id, found in rows.items()}


async def bilaterals(
    db: AsyncConnection, *, period_ids: Sequence[int]
) -> dict[int, list[Bilateral]]:
    """Return the bilateral positions of each period."""
    rows = await _of_periods(
        db,
        """SELECT period_id, debtor_id, creditor_id, currency, owed_minor, counter_minor
           FROM bilateral WHERE period_id = ANY(CAST(:ids AS integer[]))
           ORDER BY period_id, debtor_id, creditor_id, currency""",
        period_ids,
    )
    return {period_id: [Bilateral(**facts) for facts in found] for period_id, found in rows.items()}


async def net_positions(db: AsyncConnection, *, period_ids: Sequence[int]) -> dict[int, list[Net]]:
    """Return the net positions of each period; per currency they sum to zero."""
    rows = await _of_periods(
        db,
        """SELECT period_id, business_id, currency, net_minor
           FROM net_position WHERE period_id = ANY(CAST(:ids AS integer[]))
           ORDER BY period_id, business_id, currency""",
        period_ids,
    )
    return {period_id: [Net(**facts) for facts in found] for period_id, found in rows.items()}


async def _of_periods(
    db: AsyncConnection, query: str, period_ids: Sequence[int]
) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = {period_id: [] for period_id in period_ids}
    for row in await db.execute(text(query), {"ids": list(period_ids)}):
        facts = row._asdict()
        found[facts.pop("period_id")].append(facts)
    return found


async def open_periods(db: AsyncConnection, *, before: date) -> list[Period]:
    """Return the open periods whose last day is before a date, oldest first."""
    rows = await db.execute(
        text("""
          SELECT period_id, code, starts_on, ends_on, state, opened_at, closed_at
          FROM settlement_period WHERE state = 'open' AND ends_on < :before ORDER BY starts_on"""),
        {"before": before},
    )
    return [Period(**row._asdict()) for row in rows]


async def statement(db: AsyncConnection, *, period_id: int, business_id: int) -> Statement:
    """Return a business's statement; raises NotFound while the period is not closed."""
    row = (
        await db.execute(
            text("""
              SELECT created_at, sha256, body, csv, key_version, public_key, signature
              FROM statement LEFT JOIN statement_signature USING (period_id, business_id)
              WHERE period_id = :period_id AND business_id = :business_id"""),
            {"period_id": period_id, "business_id": business_id},
        )
    ).first()
    if row is None:
        raise NotFound(
            "there is no such statement: a period is stated once it is closed",
            period=period_id,
            business_id=business_id,
        )
    signature = None
    if row.signature is not None:
        signature = Signature(
            key_version=row.key_version, public_key=row.public_key, signature=row.signature
        )
    return Statement(
        period_id=period_id,
        business_id=business_id,
        created_at=row.created_at,
        sha256=row.sha256,
        body=row.body,
        csv=row.csv,
        signature=signature,
    )
