"""Candidates: who may have an occasion, found without opening anybody's birthday."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.occasions.calendar import Falling
from hub.crypto.keyring import Keyring
from hub.members.birthdays import Calendar
from hub.members.index_birthdays import digests_of_forms

# Of each, which birth and in which year of the occasion.
_BORN = {
    calendar: f"""
  SELECT l.member_id, w.year
  FROM unnest(CAST(:digests AS bytea[]), CAST(:years AS smallint[])) AS w (digest, year)
  JOIN birthday_index i ON i.{calendar.value} = w.digest
  JOIN account_link l ON l.account_id = i.account_id AND upper_inf(l.valid)"""  # noqa: S608
    for calendar in Calendar
}
_JOINED = """
  SELECT m.member_id, w.year
  FROM unnest(CAST(:since AS timestamptz[]), CAST(:until AS timestamptz[]),
    CAST(:years AS smallint[])) AS w (since, until, year)
  JOIN member m ON m.created_at >= w.since AND m.created_at < w.until"""
# Whoever has an account that was given it, or is of a birth that was, had it.
_LEFT = """
SELECT DISTINCT who.member_id FROM ({born}) born
JOIN member b ON b.member_id = born.member_id
JOIN member who ON who.member_id = coalesce(b.merged_into, b.member_id)
WHERE who.member_id > :after AND who.erased_at IS NULL AND NOT EXISTS (
  SELECT FROM (SELECT who.member_id AS born_id UNION ALL
    SELECT f.member_id FROM member f WHERE f.merged_into = who.member_id) family
  JOIN account_link l ON l.member_id = family.born_id AND upper_inf(l.valid)
  JOIN occasion_grant g ON g.account_id = l.account_id
  WHERE g.occasion_id = :occasion_id AND g.year = born.year)
ORDER BY 1 LIMIT :members"""
# A day begins fourteen hours before it does in UTC, and ends twelve hours later.
_EARLIEST, _LATEST = timedelta(hours=14), timedelta(hours=36)

_LOCK = text("""
SELECT member_id FROM member
WHERE member_id = ANY (CAST(:members AS bigint[])) AND merged_into IS NULL AND erased_at IS NULL
ORDER BY member_id FOR SHARE
""")
_WHO = text("""
WITH own AS (
  SELECT m.member_id, min(born.created_at) AS joined_at,
    array_agg(a.account_id ORDER BY a.account_id) AS accounts,
    array_agg(a.business_id ORDER BY a.account_id) AS businesses,
    array_agg(l.member_id ORDER BY a.account_id) AS births,
    (array_agg(b.time_zone ORDER BY a.account_id))[1] AS time_zone
  FROM unnest(CAST(:members AS bigint[])) AS m (member_id)
  CROSS JOIN LATERAL (
    SELECT f.member_id, f.created_at FROM member f WHERE f.member_id = m.member_id
    UNION ALL
    SELECT f.member_id, f.created_at FROM member f WHERE f.merged_into = m.member_id
  ) born
  JOIN account_link l ON l.member_id = born.member_id AND upper_inf(l.valid)
  JOIN account a ON a.account_id = l.account_id JOIN business b ON b.business_id = a.business_id
  GROUP BY m.member_id
)
SELECT own.*, array(SELECT DISTINCT g.year FROM occasion_grant g
  WHERE g.occasion_id = :occasion_id
    AND (g.account_id = ANY (own.accounts) OR g.member_id = ANY (own.births))) AS given
FROM own ORDER BY own.member_id
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A member as it is now: its accounts, the oldest first, and the years it was given it in.

    Its zone is that of the business where the oldest account is.
    """

    member_id: int
    joined_at: datetime
    accounts: list[int]
    businesses: list[int]
    births: list[int]
    time_zone: str
    given: list[int]

    def account_at(self, business_id: int | None) -> tuple[int, int]:
        """Return the oldest account at a business, else of all, and the birth that it is of."""
        place = self.businesses.index(business_id) if business_id in self.businesses else 0
        return self.accounts[place], self.births[place]


async def candidates(
    db: AsyncConnection,
    *,
    possible: Sequence[Falling],
    first_year: int,
    after: int,
    members: int,
    keyring: Keyring,
) -> list[int]:
    """Return the next members whose day it may be and who were not given it, after `after`."""
    terms = possible[0].terms
    facts: dict[str, object] = {
        "occasion_id": terms.occasion_id,
        "after": after,
        "members": members,
    }
    if terms.kind == "birthday":
        born = _BORN[terms.calendar]
        named = [
            (digest, one.year)
            for one in possible
            for digest in digests_of_forms(keyring, terms.calendar, [one.form])
        ]
        facts |= {"digests": [digest for digest, _ in named], "years": [year for _, year in named]}
    else:
        born = _JOINED
        spans = [
            (began - _EARLIEST, began + _LATEST, one.year)
            for one in possible
            for began in _beginnings(one, first_year)
        ]
        facts |= {
            "since": [since for since, _, _ in spans],
            "until": [until for _, until, _ in spans],
            "years": [year for _, _, year in spans],
        }
    return list(await db.scalars(text(_LEFT.format(born=born)), facts))


async def locked(
    db: AsyncConnection, *, occasion_id: int, member_ids: Sequence[int]
) -> list[Candidate]:
    """Return these members, as far as they still are, and keep them so until the end."""
    members = list(await db.scalars(_LOCK, {"members": list(member_ids)}))
    rows = await db.execute(_WHO, {"occasion_id": occasion_id, "members": members})
    return [Candidate(**row._asdict()) for row in rows]


def _beginnings(one: Falling, first_year: int) -> list[datetime]:
    """Return the midnights, in UTC, of the days that this is an anniversary of."""
    month, day = map(int, one.form.split("-"))
    found = []
    for year in range(first_year, one.year):
        try:
            began = date(year, month, day)
        except ValueError:
            continue  # 29 February of a common year: nobody joined then
        found.append(datetime(began.year, began.month, began.day, tzinfo=UTC))
    return found
