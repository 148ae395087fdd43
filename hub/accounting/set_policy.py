"""Set policy: say, from a month on, how an issuer's points are accounted for."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.accounting.checks import first_of_month
from hub.accounting.policies import COLUMNS, AccountingPolicy, policies
from hub.errors import Conflict, Malformed, NotFound, Rejected
from hub.ledger.codes import Unit
from hub.points.checks import named
from hub.programme.queries import businesses

ROLES = ("principal", "agent")
PORTFOLIOS = ("month", "all")
_DEAREST, _FINEST = Decimal(10_000), Decimal("1e-8")


async def set_policy(
    db: AsyncConnection,
    *,
    issuer_id: int,
    effective_from: date,
    point_value: Decimal,
    actor: str,
    now: datetime,
    role: str = "principal",
    goods_discount: Decimal = Decimal(0),
    least_share: Decimal = Decimal(0),
    portfolio: str = "month",
    unit: int = Unit.SPENDABLE,
) -> AccountingPolicy:
    """Account for cohorts from `effective_from` on as said.

    The same again is one effect. Raises Malformed for what makes no sense, NotFound for a business
    that is none, Conflict when that month's version says otherwise, Rejected when cohorts from
    then on are recognised already.
    """
    named(actor, field="actor")
    first_of_month(effective_from, field="effective_from")
    _sensible(point_value, {"goods_discount": goods_discount, "least_share": least_share})
    for field, value, known in (("role", role, ROLES), ("portfolio", portfolio, PORTFOLIOS)):
        if value not in known:
            raise Malformed(f"{value!r} is neither of {' and '.join(known)}", field=field)
    await _possible(db, issuer_id=issuer_id, unit=unit)
    await db.execute(text("LOCK TABLE recognition IN SHARE ROW EXCLUSIVE MODE"))
    said = {
        "issuer_id": issuer_id,
        "unit": unit,
        "effective_from": effective_from,
        "role": role,
        "point_value": point_value,
        "goods_discount": goods_discount,
        "least_share": least_share,
        "portfolio": portfolio,
    }
    for version in (await policies(db)).get((issuer_id, unit), []):
        if version.effective_from == effective_from:
            for name, said_now in said.items():
                if getattr(version, name) != said_now:
                    raise Conflict(
                        f"the policy from {effective_from} on has another {name}: "
                        f"{getattr(version, name)}; say what holds from a later month on",
                        field=name,
                    )
            return version
    await _not_recognised(db, issuer_id=issuer_id, unit=unit, since=effective_from)
    row = await db.execute(
        text(f"""
          INSERT INTO accounting_policy ({COLUMNS})
          VALUES (:issuer_id, :unit, :effective_from, :role, :point_value, :goods_discount,
            :least_share, :portfolio, :actor, :now)
          RETURNING {COLUMNS}"""),  # noqa: S608
        {**said, "actor": actor, "now": now},
    )
    return AccountingPolicy(**row.one()._asdict())


def _sensible(point_value: Decimal, parts: Mapping[str, Decimal]) -> None:
    if not (
        point_value.is_finite()
        and 0 < point_value < _DEAREST
        and point_value == point_value.quantize(_FINEST)
    ):
        raise Malformed(
            f"a point is worth more than 0 and less than {_DEAREST}, with up to 8 decimals",
            field="point_value",
        )
    for field, part in parts.items():
        if not (part.is_finite() and 0 <= part < 1 and part == part.quantize(_FINEST)):
            raise Malformed(
                "say it as a fraction from 0 up to less than 1, with up to 8 decimals: 0.05 is "
                "five per cent",
                field=field,
            )


async def _possible(db: AsyncConnection, *, issuer_id: int, unit: int) -> None:
    if issuer_id not in {b.business_id for b in await businesses(db)}:
        raise NotFound(f"there is no business {issuer_id}", field="issuer_id")
    spendable = await db.scalar(
        text("SELECT kind = 'spendable' FROM point_unit WHERE unit_id = :unit"), {"unit": unit}
    )
    if not spendable:
        raise NotFound(f"there are no points of unit {unit} to spend", field="unit", unit=unit)


async def _not_recognised(db: AsyncConnection, *, issuer_id: int, unit: int, since: date) -> None:
    """Raise Rejected when points that the version would be for stand in the books already.

    Of points that are recognised together, that is every month up to the last recognised.
    """
    latest: date | None = await db.scalar(
        text("""
          SELECT greatest(max(cohort), max(ends_on) FILTER (WHERE cohort IN (
            SELECT effective_from FROM accounting_policy
            WHERE issuer_id = :issuer_id AND unit = :unit AND portfolio = 'all')))
          FROM liability_cohort JOIN settlement_period USING (period_id)
          WHERE issuer_id = :issuer_id AND unit = :unit
            AND (greatest(cohort, CASE WHEN cohort IN (
                SELECT effective_from FROM accounting_policy
                WHERE issuer_id = :issuer_id AND unit = :unit AND portfolio = 'all')
                THEN ends_on END) >= :since
              OR :since < (SELECT min(effective_from) FROM accounting_policy
                WHERE issuer_id = :issuer_id AND unit = :unit))"""),
        {"issuer_id": issuer_id, "unit": unit, "since": since},
    )
    if latest is not None:
        raise Rejected(
            f"points earned in {latest:%Y-%m} are recognised under the policy as it was: "
            "say what holds from a later month on",
            field="effective_from",
        )
