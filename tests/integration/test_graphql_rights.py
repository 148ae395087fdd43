"""Copies of everything held about a member, and what forbids an erasure, over GraphQL."""

import asyncio
import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from starlette.applications import Starlette
from structlog.testing import capture_logs

from graphql_schema.cost import EXPORT_COST, MOST_COST
from graphql_schema.rights import MOST_BYTES
from hub.audit.verify import Verified, verify
from hub.clock import now
from hub.crypto.tokens import Principal, Role, Scope
from hub.errors import Conflict
from hub.members.review.propose import Proposal, propose
from hub.privacy.retain import Retention, retain
from hub.rights.audience import OF_PEOPLE, STAFFS_COLUMNS, STAFFS_LINEAGE, STAFFS_PARTS
from hub.rights.export import FORMAT, ExportTooLarge, export, write
from tests.integration.api_kit import ADMIN, FINANCE, HOTEL, SHOP, STAFF, Api, Person
from tests.integration.test_graphql_card import gid
from tests.integration.test_graphql_hardening import Serving, serving
from tests.support.waiting import until

__all__ = ["serving"]

EXPORT = """mutation ($input: ExportMemberInput!) { exportMember(input: $input) { __typename
  ... on MemberExported { member { number } takenAt format document unopenedDeliveries }
  ... on Rejection { message } } }"""
_RETAINED = """__typename
  ... on MemberRetained { member { number } retention {
    number memberNumber holds reason placedBy placedAt endsAt releasedAt releasedBy
    releasedBecause } }
  ... on InvalidInput { field }"""
RETAIN = """mutation ($input: RetainMemberInput!) { retainMember(input: $input) {
  ... on IdempotencyConflict { field } %s } }""".replace("%s", _RETAINED)
RELEASE = f"""mutation ($input: ReleaseRetentionInput!) {{
  releaseRetention(input: $input) {{ {_RETAINED} }} }}"""
ERASE = """mutation ($input: EraseMemberInput!) { eraseMember(input: $input) {
  __typename ... on ErasureRefused { why: reason } } }"""
MERGE = "mutation ($input: MergeMembersInput!) { mergeMembers(input: $input) { __typename } }"
SPLIT = "mutation ($input: SplitMembersInput!) { splitMembers(input: $input) { __typename } }"
PIN = "mutation ($input: PinAttributeInput!) { pinAttribute(input: $input) { __typename } }"
APART = "mutation ($input: ReviewInput!) { markNotTheSame(input: $input) { __typename } }"
ADJUST = """mutation ($input: ProposeAdjustmentInput!) {
  proposeAdjustment(input: $input) { __typename } }"""
GIVE = "mutation ($input: TransferInput!) { transfer(input: $input) { __typename } }"
CONSENT = "mutation ($input: RecordConsentInput!) { recordConsent(input: $input) { __typename } }"
HELD = """query ($id: ID!) { member(id: $id) {
  phone(masked: false) retentions { number holds releasedBecause } } }"""
DEE = Principal(role=Role.STAFF, subject="dee")


@pytest.fixture
async def li(api: Api) -> Person:
    return await api.join("shop", "c-1", phone="+8613910203040", name="李雷")


def member(person: Person) -> dict[str, Any]:
    return {"member": {"id": gid("Member", person.member_id)}}


async def exported(api: Api, who: Principal, **asked: Any) -> dict[str, Any]:
    answer: dict[str, Any] = (await api.data(EXPORT, who, input=asked))["exportMember"]
    return answer


async def document(api: Api, who: Principal, **asked: Any) -> dict[str, Any]:
    return dict(json.loads((await exported(api, who, **asked))["document"]))


async def retained(api: Api, who: Principal, person: Person, **more: Any) -> dict[str, Any]:
    asked = {**member(person), "reason": "dispute 7", "idempotencyKey": "r-1", **more}
    answer: dict[str, Any] = (await api.data(RETAIN, who, input=asked))["retainMember"]
    return answer


async def released(
    api: Api, who: Principal, number: str, reason: str = "the dispute is settled"
) -> dict[str, Any]:
    asked = {"retention": number, "reason": reason}
    answer: dict[str, Any] = (await api.data(RELEASE, who, input=asked))["releaseRetention"]
    return answer


