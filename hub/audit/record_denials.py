"""Record denials: what a caller asked for and was refused, or shown as if it were not there."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

MOST_KINDS = 20
"""How many different denials of a caller are told apart in a minute."""
BEYOND = "…"
"""Stands for what is told apart no more."""

_RECORD = text("""
WITH asked AS (
  SELECT * FROM unnest(CAST(:operations AS text[]), CAST(:paths AS text[]),
    CAST(:reasons AS text[]), CAST(:asked AS text[])) AS a (operation, path, reason, asked)
), told AS (
  SELECT operation, path, reason, asked FROM denial
  WHERE minute = date_trunc('minute', CAST(:at AS timestamptz)) AND subject = :subject
    AND role = :role
), ranked AS (
  SELECT *, (operation, path, reason, asked) IN (SELECT * FROM told)
    OR (SELECT count(*) FROM told)
      + dense_rank() OVER (ORDER BY operation, path, reason, asked) <= :most AS fits
  FROM asked
)
INSERT INTO denial AS d (minute, subject, role, times, operation, path, reason, asked)
SELECT date_trunc('minute', CAST(:at AS timestamptz)), :subject, :role, count(*), o, p, r, a
FROM ranked CROSS JOIN LATERAL (SELECT
  CASE WHEN fits THEN operation ELSE :beyond END, CASE WHEN fits THEN path ELSE :beyond END,
  CASE WHEN fits THEN reason ELSE :beyond END, CASE WHEN fits THEN asked ELSE '' END
) AS said (o, p, r, a)
GROUP BY o, p, r, a ORDER BY o, p, r, a
ON CONFLICT (minute, subject, role, operation, path, reason, asked)
DO UPDATE SET times = d.times + excluded.times""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """One denial, in words and numbers that name no person."""

    operation: str
    path: str
    reason: str
    asked: str = ""


async def record_denials(
    db: AsyncConnection, *, denials: Sequence[Denied], subject: str, role: str, at: datetime
) -> None:
    """Count denials of one caller with their equals of the same minute; the caller commits.

    Of a caller about MOST_KINDS are told apart in a minute, the rest are counted together.
    """
    if not denials:
        return
    await db.execute(
        _RECORD,
        {
            "operations": [one.operation[:100] for one in denials],
            "paths": [one.path[:200] for one in denials],
            "reasons": [one.reason[:100] for one in denials],
            "asked": [one.asked[:100] for one in denials],
            "subject": subject,
            "role": role,
            "at": at,
            "most": MOST_KINDS,
            "beyond": BEYOND,
        },
    )
