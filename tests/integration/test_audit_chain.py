"""Whoever is shown personal data in full is on record, and nobody rewrites the record unseen."""

import asyncio
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub.audit.anchor import Anchor, anchor, head, read_anchor
from hub.audit.chain import Read
from hub.audit.queries import reads_of
from hub.audit.record_reads import record_reads
from hub.audit.verify import Verified, verify
from hub.crypto.keyring import Keyring, Purpose, ensure, load, save
from hub.errors import Malformed
from tests.integration.api_kit import SHOP, STAFF, Api
from tests.integration.test_graphql_card import gid

KEYRING = Keyring.generate()
NOW = datetime(2026, 11, 1, 12, 0, 0, 5, tzinfo=UTC)
ROWS = 6


def read(number: int) -> Read:
    return Read(
        member_id=number,
        attribute="phone",
        subject="ann",
        role="staff",
        read_at=NOW + timedelta(seconds=number),
    )


@pytest.fixture
async def chain(db: AsyncConnection) -> AsyncConnection:
    """A chain of six rows, whose guards are off: somebody owns the database."""
    await record_reads(db, reads=[read(n) for n in range(1, 4)], keyring=KEYRING)
    await record_reads(db, reads=[read(n) for n in range(4, ROWS + 1)], keyring=KEYRING)
    await db.execute(text("ALTER TABLE read_audit DISABLE TRIGGER ALL"))
    await db.execute(text("ALTER TABLE read_audit_anchor DISABLE TRIGGER ALL"))
    assert await verify(db, keyring=KEYRING) == Verified(ROWS)
    return db


COLUMNS = {
    "member_id": "member_id + 1",
    "read_at": "read_at + interval '1 microsecond'",
    "key_version": "2",
    "subject": "'bob'",
    "role": "'finance'",
    "attribute": "'email'",
    "hash": "sha256(hash)",
    "seq": "70",
}


@pytest.mark.parametrize("column", COLUMNS)
async def test_any_changed_column_is_found(chain: AsyncConnection, column: str) -> None:
    changed = f"UPDATE read_audit SET {column} = {COLUMNS[column]} WHERE seq = 3"
    await chain.execute(text(changed))
    assert (await verify(chain, keyring=KEYRING)).seq == 3


async def test_every_column_is_covered(db: AsyncConnection) -> None:
    names = await db.scalars(
        text("""
          SELECT attname FROM pg_attribute
          WHERE attrelid = 'read_audit'::regclass AND attnum > 0 AND NOT attisdropped""")
    )
    assert set(names) == set(COLUMNS)


@pytest.mark.parametrize(
    ("change", "first"),
    [
        ("DELETE FROM read_audit WHERE seq = 1", 1),
        ("DELETE FROM read_audit WHERE seq = 4", 4),
        ("DELETE FROM read_audit WHERE seq = 6", 6),
        ("DELETE FROM read_audit WHERE seq > 2", 3),
        ("DELETE FROM read_audit", 1),
        (
            "DELETE FROM read_audit WHERE seq = 3; UPDATE read_audit SET seq = 3 WHERE seq = 4",
            3,
        ),
        (
            "INSERT INTO read_audit SELECT 7, member_id, read_at, key_version, subject, role, "
            "attribute, hash FROM read_audit WHERE seq = 6",
            7,
        ),
        (
            "DELETE FROM read_audit WHERE seq = 6; UPDATE read_audit_head SET seq = 5, "
            "hash = (SELECT hash FROM read_audit WHERE seq = 5)",
            5,
        ),
        ("DELETE FROM read_audit_head", 0),
        ("UPDATE read_audit_head SET signature = sha256(signature)", 6),
    ],
)
async def test_what_is_taken_away_or_added_is_found(
    chain: AsyncConnection, change: str, first: int
) -> None:
    for statement in change.split(";"):
        await chain.execute(text(statement))
    assert (await verify(chain, keyring=KEYRING)).seq == first


async def test_an_end_put_back_is_found_by_an_anchor_kept_elsewhere(chain: AsyncConnection) -> None:
    """Who copies the head of yesterday and puts it back today needs no key."""
    await chain.execute(text("CREATE TEMP TABLE kept AS SELECT * FROM read_audit_head"))
    await record_reads(chain, reads=[read(9)], keyring=KEYRING)
    elsewhere = await head(chain, day=date(2026, 11, 2))
    assert elsewhere is not None
    for statement in (
        "DELETE FROM read_audit WHERE seq = 7",
        "DELETE FROM read_audit_head",
        "INSERT INTO read_audit_head SELECT * FROM kept",
    ):
        await chain.execute(text(statement))
    assert await verify(chain, keyring=KEYRING) == Verified(ROWS)
    told = await verify(chain, keyring=KEYRING, kept=[read_anchor(elsewhere.line())])
    assert (told.seq, told.wrong) == (7, "the row is missing: there were 7")