async def erased(api: Api, person: Person) -> Any:
    asked = {**member(person), "reason": "asked by letter", "forfeitPoints": True}
    answer = (await api.data(ERASE, STAFF, input=asked))["eraseMember"]
    return answer.get("why", answer["__typename"])


async def reads(api: Api) -> list[tuple[Any, ...]]:
    async with api.engine.connect() as db:
        rows = await db.execute(
            text("SELECT member_id, attribute, subject, role FROM read_audit ORDER BY seq")
        )
        return [tuple(row) for row in rows]


async def done(api: Api, query: str, who: Principal, kind: str, **asked: Any) -> None:
    [answer] = (await api.data(query, who, input=asked)).values()
    assert answer["__typename"] == kind


async def doubted(api: Api, person: Person, other: Person) -> None:
    """Have staff do all to a person that they write words about."""
    twin = await api.join("hotel", "g-9", name="李雷")
    ids = [gid("Member", one.member_id) for one in (person, twin)]
    await done(api, MERGE, STAFF, "MembersMerged", members=ids, reason="staffs passport")
    for points, reason in ((10, "counted again"), (50_000, "staffs suspicion")):
        await done(api, ADJUST, STAFF, "Adjusted", **member(person), business="shop",
                   points=points, reason=reason, idempotencyKey=reason)  # fmt: skip
    parted = await api.join("shop", "c-9", name="Somebody")
    await api.buy(parted, "shop", 30)
    ids += [gid("Member", parted.member_id)]
    await done(api, MERGE, STAFF, "MembersMerged", members=ids[::2], reason="staffs guess")
    await done(api, SPLIT, STAFF, "MembersSplit", member=ids[0], reason="staffs second look",
               accounts=[gid("Account", person.member_id, parted.account_id)])  # fmt: skip
    await done(api, PIN, STAFF, "AttributePinned", **member(person), attribute="NAME",
               reason="staffs letter", value="Li Lei")  # fmt: skip
    await done(api, CONSENT, STAFF, "ConsentRecorded", **member(person), business="shop",
               purpose="SHARING", given=True, textVersion="1", source="a form")  # fmt: skip
    async with api.engine.begin() as db:
        proposal = Proposal(
            account_id=person.account_id, candidate_id=other.member_id, score=5.0, evidence={}
        )
        await propose(db, proposals=[proposal], now=now())
        review_id = await db.scalar(text("SELECT review_id FROM review_item"))
    await done(api, APART, STAFF, "Reviewed", review=gid("ReviewItem", review_id),
               note="staffs note")  # fmt: skip
    placed = await retained(api, STAFF, person, reason="staffs claim")
    await released(api, STAFF, placed["retention"]["number"], "staffs verdict")
    assert (await api.data(HELD, STAFF, id=ids[0]))["member"]["retentions"]


async def test_staff_are_given_all_and_a_member_what_is_not_staffs(api: Api, li: Person) -> None:
    han = await api.join("hotel", "g-1", phone="+8613910203041", name="Han Meimei")
    await api.buy(li, "shop", 20)
    await doubted(api, li, han)
    staffs = await exported(api, STAFF, **member(li))
    assert (staffs["__typename"], staffs["format"]) == ("MemberExported", FORMAT)
    whole = json.loads(staffs["document"])
    assert datetime.fromisoformat(whole["exported_at"]) == datetime.fromisoformat(staffs["takenAt"])
    assert staffs["member"] == {"number": str(whole["member"])}
    words = {"passport", "letter", "note", "claim", "suspicion", "second look", "verdict"}
    assert {word for word in words if f"staffs {word}" in staffs["document"]} == words
    own = await exported(api, li.principal)
    assert "staffs" not in own["document"]
    assert '"ann"' in staffs["document"]
    assert '"ann"' not in own["document"]
    assert "Meimei" not in staffs["document"]
    given = json.loads(own["document"])
    assert set(whole) - set(given) == STAFFS_PARTS
    # What is declared to be staff's is there, and everything else is given.
    for name, columns in (
        STAFFS_COLUMNS | {f"lineage.{n}": c for n, c in STAFFS_LINEAGE.items()}
    ).items():
        mine, theirs = part(given, name), part(whole, name)
        if name == "adjustments":
            theirs = [row for row in theirs if row["state"] == "posted"]
        assert theirs, name
        assert [set(row) for row in mine[: len(theirs)]] == [set(row) - columns for row in theirs]
        assert all(columns <= set(row) for row in theirs)
    assert given["transactions"] == [
        row | {"reason": None} if row["kind"] in OF_PEOPLE else row for row in whole["transactions"]
    ]
    rest = set(given) - {"reads", "lineage", "exported_at", "transactions", *STAFFS_COLUMNS}
    assert {name: given[name] for name in rest} == {name: whole[name] for name in rest}
    assert given["balances"]
    assert {read["role"] for read in given["reads"]} == {"staff"}


