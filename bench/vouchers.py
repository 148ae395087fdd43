"""Redeem a voucher against `pgbench -N`: how near is it to the cheapest useful transaction?

Both sides are pgbench with 32 clients on the same server: its built-in simple-update transaction
(one UPDATE, one SELECT, one INSERT), and what redeeming a voucher by its code sends:
`voucher_redeem_one`, with the bill judged by terms that the hub has met before. Windows alternate,
and the best of each side counts; the percentiles are of the best window. `python -m bench.vouchers`
"""

import argparse
import asyncio
import tempfile
from pathlib import Path

from bench.common import bench_server, report
from bench.redeem import CLIENTS, pgbench
from bench.voucher_codes import campaign, configure

VOUCHERS = 100_000
SEED = (
    """INSERT INTO member (member_id, created_at)
       SELECT n, now() FROM generate_series(1, %d) n""",
    """INSERT INTO voucher (voucher_id, granted, ends_at, terms_id, digest, member_id, birth_id,
         assigned_at)
       SELECT n, 1000000, 'infinity', 1, decode(md5(n::text), 'hex'), n, n, now()
       FROM generate_series(1, %d) n""",
    "INSERT INTO voucher_key (sealed) VALUES ('sealed')",
    "ANALYZE",
    "CHECKPOINT",
)
SCRIPT = """\
\\set n random(1, {vouchers})
\\set key random(1, 1000000000000000)
SELECT f.voucher_id, f.replayed, (f.r).* FROM voucher_redeem_one(2::smallint,
  'till-' || (:key::bigint), NULL, 'sealed'::bytea, decode(md5((:n::bigint)::text), 'hex'), NULL,
  ARRAY['{terms}'], ARRAY[1::bigint], ARRAY[1000::bigint], ARRAY[1000::bigint],
  '{{"policy": "all_or_nothing", "member_id": null, "bill_minor": [10000, "CNY", 0, null, {{}}]}}',
  NULL, current_date, now()) f;
"""
TERMS = "SELECT terms_id || '.' || xmin FROM voucher_terms"


def percentiles(prefix: str) -> tuple[float, float]:
    """Return the median and the 99th percentile of a run's latencies, in ms; forget its log."""
    micros: list[int] = []
    for log in Path(prefix).parent.glob(f"{Path(prefix).name}.*"):
        micros += [int(line.split()[2]) for line in log.read_text().splitlines()]
        log.unlink()
    micros.sort()
    return micros[len(micros) // 2] / 1000, micros[len(micros) * 99 // 100] / 1000


def main() -> None:
    """Run both sides in turn and print the ratio of the best windows."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=int, default=10)
    options.add_argument("--rounds", type=int, default=3)
    chosen = options.parse_args()
    load = ["-n", "-c", str(CLIENTS), "-j", "2", "-T", str(chosen.seconds), "-M", "prepared"]
    with bench_server() as bench, tempfile.TemporaryDirectory() as place:
        script, prefix = Path(place, "redeem.sql"), str(Path(place, "log"))
        asyncio.run(configure(bench, campaign("ten-off", uses=1_000_000)))
        terms = asyncio.run(bench.value(TERMS))
        script.write_text(SCRIPT.format(vouchers=VOUCHERS, terms=terms))
        asyncio.run(bench.run(*(statement.replace("%d", str(VOUCHERS)) for statement in SEED)))
        pgbench(bench, "-i", "-q", "-s", "10")
        limits, redeems = [], []
        for _ in range(chosen.rounds):
            limits.append(pgbench(bench, "-N", *load))
            rate = pgbench(bench, "-f", str(script), "-l", "--log-prefix", prefix, *load)
            redeems.append((rate, *percentiles(prefix)))
        rate, median, tail = max(redeems)
        report(
            f"Redeem a voucher against pgbench -N, {CLIENTS} clients",
            bench,
            [
                ("pgbench -N", f"{max(limits):,.0f}/s"),
                ("redeem a voucher", f"{rate:,.0f}/s"),
                ("  ratio", f"{rate / max(limits):.2f}"),
                ("  p50, p99", f"{median:.1f} ms, {tail:.1f} ms"),
            ],
        )


if __name__ == "__main__":
    main()