async def test_a_day_has_one_anchor_and_it_binds(chain: AsyncConnection) -> None:
    day = date(2026, 11, 1)
    first = await anchor(chain, day=day, now=NOW)
    await record_reads(chain, reads=[read(9)], keyring=KEYRING)
    assert await anchor(chain, day=day, now=NOW) == first
    await anchor(chain, day=date(2026, 11, 2), now=NOW)
    assert await verify(chain, keyring=KEYRING) == Verified(ROWS + 1)
    await chain.execute(text("UPDATE read_audit_anchor SET seq = 3 WHERE day = '2026-11-01'"))
    assert (await verify(chain, keyring=KEYRING)).wrong is not None


async def test_a_forged_anchor_is_told_apart(chain: AsyncConnection) -> None:
    forged = Anchor(
        day=date(2026, 11, 1), seq=2, key_version=1, hash=bytes(32), signature=bytes(32)
    )
    assert (await verify(chain, keyring=KEYRING, kept=[forged])).wrong is not None
    for line in ("", "2026-11-01 1 1 xx yy", "2026-11-01 1 1 00"):
        with pytest.raises(Malformed):
            read_anchor(line)


async def test_a_chain_goes_on_under_a_renewed_key(chain: AsyncConnection) -> None:
    renewed = KEYRING.renewed(Purpose.AUDIT)
    await record_reads(chain, reads=[read(9)], keyring=renewed)
    assert await verify(chain, keyring=renewed) == Verified(ROWS + 1)
    assert "not in the keyring" in str((await verify(chain, keyring=KEYRING)).wrong)


async def test_whoever_appends_at_once_makes_one_chain(engine: AsyncEngine) -> None:
    async def some(number: int) -> None:
        for n in range(5):
            async with engine.begin() as db:
                await record_reads(
                    db, reads=[read(number), read(100 + n)][: 1 + n % 2], keyring=KEYRING
                )

    await asyncio.gather(*(some(number) for number in range(8)))
    async with engine.connect() as db:
        assert await verify(db, keyring=KEYRING) == Verified(8 * 7)
        assert len(await reads_of(db, member_ids=[3])) == 5


async def test_what_staff_read_in_full_is_on_record_and_what_is_masked_is_not(api: Api) -> None:
    li = await api.join("shop", "c-1", phone="+8613910203040", name="李雷")
    query = """query ($id: ID!) { member(id: $id) {
      phone(masked: false) again: phone(masked: false) displayName(masked: false) email } }"""
    await api.data(query, STAFF, id=gid("Member", li.member_id))
    for who in (SHOP, li.principal):
        await api.data("{ me { phone } }", who)
    async with api.engine.connect() as db:
        found = await reads_of(db, member_ids=[li.member_id])
        assert await verify(db, keyring=api.keyring) == Verified(2)
    assert {(one.subject, one.role, one.attribute) for one in found} == {
        ("ann", "staff", "phone"),
        ("ann", "staff", "name"),
    }


async def test_what_cannot_be_recorded_is_not_shown(api: Api) -> None:
    li = await api.join("shop", "c-1", phone="+8613910203040")
    async with api.engine.begin() as db:
        await db.execute(text("ALTER TABLE read_audit RENAME TO away"))
    answer = await api.ask(
        "query ($id: ID!) { member(id: $id) { phone(masked: false) } }",
        STAFF,
        id=gid("Member", li.member_id),
    )
    assert answer["data"] is None
    assert answer["errors"][0]["extensions"]["code"] == "internal"


def test_a_keyring_from_before_the_audit_has_a_key_for_it(tmp_path: Path) -> None:
    path = tmp_path / "keyring.json"
    ensure(path)
    document = json.loads(path.read_text())
    del document["audit"]
    path.write_text(json.dumps(document))
    first = load(path)
    assert first.audit == load(path).audit
    assert first.audit.current != first.blind_index.current
    save(path, first.renewed(Purpose.BLIND_INDEX))
    assert load(path).audit == first.audit
