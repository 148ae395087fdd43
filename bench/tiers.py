"""How long it takes to judge a million members whose tier's time is over.

`python -m bench.tiers [--members N]`: all are silver until the end of a year, with three bills in
it; half did enough to keep it. Beside it, what PostgreSQL takes to read all bills once, and to
update as many plain rows.
"""

import argparse
import asyncio
import time
from datetime import UTC, date, datetime

from bench.common import Bench, bench_server, report
from hub.benefits.tiers.requalify import requalify
from hub.db.engine import make_engine

NOW = datetime(2028, 1, 1, 1, tzinfo=UTC)
SEED = (
    "INSERT INTO programme (name, time_zone, currency) VALUES ('Bench', 'UTC', 'CNY')",
    "INSERT INTO legal_entity (code, name) VALUES ('l', 'L')",
    """INSERT INTO business (code, name, kind, legal_entity_id, currency, country, time_zone)
       SELECT 'b' || n, 'B', 'retail', 1, 'CNY', 'CN', 'UTC' FROM generate_series(1, 3) n""",
    """INSERT INTO ladder_terms (ladder_id, effective_from, "window", months, grace_days, step_down,
         currency, name, name_zh)
       VALUES (0, '2020-01-01Z', 'calendar_year', 12, 0, 'one_step', 'CNY', 'L', 'L')""",
    """INSERT INTO tier (code, rank, ladder_id)
       VALUES ('iron', 0, 0), ('bronze', 1, 0), ('silver', 2, 0), ('gold', 3, 0)""",
    """INSERT INTO tier_terms (tier_id, effective_from, name, name_zh, need, reach)
       SELECT tier_id, '2020-01-01Z', code, code, 'any',
         ARRAY[NULL, CASE WHEN rank > 0 THEN rank * 100000 END, CASE WHEN rank > 0 THEN rank * 10
           END, NULL, NULL]::bigint[] FROM tier""",
    """INSERT INTO member (member_id, created_at)
       SELECT n, '2024-01-01Z' FROM generate_series(1, {members}) n""",
    """INSERT INTO account (account_id, business_id, external_id, created_at)
       SELECT n, 1, n::text, '2024-01-01Z' FROM generate_series(1, {members}) n""",
    """INSERT INTO account_link (account_id, member_id, method, valid)
       SELECT n, n, 'birth', tstzrange('2024-01-01Z', NULL) FROM generate_series(1, {members}) n""",
    """INSERT INTO qualifying_activity (account_id, occurred_at, spend_minor, paid_minor,
         business_date, business_id, bills, nights, referrals, currency, sale, key)
       SELECT m, '2027-06-01Z', s, s, date '2027-01-10' + k * 30, k, 1, 0, 0, 'CNY',
         k::text, k::text
       FROM generate_series(1, {members}) m, generate_series(1, 3) k,
         LATERAL (SELECT CASE WHEN m % 2 = 0 THEN 70000 ELSE 7000 END AS s) x""",
    """INSERT INTO member_tier (member_id, step, ladder_id, tier_id, since, qualifying, reason,
         terms_from, window_from, window_to, held_to, valid_until)
       SELECT n, 1, 0, 3, '2026-03-01Z', 0, 'reached', '2020-01-01Z', '2026-01-01', '2026-12-31',
         '2027-12-31', '2027-12-31' FROM generate_series(1, {members}) n""",
    "CREATE TABLE plain AS SELECT * FROM member_tier",
    "ALTER TABLE plain ADD PRIMARY KEY (member_id, step)",
    "VACUUM ANALYZE",
    "CHECKPOINT",
)


async def judge(url: str) -> dict[str, int]:
    """Judge all who are due as the job does; returns how many were kept and moved."""
    engine = make_engine(url)
    said: dict[str, int] = {}

    async def chunks() -> None:
        while True:
            async with engine.begin() as db:
                moves = await requalify(db, now=NOW, time_zone="UTC")
            if moves is None:
                return
            for move in moves:
                said[move.reason] = said.get(move.reason, 0) + 1

    await asyncio.gather(chunks(), chunks())
    await engine.dispose()
    return said


def took(bench: Bench, *statements: str) -> float:
    """Return how long statements take."""
    started = time.monotonic()
    asyncio.run(bench.run(*statements))
    return time.monotonic() - started


def main() -> None:
    """Time the judgement, the same day again, and what to compare them with."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--members", type=int, default=1_000_000)
    members = options.parse_args().members
    with bench_server() as bench:
        asyncio.run(bench.run(*(one.replace("{members}", str(members)) for one in SEED)))
        scan = took(bench, "SELECT sum(spend_minor + paid_minor) FROM qualifying_activity")
        update = took(bench, "UPDATE plain SET until = now()")
        started = time.monotonic()
        said = asyncio.run(judge(bench.url))
        first = time.monotonic() - started
        if said != {"kept": members // 2, "stepped_down": members - members // 2}:
            raise RuntimeError(f"not what was to come of it: {said}")
        started = time.monotonic()
        if asyncio.run(judge(bench.url)) != {}:
            raise RuntimeError("somebody was judged twice")
        again = time.monotonic() - started
        today = date(2028, 1, 1)
        report(
            f"Requalification: {members:,} members judged on {today}, {3 * members:,} bills",
            bench,
            [
                ("all are judged", f"{first:.1f} s, {members / first:,.0f} a second"),
                ("the same day again", f"{again * 1000:.0f} ms"),
                ("one scan of the bills", f"{scan:.1f} s, 1 to {first / scan:.0f}"),
                ("one UPDATE of as many rows", f"{update:.1f} s, 1 to {first / update:.1f}"),
            ],
        )


if __name__ == "__main__":
    main()
