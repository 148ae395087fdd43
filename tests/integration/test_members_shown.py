"""Reading members: survivorship, search, accounts; and that nothing readable is stored."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.connector import Hint, HintType
from hub.crypto.errors import KeyringForeign, Undecipherable
from hub.crypto.keyring import Keyring, Purpose
from hub.members.display import display
from hub.members.identifiers import Kind
from hub.members.queries import accounts_of, check_keyring, current_members, find
from hub.members.resolve import Resolved, Sighting, resolve
from tests.support.businesses import open_businesses

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEYRING = Keyring.generate()
PHONE = "+8613910203040"


@pytest.fixture
async def shops(db: AsyncConnection) -> AsyncConnection:
    await open_businesses(db, ["CN", "CN", "GB"])
    return db


async def _see(
    db: AsyncConnection, business_id: int, external_id: str | None, day: int = 0, **said: str
) -> Resolved:
    hints = tuple(
        Hint(
            type=HintType(key.removesuffix("_said")),
            value=value,
            verified=not key.endswith("_said") and key not in ("name", "birthday"),
        )
        for key, value in said.items()
    )
    sighting = Sighting(
        business_id=business_id,
        external_id=external_id,
        hints=hints,
        seen_at=NOW + timedelta(days=day),
    )
    [resolved] = await resolve(db, people=[sighting], now=NOW, keyring=KEYRING)
    return resolved


async def test_the_latest_value_is_shown_with_its_source(shops: AsyncConnection) -> None:
    member_id = (await _see(shops, 1, "a", day=2, phone=PHONE, name="李雷")).member_id
    await _see(shops, 2, "b", day=1, phone=PHONE, name="Li Lei", birthday="1990-02-03")
    assert member_id is not None
    view = (await display(shops, member_ids=[member_id], now=NOW, keyring=KEYRING))[member_id]
    assert view.name is not None
    assert (view.name.value, view.name.masked, view.name.business_id) == ("李雷", "李*", 1)
    assert view.birthday is not None
    assert (view.birthday.value, view.birthday.masked) == ("1990-02-03", "****-02-**")
    assert view.birthday.business_id == 2
    assert view.phone is not None
    assert (view.phone.masked, view.phone.verified) == ("139****3040", True)
    assert view.email is None


async def test_a_verified_value_outlives_a_later_unverified_one(shops: AsyncConnection) -> None:
    member_id = (await _see(shops, 1, "a", phone=PHONE, email="Li.Lei@Example.com")).member_id
    await _see(shops, 1, "a", day=1, email_said="typo@example.com")
    await _see(shops, 2, "b", day=2, phone=PHONE, email_said="other@example.com")
    assert member_id is not None
    view = (await display(shops, member_ids=[member_id], now=NOW, keyring=KEYRING))[member_id]
    assert view.email is not None
    assert (view.email.value, view.email.masked) == ("Li.Lei@Example.com", "L***@Example.com")
    assert (view.email.business_id, view.email.verified) == (1, True)


async def test_a_late_delivery_does_not_bring_back_an_old_value(shops: AsyncConnection) -> None:
    member_id = (await _see(shops, 1, "a", day=5, name="李磊")).member_id
    await _see(shops, 1, "a", day=1, name="李雷")
    assert member_id is not None
    view = (await display(shops, member_ids=[member_id], now=NOW, keyring=KEYRING))[member_id]
    assert view.name is not None
    assert (view.name.value, view.name.observed_at) == ("李磊", NOW + timedelta(days=5))


async def test_a_merged_away_member_shows_the_survivor(shops: AsyncConnection) -> None:
    one = await _see(shops, 1, "a", phone=PHONE)
    two = await _see(shops, 2, "b", email="lilei@example.com", name="李雷")
    assert one.member_id is not None
    assert two.member_id is not None
    await shops.execute(
        text("UPDATE member SET status = 'merged', merged_into = :one WHERE member_id = :two"),
        {"one": one.member_id, "two": two.member_id},
    )
    views = await display(
        shops, member_ids=[one.member_id, two.member_id], now=NOW, keyring=KEYRING
    )
    assert views[one.member_id] == views[two.member_id]
    current = await current_members(shops, member_ids=[one.member_id, two.member_id, 999_999])
    assert current == {one.member_id: one.member_id, two.member_id: one.member_id}
    assert views[two.member_id].member_id == one.member_id
    assert views[one.member_id].phone is not None
    assert views[one.member_id].name is not None
    email = await find(shops, kind=Kind.EMAIL, value="LILEI@example.com", keyring=KEYRING)
    assert email == one.member_id
    accounts = await accounts_of(shops, member_ids=[two.member_id])
    assert [a.account_id for a in accounts[two.member_id]] == [one.account_id, two.account_id]


async def test_unknown_members_are_left_out_and_blank_ones_are_blank(
    shops: AsyncConnection,
) -> None:
    blank = (await _see(shops, 1, "a")).member_id
    assert blank is not None
    views = await display(shops, member_ids=[blank, 999_999], now=NOW, keyring=KEYRING)
    assert list(views) == [blank]
    assert views[blank].name is views[blank].phone is None
    assert await accounts_of(shops, member_ids=[999_999]) == {}


@pytest.mark.parametrize("typed", [PHONE, "139 1020 3040", "13910203040", "0086 139-1020-3040"])
async def test_staff_find_a_member_by_phone_however_typed(
    shops: AsyncConnection, typed: str
) -> None:
    member_id = (await _see(shops, 1, "a", phone=PHONE)).member_id
    assert await find(shops, kind=Kind.PHONE, value=typed, keyring=KEYRING) == member_id


async def test_an_unverified_identifier_finds_a_member_if_it_is_the_only_one(
    shops: AsyncConnection,
) -> None:
    async def found() -> int | None:
        return await find(shops, kind=Kind.LOYALTY_ID, value="gold 0042", keyring=KEYRING)

    assert await found() is None
    first = await _see(shops, 1, "a", loyalty_id_said="GOLD-0042")
    assert await found() == first.member_id
    await _see(shops, 2, "b", loyalty_id_said="GOLD-0042")
    assert await found() is None
    owner = await _see(shops, 3, "c", loyalty_id="GOLD-0042")
    assert await found() == owner.member_id


async def test_accounts_are_listed_with_walk_ins_told_apart(shops: AsyncConnection) -> None:
    record = await _see(shops, 1, "a", phone=PHONE)
    walk_in = await _see(shops, 2, None, phone=PHONE)
    assert record.member_id is not None
    accounts = (await accounts_of(shops, member_ids=[record.member_id]))[record.member_id]
    assert [(a.account_id, a.business_id, a.external_id, a.walk_in) for a in accounts] == [
        (record.account_id, 1, "a", False),
        (walk_in.account_id, 2, None, True),
    ]


async def test_another_keyring_shows_nothing_and_is_told_apart(shops: AsyncConnection) -> None:
    await check_keyring(shops, keyring=Keyring.generate())
    member_id = (await _see(shops, 1, "a", name="李雷")).member_id
    assert member_id is not None
    with pytest.raises(Undecipherable):
        await display(shops, member_ids=[member_id], now=NOW, keyring=Keyring.generate())
    with pytest.raises(KeyringForeign, match="backup"):
        await check_keyring(shops, keyring=Keyring.generate())
    await check_keyring(shops, keyring=KEYRING.renewed(Purpose.KEY_ENCRYPTION))


async def test_no_table_holds_a_personal_value_in_the_clear(shops: AsyncConnection) -> None:
    said = {
        "name": "Wolfeschlegel 李雷",
        "phone": PHONE,
        "email": "lilei@example.com",
        "birthday": "1990-02-03",
        "loyalty_id": "GOLD0042",
        "unionid": "oUnion6bEFy8",
        "openid": "oOpen6bEFy8",
        "id_document_hash": "0123456789abcdef" * 4,
    }
    await _see(shops, 1, "a", **said)
    await _see(shops, 2, "b", **{f"{key}_said": value for key, value in said.items()})
    tables = await shops.scalars(
        text("""
        SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
        WHERE c.relkind IN ('r', 'm', 'p') AND n.nspname = 'public'
        """)
    )
    dump = ""
    for table in tables.all():
        rows = await shops.scalars(text(f"SELECT t::text FROM {table} t"))
        dump += "\n".join(rows.all())
    assert "shop-1" in dump, "the scan must see what is there"
    readable = [*said.values(), "李雷", "Wolfeschlegel", "13910203040", "10203040", "lilei"]
    for value in readable:
        assert value not in dump
        assert value.encode().hex() not in dump
