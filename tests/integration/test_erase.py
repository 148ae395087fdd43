"""Whoever is erased is forgotten everywhere, for good; what the businesses owe stands."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from connectors.sandbox.delivery import Delivery, identifier
from connectors.sandbox.people import people
from connectors.sandbox.shop import ShopOrder, place_order, quantities_of, shop_customer
from hub.clock import now
from hub.connector import Hint, HintType
from hub.crypto.delivery import open_sealed
from hub.crypto.keyring import ensure, save
from hub.db.keyset import Stretch
from hub.errors import Malformed, NotFound
from hub.intake.merge_members import merge_members
from hub.intake.reject_review import reject_review
from hub.intake.replay import replay
from hub.intake.split_members import split_members
from hub.intake.verify import CHECKS as INTAKE_CHECKS
from hub.intake.verify import check as check_intake
from hub.ledger.verify import verify
from hub.members.family import family
from hub.members.pin_attribute import pin_attribute
from hub.members.resolve import Sighting, resolve
from hub.members.review.propose import Proposal, propose
from hub.members.review.queries import review_items
from hub.points.forfeit import PointsHeld
from hub.points.hold import hold
from hub.privacy.release_retention import release_retention
from hub.privacy.retain import retain
from hub.rights.erase import Erased, ErasureForbidden, PointsLeft, erase
from hub.rights.export import export, write
from tests.support.command import hub as command
from tests.support.ledger import NOON
from tests.support.sandbox import Hub

NOWHERE = "http://127.0.0.1:9"
LI, HAN = people(Random(1))[:2]
TODAY = NOON.date()


@pytest.fixture
async def hub(engine: AsyncEngine, database_url: str) -> Hub:
    made = Hub(engine, database_url)
    await made.configure(NOWHERE)
    return made


def order(number: int, person: Any = LI) -> ShopOrder:
    return place_order(Random(number), 700_000 + number, NOON, shop_customer(person, NOON))


def sent(placed: ShopOrder, topic: str = "orders/paid") -> Delivery:
    at = placed.changed_at if placed.refunds else NOON
    body = json.dumps(placed.document(at)).encode()
    name = identifier("test", str(placed.number), str(len(placed.refunds)), topic)
    return Delivery(system="shopify", sent_at=NOON, body=body, topic=topic, transport_id=name)


async def taken(hub: Hub, *deliveries: Delivery, copy: int = 0) -> None:
    for delivery in deliveries:
        await hub.accept(delivery, copy)
    await hub.work()


async def member_of(hub: Hub, person: Any) -> int:
    [(member_id,)] = await hub.rows(
        """SELECT member_id FROM account JOIN account_link USING (account_id)
           WHERE external_id = :id""",
        id=str(600_000 + person.number),
    )
    assert isinstance(member_id, int)
    return member_id


async def erased(hub: Hub, member_id: int, **more: Any) -> Erased:
    facts = {"reason": "asked by letter", "erased_by": "ann", "forfeit_points": True, **more}
    async with hub.engine.begin() as db:
        return await erase(
            db, member_id=member_id, today=TODAY, now=now(), keyring=hub.keyring, **facts
        )


async def sound(hub: Hub) -> None:
    async with hub.engine.connect() as db:
        assert await verify(db) == []
        assert [await check_intake(db, name) for name in INTAKE_CHECKS] == [None] * len(
            INTAKE_CHECKS
        )


async def readable(db: AsyncConnection, hub: Hub) -> str:
    """Everything that the database and the keyring together can tell."""
    tables = await db.scalars(
        text("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
    )
    dump = ""
    for table in tables.all():
        dump += "\n".join(await db.scalars(text(f"SELECT t::text FROM {table} t")))
    for row in await db.execute(text("SELECT delivery_id, connection_id, body FROM delivery")):
        if row.body:
            wired = await hub.switchboard.by_id(db, row.connection_id, now=now())
            sealed = open_sealed(hub.keyring, row.body, context=f"delivery|body|{wired.code}")
            dump += sealed.decode()
    return dump


def telling(person: Any) -> list[str]:
    return [value for value in (person.phone_at("s"), person.email_at("s")) if value]


async def test_nothing_is_left_that_tells_who_it_was_and_the_ledger_stands(hub: Hub) -> None:
    first, second, other = order(1), order(2), order(3, HAN)
    await taken(hub, sent(first), sent(second), sent(other))
    await taken(hub, sent(first), copy=1)
    li = await member_of(hub, LI)
    before = await hub.rows("SELECT member_id, tx_id, points FROM entry ORDER BY 1, 2, 3")
    async with hub.engine.connect() as db:
        told = await readable(db, hub)
    assert all(value in told for value in telling(LI))
    done = await erased(hub, li)
    assert (done.accounts, done.deliveries) == (1, 3)
    assert done.points > 0
    async with hub.engine.connect() as db:
        told = await readable(db, hub)
    assert [value for value in (*telling(LI), LI.family + LI.given) if value in told] == []
    assert all(value in told for value in telling(HAN))
    for table in ("account_key", "account_profile", "identifier_claim"):
        [(left,)] = await hub.rows(
            f"""SELECT count(*) FROM {table} JOIN account_link l USING (account_id)
                WHERE l.member_id = :li""",
            li=li,
        )
        assert left == 0
    after = await hub.rows("SELECT member_id, tx_id, points FROM entry ORDER BY 1, 2, 3")
    assert set(before) < set(after)
    await sound(hub)


async def test_an_id_that_is_part_of_a_longer_number_tells_of_nobody(hub: Hub) -> None:
    li, han = (shop_customer(one, NOON) for one in (LI, HAN))
    assert str(han["id"]) in li["phone"]
    await taken(hub, sent(order(1)), sent(order(3, HAN)))
    assert (await erased(hub, await member_of(hub, HAN))).deliveries == 1


async def test_an_erased_member_does_not_come_back(hub: Hub) -> None:
    placed = order(1)
    await taken(hub, sent(placed))
    li = await member_of(hub, LI)
    await erased(hub, li)
    entries = await hub.rows("SELECT count(*) FROM entry")
    async with hub.engine.begin() as db:
        ids = list(await db.scalars(text("SELECT delivery_id FROM delivery")))
        assert await replay(db, now=now(), delivery_ids=ids) == 0
    await taken(hub, sent(placed), copy=1)
    await taken(hub, sent(order(2)))
    assert await hub.rows("SELECT count(*) FROM entry") == entries
    for nothing in ("account_key", "account_profile", "identifier_claim", "review_item"):
        assert await hub.rows(f"SELECT count(*) FROM {nothing}") == [(0,)]
    assert await hub.rows("SELECT count(*) FROM member") == [(1,)]
    async with hub.engine.connect() as db:
        told = await readable(db, hub)
    assert [value for value in telling(LI) if value in told] == []
    await sound(hub)


async def test_a_refund_of_an_erased_members_sale_still_has_its_effect(hub: Hub) -> None:
    placed = order(1)
    await taken(hub, sent(placed))
    await erased(hub, await member_of(hub, LI))
    placed.refund(NOON + timedelta(hours=1), quantities_of(placed, [0]))
    await taken(hub, sent(placed, "orders/updated"))
    assert await hub.rows("SELECT state, length(body) FROM delivery") == [("done", 0)] * 2
    [(clawbacks,)] = await hub.rows("SELECT count(*) FROM ledger_transaction WHERE kind = 6")
    assert clawbacks == 1
    await sound(hub)


async def test_erasing_twice_or_at_once_is_erasing_once(hub: Hub) -> None:
    await taken(hub, sent(order(1)), sent(order(2, HAN)))
    li = await member_of(hub, LI)
    answers = await asyncio.gather(*(erased(hub, li) for _ in range(4)))
    assert len(set(answers)) == 1
    assert await erased(hub, li, reason="once more") == answers[0]
    assert await hub.rows("SELECT reason FROM erasure") == [("asked by letter",)]
    with pytest.raises(NotFound):
        await erased(hub, 999_999)
    with pytest.raises(Malformed, match="reason"):
        await erased(hub, await member_of(hub, HAN), reason=" ")


async def test_whoever_is_seen_while_being_erased_leaves_nothing(hub: Hub) -> None:
    """Sightings of an account and its erasure, however they interleave, end with it erased."""
    await taken(hub, sent(order(1)))
    li = await member_of(hub, LI)
    [(business_id,)] = await hub.rows("SELECT business_id FROM account")
    hints = [o for o in (LI.phone_at("s"),) if o]

    async def see() -> None:
        said = tuple(Hint(type=HintType.PHONE, value=one, verified=True) for one in hints)
        async with hub.engine.begin() as db:
            sighting = Sighting(
                business_id=int(str(business_id)),
                external_id=str(600_000 + LI.number),
                hints=said,
                seen_at=now(),
            )
            await resolve(db, people=[sighting], now=now(), keyring=hub.keyring)

    await asyncio.gather(*(see() for _ in range(4)), erased(hub, li), *(see() for _ in range(4)))
    for nothing in ("account_key", "account_profile", "identifier_claim"):
        assert await hub.rows(f"SELECT count(*) FROM {nothing}") == [(0,)]


async def test_points_are_not_taken_unasked_nor_from_under_a_till(hub: Hub) -> None:
    await taken(hub, sent(order(1)))
    li = await member_of(hub, LI)
    [(business_id, account_id)] = await hub.rows("SELECT business_id, account_id FROM account")
    with pytest.raises(PointsLeft, match="points") as left:
        await erased(hub, li, forfeit_points=False)
    assert left.value.facts["points"] > 0
    async with hub.engine.begin() as db:
        await hold(
            db,
            business_id=business_id,
            idempotency_key="h",
            member_id=li,
            account_id=account_id,
            points=1,
            ttl_seconds=600,
            occurred_at=now(),
            business_date=now().date(),
            today=now().date(),
            now=now(),
        )
    with pytest.raises(PointsHeld, match="1 points are held"):
        await erased(hub, li)
    assert await hub.rows("SELECT count(*) FROM account_key") == [(1,)]
    await sound(hub)


async def test_a_retention_forbids_it_until_it_ends_or_is_released(hub: Hub) -> None:
    await taken(hub, sent(order(1)))
    li = await member_of(hub, LI)
    async with hub.engine.begin() as db:
        facts = {"member_id": li, "placed_by": "bo", "now": now()}
        with pytest.raises(Malformed, match="future"):
            await retain(db, reason="audit", ends_at=now() - timedelta(days=1), **facts)
        await retain(db, reason="audit", ends_at=now() + timedelta(seconds=0.1), **facts)
        placed = await retain(db, reason="dispute 7", ends_at=None, **facts)
    await asyncio.sleep(0.1)
    with pytest.raises(ErasureForbidden, match="dispute 7"):
        await erased(hub, li)
    async with hub.engine.begin() as db:
        for _ in range(2):
            await release_retention(
                db, retention_id=placed.retention_id, released_by="bo", reason="paid", now=now()
            )
    for change, no in (
        ("SET released_because = 'another' WHERE released_at IS NOT NULL", "history"),
        ("SET reason = 'another' WHERE released_at IS NULL", "history"),
        ("SET released_at = now(), released_by = 'bo' WHERE released_at IS NULL", "because"),
    ):
        with pytest.raises(DBAPIError, match=no):
            await changed(hub, f"UPDATE retention {change}")
    with pytest.raises(DBAPIError, match="not allowed"):
        await changed(hub, "DELETE FROM retention")
    await erased(hub, li)
    async with hub.engine.begin() as db:
        with pytest.raises(NotFound):
            await retain(db, reason="too late", ends_at=None, **facts)


# Tables that name a member or an account and stay as they are: numbers, none of which tells who it
# is. Whoever adds a table says here that it holds no more than that, or has `erase` see to it.
KEPT = {
    "account", "account_link", "adjustment", "balance", "business_fact", "check_out", "consent",
    "earn_basis", "earn_cap", "event_due", "entitlement", "entitlement_use", "entry", "erasure",
    "expiry_notice", "hold", "hold_moved", "hub_event", "ledger_transaction", "lot",
    "lot_extension", "member", "member_edge", "member_tier", "membership_fact",
    "membership_term", "moved_in_year", "non_match",
    "obligation", "pool_member", "qualifying_activity", "read_audit", "redemption_purpose",
    "redress_origin", "referral_gift", "refund_basis", "retention", "reward_order", "shortfall",
    "tier_award", "tier_notice", "voucher", "voucher_entry",
    "till_basket", "voucher_notice", "voucher_request",
}  # fmt: skip
ERASED = {
    "account_key", "account_profile", "birthday_index", "identifier_claim", "match_change",
    "match_feature", "member_session", "occasion_grant", "passkey", "passkey_challenge",
    "pin", "review_item", "verification",
}  # fmt: skip


async def test_every_table_that_names_people_is_erased_or_known_to_be_kept(hub: Hub) -> None:
    found = await hub.rows(
        """SELECT DISTINCT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
           WHERE (a.attname LIKE '%member_id' OR a.attname = 'account_id')
             AND c.relkind IN ('r', 'p') AND NOT c.relispartition
             AND c.relnamespace = 'public'::regnamespace"""
    )
    assert {str(name) for (name,) in found} == KEPT | ERASED


async def test_those_merged_into_a_member_are_exported_and_erased_with_it(hub: Hub) -> None:
    await taken(hub, sent(order(1)), sent(order(2, HAN)))
    li, han = await member_of(hub, LI), await member_of(hub, HAN)
    async with hub.engine.begin() as db:
        who = {"member_ids": [li, han], "method": "staff", "actor": "mei"}
        await merge_members(db, now=NOON, reason="same passport", **who)
    async with hub.engine.connect() as db:
        document = await export(db, member_id=han, now=NOON, keyring=hub.keyring)
    assert (document["member"], document["merged_members"]) == (li, [han])
    assert [edge["reason"] for edge in document["lineage"]["edges"]] == ["same passport"]
    told = write(document).decode()
    assert all(value in told for value in (*telling(LI), *telling(HAN)))
    done = await erased(hub, han)
    assert (done.member_id, done.accounts, done.deliveries) == (li, 2, 2)
    async with hub.engine.connect() as db:
        told = await readable(db, hub)
    assert [value for value in (*telling(LI), *telling(HAN)) if value in told] == []
    await sound(hub)


async def test_who_was_split_is_exported_with_what_was_posted_while_merged(hub: Hub) -> None:
    await taken(hub, sent(order(1)), sent(order(2, HAN)))
    li, han = await member_of(hub, LI), await member_of(hub, HAN)
    facts = {"actor": "mei", "now": NOON, "reason": "two people"}
    async with hub.engine.begin() as db:
        await merge_members(db, member_ids=[li, han], method="staff", **facts)
    await taken(hub, sent(order(3, HAN)), sent(order(4)))
    async with hub.engine.begin() as db:
        account_ids = [one.account_id for one in (await family(db, member_id=li)).accounts]
        await split_members(db, member_id=li, account_ids=account_ids[1:], **facts)
    async with hub.engine.connect() as db:
        for member_id, account_id in zip((li, han), account_ids, strict=True):
            document = await export(db, member_id=member_id, now=NOON, keyring=hub.keyring)
            assert {row["account_id"] for row in document["entries"]} == {account_id}
            earns = [row for row in document["transactions"] if row["kind"] == "earn"]
            assert len(earns) == 2
            assert document["lots"]


async def test_an_export_tells_all_of_oneself_and_nothing_of_others(hub: Hub) -> None:
    await taken(hub, sent(order(1)), sent(order(2, HAN)))
    li = await member_of(hub, LI)
    async with hub.engine.connect() as db:
        document = await export(db, member_id=li, now=NOON, keyring=hub.keyring)
    parsed = json.loads(write(document))
    said = {one["attribute"]: one["value"] for one in parsed["accounts"][0]["profile"]}
    assert {value for value in (LI.phone_at("s"), LI.email_at("s")) if value} <= set(said.values())
    [delivery] = parsed["deliveries"]
    assert delivery["events"][0]["content"]["customer"]["first_name"] == LI.given
    assert [row["kind"] for row in parsed["transactions"]] == ["earn"]
    assert {row["credit"] for row in parsed["entries"]} == {"member"}
    assert parsed["lots"][0]["remaining"] == parsed["balances"][0]["posted"]
    assert not any(value in write(document).decode() for value in telling(HAN))
    await erased(hub, li)
    async with hub.engine.connect() as db:
        with pytest.raises(NotFound, match="erased"):
            await export(db, member_id=li, now=NOON, keyring=hub.keyring)


async def test_pins_are_exported_and_erased_with_the_account_they_are_kept_with(hub: Hub) -> None:
    await taken(hub, sent(order(1)))
    li = await member_of(hub, LI)
    async with hub.engine.begin() as db:
        await pin_attribute(
            db,
            member_id=li,
            attribute="name",
            value="Li Special Lei",
            actor="ann",
            reason="wrote a letter",
            now=NOON,
            keyring=hub.keyring,
        )
        document = await export(db, member_id=li, now=NOON, keyring=hub.keyring)
    [pin] = document["pins"]
    assert (pin["shows"], pin["value"], pin["reason"]) == (
        "value", "Li Special Lei", "wrote a letter")  # fmt: skip
    await erased(hub, li)
    assert await hub.rows("SELECT count(*) FROM pin") == [(0,)]


async def test_doubts_are_exported_and_name_an_erased_member_no_more(hub: Hub) -> None:
    await taken(hub, sent(order(1)), sent(order(2, HAN)))
    li, han = await member_of(hub, LI), await member_of(hub, HAN)
    [(hers,)] = await hub.rows(
        "SELECT account_id FROM account_link WHERE member_id = :han", han=han
    )
    account_id = int(str(hers))
    async with hub.engine.begin() as db:
        proposal = Proposal(
            account_id=account_id, candidate_id=li, score=5.0, evidence={"vetoes": ["name"]}
        )
        await propose(db, proposals=[proposal], now=NOON)
        [item] = await review_items(db, stretch=Stretch(9))
        facts = {"review_id": item.review_id, "actor": "ann", "now": NOON}
        await reject_review(db, note="not her voice", **facts)
        own = await export(db, member_id=han, now=NOON, keyring=hub.keyring)
        other = await export(db, member_id=li, now=NOON, keyring=hub.keyring)
    [told] = own["reviews"]
    assert (told["decision"], told["note"], told["score"]) == ("left_apart", "not her voice", 5.0)
    assert told["evidence"] == [{"vetoes": ["name"], "score": 5.0}]
    assert [step["done"] for step in own["review_steps"]] == ["rejected"]
    [told] = other["reviews"]
    assert (told["account_id"], told["decision"], told["note"]) == (None, "left_apart", None)
    await taken(hub, sent(order(3, HAN)))
    async with hub.engine.begin() as db:
        await db.execute(
            text("UPDATE review_item SET candidates = candidates || CAST(:han AS bigint)"),
            {"han": han},
        )
    await erased(hub, li)
    assert await hub.rows("SELECT candidates, evidence FROM review_item") == [([han], {})]
    await erased(hub, han)
    assert await hub.rows("SELECT count(*) FROM review_item") == [(0,)]
    assert await hub.rows("SELECT count(*) FROM review_step") == [(0,)]


async def test_an_operator_exports_erases_and_is_on_record(hub: Hub, tmp_path: Path) -> None:
    await taken(hub, sent(order(1)))
    li = str(await member_of(hub, LI))
    ring, out, anchors = (tmp_path / name for name in ("keyring.json", "li.json", "anchors"))
    ensure(ring)
    save(ring, hub.keyring)

    async def run(*words: str) -> tuple[int, str]:
        done = await command(*words, DATABASE_URL=hub.database_url, HUB_KEYRING_FILE=ring)
        return done.returncode, done.stdout + done.stderr

    assert (await run("member", "export", li, "--out", str(out)))[0] == 0
    assert json.loads(out.read_text())["member"] == int(li)
    assert out.stat().st_mode & 0o777 == 0o600
    assert "cannot be made" in (await run("member", "export", li, "--out", str(out)))[1]
    assert (await run("audit", "anchor", "--out", str(anchors)))[0] == 0
    retained = await run("member", "retain", li, "--reason", "audit", "--days", "9")
    assert "retention 1" in retained[1]
    forgotten = ("member", "erase", li, "--reason", "a letter", "--forfeit-points")
    assert "[erasure_forbidden]" in (await run(*forgotten))[1]
    assert (await run("member", "release", "1"))[0] != 0, "without a reason"
    for reason in ("audit is over", "another"):
        code, told = await run("member", "release", "1", "--reason", reason)
        assert code == 0
        assert f"retention 1 of member {li} is lifted: audit is over" in told
    assert "is erased: 1 accounts" in (await run(*forgotten))[1]
    code, told = await run("audit", "verify", "--anchors", str(anchors))
    assert (code, told) == (
        0,
        "as it was written: 2 reads\nas it was sealed: 0 denials\n",
    )
    await hub_without_guards(hub, "DELETE FROM read_audit WHERE seq = 2")
    code, told = await run("audit", "verify")
    assert (code, told) == (1, "row 2: the row is missing: there were 2\n")


async def changed(hub: Hub, change: str) -> None:
    async with hub.engine.begin() as db:
        await db.execute(text(change))


async def hub_without_guards(hub: Hub, change: str) -> None:
    async with hub.engine.begin() as db:
        await db.execute(text("ALTER TABLE read_audit DISABLE TRIGGER ALL"))
        await db.execute(text(change))
