"""A group's month of redemptions, as a whole ledger in which every invariant holds.

Five businesses take each other's points: of a million redemptions, eight hundred thousand are
between two of them. Every member has five lots, of as many businesses and of cohorts of a year, one
of them earned this month; ten redemptions; and one in a hundred redemptions is given back.
"""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncConnection

from bench.common import Bench
from hub.accounting.approve_estimate import approve_estimate
from hub.accounting.propose_estimate import propose_estimate
from hub.accounting.set_policy import set_policy
from hub.programme.agree import AgreementConfig, AgreementTaxConfig
from hub.programme.apply import BusinessConfig, GroupConfig, ProgrammeConfig, apply
from hub.programme.chart import BooksConfig, ChartAccountConfig, ChartConfig, Purpose
from hub.programme.queries import businesses

FROM = datetime.now(UTC).date().replace(day=1)
CODE = f"{FROM:%Y-%m}"
SINCE = date(FROM.year - 2, 1, 1)
SHOPS = tuple(f"shop-{n}" for n in range(1, 6))
GIVEN_BACK_EVERY = 100
_HEADER = """INSERT INTO ledger_transaction (tx_id, business_id, idempotency_key, member_id,
  account_id, kind, unit, points, occurred_at, business_date, reference_tx) """
_ENTRY = """INSERT INTO entry (member_id, tx_id, seq, lot_id, account_id, points, occurred_at,
  business_date, debit, credit, issuer_id, business_id, unit, cost_rate) """
_NOON = f"timestamptz '{FROM} 04:00Z'"
# Numbers grow with time. What redeems is lot k of member m, whose number holds both.
_EARNED = f"""
  SELECT m, 1 + (m + k) % 5 AS issuer, {_NOON} - make_interval(months =>
      CASE WHEN k = 0 THEN 0 ELSE 3 * k - m % 3 END) AS at, k, 0.008 + (m + k) % 5 * 0.0005 AS cost
  FROM generate_series(0, {{members}} - 1) m CROSS JOIN generate_series(0, 4) k"""
_REDEEMED = f"""
  SELECT l.member_id, l.lot_id, l.issuer_id, l.cost_rate, 1 + n % 500 AS points,
    ledger_tx_at({_NOON} + n * pace) + n % 4194304 AS tx_id, {_NOON} + n * pace AS at,
    1 + (n / {{members}} + n / 7) % 5 AS business_id, n
  FROM (SELECT n, interval '27 days' / {{rows}} AS pace FROM generate_series(1, {{rows}}) n) i
  JOIN lot l ON l.member_id = n % {{members}} AND l.issuer_id = 1 + (n + n / {{members}}) % 5"""