def part(of: dict[str, Any], name: str) -> Any:
    for key in name.split("."):
        of = of[key]
    return of


async def test_who_may_take_a_copy_of_whom(api: Api, li: Person) -> None:
    han = await api.join("shop", "c-2", phone="+8613910203041", name="Han")
    for who, asked, expected in (
        (li.principal, {}, "MemberExported"),
        (li.principal, member(li), "MemberExported"),
        (li.principal, {"member": {"phone": "+8613910203040"}}, "MemberExported"),
        (STAFF, {"member": {"phone": "+8613910203040"}}, "MemberExported"),
        (han.principal, member(li), "MemberUnknown"),
        (han.principal, {"member": {"phone": "+8613910203040"}}, "MemberUnknown"),
        (li.principal, {"member": {"id": gid("Member", 999)}}, "MemberUnknown"),
        (STAFF, {"member": {"id": gid("Member", 999)}}, "MemberUnknown"),
        (STAFF, {}, "InvalidInput"),
        (STAFF, {"member": {"id": gid("Account", 1, 1)}}, "InvalidInput"),
        (SHOP, member(li), "Forbidden"),
        (HOTEL, member(li), "Forbidden"),
        (FINANCE, member(li), "Forbidden"),
        (ADMIN, member(li), "Forbidden"),
        (limited(STAFF, Scope.MEMBERS_WRITE, Scope.MEMBERS_READ), member(li), "Forbidden"),
        (limited(li.principal, Scope.MEMBERS_READ, Scope.MEMBERS_PERSONAL), {}, "Forbidden"),
        (limited(li.principal, Scope.MEMBERS_WRITE, Scope.MEMBERS_PERSONAL), {}, "Forbidden"),
    ):
        answer = await exported(api, who, **asked)
        assert answer["__typename"] == expected, (who, asked)
        assert expected == "MemberExported" or "139102" not in str(answer)
    assert await api.code(EXPORT, None, input={}) == "unauthenticated"
    whom = {(one[0], one[1]) for one in await reads(api)}
    assert whom == {(li.member_id, "everything")}
    assert [one[3] for one in await reads(api)] == ["member"] * 3 + ["staff"]


async def test_what_cannot_be_opened_is_counted_and_warned_of_without_whose_copy_it_was(
    api: Api, li: Person
) -> None:
    assert (await exported(api, li.principal))["unopenedDeliveries"] == 0
    async with api.engine.begin() as db:
        await db.execute(
            text("""WITH c AS (
                INSERT INTO connection (business_id, code, connector, settings)
                SELECT business_id, 'till', 'shopify', 'x' FROM business WHERE code = 'shop'
                RETURNING connection_id)
              INSERT INTO delivery (connection_id, body, body_sha256, received_at, state,
                finished_at)
              SELECT connection_id, repeat('x', 99)::bytea, 'x', now(), 'done', now()
              FROM c, generate_series(1, 3)""")
        )
    with capture_logs() as logs:
        for who in (li.principal, STAFF):
            told = await exported(api, who, **member(li))
            assert (told["__typename"], told["unopenedDeliveries"]) == ("MemberExported", 3)
            assert json.loads(told["document"])["unopened_deliveries"] == [
                {"business": "shop", "deliveries": 3}
            ]
    lines = [line for line in logs if line["event"] == "copy_not_whole"]
    assert (
        lines
        == [{"event": "copy_not_whole", "log_level": "warning", "unopened_deliveries": {"shop": 3}}]
        * 2
    )


