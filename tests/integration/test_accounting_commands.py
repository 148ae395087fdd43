"""`hub accounting …`: from the policy to the roll-forward, as finance types it."""

from datetime import UTC, date, datetime

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from hub.ledger.rollup import roll_up
from tests.support.accounting import Shops, closed, make_selling_group
from tests.support.command import hub

AT = datetime(2026, 2, 1, tzinfo=UTC)


@pytest.fixture
async def sold(engine: AsyncEngine) -> None:
    """January, in which retail sold and gave points."""
    async with engine.begin() as db:
        ids = await make_selling_group(db, [], points_per_unit="1")
        till = Shops(db, ids)
        await till.bring("retail", 2, 1_000, date(2026, 1, 2), expires_on=date(2099, 1, 1))
        await till.sell("retail", 1, 9_900_00, date(2026, 1, 5))
        await till.redeem("retail", 1, 900, date(2026, 1, 6))
        await closed(db, "2026-01", AT)
    async with engine.begin() as db:
        await roll_up(db)


@pytest.mark.usefixtures("sold")
async def test_finance_recognises_a_period_on_the_command_line(database_url: str) -> None:
    async def run(*words: str) -> str:
        said = await hub("accounting", *words, HUB_DATABASE_URL=database_url, COLUMNS=200)
        assert said.returncode == 0, said.stderr
        return said.stdout

    async def refused(*words: str) -> str:
        said = await hub("accounting", *words, HUB_DATABASE_URL=database_url)
        assert said.returncode != 0
        return said.stderr

    assert "has no accounting policy" in await refused("recognise", "2026-01", "--as", "wei")
    assert "retail is principal" in await run(
        "policy", "retail", "--from", "2026-01", "--value", "0.01", "--least-share", "0.001",
        "--goods-discount", "0.1", "--as", "wei",
    )  # fmt: skip
    assert "not a decimal" in await refused(
        "policy", "retail", "--from", "2026-01", "--value", "dear", "--as", "wei"
    )
    await run("opening", "retail", "5", "--as", "wei", "--reason", "the old books")
    await run("propose", "retail", "--from", "2026-01-01", "--rate", "0.8", "--as", "mei")
    assert "somebody else" in await refused("approve", "1", "--as", "mei")
    await run("approve", "1", "--as", "wei")
    assert "not recognised yet" in await run("show", "2026-01")
    told = await run("recognise", "2026-01", "--as", "wei")
    assert "retail, 2026-01: recognised" in told
    assert told == await run("show", "2026-01")
    assert "10,900" in (made_of := await run("cohorts", "2026-01"))
    assert "recognised" in made_of
    assert "never" in (aged := await run("ageing"))
    assert "later" in aged
    assert "+0.05" in await run("sensitivity", "2026-01")
    await run("propose", "retail", "--from", "2026-02-01", "--as", "mei")
    assert "2026-01" in (listed := await run("estimates", "--issuer", "retail"))
    assert "proposed" in listed
    await run("reject", "2", "--as", "mei", "--reason", "too few months")