SEED = (
    f"""INSERT INTO lot (member_id, lot_id, account_id, earned, remaining, earned_at, expires_on,
         issuer_id, cost_rate)
       SELECT m, ledger_tx_at(at) + 5 * m + k, m, 10000, 10000, at, 'infinity', issuer, cost
       FROM ({_EARNED}) e""",
    f"""{_HEADER} SELECT lot_id, issuer_id, 'sale-' || lot_id, member_id, account_id, 1, 1, earned,
         earned_at, (earned_at AT TIME ZONE 'Asia/Shanghai')::date, NULL FROM lot""",
    f"""{_ENTRY} SELECT member_id, lot_id, 1, lot_id, account_id, earned, earned_at,
         (earned_at AT TIME ZONE 'Asia/Shanghai')::date, 10, 1, issuer_id, issuer_id, 1, cost_rate
       FROM lot""",
    """INSERT INTO earn_basis (member_id, tx_id, total_minor, base_minor, currency, lines)
       SELECT member_id, lot_id, 100000, 100000, 'CNY', '[]' FROM lot""",
    "VACUUM ANALYZE lot",
    f"""CREATE TEMPORARY TABLE redeemed AS {_REDEEMED}""",
    f"""{_HEADER} SELECT tx_id, business_id, 'till-' || n, member_id, member_id, 2, 1, points, at,
         (at AT TIME ZONE 'Asia/Shanghai')::date, NULL FROM redeemed""",
    f"""{_ENTRY} SELECT member_id, tx_id, 1, lot_id, member_id, points, at,
         (at AT TIME ZONE 'Asia/Shanghai')::date, 1, 20, issuer_id, business_id, 1, cost_rate
       FROM redeemed""",
    f"""CREATE TEMPORARY TABLE restored AS
       SELECT member_id, lot_id, issuer_id, cost_rate, points, business_id, n, tx_id AS of,
         ledger_tx_at(at + interval '6 hours') + n % 4194304 AS tx_id, at + interval '6 hours' AS at
       FROM redeemed WHERE n % {GIVEN_BACK_EVERY} = 0""",
    f"""{_HEADER} SELECT tx_id, business_id, 'back-' || n, member_id, member_id, 8, 1, points, at,
         (at AT TIME ZONE 'Asia/Shanghai')::date, of FROM restored""",
    f"""{_ENTRY} SELECT member_id, tx_id, 1, lot_id, member_id, points, at,
         (at AT TIME ZONE 'Asia/Shanghai')::date, 20, 1, issuer_id, business_id, 1, cost_rate
       FROM restored""",
    """UPDATE lot l SET remaining = e.n FROM (
         SELECT member_id, lot_id, sum(CASE WHEN credit = 1 THEN points ELSE -points END) AS n
         FROM entry GROUP BY member_id, lot_id) e
       WHERE e.member_id = l.member_id AND e.lot_id = l.lot_id AND l.remaining <> e.n""",
    """INSERT INTO balance (member_id, unit, posted)
       SELECT member_id, 1, sum(remaining) FROM lot GROUP BY member_id""",
    "DROP TABLE redeemed, restored",
    "VACUUM ANALYZE",
    "CHECKPOINT",
)


async def play(bench: Bench, *, rows: int) -> None:
    """Fill a configured database with a month of `rows` redemptions."""
    await bench.run(*(one.format(rows=rows, members=rows // 10) for one in SEED))


async def configure(db: AsyncConnection) -> None:
    """Make the group: agreements with tax between all, books, policies and estimates."""
    chart = {
        purpose: ChartAccountConfig(code=str(1001 + n), name=purpose.value)
        for n, purpose in enumerate(Purpose)
    }
    entities = tuple(f"{code}-ltd" for code in SHOPS)
    vat = AgreementTaxConfig(kind="redemption", code="VAT6", rate=Decimal("0.06"), included=True)
    config = ProgrammeConfig(
        group=GroupConfig(name="Town", time_zone="Asia/Shanghai", currency="CNY"),
        businesses=[
            BusinessConfig(
                code=code, name=code.title(), kind="retail", legal_entity=f"{code}-ltd",
                legal_name=f"{code} Ltd", currency="CNY", country="CN", time_zone="Asia/Shanghai",
            )
            for code in SHOPS
        ],
        agreements=tuple(
            AgreementConfig(
                issuer=issuer, acceptor=acceptor, effective_from=SINCE, currency="CNY",
                rate_per_point=Decimal("0.00789"), taxes=(vat,),
            )
            for issuer in SHOPS for acceptor in SHOPS if issuer != acceptor
        ),
        charts=(ChartConfig(legal_entities=entities, effective_from=SINCE, accounts=chart),),
        books=tuple(
            BooksConfig(legal_entity=entity, effective_from=SINCE, company_code=str(100 + n))
            for n, entity in enumerate(entities)
        ),
    )  # fmt: skip
    await apply(db, config=config)
    at = datetime(SINCE.year, SINCE.month, SINCE.day, 4, tzinfo=UTC)
    for business in await businesses(db):
        issuer_id = business.business_id
        await set_policy(
            db, issuer_id=issuer_id, effective_from=SINCE, point_value=Decimal("0.01"),
            role="principal", actor="wei", now=at,
        )  # fmt: skip
        made = await propose_estimate(
            db, issuer_id=issuer_id, rate=Decimal("0.8"), effective_from=SINCE, cohort=None,
            maker="mei", reason="as in the years before", now=at,
        )  # fmt: skip
        await approve_estimate(db, estimate_id=made.estimate_id, checker="wei", now=at)


def after() -> datetime:
    """Return a moment after the month, at which it may be closed."""
    return datetime(FROM.year, FROM.month, FROM.day, 4, tzinfo=UTC) + timedelta(days=40)
