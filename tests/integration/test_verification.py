"""One-time codes: who gets them, how often they may be wrong, and whose the phone is afterwards."""

import asyncio
import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub.errors import Malformed, NotFound, Rejected
from hub.jobs.runtime import Runtime
from hub.members import actors
from hub.members.confirm_verification import (
    MOST_ATTEMPTS,
    Confirmation,
    Confirmed,
    confirm_verification,
)
from hub.members.forget_verifications import REMEMBERED, forget_verifications
from hub.members.identifiers import Kind
from hub.members.request_verification import Requested, request_verification
from hub.members.send_code import Code, make_sender, note_sent, open_code
from tests.integration.test_members_resolve import (
    DINING,
    HOTEL,
    KEYRING,
    NOW,
    OTHER_PHONE,
    PHONE,
    RETAIL,
    People,
)
from tests.support.businesses import open_businesses


@pytest.fixture
async def people(db: AsyncConnection) -> People:
    await open_businesses(db, ["CN", "CN", "GB"])
    return People(db)


def after(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


async def ask(
    db: AsyncConnection,
    business_id: int,
    external_id: str,
    *,
    value: str = PHONE,
    kind: Kind = Kind.PHONE,
    by_member: bool = False,
    at: datetime = NOW,
) -> Requested:
    return await request_verification(
        db,
        kind=kind,
        value=value,
        business_id=business_id,
        external_id=external_id,
        by_member=by_member,
        now=at,
        keyring=KEYRING,
    )


async def code_of(db: AsyncConnection, asked: Requested) -> Code:
    code = await open_code(db, verification_id=asked.verification_id, now=NOW, keyring=KEYRING)
    assert code is not None
    return code


async def confirm(
    db: AsyncConnection,
    asked: Requested,
    code: str,
    business_id: int | None = HOTEL,
    *,
    member_id: int | None = None,
    at: datetime = NOW,
) -> Confirmed:
    return await confirm_verification(
        db,
        verification_id=asked.verification_id,
        code=code,
        member_id=member_id,
        business_id=business_id,
        now=at,
        keyring=KEYRING,
    )


async def prove(people: People, business_id: int, external_id: str, **said: str) -> Confirmed:
    """Ask for a code and confirm it."""
    asked = await ask(people.db, business_id, external_id, **said)
    return await confirm(
        people.db, asked, (await code_of(people.db, asked)).code, business_id=business_id
    )


def other_than(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06}"


async def test_a_right_code_gives_the_account_its_phone(people: People) -> None:
    guest = await people.see(HOTEL, "g-1", phone_said=PHONE, name="李雷")
    done = await prove(people, HOTEL, "g-1", value="139 1020 3040")
    assert done == Confirmed(Confirmation.VERIFIED, guest.member_id, guest.account_id)
    assert (await people.see(RETAIL, "c-1", phone=PHONE)).member_id == guest.member_id


async def test_a_record_new_to_the_hub_is_linked_to_whose_phone_it_is(people: People) -> None:
    owner = await people.see(RETAIL, "c-1", phone=PHONE)
    done = await prove(people, HOTEL, "g-new")
    assert (done.confirmation, done.member_id) == (Confirmation.VERIFIED, owner.member_id)
    stranger = await prove(people, HOTEL, "g-other", kind=Kind.EMAIL, value="li@example.com")
    assert stranger.member_id != owner.member_id


async def test_a_code_is_six_digits_for_ten_minutes_and_one_use(people: People) -> None:
    asked = await ask(people.db, HOTEL, "g-1")
    code = await code_of(people.db, asked)
    assert (len(code.code), code.code.isdigit(), code.to, code.channel) == (6, True, PHONE, "phone")
    assert code.ttl_seconds == 600
    assert code.code not in repr(code)
    assert PHONE not in repr(code)
    assert (await confirm(people.db, asked, code.code, at=after(10))).confirmation == "ended"
    first = await confirm(people.db, asked, f" {code.code} ", at=after(9))
    assert first.confirmation is Confirmation.VERIFIED
    # Asked again the answer is the same, and nothing happens; another code is not tried any more.
    assert await confirm(people.db, asked, code.code, at=after(30)) == first
    assert (await confirm(people.db, asked, other_than(code.code))).confirmation == "ended"
    assert await people.count("account") == 1


async def test_after_five_wrong_codes_the_right_one_comes_too_late(people: People) -> None:
    asked = await ask(people.db, HOTEL, "g-1")
    code = (await code_of(people.db, asked)).code
    left = [
        (await confirm(people.db, asked, other_than(code))).attempts_left
        for _ in range(MOST_ATTEMPTS)
    ]
    assert left == [4, 3, 2, 1, 0]
    assert (await confirm(people.db, asked, code)).confirmation is Confirmation.ENDED
    assert await people.count("identifier_claim") == 0


async def test_sixteen_guesses_at_once_are_five_attempts(engine: AsyncEngine) -> None:
    async with engine.begin() as db:
        await open_businesses(db, ["CN", "CN"])
        asked = await ask(db, HOTEL, "g-1")
        wrong = other_than((await code_of(db, asked)).code)

    async def guess() -> str:
        async with engine.begin() as db:
            return (await confirm(db, asked, wrong)).confirmation.value

    answers = sorted(await asyncio.gather(*(guess() for _ in range(16))))
    assert answers == ["ended"] * 11 + ["wrong_code"] * 5


async def test_a_newer_code_replaces_the_older_one(people: People) -> None:
    old = await ask(people.db, HOTEL, "g-1")
    code = (await code_of(people.db, old)).code
    new = await ask(people.db, HOTEL, "g-1", at=after(1))
    assert (await confirm(people.db, old, code)).confirmation is Confirmation.ENDED
    assert await open_code(
        people.db, verification_id=old.verification_id, now=NOW, keyring=KEYRING
    ) is None  # fmt: skip
    assert (await code_of(people.db, new)).to == PHONE


async def test_a_code_is_confirmed_by_who_asked_for_it(people: People) -> None:
    guest = await people.see(HOTEL, "g-1", name="李雷")
    by_hotel = await ask(people.db, HOTEL, "g-1")
    by_member = await ask(
        people.db, HOTEL, "g-1", kind=Kind.EMAIL, value="li@x.com", by_member=True
    )
    for asked, business_id, member_id in (
        (by_hotel, RETAIL, None),
        (by_hotel, None, guest.member_id),
        (by_member, HOTEL, None),
        (by_member, None, 10**6),
    ):
        with pytest.raises(NotFound):
            await confirm(people.db, asked, "000000", business_id, member_id=member_id)
    code = (await code_of(people.db, by_member)).code
    done = await confirm(people.db, by_member, code, None, member_id=guest.member_id)
    assert done.confirmation is Confirmation.VERIFIED


async def test_a_member_may_change_the_phone_that_another_business_had_verified(
    people: People,
) -> None:
    await people.see(RETAIL, "c-1", phone=PHONE, email="li@example.com")
    guest = await people.see(HOTEL, "g-1", email="li@example.com")
    done = await prove(people, HOTEL, "g-1", value=OTHER_PHONE)
    assert (done.confirmation, done.member_id) == (Confirmation.VERIFIED, guest.member_id)
    assert (await people.see(DINING, "s-1", phone=OTHER_PHONE)).member_id == guest.member_id
    assert (await people.see(DINING, "s-2", phone=PHONE)).member_id != guest.member_id


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ({"name": "李雷"}, {"name": "韩梅梅"}),
        ({"birthday_said": "1990-02-03"}, {"birthday_said": "1960-01-02"}),
        ({"unionid": "oUnionOne"}, {"unionid": "oUnionTwo"}),
    ],
)
async def test_a_proven_phone_passes_from_an_owner_who_cannot_be_the_same_person(
    people: People, before: dict[str, str], now: dict[str, str]
) -> None:
    owner = await people.see(RETAIL, "c-1", phone=PHONE, **before)
    other = await people.see(HOTEL, "g-1", **now)
    done = await prove(people, HOTEL, "g-1")
    assert (done.confirmation, done.member_id) == (Confirmation.VERIFIED, other.member_id)
    assert (await people.see(DINING, "s-1", phone=PHONE)).member_id == other.member_id
    # The account, and with it the points, stay the former owner's.
    assert (await people.see(RETAIL, "c-1")).member_id == owner.member_id
    assert await people.reviews() == []


