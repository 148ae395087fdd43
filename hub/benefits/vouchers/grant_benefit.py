"""Grant a benefit: what a voucher of that kind gives, as it becomes a member's."""

from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.entitlements.grant_entitlement import grant_entitlement
from hub.benefits.vouchers.queries import Voucher
from hub.clock import business_date
from hub.errors import NotFound, Rejected
from hub.programme.queries import programme

_INSTANT = timedelta(microseconds=1)


async def grant_benefit(db: AsyncConnection, voucher: Voucher, *, now: datetime) -> bool:
    """Grant what the voucher gives its member, and use it up; returns whether it gives a benefit.

    The quota begins today, in the group's zone, or with the campaign, and lasts for the campaign's
    `benefit_days`, else as long as the voucher would have. Raises Rejected for a benefit without
    terms in force.
    """
    terms = voucher.terms
    if terms.benefit is None or terms.benefit_uses is None or voucher.member_id is None:
        return False
    zone = (await programme(db)).time_zone
    starts_on = business_date(max(now, terms.valid_from), zone)
    ends_on = business_date(voucher.ends_at - _INSTANT, zone)
    if terms.benefit_days is not None:
        ends_on = starts_on + timedelta(days=terms.benefit_days - 1)
    try:
        await grant_entitlement(
            db,
            member_id=voucher.member_id,
            benefit_code=terms.benefit,
            quantity=terms.benefit_uses,
            source="voucher",
            source_id=str(voucher.voucher_id),
            starts_on=starts_on,
            ends_on=ends_on,
            now=now,
        )
    except NotFound as no:
        raise Rejected(f"the voucher gives a benefit that there is not yet: {no.message}") from no
    await db.execute(
        text("""
          WITH used AS (
            UPDATE voucher SET used = granted WHERE voucher_id = :voucher_id
            RETURNING voucher_id, member_id, granted
          )
          INSERT INTO voucher_entry (voucher_id, member_id, kind, used, occurred_at)
          SELECT voucher_id, member_id, 'granted', granted, :now FROM used"""),
        {"voucher_id": voucher.voucher_id, "now": now},
    )
    return True
