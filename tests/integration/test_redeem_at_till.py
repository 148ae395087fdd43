"""A redemption in one round trip: it does what the long way does, and only while all is known."""

import asyncio
from collections import Counter
from random import Random
from typing import Any

import pytest
from sqlalchemy import text

from hub.ledger.verify import verify
from tests.integration.api_kit import DINER, SHOP, Api, Person
from tests.integration.test_graphql_tills import PHONE, act, by_id, meet

AT_ONCE = "FROM redeem_at_till("


@pytest.fixture
async def li(api: Api) -> Person:
    """A person known at the shop with points of two lots."""
    li = await api.join("shop", "c-1", phone="+8613910203040", name="李雷")
    await api.buy(li, "shop", 1000)
    await api.buy(li, "shop", 500)
    return li


async def _redeem(
    api: Api, key: str, points: int = 10, **asked: Any
) -> tuple[dict[str, Any], bool]:
    """Redeem at the shop; return the answer, and whether one statement was all it took."""
    api.served.clear()
    asked = {"member": PHONE, "points": points, "idempotencyKey": key, **asked}
    answer = await act(api, "redeem", SHOP, **asked)
    await asyncio.sleep(0)  # the driver tells of its statements in the loop's next turn
    # How the programme is set up is read for answers, when it is not remembered.
    asked_of_it = [one for one in api.served if "setup_edition" not in one]
    return answer, [AT_ONCE in one for one in asked_of_it] == [True]


async def _posted(api: Api, key: str) -> list[dict[str, Any]]:
    async with api.engine.connect() as db:
        rows = await db.execute(
            text("""
              SELECT to_jsonb(t) - '{tx_id,idempotency_key,posted_at,occurred_at,available,xact}'
                  ::text[] AS t,
                to_jsonb(e) - '{tx_id,posted_at,occurred_at,xact}'::text[] AS e
              FROM ledger_transaction t LEFT JOIN entry e USING (member_id, tx_id)
              WHERE t.idempotency_key = :key ORDER BY e.seq"""),
            {"key": f"api:{key}"},
        )
        return [row._asdict() for row in rows]


async def test_what_is_posted_at_once_is_what_the_long_way_posts(api: Api, li: Person) -> None:
    slow, at_once = await _redeem(api, "slow", 300)
    assert not at_once
    fast, at_once = await _redeem(api, "fast", 300)
    assert at_once
    assert fast["transaction"] != slow["transaction"]
    assert fast["points"] == slow["points"] == 300
    assert len(await _posted(api, "fast")) == 1
    assert await _posted(api, "fast") == await _posted(api, "slow")
    for member in (PHONE, by_id(li)):
        again, _ = await _redeem(api, "fast", 300, member=member)
        assert again == fast
    other, _ = await _redeem(api, "fast", 300, category="room")
    assert (other["__typename"], other["field"]) == ("IdempotencyConflict", "category")
    declined, at_once = await _redeem(api, "much", 901)
    assert (declined["available"], at_once) == (900, True)
    assert await _posted(api, "much")
    by_number, at_once = await _redeem(api, "number", 900, member=by_id(li))
    assert (by_number["member"]["balance"]["available"], at_once) == (0, True)
    async with api.engine.connect() as db:
        assert await verify(db) == []


async def _change(api: Api, *statements: str) -> None:
    async with api.engine.begin() as db:
        for one in statements:
            await db.execute(text(one), {"shop": api.ids["shop"], "hotel": api.ids["hotel"]})


RULE = """
INSERT INTO acceptance_rule (business_id, effective_from, minimum_points, step_points)
VALUES (:shop, now() + interval '{}', 100, 50)"""
STOPPED = """
INSERT INTO credit_standing (issuer_id, acceptor_id, looked_at, since, exposure, credit_limit,
  currency, state)
VALUES (:shop, :shop, now(), now(), 1, 1, 'CNY', 'stopped')"""