async def test_an_owner_who_may_be_the_same_person_keeps_it_and_is_reviewed(
    people: People,
) -> None:
    owner = await people.see(RETAIL, "c-1", phone=PHONE, name="李雷")
    other = await people.see(HOTEL, "g-1", name="Li Lei")
    done = await prove(people, HOTEL, "g-1")
    assert (done.confirmation, done.member_id) == (Confirmation.UNDECIDED, other.member_id)
    assert await people.reviews() == [(other.account_id, "identifier_taken", [owner.member_id])]


async def test_a_shared_phone_is_nobodys_whoever_holds_it(people: People) -> None:
    for n in range(7):
        await people.see(HOTEL, f"g-{n}", phone_said=PHONE)
    assert (await prove(people, HOTEL, "g-1")).confirmation is Confirmation.SHARED


async def test_codes_are_limited_by_phone_by_account_and_by_member(people: People) -> None:
    db = people.db
    guest = await people.see(HOTEL, "g-0", email="li@example.com")
    shopper = await people.see(RETAIL, "c-0", email="li@example.com")
    assert guest.member_id == shopper.member_id
    for n in range(5):
        await ask(db, HOTEL, f"g-{n}", at=after(n))
    with pytest.raises(Rejected, match="too many") as limited:
        await ask(db, RETAIL, "c-9", at=after(5))
    assert limited.value.facts["retry_after_seconds"] == 55 * 60
    for n in range(4):
        await ask(db, HOTEL, "g-0", value=f"+8613910205{n:03}", at=after(5))
    with pytest.raises(Rejected):
        await ask(db, HOTEL, "g-0", value=OTHER_PHONE, at=after(6))
    with pytest.raises(Rejected):
        await ask(db, RETAIL, "c-0", value=OTHER_PHONE, at=after(6))
    await ask(db, RETAIL, "c-1", value=OTHER_PHONE, at=after(6))
    await ask(db, RETAIL, "c-9", at=after(60))


