"""Keys are renewed while the hub works: nothing is lost, and nobody is met as somebody new."""

import asyncio
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub.connector import Hint, HintType
from hub.crypto import envelope
from hub.crypto.delivery import open_sealed, seal
from hub.crypto.errors import KeyUnknown
from hub.crypto.keyring import Keyring, Purpose, change, ensure, load
from hub.errors import Rejected
from hub.intake.accept import BODY_CONTEXT
from hub.intake.reseal import reseal, sealed_under
from hub.members.display import display
from hub.members.identifiers import Kind
from hub.members.queries import find
from hub.members.reindex import indexed_under, reindex
from hub.members.resolve import Resolved, Sighting, resolve
from hub.members.rewrap import rewrap, wrapped_under
from tests.support.businesses import open_businesses
from tests.support.ledger import NOON

OLD = Keyring.generate()


async def see(
    db: AsyncConnection,
    external_id: str,
    keyring: Keyring,
    *,
    business: int = 1,
    verified: bool = True,
    **said: str,
) -> Resolved:
    hints = tuple(
        Hint(type=HintType(kind), value=value, verified=verified) for kind, value in said.items()
    )
    sighting = Sighting(business_id=business, external_id=external_id, hints=hints, seen_at=NOON)
    return (await resolve(db, people=[sighting], now=NOON, keyring=keyring))[0]


def phone(number: int) -> str:
    return f"+8613910{number:06}"


@pytest.fixture
async def crowd(engine: AsyncEngine) -> AsyncEngine:
    """Twenty people at one shop, each with a phone that is theirs and an email that is said."""
    async with engine.begin() as db:
        await open_businesses(db, ["CN", "CN"])
        for n in range(20):
            await see(db, f"c-{n}", OLD, phone=phone(n))
    async with engine.begin() as db:
        for n in range(20):
            await see(db, f"c-{n}", OLD, verified=False, email=f"p{n}@example.com")
    return engine


async def moved_on(engine: AsyncEngine, keyring: Keyring, *, chunk: int = 7) -> None:
    """Rewrap and reindex chunk by chunk, until nothing is left to move."""
    after: int | None = 0
    while after is not None:
        async with engine.begin() as db:
            after = (
                await rewrap(db, after_account_id=after, keys=chunk, keyring=keyring)
            ).last_account_id
    after = 0
    while after is not None:
        async with engine.begin() as db:
            after = (
                await reindex(db, after_claim_id=after, claims=chunk, keyring=keyring)
            ).last_claim_id


async def test_data_keys_move_in_chunks_and_the_old_key_is_not_needed_then(
    crowd: AsyncEngine,
) -> None:
    new = OLD.renewed(Purpose.KEY_ENCRYPTION)
    async with crowd.begin() as db:
        first = await rewrap(db, keys=7, keyring=new)
        assert first.keys == 7
        assert await wrapped_under(db) == {1: 13, 2: 7}
    await moved_on(crowd, new)
    async with crowd.connect() as db:
        assert await wrapped_under(db) == {2: 20}
        alone = new.with_keys(new.key_encryption.without(1))
        members = list(await db.scalars(text("SELECT member_id FROM member")))
        views = await display(db, member_ids=members, now=NOON, keyring=alone)
        assert {view.phone.value for view in views.values() if view.phone} == {
            phone(n) for n in range(20)
        }
        with pytest.raises(KeyUnknown):
            await display(db, member_ids=members, now=NOON, keyring=OLD)


async def test_identifiers_move_and_lead_to_the_same_people(crowd: AsyncEngine) -> None:
    new = OLD.renewed(Purpose.BLIND_INDEX)
    async with crowd.begin() as db:
        await see(db, "c-3", OLD, verified=False, email="later@example.com")
        before = [await find(db, kind=Kind.PHONE, value=phone(n), keyring=new) for n in range(20)]
        await see(db, "c-5", new, verified=False, email="p5@example.com")
    await moved_on(crowd, new)
    async with crowd.connect() as db:
        # One value is no longer anywhere: of two emails that an account said, the later is kept.
        assert await indexed_under(db) == {1: 1, 2: 40}
        alone = new.with_keys(new.blind_index.without(1))
        after = [await find(db, kind=Kind.PHONE, value=phone(n), keyring=alone) for n in range(20)]
        assert after == before
        found = await find(db, kind=Kind.EMAIL, value="p5@example.com", keyring=alone)
        assert found == before[5]


