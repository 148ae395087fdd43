"""Vouchers at a till: never more than they give, each request once, declines on record."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hub.benefits.vouchers.configure import configure_campaigns
from hub.benefits.vouchers.expire import expire_vouchers
from hub.benefits.vouchers.judge import VoucherAsked
from hub.benefits.vouchers.lapse import lapse_vouchers
from hub.benefits.vouchers.queries import vouchers_by_id
from hub.benefits.vouchers.redeem import redeem_reserved
from hub.benefits.vouchers.release import release_vouchers
from hub.benefits.vouchers.reserve import reserve_vouchers
from hub.benefits.vouchers.worth import Verdict
from hub.errors import Conflict, Malformed
from hub.ledger.verify import verify
from tests.support.vouchers import (
    DAY,
    END,
    KEYRING,
    NOW,
    START,
    accounts_of_members,
    bill,
    campaign,
    cancelled,
    earning_rules,
    given,
    left,
    make_campaigns,
    redeemed,
    vouchers_sound,
)

LATER = NOW + timedelta(minutes=10)


async def test_a_use_is_used_once_and_then_declined(db: AsyncConnection) -> None:
    shops = await make_campaigns(db, campaign(uses=2))
    voucher = await given(db)
    said = []
    for n in range(3):
        answer = await redeemed(db, shops["hotel"], [voucher], key=f"sale-{n}")
        said.append((answer.outcome, answer.amount_minor))
    assert said == [(Verdict.TAKEN, 1000), (Verdict.TAKEN, 1000), (Verdict.USED_UP, 0)]
    again = await redeemed(db, shops["hotel"], [voucher], key="sale-2")
    assert (again.outcome, again.replayed) == (Verdict.USED_UP, True)
    assert await left(db, voucher) == (0, 2, 0)
    await vouchers_sound(db)


async def test_a_repeated_request_gets_its_first_answer(db: AsyncConnection) -> None:
    shops = await make_campaigns(db)
    voucher = await given(db)
    first = await redeemed(db, shops["hotel"], [voucher])
    again = await redeemed(db, shops["hotel"], [voucher], at=END + timedelta(days=1))
    assert (again.replayed, again.parts, again.at) == (True, first.parts, NOW)
    for other, field in (
        ({"of": bill(9999)}, "bill_minor"),
        ({"policy": "skip_invalid"}, "policy"),
        ({"member_id": 2}, "member_id"),
    ):
        with pytest.raises(Conflict) as refused:
            await redeemed(db, shops["hotel"], [voucher], **other)
        assert refused.value.field == field


async def test_the_rest_of_a_cash_voucher_is_kept(db: AsyncConnection) -> None:
    shops = await make_campaigns(db, campaign(amount_minor=10_000, keeps_rest=True))
    voucher = await given(db)
    first = await redeemed(db, shops["hotel"], [voucher], of=bill(3000), key="a")
    asked = VoucherAsked(voucher_id=voucher.voucher_id, amount_minor=2000)
    second = await redeemed(db, shops["dining"], [asked], of=bill(5000), key="b")
    third = await redeemed(db, shops["hotel"], [voucher], of=bill(90_000), key="c")
    taken = [(a.amount_minor, a.parts[0].left) for a in (first, second, third)]
    assert taken == [(3000, 7000), (2000, 5000), (5000, 0)]
    for answer, shop in ((second, "dining"), (third, "hotel"), (first, "hotel")):
        undone = await cancelled(
            db, shops[shop], answer.parts[0].entry_id, key=f"undo-{answer.request_id}"
        )
        assert undone.outcome is Verdict.TAKEN
    assert await left(db, voucher) == (0, 0, 10_000)
    await vouchers_sound(db)


@pytest.mark.parametrize(
    ("terms", "request_", "verdict"),
    [
        ({}, {"shop": "retail"}, Verdict.WRONG_BUSINESS),
        ({"outlets": ["lobby"]}, {}, Verdict.WRONG_OUTLET),
        ({"outlets": ["lobby"]}, {"of": bill(outlet="lobby")}, Verdict.TAKEN),
        ({}, {"of": bill(currency="EUR")}, Verdict.WRONG_CURRENCY),
        ({"valid_from": NOW + timedelta(days=1)}, {}, Verdict.NOT_YET_VALID),
        ({}, {"at": END}, Verdict.EXPIRED),
        ({"valid_days": 3}, {"at": NOW + timedelta(days=5)}, Verdict.EXPIRED),
        ({"minimum_minor": 10_001}, {}, Verdict.BELOW_MINIMUM),
        ({"categories": ["wine"]}, {}, Verdict.WRONG_CATEGORY),
        (
            {"categories": ["wine"], "minimum_minor": 500},
            {"of": bill(categories={"wine": 400})},
            Verdict.BELOW_MINIMUM,
        ),
        (
            {"times": [{"weekdays": [1, 2], "from": "18:00", "until": "22:00"}]},
            {},
            Verdict.WRONG_TIME,
        ),
        (
            {"times": [{"weekdays": [3], "from": "18:00", "until": "02:00"}]},
            {"at": NOW + timedelta(hours=5)},
            Verdict.TAKEN,
        ),
        ({}, {"member_id": 2}, Verdict.NOT_YOURS),
        ({}, {"of": bill(0)}, Verdict.NOTHING_TO_TAKE),
    ],
)
async def test_a_voucher_is_for_its_shop_hour_bill_and_member(
    db: AsyncConnection, terms: dict[str, Any], request_: dict[str, Any], verdict: Verdict
) -> None:
    shops = await make_campaigns(db, campaign(**terms))
    voucher = await given(db)
    shop = shops[request_.pop("shop", "hotel")]
    answer = await redeemed(db, shop, [voucher], **request_)
    assert (answer.outcome, answer.parts[0].verdict) == (verdict, verdict)
    assert (await left(db, voucher))[1] == (verdict is Verdict.TAKEN)


@pytest.mark.parametrize(
    ("terms", "of", "amount"),
    [
        ({"kind": "percentage", "percent": "12.5"}, bill(1004), 126),
        ({"kind": "percentage", "percent": "50", "cap_minor": 300}, bill(1004), 300),
        ({"kind": "threshold", "threshold_minor": 3000, "amount_minor": 500}, bill(9999), 500),
        (
            {"kind": "threshold", "threshold_minor": 3000, "amount_minor": 500, "repeats": True},
            bill(9999),
            1500,
        ),
        ({"kind": "delivery", "cap_minor": 600}, bill(9999, delivery_minor=800), 600),
        ({"kind": "delivery"}, bill(9999, delivery_minor=800), 800),
        ({"kind": "gift", "item": "dessert", "price_minor": 1500}, bill(), 0),
        ({"kind": "cash", "categories": ["wine"]}, bill(9999, categories={"wine": 700}), 700),
    ],
)
async def test_what_each_kind_takes_off(
    db: AsyncConnection, terms: dict[str, Any], of: Any, amount: int
) -> None:
    shops = await make_campaigns(db, campaign(**terms))
    answer = await redeemed(db, shops["dining"], [await given(db)], of=of)
    assert (answer.outcome, answer.amount_minor) == (Verdict.TAKEN, amount)
    price = await db.scalar(text("SELECT price_minor FROM voucher_entry WHERE kind = 'redeemed'"))
    assert price == terms.get("price_minor", amount)


async def test_several_vouchers_by_policy_and_stacking_group(db: AsyncConnection) -> None:
    shops = await make_campaigns(
        db,
        campaign("a", stacking_group="off"),
        campaign("b", stacking_group="off"),
        campaign("c", kind="percentage", percent="10"),
        campaign("d", alone=True),
    )
    a, b, c, d = [await given(db, code, source_id=code) for code in "abcd"]
    strict = await redeemed(db, shops["hotel"], [a, b, c], key="strict")
    assert strict.outcome is Verdict.NOT_STACKABLE
    assert [p.verdict for p in strict.parts] == [
        Verdict.LEFT_OUT,
        Verdict.NOT_STACKABLE,
        Verdict.LEFT_OUT,
    ]
    loose = await redeemed(db, shops["hotel"], [a, b, c, d], key="loose", policy="skip_invalid")
    # A tenth of what the first one left: 10 % of ¥90.
    assert [(p.verdict, p.amount_minor) for p in loose.parts] == [
        (Verdict.TAKEN, 1000),
        (Verdict.NOT_STACKABLE, 0),
        (Verdict.TAKEN, 900),
        (Verdict.NOT_STACKABLE, 0),
    ]
    assert [(await left(db, each))[1] for each in (a, b, c, d)] == [1, 0, 1, 0]
    with pytest.raises(Malformed, match="twice"):
        await redeemed(db, shops["hotel"], [b, b], key="twice")


async def _reserve(
    db: AsyncConnection, shop: Any, vouchers: list[Any], key: str, **more: Any
) -> Any:
    return await reserve_vouchers(
        db,
        business=shop,
        vouchers=[VoucherAsked(voucher_id=each.voucher_id) for each in vouchers],
        **{"bill": bill(), "member_id": 1, "ttl_seconds": 300, "now": NOW, **more},
        idempotency_key=key,
        business_date=DAY,
        keyring=KEYRING,
    )


async def test_what_is_reserved_is_redeemed_released_or_lapses(db: AsyncConnection) -> None:
    shops = await make_campaigns(
        db, campaign(), campaign("card", amount_minor=9000, keeps_rest=True)
    )
    voucher, card = await given(db), await given(db, "card", source_id="card")
    hotel = shops["hotel"]
    held = await _reserve(db, hotel, [voucher, card], "r1")
    assert (held.amount_minor, held.expires_at) == (10_000, NOW + timedelta(seconds=300))
    elsewhere = await redeemed(db, shops["dining"], [voucher], key="elsewhere")
    assert elsewhere.outcome is Verdict.RESERVED_ELSEWHERE
    end = {"business_id": hotel.business_id, "business_date": DAY, "now": NOW}
    used = await redeem_reserved(
        db, reservation_id=held.request_id, idempotency_key="u1", **end,
        amounts={card.voucher_id: 2500},
    )  # fmt: skip
    assert (used.outcome, used.amount_minor) == (Verdict.TAKEN, 3500)
    assert await left(db, card) == (0, 2500, 6500)
    for key, verb in (("u2", redeem_reserved), ("u3", release_vouchers)):
        closed = await verb(db, reservation_id=held.request_id, idempotency_key=key, **end)
        assert closed.outcome is Verdict.RESERVATION_CLOSED
    stranger = await release_vouchers(
        db, reservation_id=held.request_id, idempotency_key="u4",
        **{**end, "business_id": shops["dining"].business_id},
    )  # fmt: skip
    assert stranger.outcome is Verdict.RESERVATION_UNKNOWN
    second = await _reserve(db, hotel, [card], "r2")
    released = await release_vouchers(
        db, reservation_id=second.request_id, idempotency_key="u5", **end
    )
    assert (released.outcome, await left(db, card)) == (Verdict.TAKEN, (0, 2500, 6500))
    # Whose time is over is free for the next till, whether it was swept or not.
    await _reserve(db, hotel, [card], "r3")
    third = await _reserve(db, shops["dining"], [card], "r4", now=LATER)
    assert third.outcome is Verdict.TAKEN
    assert await lapse_vouchers(db, now=LATER + timedelta(minutes=6)) == 1
    assert await left(db, card) == (0, 2500, 6500)
    await vouchers_sound(db)


async def test_one_that_ends_while_it_is_reserved_is_redeemed(db: AsyncConnection) -> None:
    shops = await make_campaigns(db)
    voucher = await given(db)
    before = END - timedelta(seconds=10)
    held = await _reserve(db, shops["hotel"], [voucher], "r", now=before)
    assert await expire_vouchers(db, now=END) == 0
    used = await redeem_reserved(
        db,
        business_id=shops["hotel"].business_id,
        reservation_id=held.request_id,
        idempotency_key="u",
        business_date=DAY,
        now=END,
    )
    assert used.outcome is Verdict.TAKEN


async def test_a_refund_gives_back_in_part_and_adds_up(db: AsyncConnection) -> None:
    shops = await make_campaigns(db, campaign(kind="gift", item="cake", price_minor=1000))
    voucher = await given(db)
    sale = await redeemed(db, shops["hotel"], [voucher], key="gift")
    gone = await cancelled(db, shops["hotel"], sale.parts[0].entry_id, key="undo")
    assert (gone.outcome, await left(db, voucher)) == (Verdict.TAKEN, (0, 0, 1))
    again = await cancelled(db, shops["hotel"], sale.parts[0].entry_id, key="again")
    assert again.outcome is Verdict.ALREADY_CANCELLED
    foreign = await cancelled(db, shops["dining"], sale.parts[0].entry_id, key="foreign")
    assert foreign.outcome is Verdict.REDEMPTION_UNKNOWN


@pytest.mark.parametrize(
    ("on_refund", "used"), [("proportion", [1, 1, 0]), ("whole", [0, 0, 0]), ("lost", [1, 1, 1])]
)
async def test_parts_of_a_refund_round_to_the_whole_price(
    db: AsyncConnection, on_refund: str, used: list[int]
) -> None:
    shops = await make_campaigns(db, campaign(price_minor=100, on_refund=on_refund))
    voucher = await given(db)
    sale = await redeemed(db, shops["hotel"], [voucher])
    entry = sale.parts[0].entry_id
    seen = []
    for n, amount in enumerate((333, 333, 334)):
        await cancelled(db, shops["hotel"], entry, key=f"u{n}", amount_minor=amount)
        seen.append((await left(db, voucher))[1])
    assert seen == used
    too_much = await cancelled(db, shops["hotel"], entry, key="more", amount_minor=1)
    assert too_much.outcome is Verdict.ALREADY_CANCELLED
    back = await db.scalars(
        text("SELECT price_minor FROM voucher_entry WHERE kind = 'cancelled' ORDER BY entry_id")
    )
    assert list(back) == [-33, -34, -33]
    await vouchers_sound(db)


@pytest.mark.parametrize(("grace", "verdict"), [(5, Verdict.TAKEN), (0, Verdict.EXPIRED)])
async def test_what_ended_meanwhile_has_its_days_of_grace(
    db: AsyncConnection, grace: int, verdict: Verdict
) -> None:
    shops = await make_campaigns(db, campaign(uses=2, grace_days=grace))
    voucher = await given(db)
    sale = await redeemed(db, shops["hotel"], [voucher])
    after = END + timedelta(days=3)
    assert await expire_vouchers(db, now=after) == 1
    await cancelled(db, shops["hotel"], sale.parts[0].entry_id, key="undo", at=after)
    answer = await redeemed(
        db, shops["hotel"], [voucher], key="again", at=after + timedelta(days=4)
    )
    assert answer.outcome is verdict
    found = await vouchers_by_id(db, voucher_ids=[voucher.voucher_id], now=after)
    assert found[voucher.voucher_id].ends_at == (after + timedelta(days=grace) if grace else END)
    await vouchers_sound(db)


async def test_points_are_given_once_and_taken_back(db: AsyncConnection) -> None:
    shops = await make_campaigns(db, campaign(kind="points", points=500, price_minor=0, uses=2))
    await accounts_of_members(db, shops["dining"].business_id)
    await earning_rules(db)
    voucher = await given(db)
    for _ in range(2):
        sale = await redeemed(db, shops["hotel"], [voucher], key="a")
    held = await _reserve(db, shops["hotel"], [voucher], "r")
    end = {"business_id": shops["hotel"].business_id, "business_date": DAY, "now": NOW}
    more = await redeem_reserved(db, reservation_id=held.request_id, idempotency_key="u", **end)
    assert (sale.outcome, more.outcome) == (Verdict.TAKEN, Verdict.TAKEN)
    lots = text("SELECT issuer_id, member_id, remaining FROM lot ORDER BY lot_id")
    funder = shops["retail"].business_id
    assert [tuple(lot) for lot in await db.execute(lots)] == [(funder, 1, 500), (funder, 1, 500)]
    for key in ("undo", "undo", "again"):
        await cancelled(db, shops["hotel"], sale.parts[0].entry_id, key=key)
    assert [lot.remaining for lot in await db.execute(lots)] == [0, 500]
    assert await verify(db) == []
    await vouchers_sound(db)


async def test_thirty_two_tills_never_use_more_than_there_is(engine: AsyncEngine) -> None:
    async with engine.begin() as db:
        shops = await make_campaigns(
            db, campaign(uses=5), campaign("card", amount_minor=1000, keeps_rest=True)
        )
        several, card = await given(db), await given(db, "card", source_id="card")

    async def one(n: int) -> tuple[Verdict, int]:
        shop = shops["hotel"] if n % 2 else shops["dining"]
        async with engine.begin() as db:
            if n % 4 < 2:
                answer = await redeemed(db, shop, [several, card], key=f"t{n // 4}", of=bill(1100))
            else:
                answer = await redeemed(db, shop, [card, several], key=f"u{n // 4}", of=bill(130),
                                        policy="skip_invalid")  # fmt: skip
        return answer.outcome, sum(
            p.quantity for p in answer.parts if p.voucher_id == card.voucher_id
        )

    answers = await asyncio.gather(*(one(n) for n in range(32)))
    assert {verdict for verdict, _ in answers} <= {
        Verdict.TAKEN, Verdict.USED_UP, Verdict.NOTHING_TO_TAKE
    }  # fmt: skip
    async with engine.begin() as db:
        assert (await left(db, several))[1] <= 5
        assert (await left(db, card))[2] == 0
        await vouchers_sound(db)


@pytest.mark.parametrize(
    "wrong",
    [
        "UPDATE voucher SET used = granted + 1",
        "UPDATE voucher SET held = granted, used = 1",
        "UPDATE voucher_entry SET used = 0",
        "DELETE FROM voucher_request",
        "UPDATE voucher_terms SET granted = 9",
    ],
)
async def test_the_database_itself_refuses_overuse_and_rewriting(
    db: AsyncConnection, wrong: str
) -> None:
    shops = await make_campaigns(db)
    await redeemed(db, shops["hotel"], [await given(db)])
    with pytest.raises(IntegrityError, match=r"check constraint|append-only"):
        await db.execute(text(wrong))


async def test_terms_stay_those_of_the_day_it_was_issued(db: AsyncConnection) -> None:
    shops = await make_campaigns(db)
    voucher = await given(db)
    better = campaign(amount_minor=5000, effective_from=START + timedelta(days=30))
    await configure_campaigns(db, campaigns=[better, campaign()])
    with pytest.raises(Conflict, match="in force"):
        await configure_campaigns(db, campaigns=[campaign(amount_minor=2000)])
    newer = await given(db, source_id="2")
    taken = [
        (await redeemed(db, shops["hotel"], [each], key=str(each.voucher_id))).amount_minor
        for each in (voucher, newer)
    ]
    assert taken == [1000, 5000]