async def test_what_was_known_of_a_business_holds_only_while_it_is_so(api: Api, li: Person) -> None:
    await meet(api, SHOP)
    await _change(api, RULE.format("1 hour"))  # yet to come
    assert (await _redeem(api, "a"))[1]

    await _change(api, RULE.format("-1 minute"))
    refused, _ = await _redeem(api, "b")
    assert refused["__typename"] == "PointsNotAccepted"
    assert await _posted(api, "b") == []
    taken, at_once = await _redeem(api, "b", 150)
    assert (taken["points"], at_once) == (150, True)
    refused, _ = await _redeem(api, "c", 151)
    assert refused["__typename"] == "PointsNotAccepted"

    await _change(api, "UPDATE business SET time_zone = 'Etc/GMT+12', day_starts_at_hour = 12")
    _, at_once = await _redeem(api, "d", 100)
    assert not at_once
    before, after = await _posted(api, "b"), await _posted(api, "d")
    assert after[0]["t"]["business_date"] < before[0]["t"]["business_date"]
    await _change(api, "UPDATE programme SET time_zone = 'Etc/GMT+12'")
    assert [(await _redeem(api, key, 100))[1] for key in ("e", "f")] == [False, True]

    await _change(api, STOPPED)
    for key in ("g", "h"):
        refused, at_once = await _redeem(api, key, 100)
        assert (refused["__typename"], at_once) == ("PointsNotAccepted", False)
    await _change(api, "DELETE FROM credit_standing")
    assert [(await _redeem(api, key, 100))[1] for key in ("h", "i")] == [False, True]

    await _change(api, "UPDATE business SET kind = 'programme' WHERE business_id = :shop")
    for key in ("j", "k"):  # it has no till
        refused, _ = await _redeem(api, key, 100)
        assert refused["field"] == "business"
        assert await _posted(api, key) == []


async def test_at_once_a_till_reaches_nobody_whom_it_does_not_otherwise(
    api: Api, li: Person
) -> None:
    await meet(api, SHOP)
    await meet(api, DINER)
    foreign = await act(api, "redeem", DINER, member=by_id(li), points=1)
    assert foreign["__typename"] == "MemberUnknown"
    assert await _posted(api, "k-1") == []
    # Who presents an identifier needs no account there.
    answer = await act(api, "redeem", DINER, member=PHONE, points=1)
    assert answer["__typename"] == "Redeemed"
    async with api.engine.begin() as db:
        await db.execute(text("UPDATE member SET erased_at = now()"))
    gone, at_once = await _redeem(api, "gone", member=by_id(li))
    assert (gone["__typename"], at_once) == ("MemberUnknown", False)


async def test_what_fails_at_once_is_done_the_long_way_once(api: Api, li: Person) -> None:
    await meet(api, SHOP)
    await _change(
        api,
        """CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
          RAISE serialization_failure; END $$""",
        "CREATE SEQUENCE tries",
        """CREATE TRIGGER fails BEFORE INSERT ON ledger_transaction FOR EACH ROW
          WHEN (nextval('tries') = 1) EXECUTE FUNCTION fail()""",
    )
    answer, at_once = await _redeem(api, "a")
    assert (answer["__typename"], at_once) == ("Redeemed", False)
    assert answer["member"]["balance"] == {"available": 1490, "posted": 1490, "held": 0}


# As it was written before it looked at one value after the other.
PRESENTED = """
WITH claims AS (
  SELECT DISTINCT coalesce(m.merged_into, m.member_id) AS member_id, c.verified
  FROM identifier_claim c JOIN member m USING (member_id)
  WHERE c.kind = :kind AND c.blind_index = ANY (:digests) AND c.closed_at IS NULL
)
SELECT min(member_id) FROM (
  SELECT DISTINCT member_id FROM claims
  WHERE verified = (SELECT bool_or(verified) FROM claims)) owners
HAVING count(*) = 1"""


async def test_whom_identifiers_lead_to_is_the_same_value_by_value(api: Api) -> None:
    people = [await api.join("shop", f"c-{n}") for n in range(4)]
    random, found = Random(5), Counter[int | None]()
    async with api.engine.connect() as db:
        for n in range(60):
            await db.execute(text("DELETE FROM identifier_claim"))
            await db.execute(
                text("""
                  UPDATE member SET merged_into = CAST(:into AS bigint),
                    status = CASE WHEN CAST(:into AS bigint) IS NULL THEN 'active' ELSE 'merged' END
                  WHERE member_id = :one"""),
                {"one": people[3].member_id, "into": people[0].member_id if n % 2 else None},
            )
            for _ in range(random.randint(0, 4)):
                one = random.choice(people)
                claim = {
                    "m": one.member_id,
                    "a": one.account_id,
                    "digest": bytes([random.randint(1, 2)]) * 16,
                    "verified": random.random() < 0.4,
                    "open": random.random() < 0.9,
                }
                await db.execute(CLAIM, claim)
            for digests in ([], [b"\1" * 16], [b"\2" * 16], [b"\1" * 16, b"\2" * 16]):
                asked = {"kind": 3, "digests": digests}
                now_found = await db.scalar(
                    text("SELECT person_presented(CAST(:kind AS smallint), :digests)"), asked
                )
                assert now_found == await db.scalar(text(PRESENTED), asked)
                found[now_found] += 1
    assert len(found) > 3


CLAIM = text("""
INSERT INTO identifier_claim (member_id, account_id, opened_at, closed_at, last_seen_at,
  index_key_version, kind, verified, blind_index)
VALUES (:m, :a, now(), CASE WHEN :open THEN NULL ELSE now() END, now(), 1, 3, :verified, :digest)
ON CONFLICT DO NOTHING""")
