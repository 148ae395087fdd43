"""What is shown of a member who is known at several businesses, by which rule; and pins."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.connector import Hint, HintType
from hub.crypto.keyring import Keyring
from hub.errors import Conflict, Malformed, NotFound
from hub.members.display import MemberView, Shown, display
from hub.members.pin_attribute import NothingToPin, pin_attribute
from hub.members.resolve import Sighting, resolve
from hub.members.unpin_attribute import unpin_attribute
from hub.programme.apply import GroupConfig, ProgrammeConfig, SourceRankConfig, apply
from hub.programme.rank_sources import rank_sources
from tests.support.businesses import open_businesses

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEYRING = Keyring.generate()
PHONE = "+8613910203040"
RETAIL, HOTEL, DINER = 1, 2, 3


class Group:
    """Three businesses that know one person, as a test has each of them see her."""

    def __init__(self, db: AsyncConnection) -> None:
        self.db = db
        self.accounts: dict[int, int] = {}
        self.member = 0

    async def see(self, business: int, day: int, *, phone: str = PHONE, **said: str) -> int:
        """Have a business see the person on a day; `name_proven` is a verified name."""
        hints = [Hint(type=HintType.PHONE, value=phone, verified=True)]
        hints += [
            Hint(
                type=HintType(key.removesuffix("_proven")),
                value=value,
                verified=key.endswith("_proven"),
            )
            for key, value in said.items()
        ]
        sighting = Sighting(
            business_id=business,
            external_id=f"c-{phone}",
            hints=tuple(hints),
            seen_at=NOW - timedelta(days=30 - day),
        )
        [found] = await resolve(self.db, people=[sighting], now=NOW, keyring=KEYRING)
        assert found.account_id is not None
        assert found.member_id is not None
        self.accounts[business], self.member = found.account_id, found.member_id
        return found.member_id

    async def view(
        self, member: int | None = None, businesses: Sequence[int] | None = None
    ) -> MemberView:
        wanted = member or self.member
        views = await display(
            self.db, member_ids=[wanted], now=NOW, keyring=KEYRING, businesses=businesses
        )
        return views[wanted]

    async def name(self, businesses: Sequence[int] | None = None) -> tuple[str, str, int | None]:
        """Return what is shown as the name, why, and which account says so."""
        shown = (await self.view(businesses=businesses)).name
        assert shown is not None
        return shown.value, shown.because, shown.account_id

    async def pin(self, *, business: int | None = None, value: str | None = None) -> None:
        account = None if business is None else self.accounts[business]
        await pin_attribute(
            self.db,
            member_id=self.member,
            attribute="name",
            account_id=account,
            value=value,
            actor="ann",
            reason="as in her passport",
            now=NOW,
            keyring=KEYRING,
        )

    async def unpin(self) -> None:
        await unpin_attribute(
            self.db, member_id=self.member, attribute="name", actor="ann", reason="moved", now=NOW
        )

    async def rank(self, attribute: str, *codes: str, day: int = 0) -> None:
        await rank_sources(
            self.db,
            attribute=attribute,
            businesses=codes,
            effective_from=NOW + timedelta(days=day),
            ranked_by="ann",
        )


@pytest.fixture
async def group(db: AsyncConnection) -> Group:
    await open_businesses(db, ["CN", "CN", "GB"])
    return Group(db)


async def test_each_rule_decides_where_the_one_before_does_not(group: Group) -> None:
    await group.see(RETAIL, 1, name="李雷")
    assert await group.name() == ("李雷", "only", group.accounts[RETAIL])
    await group.see(HOTEL, 2, name="李磊")
    assert await group.name() == ("李磊", "recency", group.accounts[HOTEL])
    await group.rank("name", "shop-1", day=-1)
    assert await group.name() == ("李雷", "rank", group.accounts[RETAIL])
    await group.see(DINER, 0, name_proven="LI LEI")
    assert await group.name() == ("LI LEI", "verified", group.accounts[DINER])
    await group.pin(business=HOTEL)
    assert await group.name() == ("李磊", "pin", group.accounts[HOTEL])
    view = await group.view()
    assert isinstance(view.phone, Shown)
    assert view.phone.because == "recency"


async def test_ranks_are_of_an_attribute_and_dated(group: Group) -> None:
    await group.see(RETAIL, 1, name="李雷", birthday="1990-02-03")
    await group.see(HOTEL, 2, name="李磊", birthday="1990-02-04")
    await group.rank("birthday", "shop-1", day=-9)
    await group.rank("birthday", "shop-2", "shop-1", day=-5)
    await group.rank("birthday", day=+1)
    view = await group.view()
    assert view.birthday is not None
    assert view.name is not None
    assert (view.birthday.value, view.birthday.because) == ("1990-02-04", "rank")
    assert view.name.because == "recency"
    await group.rank("birthday", "shop-2", "shop-1", day=-5)
    with pytest.raises(Conflict):
        await group.rank("birthday", "shop-1", day=-5)
    await group.rank("birthday", day=-1)
    view = await group.view()
    assert view.birthday is not None
    assert view.birthday.because == "recency"


async def test_a_groups_file_ranks_sources(group: Group) -> None:
    await group.see(RETAIL, 1, name="李雷")
    await group.see(HOTEL, 2, name="李磊")
    rank = SourceRankConfig(
        attribute="name", effective_from=NOW - timedelta(days=1), businesses=["shop-1"]
    )
    config = ProgrammeConfig(
        group=GroupConfig(name="G", time_zone="Asia/Shanghai", currency="CNY"),
        businesses=[],
        source_ranks=(rank,),
    )
    await apply(group.db, config=config)
    await apply(group.db, config=config)
    assert (await group.name())[:2] == ("李雷", "rank")


async def test_a_rank_that_makes_no_sense_is_refused(group: Group) -> None:
    with pytest.raises(NotFound):
        await group.rank("name", "nowhere")
    with pytest.raises(Malformed, match="twice"):
        await group.rank("name", "shop-1", "shop-1")
    with pytest.raises(Malformed, match="attribute"):
        await group.rank("shoe size", "shop-1")


async def test_staffs_own_value_is_shown_sealed_and_normal(group: Group) -> None:
    await group.see(RETAIL, 1, name="李雷")
    await group.pin(value="李 雷")
    await group.pin(value="李 雷")
    shown = (await group.view()).name
    assert shown is not None
    assert (shown.account_id, shown.verified, shown.observed_at) == (None, False, NOW)
    assert shown.pin is not None
    assert (shown.pin.pinned_by, shown.pin.reason) == ("ann", "as in her passport")
    rows = (await group.db.execute(text("SELECT p::text FROM pin p"))).scalars().all()
    assert len(rows) == 1
    assert "雷" not in rows[0]
    await pin_attribute(
        group.db,
        member_id=group.member,
        attribute="phone",
        value="139 9999 8877",
        actor="ann",
        reason="read to her",
        now=NOW,
        keyring=KEYRING,
    )
    phone = (await group.view()).phone
    assert phone is not None
    assert (phone.value, phone.masked) == ("+8613999998877", "139****8877")


async def test_the_latest_pin_holds_until_it_is_ended(group: Group) -> None:
    await group.see(RETAIL, 1, name="李雷")
    await group.see(HOTEL, 2, name="李磊")
    await group.unpin()
    await group.pin(business=RETAIL)
    await group.pin(value="Li Lei")
    assert (await group.name())[:2] == ("Li Lei", "pin")
    await group.pin(business=RETAIL)
    assert (await group.name())[:2] == ("李雷", "pin")
    await group.unpin()
    await group.unpin()
    assert (await group.name())[:2] == ("李磊", "recency")
    kinds = await group.db.scalars(text("SELECT shows FROM pin ORDER BY pin_id"))
    assert kinds.all() == ["account", "value", "account", "none"]


async def test_a_pin_follows_what_its_account_says(group: Group) -> None:
    await group.see(RETAIL, 1, name="李雷")
    await group.see(HOTEL, 2, name="李磊")
    await group.pin(business=RETAIL)
    await group.see(RETAIL, 3, name="李蕾")
    assert (await group.name())[:2] == ("李蕾", "pin")


async def test_pins_go_where_their_accounts_go(group: Group) -> None:
    other = await group.see(HOTEL, 5, phone="+8613800138000", name="李磊")
    await group.pin(business=HOTEL)
    mine = await group.see(RETAIL, 1, name="李雷")
    await group.pin(value="Li Lei")

    async def merged(into: int | None) -> None:
        status = "active" if into is None else "merged"
        await group.db.execute(
            text("UPDATE member SET status = :status, merged_into = :into WHERE member_id = :id"),
            {"status": status, "into": into, "id": mine},
        )

    await merged(other)
    assert (await group.name())[0] == "Li Lei"
    await group.unpin()
    assert (await group.name())[:2] == ("李磊", "recency")
    await merged(None)
    names = [(await group.view(one)).name for one in (other, mine)]
    assert [(n.value, n.because) for n in names if n] == [("李磊", "pin"), ("李雷", "only")]


async def test_a_business_is_not_shown_what_another_ones_account_is_pinned_to(
    group: Group,
) -> None:
    await group.see(RETAIL, 1, name="李雷")
    await group.see(HOTEL, 2, name="李磊")
    await group.pin(business=RETAIL)
    await group.pin(business=HOTEL)
    assert await group.name([RETAIL]) == ("李雷", "only", group.accounts[RETAIL])
    assert (await group.name([HOTEL]))[1] == "pin"
    await group.pin(value="Her Own")
    assert (await group.name([HOTEL]))[:2] == ("李磊", "only")
    assert (await group.name([RETAIL]))[:2] == ("Her Own", "pin")


async def test_what_cannot_be_pinned_is_refused(group: Group) -> None:
    await group.see(HOTEL, 1, phone="+8613800138000", name="韩梅")
    await group.see(RETAIL, 1)
    said = {"member_id": group.member, "actor": "ann", "now": NOW, "keyring": KEYRING}

    async def refused(error: type[Exception], **facts: object) -> None:
        given = {**said, "attribute": "name", "reason": "so", **facts}
        with pytest.raises(error):
            await pin_attribute(group.db, **given)

    await refused(NothingToPin, account_id=group.accounts[RETAIL])
    await refused(NothingToPin, account_id=group.accounts[HOTEL])
    await refused(Malformed)
    await refused(Malformed, value="李雷", reason=" ")
    await refused(Malformed, value="李雷", attribute="shoe size")
    await refused(Malformed, value="1990-13-01", attribute="birthday")
    await refused(Malformed, value="no phone", attribute="phone")
    await refused(NotFound, value="李雷", member_id=999_999)
    assert await group.db.scalar(text("SELECT count(*) FROM pin")) == 0


@pytest.mark.parametrize("table", ["pin", "source_rank"])
async def test_history_is_not_edited(group: Group, table: str) -> None:
    await group.see(RETAIL, 1, name="李雷")
    await group.pin(business=RETAIL)
    await group.rank("name", "shop-1")
    with pytest.raises(DBAPIError, match=f"{table} is append-only"):
        await group.db.execute(text(f"UPDATE {table} SET attribute = 'email'"))