async def test_a_phone_has_one_owner_whichever_key_it_is_met_under(crowd: AsyncEngine) -> None:
    """Processes that make new indexes under the old and the new key, and a move, all at once."""
    waiting = OLD.with_keys(OLD.blind_index.added())
    active = waiting.with_keys(waiting.blind_index.activated())

    async def meet(number: int, client: int) -> None:
        async with crowd.begin() as db:
            keyring = (waiting, active)[client % 2]
            await see(db, f"g-{client}-{number}", keyring, business=2, phone=phone(number))

    await asyncio.gather(
        *(meet(n, client) for n in range(15, 25) for client in range(4)), moved_on(crowd, active)
    )
    await moved_on(crowd, active)
    async with crowd.connect() as db:
        owners = await db.execute(
            text("""
              SELECT blind_index, count(DISTINCT member_id) FROM identifier_claim
              WHERE closed_at IS NULL AND verified AND kind = 1 GROUP BY 1""")
        )
        assert [number for _, number in owners] == [1] * 25
        assert (await indexed_under(db)).get(2, 0) >= 25


async def test_stored_bodies_move_and_open_under_the_new_key_alone(crowd: AsyncEngine) -> None:
    new = OLD.renewed(Purpose.KEY_ENCRYPTION)
    place = f"{BODY_CONTEXT}|till"
    async with crowd.begin() as db:
        await db.execute(
            text("""
              INSERT INTO connection (code, business_id, connector, settings)
              VALUES ('till', 1, 'square', :settings)"""),
            {"settings": seal(new, b"{}", context="connection|settings|till")},
        )
        for n in range(3):
            await db.execute(
                text("""
                  INSERT INTO delivery (connection_id, body, body_sha256, received_at)
                  SELECT connection_id, :body, '', now() FROM connection"""),
                {"body": seal(OLD, b"body %d" % n, context=place)},
            )
    async with crowd.begin() as db:
        assert await sealed_under(db) == {1: 3, 2: 1}
        assert (await reseal(db, deliveries=2, keyring=new)).deliveries == 2
    async with crowd.begin() as db:
        assert (await reseal(db, keyring=new)).deliveries == 1
        assert await sealed_under(db) == {2: 4}
        alone = new.with_keys(new.key_encryption.without(1))
        bodies = await db.scalars(text("SELECT body FROM delivery ORDER BY delivery_id"))
        opened = [open_sealed(alone, body, context=place) for body in bodies]
        assert opened == [b"body 0", b"body 1", b"body 2"]


class Vault:
    """A key management service as the hub sees one: its keys never leave it."""

    def __init__(self) -> None:
        self._keys = {7: bytes(32), 8: bytes(31) + b"1"}
        self.active_version = 8

    def wrap(self, key: bytes, *, context: str) -> bytes:
        return envelope.encrypt(self._keys[self.active_version], self.active_version, key, context)

    def unwrap(self, wrapped: bytes, *, context: str) -> bytes:
        return envelope.decrypt(self._keys[envelope.key_version(wrapped)], wrapped, context)


async def test_a_service_may_wrap_the_data_keys(db: AsyncConnection) -> None:
    await open_businesses(db, ["CN"])
    keyring = replace(OLD, service=Vault())
    known = await see(db, "c-1", keyring, name="李雷", phone=phone(1))
    assert await wrapped_under(db) == {8: 1}
    assert known.member_id is not None
    views = await display(db, member_ids=[known.member_id], now=NOON, keyring=keyring)
    assert views[known.member_id].phone is not None


def hub(database_url: str, keyring: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hub.entrypoints.cli", "keys", *words],
        env={**os.environ, "DATABASE_URL": database_url, "HUB_KEYRING_FILE": str(keyring)},
        capture_output=True,
        text=True,
        check=False,
    )


async def test_a_key_is_rotated_from_end_to_end(
    database_url: str, engine: AsyncEngine, tmp_path: Path
) -> None:
    path = tmp_path / "keyring.json"
    async with engine.begin() as db:
        await open_businesses(db, ["CN"])
        await see(db, "c-1", ensure(path), phone=phone(1))
    for purpose, moving in (("key_encryption", "rewrap"), ("blind_index", "reindex")):
        assert "version 2" in hub(database_url, path, "rotate", purpose).stdout
        assert "waits already" in hub(database_url, path, "rotate", purpose).stderr
        assert load(path).keys(Purpose(purpose)).active == 1
        assert "not an old one" in hub(database_url, path, "retire", purpose, "2").stderr
        assert "is active" in hub(database_url, path, "activate", purpose).stdout
        assert "[key_in_use]" in hub(database_url, path, "retire", purpose, "1").stderr
        assert "left: nothing" in hub(database_url, path, moving).stdout
        assert "is gone" in hub(database_url, path, "retire", purpose, "1").stdout
    assert "MISSING" not in hub(database_url, path, "status").stdout
    async with engine.connect() as db:
        assert await find(db, kind=Kind.PHONE, value=phone(1), keyring=load(path)) is not None


def test_two_changes_of_a_keyring_lose_neither(tmp_path: Path) -> None:
    path = tmp_path / "keyring.json"
    ensure(path)
    change(path, lambda ring: ring.renewed(Purpose.TOKEN))
    with pytest.raises(Rejected):
        change(path, lambda ring: ring.with_keys(ring.token.without(2)))
    assert set(load(path).token.versions) == {1, 2}
