"""A business's own file: what is right is taken once, what is wrong comes back to be corrected."""

import asyncio
import csv
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import CliRunner

from hub.crypto.keyring import save
from hub.entrypoints.cli import app
from hub.errors import Malformed
from hub.intake.connections import ConnectionConfig, connect
from hub.ledger.verify import verify
from tests.support.sandbox import Hub

SALES = """\
单号,时间,金额,会员
A-1,2026-10-05 12:30:00,118.00,C-1
A-2,2026-10-05 12:40:00,abc,C-1
A-3,2026-10-05 12:50:00,50.00,C-2
"""


@pytest.fixture
async def hub(
    engine: AsyncEngine, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Hub:
    made = Hub(engine, database_url)
    await made.configure("http://127.0.0.1:9")
    config = ConnectionConfig(
        code="files",
        business="bund-outfitters",
        connector="canonical",
        secrets=["whsec_" + "QUJD" * 8],
        config={
            "columns": {
                "单号": "id",
                "时间": "occurred_at",
                "金额": "total",
                "会员": "customer.id",
            },
            "defaults": {"type": "sale.completed"},
        },
    )
    async with engine.begin() as db:
        await connect(db, config=config, keyring=made.keyring)
    keyring = tmp_path / "keyring.json"
    save(keyring, made.keyring)
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("HUB_KEYRING_FILE", str(keyring))
    return made


async def dropped(file: Path, *more: str) -> tuple[int, str]:
    """Run the command as a person does."""
    done = await asyncio.to_thread(
        CliRunner().invoke, app, ["intake", "drop", "files", str(file), *more]
    )
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


async def lots(hub: Hub) -> list[tuple[object, ...]]:
    await hub.work()
    async with hub.engine.connect() as db:
        assert await verify(db) == []
    return await hub.rows("SELECT earned FROM lot WHERE unit = 1 ORDER BY 1")


async def test_what_is_right_is_taken_and_what_is_wrong_comes_back(
    hub: Hub, tmp_path: Path
) -> None:
    file = tmp_path / "sales.csv"
    file.write_text(SALES)
    assert (await dropped(file, "--dry-run"))[0] == 1
    assert await lots(hub) == []
    code, said = await dropped(file)
    assert (code, "events taken: 2; with something wrong: 1" in said) == (1, True)
    first = await lots(hub)
    assert len(first) == 2

    errors = tmp_path / "sales.csv.errors.csv"
    with errors.open(encoding="utf-8-sig", newline="") as read:
        (row,) = csv.DictReader(read)
    assert (row["单号"], row["error_row"], row["error_field"]) == ("A-2", "3", "total")
    corrected = tmp_path / "corrected.csv"
    corrected.write_text(errors.read_text(encoding="utf-8-sig").replace("abc", "10.00"))
    assert (await dropped(corrected))[0] == 0
    assert len(await lots(hub)) == 3


async def test_the_same_file_again_posts_nothing_twice(hub: Hub, tmp_path: Path) -> None:
    file = tmp_path / "sales.csv"
    file.write_text(SALES.replace("abc", "10.00"))
    for _ in range(2):
        assert (await dropped(file))[0] == 0
        assert len(await lots(hub)) == 3
    assert await hub.rows("SELECT DISTINCT origin, state FROM delivery") == [("file", "done")]


async def test_a_connection_that_reads_no_files_says_so(hub: Hub, tmp_path: Path) -> None:
    file = tmp_path / "sales.csv"
    file.write_text(SALES)
    done = await asyncio.to_thread(
        CliRunner().invoke, app, ["intake", "drop", "bund-shopify", str(file)]
    )
    assert isinstance(done.exception, Malformed)
    assert done.exception.field == "connection"
