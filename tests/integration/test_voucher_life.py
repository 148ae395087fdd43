"""Vouchers from their issue to their end: batches, assigning, claiming, giving away, ending."""

import asyncio
import csv
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from typer.testing import CliRunner

from hub.benefits.vouchers.assign_voucher import VoucherLimitReached
from hub.benefits.vouchers.batches import batch_named
from hub.benefits.vouchers.claim import VoucherRefused, claim_voucher
from hub.benefits.vouchers.codes_of_batch import codes_of_batch
from hub.benefits.vouchers.expire import expire_vouchers
from hub.benefits.vouchers.generate import (
    BLOCK,
    FIRST_BLOCK,
    generate,
    open_batch,
)
from hub.benefits.vouchers.judge import VoucherAsked
from hub.benefits.vouchers.key import code_key, reseal_key
from hub.benefits.vouchers.notify_ending import notify_ending
from hub.benefits.vouchers.queries import (
    VoucherPage,
    VoucherState,
    member_vouchers,
    voucher_entries,
    voucher_notices,
    voucher_terms,
)
from hub.benefits.vouchers.transfer import transfer_voucher
from hub.benefits.vouchers.void import void_voucher
from hub.benefits.vouchers.worth import Verdict
from hub.crypto.keyring import Purpose, ensure, load
from hub.db.keyset import Stretch
from hub.entrypoints.cli import app
from hub.errors import Conflict, NotFound, Rejected
from hub.intake.merge_members import merge_members
from hub.intake.split_members import split_members
from hub.rights.erase import erase
from hub.rights.export import export
from tests.support.vouchers import (
    END,
    KEYRING,
    NOW,
    accounts_of_members,
    campaign,
    cancelled,
    given,
    make_campaigns,
    redeemed,
    vouchers_sound,
)


async def _batch(db: AsyncConnection, count: int, name: str = "mailing") -> list[str]:
    batch = await open_batch(db, campaign_code="ten-off", name=name, count=count, now=NOW)
    while await generate(db, batch_id=batch.batch_id, keyring=KEYRING, at_most=64):
        pass
    made = await batch_named(db, name=name)
    assert (made.made, made.wanted) == (count, count)
    blocks = [c async for c in codes_of_batch(db, batch_id=batch.batch_id, keyring=KEYRING)]
    return [code for block in blocks for code in block]


async def _holders(db: AsyncConnection) -> list[int | None]:
    return list(await db.scalars(text("SELECT member_id FROM voucher ORDER BY voucher_id")))


async def test_a_batch_is_made_once_block_by_block_and_its_codes_are_vouchers(
    db: AsyncConnection,
) -> None:
    shops = await make_campaigns(db, campaign(per_member=1))
    batch = await open_batch(db, campaign_code="ten-off", name="mailing", count=150, now=NOW)
    made = await generate(db, batch_id=batch.batch_id, keyring=KEYRING, at_most=64)
    assert made == 64  # and it is cut off
    codes = await _batch(db, 150)
    assert len(set(codes)) == 150 == await db.scalar(text("SELECT count(*) FROM voucher"))
    with pytest.raises(Conflict) as refused:
        await open_batch(db, campaign_code="ten-off", name="mailing", count=151, now=NOW)
    assert refused.value.field == "count"
    found = await voucher_terms(db, codes=[codes[70].lower()], keyring=KEYRING, now=NOW)
    assert found[codes[70].lower()].state is VoucherState.ISSUED
    # Nowhere is a code written down.
    seen = await db.scalar(text("SELECT string_agg(v::text, ' ') FROM voucher v"))
    assert codes[0].replace("-", "") not in str(seen)
    both = [VoucherAsked(code=code) for code in codes[2:4]]
    one = await redeemed(db, shops["hotel"], both, member_id=3, key="e", policy="skip_invalid")
    assert [p.verdict for p in one.parts] == [Verdict.TAKEN, Verdict.LIMIT_REACHED]
    asked = VoucherAsked(code=codes[0])
    nobody = await redeemed(db, shops["hotel"], [asked], member_id=None, key="a")
    assert nobody.outcome is Verdict.MEMBER_REQUIRED
    bound = await redeemed(db, shops["hotel"], [asked], member_id=2, key="b")
    second = await redeemed(db, shops["hotel"], [VoucherAsked(code=codes[1])], member_id=2, key="c")
    assert (bound.outcome, second.outcome) == (Verdict.TAKEN, Verdict.LIMIT_REACHED)
    unknown = VoucherAsked(code=(await code_key(db, keyring=KEYRING)).code(5))
    assert (await redeemed(db, shops["hotel"], [unknown], key="d")).outcome is Verdict.UNKNOWN
    await vouchers_sound(db)