async def test_a_gift_says_not_whose_account_it_was(api: Api, li: Person) -> None:
    han = await api.join("hotel", "g-1", phone="+8613910203041", name="Han")
    await api.buy(han, "hotel", 400)
    await done(api, GIVE, han.principal, "Transferred", points=100, idempotencyKey="gift",
               receiver={"phone": "+8613910203040"})  # fmt: skip
    for who, told in ((STAFF, han.account_id), (li.principal, None)):
        whole = await document(api, who, **member(li))
        assert {row["account_id"] for row in whole["lots"]} == {told}


def limited(who: Principal, *scopes: Scope) -> Principal:
    return replace(who, scopes=frozenset(scopes))


async def test_a_merged_member_is_given_what_it_is_now_and_an_erased_one_nothing(
    api: Api, li: Person
) -> None:
    han = await api.join("hotel", "g-1", phone="+8613910203041", name="Han")
    ids = [gid("Member", one.member_id) for one in (li, han)]
    await done(api, MERGE, STAFF, "MembersMerged", members=ids, reason="one person")
    for who, asked in ((STAFF, member(han)), (han.principal, {}), (han.principal, member(li))):
        told = await document(api, who, **asked)
        assert (told["member"], told["merged_members"]) == (li.member_id, [han.member_id])
    account = gid("Account", li.member_id, han.account_id)
    await done(api, SPLIT, STAFF, "MembersSplit", member=ids[0], accounts=[account],
               reason="two people")  # fmt: skip
    told = await document(api, han.principal)
    assert (told["member"], told["merged_members"]) == (han.member_id, [])
    assert "13910203040" not in str(told["accounts"])
    assert await erased(api, han) == "MemberErased"
    for who, asked in ((STAFF, member(han)), (han.principal, {})):
        assert (await exported(api, who, **asked))["__typename"] == "MemberUnknown"


async def test_a_copy_is_on_record_before_it_leaves_or_it_does_not_leave(
    api: Api, li: Person
) -> None:
    async with api.engine.begin() as db:
        await db.execute(text("SELECT 1 FROM read_audit_head FOR UPDATE"))
        asked = asyncio.create_task(exported(api, li.principal))
        await until(api.engine, waiting=1)
        assert not asked.done()
    assert (await asked)["document"]
    subject = li.principal.subject
    assert await reads(api) == [(li.member_id, "everything", subject, "member")]
    async with api.engine.begin() as db:
        assert await verify(db, keyring=api.keyring) == Verified(1)
        await db.execute(
            text("ALTER TABLE read_audit ADD CHECK (attribute <> 'everything') NOT VALID")
        )
    for who in (li.principal, STAFF):
        answer = await api.ask(EXPORT, who, input=member(li))
        assert answer["data"] is None
        assert {one["extensions"]["code"] for one in answer["errors"]} == {"internal"}
        assert "139102" not in str(answer)  # three digits are in many a reference
    assert len(await reads(api)) == 1


async def test_a_copy_is_of_one_moment_and_is_taken_once_at_a_time(api: Api, li: Person) -> None:
    """And keeps no connection that the request reads by."""
    await api.buy(li, "shop", 20)
    assert isinstance(api.app.app, Starlette)
    readers = api.app.app.state.hub.readers.pool
    async with api.engine.begin() as db:
        await db.execute(text("LOCK TABLE review_step IN ACCESS EXCLUSIVE MODE"))
        asked = asyncio.create_task(document(api, STAFF, **member(li)))
        await until(api.engine, waiting=1)
        assert readers.checkedout() == 0
        await api.buy(li, "shop", 30)
        assert await api.code(EXPORT, li.principal, input={}) == "unavailable"
    then = await asked
    assert [one["posted"] for one in then["balances"] if one["unit"] == "points"] == [20]
    assert {one["business"] for one in then["transactions"]} == {"shop"}
    assert len([one for one in then["transactions"] if one["unit"] == "points"]) == 1
    told = await document(api, STAFF, **member(li))
    assert [one["posted"] for one in told["balances"] if one["unit"] == "points"] == [50]


