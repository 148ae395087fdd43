"""Preview: whom a campaign would grant something, and what that may cost at most."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.campaigns.grant_to_many import WHOM
from hub.benefits.campaigns.open_campaign import funded

_PREVIEW = text(f"""
WITH {WHOM}, dearest AS (
  SELECT t.currency, greatest(t.price_minor, (SELECT max(p.value::bigint)
    FROM jsonb_each_text(t.prices) p)) AS price_minor
  FROM benefit_terms_at(CAST(:benefit_id AS smallint), :now) t
)
SELECT (SELECT count(*) FROM due) AS members, (SELECT count(*) FROM asked) AS known,
  price_minor, currency FROM dearest
""")  # noqa: S608 - constants of ours


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What granting would come to: `most_minor`, if all is used where it costs the funder most.

    By the benefit's terms in force; later ones may ask another price.
    """

    members: int
    had: int
    unknown: int
    uses: int
    most_minor: int
    currency: str


async def preview(
    db: AsyncConnection,
    *,
    code: str,
    benefit_code: str,
    quantity: int,
    member_ids: Sequence[int],
    now: datetime,
) -> Preview:
    """Return what the campaign called `code` would grant to these members; it need not be there.

    Raises NotFound for a benefit without terms in force.
    """
    benefit_id, _ = await funded(db, benefit_code=benefit_code, now=now)
    ids = sorted(set(member_ids))
    facts = {"ids": ids, "code": code, "benefit_id": benefit_id, "now": now}
    row = (await db.execute(_PREVIEW, facts)).one()
    return Preview(
        members=row.members,
        had=row.known - row.members,
        unknown=len(ids) - row.known,
        uses=row.members * quantity,
        most_minor=row.members * quantity * row.price_minor,
        currency=row.currency,
    )
