"""Bodies that no key opens any more take nobody's copy away, and are said to be missing in it."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from hub.config import Settings
from hub.crypto.delivery import seal
from hub.crypto.errors import Undecipherable
from hub.crypto.keyring import Keyring, Purpose, ensure, save
from hub.entrypoints.checks import Finding, Verdict, keyring_fits
from hub.members.rewrap import rewrap
from hub.rights.audience import Audience
from hub.rights.export import export
from tests.integration.test_erase import (
    HAN,
    LI,
    changed,
    erased,
    hub,
    member_of,
    order,
    sent,
    taken,
)
from tests.support.command import hub as command
from tests.support.ledger import NOON
from tests.support.sandbox import Hub

__all__ = ["hub"]

SPOILED = "set_byte({0}, length({0}) - 1, get_byte({0}, length({0}) - 1) # 1)"
SHOP = "bund-outfitters"


@pytest.fixture
async def li(hub: Hub) -> int:
    """Who bought twice, beside another; the first delivery is hers."""
    await taken(hub, sent(order(1)), sent(order(2)), sent(order(3, HAN)))
    return await member_of(hub, LI)


async def spoil(hub: Hub, column: str = "body", of: str = "delivery", where: str = "true") -> None:
    await changed(hub, f"UPDATE {of} SET {column} = {SPOILED.format(column)} WHERE {where}")


async def copy(hub: Hub, member_id: int, keyring: Keyring | None = None, **more: Any) -> Any:
    async with hub.engine.connect() as db:
        return await export(
            db, member_id=member_id, now=NOON, keyring=keyring or hub.keyring, **more
        )


async def test_a_copy_is_given_without_what_cannot_be_opened_and_says_how_much(
    hub: Hub, li: int
) -> None:
    whole = await copy(hub, li)
    assert (len(whole["deliveries"]), whole["unopened_deliveries"]) == (2, [])
    await spoil(hub, where="delivery_id = (SELECT min(delivery_id) FROM delivery)")
    for audience in Audience:
        given = await copy(hub, li, audience=audience)
        assert given["deliveries"] == whole["deliveries"][1:]
        assert given["unopened_deliveries"] == [{"business": SHOP, "deliveries": 1}]
        assert given["accounts"] == whole["accounts"]
    # It may have been of her too: whose it was nobody can say.
    han = await copy(hub, await member_of(hub, HAN))
    assert han["unopened_deliveries"] == given["unopened_deliveries"]
    await spoil(hub, where="delivery_id > (SELECT min(delivery_id) FROM delivery)")
    given = await copy(hub, li)
    assert given["deliveries"] == []
    assert given["unopened_deliveries"] == [{"business": SHOP, "deliveries": 3}]


async def test_bodies_under_a_lost_key_are_told_alike(hub: Hub, li: int) -> None:
    renewed = hub.keyring.renewed(Purpose.KEY_ENCRYPTION)
    lost = renewed.with_keys(renewed.key_encryption.without(1))
    async with hub.engine.begin() as db:
        await rewrap(db, keyring=renewed)
    given = await copy(hub, li, lost)
    assert given["accounts"][0]["profile"]
    assert given["unopened_deliveries"] == [{"business": SHOP, "deliveries": 3}]


async def test_of_a_delivery_whose_snapshots_cannot_be_opened_the_body_is_given(
    hub: Hub, li: int
) -> None:
    whole = await copy(hub, li)
    async with hub.engine.begin() as db:
        await db.execute(
            text("""UPDATE delivery SET snapshots = :sealed
              WHERE delivery_id = (SELECT min(delivery_id) FROM delivery)"""),
            {"sealed": seal(hub.keyring, b"{}", context="another place")},
        )
    given = await copy(hub, li)
    assert given["deliveries"] == whole["deliveries"]
    assert given["unopened_deliveries"] == [{"business": SHOP, "deliveries": 1}]


async def test_what_is_the_persons_own_must_open(hub: Hub, li: int) -> None:
    """And who cannot say whether a body tells of somebody forgets nobody."""
    await spoil(hub, where="delivery_id = (SELECT max(delivery_id) FROM delivery)")
    with pytest.raises(Undecipherable):
        await erased(hub, li)
    await spoil(hub, "ciphertext", of="account_profile")
    with pytest.raises(Undecipherable):
        await copy(hub, li)


async def test_the_command_says_that_a_copy_is_not_whole_and_the_doctor_too(
    hub: Hub, li: int, tmp_path: Path
) -> None:
    settings = Settings(database_url=hub.database_url, state_dir=tmp_path)
    ensure(settings.keyring_path)
    save(settings.keyring_path, hub.keyring)
    assert (await examined(hub.engine, settings)).verdict is Verdict.OK

    async def written(name: str) -> tuple[str, str]:
        out = tmp_path / name
        done = await command(
            "member", "export", str(li), "--out", str(out),
            DATABASE_URL=hub.database_url, HUB_KEYRING_FILE=settings.keyring_path,
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (0, f"written: {out}\n")
        return done.stderr, out.read_text()

    assert (await written("whole.json"))[0] == ""
    await spoil(hub, where="delivery_id = (SELECT min(delivery_id) FROM delivery)")
    said, document = await written("part.json")
    assert said == f"not whole: deliveries of {SHOP} that cannot be opened: 1\n"
    assert json.loads(document)["unopened_deliveries"] == [{"business": SHOP, "deliveries": 1}]
    found = await examined(hub.engine, settings)
    [(connection,)] = await hub.rows("SELECT DISTINCT c.code FROM delivery JOIN connection c "
                                     "USING (connection_id)")  # fmt: skip
    assert (found.verdict, found.says) == (
        Verdict.PROBLEM, f"kept deliveries cannot be opened (of {connection})")  # fmt: skip
    # What is emptied wants no key.
    await changed(hub, "UPDATE delivery SET body = '', shredded_at = now()")
    assert (await examined(hub.engine, settings)).verdict is Verdict.OK
    assert (await written("later.json"))[0] == ""


async def examined(engine: AsyncEngine, settings: Settings) -> Finding:
    async with engine.connect() as db:
        return await keyring_fits(settings, db)
