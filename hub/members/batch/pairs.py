"""The pairs that runs found, stored: what is automatic, and what was put to review."""

from collections.abc import Collection, Iterable, Iterator
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.members.batch.judging import Judge, Pair, evidence

_OF = text("""
SELECT low_account_id, high_account_id, proposed FROM match_pair
WHERE low_account_id = ANY (CAST(:accounts AS bigint[]))
UNION
SELECT low_account_id, high_account_id, proposed FROM match_pair
WHERE high_account_id = ANY (CAST(:accounts AS bigint[]))
""")
_FORGET = text("""
DELETE FROM match_pair p
USING unnest(CAST(:lows AS bigint[]), CAST(:highs AS bigint[])) AS u (low, high)
WHERE p.low_account_id = u.low AND p.high_account_id = u.high
""")

Stored = dict[tuple[int, int], bool]
"""Pairs of accounts, the lower first, and whether each was put to review."""


async def stored(db: AsyncConnection, *, account_ids: Iterable[int] | None) -> Stored:
    """Return the pairs that some of these accounts are in; None: all."""
    if account_ids is None:
        rows = await db.execute(
            text("SELECT low_account_id, high_account_id, proposed FROM match_pair")
        )
    else:
        rows = await db.execute(_OF, {"accounts": sorted(set(account_ids))})
    return {(low, high): proposed for low, high, proposed in rows}


async def those_of(db: AsyncConnection, *, wanted: Iterable[tuple[int, int]]) -> Stored:
    """Return those of these pairs that are stored."""
    some = sorted(wanted)
    rows = await db.execute(
        text("""
          SELECT low_account_id, high_account_id, proposed FROM match_pair p
          JOIN unnest(CAST(:lows AS bigint[]), CAST(:highs AS bigint[])) AS u (low, high)
            ON p.low_account_id = u.low AND p.high_account_id = u.high"""),
        {"lows": [low for low, _ in some], "highs": [high for _, high in some]},
    )
    return {(low, high): proposed for low, high, proposed in rows}


async def among(db: AsyncConnection, *, account_ids: Iterable[int]) -> Stored:
    """Return the pairs that are among these accounts."""
    rows = await db.execute(
        text("""
          SELECT low_account_id, high_account_id, proposed FROM match_pair
          WHERE low_account_id = ANY (CAST(:accounts AS bigint[]))
            AND high_account_id = ANY (CAST(:accounts AS bigint[]))"""),
        {"accounts": sorted(account_ids)},
    )
    return {(low, high): proposed for low, high, proposed in rows}


async def replace(
    db: AsyncConnection,
    *,
    judge: Judge,
    found: Collection[Pair],
    proposed: Collection[tuple[int, int]],
    before: Stored | None,
    run_id: int,
) -> None:
    """Store pairs in the place of those that stood before; None: of all."""
    if before is None:
        await db.execute(text("DELETE FROM match_pair"))
    else:
        lows, highs = [low for low, _ in before], [high for _, high in before]
        await db.execute(_FORGET, {"lows": lows, "highs": highs})
    raw: Any = (await db.get_raw_connection()).driver_connection
    await raw.copy_records_to_table(
        "match_pair",
        records=_records(judge, found, proposed, run_id),
        columns=["low_account_id", "high_account_id", "run_id", "bits", "band", "proposed",
                 "evidence"],
    )  # fmt: skip


def _records(
    judge: Judge, found: Collection[Pair], proposed: Collection[tuple[int, int]], run_id: int
) -> Iterator[tuple[Any, ...]]:
    for pair in found:
        low, high = judge.accounts_of(pair)
        yield (
            low,
            high,
            run_id,
            pair.bits,
            "automatic" if pair.automatic else "review",
            (low, high) in proposed,
            orjson.dumps(evidence(pair, judge.scorer)).decode(),
        )