async def test_a_code_that_is_taken_is_drawn_anew(db: AsyncConnection) -> None:
    await make_campaigns(db)
    voucher = await given(db)
    key = await code_key(db, keyring=KEYRING)
    # Another voucher has the code that the block's eleventh will draw.
    taken = key.digest(key.code(FIRST_BLOCK + BLOCK + 10))
    await db.execute(
        text("UPDATE voucher SET digest = :taken WHERE voucher_id = :id"),
        {"taken": taken, "id": voucher.voucher_id},
    )
    assert len(set(await _batch(db, 64))) == 64
    assert await db.scalar(text("SELECT count(*) FROM voucher_block")) == 2


async def test_the_key_moves_to_a_new_version_and_codes_stay(db: AsyncConnection) -> None:
    await make_campaigns(db)
    [code] = await _batch(db, 1)
    rotated = KEYRING.with_keys(KEYRING.keys(Purpose.KEY_ENCRYPTION).renewed())
    assert [await reseal_key(db, keyring=rotated) for _ in range(2)] == [1, 0]
    retired = rotated.with_keys(rotated.keys(Purpose.KEY_ENCRYPTION).without(1))
    assert code in await voucher_terms(db, codes=[code], keyring=retired, now=NOW)


async def test_the_commands_make_a_batch_and_write_it_out(
    engine: AsyncEngine, database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("HUB_KEYRING_FILE", str(tmp_path / "keyring.json"))
    ensure(tmp_path / "keyring.json")
    async with engine.begin() as db:
        await make_campaigns(db)
    out = tmp_path / "codes.csv"
    for command in (
        ["voucher", "generate", "ten-off", "--count", "30"],
        ["voucher", "generate", "ten-off", "--count", "30"],
        ["voucher", "export", "ten-off-30", "--out", str(out)],
    ):
        done = await asyncio.to_thread(CliRunner().invoke, app, command)
        assert done.exit_code == 0, done.output
    rows = list(csv.reader(out.read_text().splitlines()))
    assert (rows[0], len({code for (code,) in rows[1:]})) == (["code"], 30)
    assert out.stat().st_mode & 0o077 == 0
    async with engine.begin() as db:
        keyring = load(tmp_path / "keyring.json")
        assert await voucher_terms(db, codes=[rows[30][0]], keyring=keyring, now=NOW)


async def test_a_source_gives_one_voucher(db: AsyncConnection) -> None:
    await make_campaigns(db, campaign(per_member=2), campaign("other"))
    first = await given(db, source_id="birthday/2026")
    assert await given(db, source_id="birthday/2026") == first
    for other, field in (({"code": "other"}, "campaign"), ({"member_id": 2}, "member_id")):
        with pytest.raises(Conflict) as refused:
            await given(db, source_id="birthday/2026", **other)
        assert refused.value.field == field
    await given(db, source_id="2")
    with pytest.raises(VoucherLimitReached):
        await given(db, source_id="3")
    with pytest.raises(NotFound):
        await given(db, "nothing", source_id="4")
    with pytest.raises(NotFound):
        await given(db, member_id=404, source_id="5")
    with pytest.raises(Rejected, match="ended"):
        await given(db, member_id=2, source_id="6", now=END)


async def test_a_code_is_claimed_by_one_member(db: AsyncConnection) -> None:
    await make_campaigns(db, campaign(valid_days=10, per_member=1))
    codes = await _batch(db, 3)
    facts: dict[str, Any] = {"now": NOW, "keyring": KEYRING}
    mine = await claim_voucher(db, code=codes[0], member_id=1, **facts)
    assert await claim_voucher(db, code=codes[0], member_id=1, **facts) == mine
    # Ten days more, and the last one whole in Shanghai.
    assert mine.ends_at.isoformat() == "2026-07-11T16:00:00+00:00"
    for code, member_id, reason in (
        (codes[0], 2, "not_yours"),
        ((await code_key(db, keyring=KEYRING)).code(7), 1, "unknown"),
    ):
        with pytest.raises(VoucherRefused) as refused:
            await claim_voucher(db, code=code, member_id=member_id, **facts)
        assert refused.value.reason == reason
    with pytest.raises(VoucherLimitReached):
        await claim_voucher(db, code=codes[1], member_id=1, **facts)
    with pytest.raises(VoucherRefused, match="ended"):
        await claim_voucher(db, code=codes[2], member_id=3, **{**facts, "now": END})


async def test_a_voucher_is_given_away_with_its_history(db: AsyncConnection) -> None:
    shops = await make_campaigns(
        db, campaign(transferable=True, uses=3, per_member=1), campaign("fixed")
    )
    voucher, fixed = await given(db), await given(db, "fixed", source_id="f")
    await redeemed(db, shops["hotel"], [voucher])
    gift = {"voucher_id": voucher.voucher_id, "member_id": 1, "receiver_id": 2, "now": NOW}
    moved = await transfer_voucher(db, **gift)
    assert (moved.member_id, moved.left, await transfer_voucher(db, **gift)) == (2, 2, moved)
    for wrong, reason in (
        ({"voucher_id": fixed.voucher_id}, "not_transferable"),
        ({"receiver_id": 3}, "not_yours"),
        ({"voucher_id": 999}, "not_yours"),
    ):
        with pytest.raises(VoucherRefused) as refused:
            await transfer_voucher(db, **{**gift, **wrong})
        assert refused.value.reason == reason
    # Who gave one away has had it, and who has one gets no second.
    with pytest.raises(VoucherLimitReached):
        await given(db, source_id="again")
    other = await given(db, member_id=3, source_id="third")
    with pytest.raises(VoucherLimitReached):
        await transfer_voucher(db, voucher_id=other.voucher_id, member_id=3, receiver_id=2, now=NOW)
    entries = (await voucher_entries(db, voucher_ids=[voucher.voucher_id]))[voucher.voucher_id]
    assert [(e.kind, e.member_id, e.receiver_id) for e in entries] == [
        ("assigned", 1, None),
        ("redeemed", 1, None),
        ("transferred", 1, 2),
    ]
    not_mine = await redeemed(db, shops["hotel"], [moved], key="mine?")
    his = await redeemed(db, shops["hotel"], [moved], key="his", member_id=2)
    assert (not_mine.outcome, his.outcome) == (Verdict.NOT_YOURS, Verdict.TAKEN)


async def test_vouchers_end_with_notice_or_are_voided(db: AsyncConnection) -> None:
    shops = await make_campaigns(db, campaign(valid_days=8))
    await _batch(db, 2)
    ends, void = await given(db), await given(db, source_id="v")
    for _ in range(2):
        voided = await void_voucher(
            db, voucher_id=void.voucher_id, actor="mei", reason="printed twice", now=NOW
        )
    assert voided.state is VoucherState.VOIDED
    assert (await redeemed(db, shops["hotel"], [void])).outcome is Verdict.VOIDED
    told = []
    for day in range(10):
        at = NOW + timedelta(days=day)
        told.append((await notify_ending(db, now=at, horizon=at + timedelta(days=7)))[0])
    assert told == [0, 0, 1, 0, 0, 0, 0, 0, 1, 0]
    [notice] = (await voucher_notices(db, member_ids=[1], now=NOW))[1]
    assert (notice.voucher_id, notice.days_ahead) == (ends.voucher_id, 1)
    assert (await voucher_notices(db, member_ids=[1], now=ends.ends_at))[1] == []
    assert await expire_vouchers(db, now=ends.ends_at - timedelta(seconds=1)) == 0
    assert await expire_vouchers(db, now=ends.ends_at) == 1
    assert await expire_vouchers(db, now=END, vouchers=1) == 1
    assert await expire_vouchers(db, now=END) == 1
    page = VoucherPage(Stretch(5), states=(VoucherState.EXPIRED,))
    of = await member_vouchers(db, member_ids=[1, 2], page=page, now=NOW)
    assert [[each.voucher_id for each in of[n]] for n in (1, 2)] == [[ends.voucher_id], []]
    await vouchers_sound(db)


async def test_who_is_erased_has_exported_their_vouchers_and_has_none(db: AsyncConnection) -> None:
    shops = await make_campaigns(db, campaign(transferable=True, uses=2))
    await accounts_of_members(db, shops["retail"].business_id)
    voucher = await given(db, member_id=2)
    facts = {"voucher_id": voucher.voucher_id, "member_id": 2, "receiver_id": 1}
    await transfer_voucher(db, **facts, now=NOW)
    sale = await redeemed(db, shops["hotel"], [voucher])
    document = await export(db, member_id=1, now=NOW, keyring=KEYRING)
    assert [(v["campaign"], v["used"]) for v in document["vouchers"]] == [("ten-off", 1)]
    # What happened while it was somebody else's is not told.
    assert [e["kind"] for e in document["voucher_history"]] == ["redeemed"]
    for _ in range(2):
        await erase(
            db, member_id=1, reason="asked", erased_by="mei", forfeit_points=False,
            today=NOW.date(), now=NOW, keyring=KEYRING,
        )  # fmt: skip
    again = await redeemed(db, shops["hotel"], [voucher], key="again")
    back = await cancelled(db, shops["hotel"], sale.parts[0].entry_id, key="undo")
    assert (again.outcome, back.outcome) == (Verdict.VOIDED, Verdict.TAKEN)
    with pytest.raises(NotFound):
        await given(db, source_id="more")
    await vouchers_sound(db)


async def test_vouchers_go_along_when_members_merge_and_come_back(db: AsyncConnection) -> None:
    shops = await make_campaigns(db, campaign(uses=2, per_member=1))
    await accounts_of_members(db, shops["retail"].business_id)
    one, two = await given(db), await given(db, member_id=2, source_id="2")
    asked = {"key": "before", "member_id": 2}
    before = await redeemed(db, shops["hotel"], [two], **asked)
    await merge_members(db, member_ids=[1, 2], method="staff", actor="mei", now=NOW)
    assert await _holders(db) == [1, 1]
    merged = await redeemed(db, shops["hotel"], [one, two], key="together")
    assert merged.outcome is Verdict.TAKEN
    with pytest.raises(VoucherLimitReached):
        await given(db, source_id="more")
    later = NOW + timedelta(days=1)
    await split_members(db, member_id=1, account_ids=[2], actor="mei", now=later, reason="two")
    assert await _holders(db) == [1, 2]
    again = await redeemed(db, shops["hotel"], [two], **asked)
    assert (again.replayed, again.parts) == (True, before.parts)
    await vouchers_sound(db)


async def test_a_merge_at_the_same_moment_leaves_no_voucher_behind(engine: AsyncEngine) -> None:
    async with engine.begin() as db:
        shops = await make_campaigns(db, campaign(transferable=True))
        await accounts_of_members(db, shops["retail"].business_id)
        codes = await _batch(db, 12)
        gifts = [await given(db, member_id=3, source_id=f"g{n}") for n in range(4)]

    async def claimed(code: str) -> None:
        async with engine.begin() as db:
            await claim_voucher(db, code=code, member_id=2, now=NOW, keyring=KEYRING)

    async def used(code: str) -> None:
        async with engine.begin() as db:
            asked = VoucherAsked(code=code)
            await redeemed(db, shops["hotel"], [asked], key=code, member_id=2)

    async def moved(voucher_id: int) -> None:
        async with engine.begin() as db:
            facts = {"voucher_id": voucher_id, "member_id": 3, "receiver_id": 2, "now": NOW}
            await transfer_voucher(db, **facts)

    async def merged() -> None:
        async with engine.begin() as db:
            await merge_members(db, member_ids=[1, 2], method="staff", actor="mei", now=NOW)

    await asyncio.gather(
        *(claimed(code) for code in codes[:4]),
        *(used(code) for code in codes[4:8]),
        *(moved(each.voucher_id) for each in gifts[:2]),
        merged(),
        *(used(code) for code in codes[8:]),
        *(moved(each.voucher_id) for each in gifts[2:]),
    )
    async with engine.begin() as db:
        held = await db.execute(
            text("SELECT member_id, count(*) FROM voucher GROUP BY member_id ORDER BY 1")
        )
        assert [tuple(row) for row in held] == [(1, 16)]
        await vouchers_sound(db)