async def test_a_copy_that_takes_too_long_ends_in_the_database_and_is_not_read(
    serving: Serving, api: Api, li: Person
) -> None:
    async with serving(operation_seconds=0.8) as hasty, api.engine.begin() as db:
        await db.execute(text("LOCK TABLE review_step IN ACCESS EXCLUSIVE MODE"))
        assert await hasty.code(EXPORT, li.principal, input={}) == "too_slow"
        await until(api.engine, waiting=0)
        await db.rollback()
        assert await reads(api) == []
        assert (await exported(hasty, li.principal))["document"]


async def test_what_surveys_everything_changes_nothing(api: Api, li: Person) -> None:
    async with api.context(STAFF, at=now()) as context:
        async with context.surveying() as db:
            with pytest.raises(DBAPIError, match="read-only"):
                await db.execute(text("UPDATE member SET erased_at = now()"))
        async with context.writing() as db:
            assert (await db.execute(text("UPDATE retention SET ends_at = NULL"))).rowcount == 0


async def test_a_copy_is_dear_and_of_a_size_that_can_be_answered(api: Api, li: Person) -> None:
    assert EXPORT_COST < MOST_COST < 2 * EXPORT_COST
    twice = "mutation { a: exportMember(input: {}) { __typename } ...B } "
    twice += "fragment B on Mutation { b: exportMember(input: {}) { __typename } }"
    api.served.clear()
    answer = await api.ask(twice, li.principal)
    assert answer["errors"][0]["extensions"]["code"] == "bad_request"
    assert str(MOST_COST) in answer["errors"][0]["message"]
    assert api.served == []
    await api.buy(li, "shop", 20)
    async with api.engine.begin() as db:
        facts = {"member_id": li.member_id, "now": now(), "keyring": api.keyring}
        with pytest.raises(ExportTooLarge, match="1000 bytes"):
            await export(db, **facts, most_bytes=1000)
        whole = await export(db, **facts, most_bytes=MOST_BYTES)
        with pytest.raises(ExportTooLarge):
            write(whole, most_bytes=len(write(whole)) - 1)
        assert write(whole, most_bytes=len(write(whole)))
        await db.execute(
            text("""
              INSERT INTO read_audit (seq, member_id, read_at, key_version, subject, role,
                attribute, hash)
              SELECT i, :li, now(), 1, repeat('x', 1000000), 'staff', 'name',
                decode(repeat('00', 32), 'hex') FROM generate_series(101, 110) i"""),
            {"li": li.member_id},
        )
    told = await exported(api, STAFF, **member(li))
    assert told["__typename"] == "MemberExportTooLarge"
    assert str(MOST_BYTES) in told["message"]
    assert len(await reads(api)) == 10, "what is not shown was not read"


async def test_a_retention_forbids_an_erasure_until_it_is_released_or_ends(
    api: Api, li: Person
) -> None:
    ends = now() + timedelta(hours=1)
    short = await retained(api, STAFF, li, idempotencyKey="short", endsAt=ends.isoformat())
    placed = await retained(api, STAFF, li)
    retention = placed["retention"]
    assert (retention["reason"], retention["placedBy"], retention["endsAt"]) == (
        "dispute 7", "ann", None)  # fmt: skip
    assert placed["member"] == {"number": str(li.member_id)}
    assert await erased(api, li) == "RETAINED"
    lifted = (await released(api, DEE, retention["number"]))["retention"]
    assert (lifted["holds"], lifted["releasedBy"], lifted["releasedBecause"]) == (
        False, "dee", "the dispute is settled")  # fmt: skip
    again = await released(api, STAFF, retention["number"], "another reason")
    assert again["retention"] == lifted, "to release twice is to release once"
    assert await erased(api, li) == "RETAINED"
    seen = (await api.data(HELD, STAFF, id=member(li)["member"]["id"]))["member"]["retentions"]
    assert [tuple(one.values()) for one in seen] == [
        (short["retention"]["number"], True, None),
        (retention["number"], False, "the dispute is settled")]  # fmt: skip
    async with api.engine.begin() as db:
        await db.execute(text("ALTER TABLE retention DISABLE TRIGGER USER"))
        await db.execute(
            text("UPDATE retention SET ends_at = :ends WHERE ends_at IS NOT NULL"),
            {"ends": (ends := now())},
        )
    # Asked again after its end, it is as it was placed.
    late = await retained(api, STAFF, li, idempotencyKey="short", endsAt=ends.isoformat())
    ended = {"holds": False, "endsAt": ends.isoformat()}
    assert late["retention"] == {**short["retention"], **ended}
    assert await erased(api, li) == "MemberErased"
    assert (await retained(api, STAFF, li, idempotencyKey="l"))["__typename"] == "MemberUnknown"