async def test_two_at_once_do_not_slip_through_a_limit(engine: AsyncEngine) -> None:
    async with engine.begin() as db:
        await open_businesses(db, ["CN"] * 8)

    async def one(n: int) -> bool:
        async with engine.begin() as db:
            try:
                await ask(db, 1 + n, "c-1")
            except Rejected:
                return False
            return True

    assert sum(await asyncio.gather(*map(one, range(8)))) == 5


async def test_a_business_is_limited_too(people: People) -> None:
    await people.db.execute(
        text("""
          INSERT INTO verification (requested_at, expires_at, business_id, kind, by_member,
            external_id, blind_index, code_hash)
          SELECT CAST(:now AS timestamptz), CAST(:now AS timestamptz) + interval '10 min', 2, 1,
            false, 'x' || n, decode(lpad(n::text, 32, '0'), 'hex'), decode(repeat('00', 16), 'hex')
          FROM generate_series(1, 600) n"""),
        {"now": NOW},
    )
    with pytest.raises(Rejected):
        await ask(people.db, HOTEL, "g-1", at=after(1))
    await ask(people.db, RETAIL, "c-1", at=after(1))


@pytest.mark.parametrize(
    ("kind", "value", "field"),
    [
        (Kind.PHONE, "1391020304", "phone"),
        (Kind.PHONE, "400 812 3123", "phone"),
        (Kind.EMAIL, "noreply@example.com", "email"),
        (Kind.LOYALTY_ID, "GOLD-0042", "kind"),
    ],
)
async def test_no_code_is_sent_to_what_is_nobodys(
    people: People, kind: Kind, value: str, field: str
) -> None:
    with pytest.raises(Malformed) as refused:
        await ask(people.db, HOTEL, "g-1", kind=kind, value=value)
    assert refused.value.field == field
    assert await people.count("verification") == await people.count("outbox_message") == 0


async def test_an_erased_account_verifies_nothing(people: People) -> None:
    await people.see(HOTEL, "g-1")
    await people.db.execute(text("DELETE FROM account_key"))
    with pytest.raises(Rejected, match="erased"):
        await ask(people.db, HOTEL, "g-1")


async def test_a_code_is_sent_once_and_then_not_kept(engine: AsyncEngine, tmp_path: Path) -> None:
    spool = tmp_path / "codes.jsonl"
    async with engine.begin() as db:
        await open_businesses(db, ["CN", "CN"])
    runtime = Runtime(engine, KEYRING)
    # Real time here: the actor asks the clock.
    async with engine.begin() as db:
        asked = await ask(db, HOTEL, "g-1", at=actors.now())
        message_id = await db.scalar(text("SELECT message_id FROM outbox_message"))
    for _ in range(2):
        await actors.send_one(runtime, message_id, lambda: make_sender(f"file:{spool}"))
    [sent] = map(json.loads, spool.read_text().splitlines())
    assert (sent["to"], sent["channel"], sent["id"]) == (PHONE, "phone", asked.verification_id)
    assert spool.stat().st_mode & 0o777 == 0o600
    async with engine.begin() as db:
        kept = await db.execute(text("SELECT sealed_code, sent_at IS NOT NULL FROM verification"))
        assert tuple(kept.one()) == (None, True)
        assert await db.scalar(text("SELECT count(*) FROM outbox_message")) == 0
        done = await confirm(db, asked, sent["code"], at=actors.now())
        assert done.confirmation is Confirmation.VERIFIED


async def test_without_a_sender_the_message_waits_and_says_why(engine: AsyncEngine) -> None:
    async with engine.begin() as db:
        await open_businesses(db, ["CN", "CN"])
        asked = await ask(db, HOTEL, "g-1", at=actors.now())
        code = await open_code(
            db, verification_id=asked.verification_id, now=actors.now(), keyring=KEYRING
        )
        message_id = await db.scalar(text("SELECT message_id FROM outbox_message"))
    await actors.send_one(Runtime(engine, KEYRING), message_id, lambda: make_sender(None))
    async with engine.begin() as db:
        row = (await db.execute(text("SELECT dead_at, last_error FROM outbox_message"))).one()
    assert row.dead_at is None
    assert "HUB_CODE_SENDER" in row.last_error
    assert code is not None
    assert code.code not in row.last_error


async def test_codes_and_addresses_are_forgotten(people: People) -> None:
    db = people.db
    asked = await ask(db, HOTEL, "g-1")
    await forget_verifications(db, now=after(10))
    row = (await db.execute(text("SELECT state, sealed_address FROM verification"))).one()
    assert tuple(row) == ("failed", None)
    await note_sent(db, verification_id=asked.verification_id, now=after(11))
    assert await forget_verifications(db, now=NOW + REMEMBERED + timedelta(seconds=1)) == 1
    assert await people.count("verification") == 0
