"""A batch of voucher codes against COPY: how near is generating to writing the plain rows?

A code is drawn, hashed and written with its voucher, block by block, each a transaction, as
`hub voucher generate` does. It is compared with COPY of as many rows, from objects made beforehand,
into a table of the same columns and indexes, in transactions of the same size; then the codes are
read out as `hub voucher export` does. Windows alternate, and the best of each side counts.
`python -m bench.voucher_codes`
"""

import argparse
import asyncio
import secrets
import time
from datetime import UTC, datetime, timedelta

import asyncpg
from sqlalchemy import text
from sqlalchemy.pool import NullPool

from bench.common import Bench, bench_server, report
from hub.benefits.vouchers.codes_of_batch import codes_of_batch
from hub.benefits.vouchers.configure import CampaignConfig, configure_campaigns
from hub.benefits.vouchers.generate import BLOCK, generate, open_batch
from hub.crypto.keyring import Keyring
from hub.db.engine import make_engine
from hub.programme.apply import BusinessConfig, GroupConfig, ProgrammeConfig, apply

START = datetime(2026, 1, 1, tzinfo=UTC)
COLUMNS = ("voucher_id", "granted", "ends_at", "terms_id", "digest")


def campaign(code: str, **facts: object) -> CampaignConfig:
    """Return a campaign of the group that `configure` makes: ¥10 off, paid by the shop."""
    said = {
        "code": code,
        "kind": "cash",
        "effective_from": START,
        "name": code,
        "name_zh": code,
        "funder": "shop",
        "currency": "CNY",
        "businesses": ["hotel"],
        "valid_from": START,
        "valid_until": START + timedelta(days=3650),
        "amount_minor": 1000,
        **facts,
    }
    return CampaignConfig.model_validate(said)


async def configure(bench: Bench, *campaigns: CampaignConfig) -> None:
    """Make a group of two businesses with campaigns."""
    engine = make_engine(bench.url, poolclass=NullPool)
    business = {"currency": "CNY", "country": "CN", "time_zone": "Asia/Shanghai"}
    async with engine.begin() as db:
        config = ProgrammeConfig(
            group=GroupConfig(name="Bench", time_zone="Asia/Shanghai", currency="CNY"),
            businesses=[
                BusinessConfig.model_validate(
                    {
                        "code": code,
                        "name": code,
                        "kind": kind,
                        "legal_entity": code,
                        "legal_name": code,
                        **business,
                    }
                )
                for code, kind in (("shop", "retail"), ("hotel", "hotel"))
            ],
        )
        await apply(db, config=config)
        await configure_campaigns(db, campaigns=campaigns)
    await engine.dispose()


async def generated(bench: Bench, name: str, count: int, keyring: Keyring) -> tuple[float, float]:
    """Return the seconds of making a batch, and of reading its codes out."""
    engine = make_engine(bench.url, poolclass=NullPool)
    began = time.perf_counter()
    async with engine.connect() as db:
        batch = await open_batch(db, campaign_code="ten-off", name=name, count=count, now=START)
        await db.commit()
        while await generate(db, batch_id=batch.batch_id, keyring=keyring):
            await db.commit()
        made = time.perf_counter()
        read = 0
        async for codes in codes_of_batch(db, batch_id=batch.batch_id, keyring=keyring):
            read += len(codes)
        ended = time.perf_counter()
        if read != count:
            raise RuntimeError(f"{read} codes of {count}")
        await db.execute(text("DELETE FROM voucher"))
        await db.commit()
    await engine.dispose()
    await bench.run("VACUUM voucher", "CHECKPOINT")
    return made - began, ended - made


async def copied(bench: Bench, count: int) -> float:
    """Return the seconds of copying as many rows into a table like it."""
    await bench.run("CREATE TABLE plain (LIKE voucher INCLUDING ALL)")
    ends = START + timedelta(days=3650)
    rows = [(n, 1, ends, 1, secrets.token_bytes(16)) for n in range(count)]
    connection = await asyncpg.connect(bench.url)
    began = time.perf_counter()
    for first in range(0, count, BLOCK):
        await connection.copy_records_to_table(
            "plain", records=rows[first : first + BLOCK], columns=COLUMNS
        )
    seconds = time.perf_counter() - began
    await connection.close()
    await bench.run("DROP TABLE plain", "CHECKPOINT")
    return seconds


def main() -> None:
    """Run both sides in turn and print the ratio of the best."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--codes", type=int, default=1_000_000)
    options.add_argument("--rounds", type=int, default=2)
    chosen = options.parse_args()
    keyring = Keyring.generate()
    with bench_server() as bench:
        asyncio.run(configure(bench, campaign("ten-off")))
        plain, made, read = [], [], []
        for n in range(chosen.rounds):
            plain.append(asyncio.run(copied(bench, chosen.codes)))
            seconds, out = asyncio.run(generated(bench, f"batch-{n}", chosen.codes, keyring))
            made.append(seconds)
            read.append(out)
        report(
            f"{chosen.codes:,} voucher codes",
            bench,
            [
                ("generate", f"{min(made):.1f} s, {chosen.codes / min(made):,.0f} codes/s"),
                ("COPY of as many rows", f"{min(plain):.1f} s"),
                ("  ratio", f"{min(made) / min(plain):.2f}"),
                ("read out again", f"{min(read):.1f} s"),
            ],
        )


if __name__ == "__main__":
    main()