async def test_one_key_places_one_retention(api: Api, li: Person) -> None:
    han = await api.join("shop", "c-2", phone="+8613910203041")
    at_once = await asyncio.gather(*(retained(api, STAFF, li) for _ in range(5)))
    assert all(one == at_once[0] for one in at_once)
    assert await retained(api, STAFF, li) == at_once[0]
    end = (now() + timedelta(days=1)).isoformat()
    for who, person, more, field in (
        (STAFF, han, {}, "member"),
        (STAFF, li, {"reason": "another"}, "reason"),
        (STAFF, li, {"endsAt": end}, "endsAt"),
        (DEE, li, {}, "placedBy"),
    ):
        answer = await retained(api, who, person, **more)
        assert answer == {"__typename": "IdempotencyConflict", "field": field}
    ids = [gid("Member", one.member_id) for one in (li, han)]
    await done(api, MERGE, STAFF, "MembersMerged", members=ids, reason="one person")
    assert (await retained(api, STAFF, han))["retention"] == at_once[0]["retention"]
    assert await retained(api, STAFF, han, idempotencyKey="r-2") != at_once[0]
    account = gid("Account", li.member_id, han.account_id)
    await done(api, SPLIT, STAFF, "MembersSplit", member=ids[0], accounts=[account],
               reason="two people")  # fmt: skip
    assert [await erased(api, one) for one in (li, han)] == ["RETAINED"] * 2


async def test_one_key_for_two_members_at_once_is_of_one_of_them(api: Api, li: Person) -> None:
    han = await api.join("shop", "c-2", phone="+8613910203041")

    async def place(person: Person) -> Retention:
        async with api.engine.begin() as db:
            placed = await retain(
                db, member_id=person.member_id, reason="r", placed_by="ann", ends_at=None,
                now=now(), idempotency_key="k",
            )  # fmt: skip
            await asyncio.sleep(0.2)
            return placed

    found = await asyncio.gather(place(li), place(han), return_exceptions=True)
    [placed] = [one for one in found if isinstance(one, Retention)]
    [no] = [one for one in found if isinstance(one, Conflict)]
    assert no.field == "member_id"
    assert placed.member_id in (li.member_id, han.member_id)


async def test_who_may_retain_and_what_is_no_retention(api: Api, li: Person) -> None:
    placed = await retained(api, STAFF, li)
    number = placed["retention"]["number"]
    for who in (li.principal, SHOP, FINANCE, ADMIN, limited(STAFF, Scope.MEMBERS_READ)):
        assert await retained(api, who, li) == {"__typename": "Forbidden"}
        assert await released(api, who, number) == {"__typename": "Forbidden"}
    for more, field in (
        ({"reason": " "}, "reason"),
        ({"reason": "a\0b"}, "reason"),
        ({"idempotencyKey": ""}, "idempotencyKey"),
        ({"idempotencyKey": "k" * 161}, "idempotencyKey"),
        ({"idempotencyKey": "n", "endsAt": now().isoformat()}, "endsAt"),
        ({"idempotencyKey": "n", "endsAt": "2099-01-01T00:00:00"}, "endsAt"),
    ):
        answer = await retained(api, STAFF, li, **more)
        assert answer == {"__typename": "InvalidInput", "field": field}, more
    assert (await retained(api, STAFF, Person(member_id=999, account_id=1)))[
        "__typename"] == "MemberUnknown"  # fmt: skip
    for wrong, kind in (
        ("999", "RetentionUnknown"),
        ("x", "InvalidInput"),
        ("9" * 19, "InvalidInput"),
    ):
        assert (await released(api, STAFF, wrong))["__typename"] == kind
    for reason in ("", " ", "a\0b", "r" * 501, "r" + " " * 500):
        answer = await released(api, STAFF, number, reason)
        assert answer == {"__typename": "InvalidInput", "field": "reason"}, reason
    assert placed == await retained(api, STAFF, li), "nothing was changed by all of this"
