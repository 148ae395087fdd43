"""Vouchers through any history: never more than they give, and refunds give back what was used."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.vouchers.expire import expire_vouchers
from hub.benefits.vouchers.judge import VoucherAsked
from hub.benefits.vouchers.lapse import lapse_vouchers
from hub.benefits.vouchers.queries import Voucher
from hub.benefits.vouchers.redeem import redeem_reserved
from hub.benefits.vouchers.release import release_vouchers
from hub.benefits.vouchers.reserve import reserve_vouchers
from hub.benefits.vouchers.worth import Verdict
from hub.programme.queries import Business
from tests.support import vouchers as kit

GRANTED = {"card": 1000, "several": 3}
TTL = timedelta(seconds=600)
TOO_LATE = timedelta(days=400)

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("redeem"), st.sampled_from(sorted(GRANTED)), st.integers(1, 700)),
        st.tuples(st.just("reserve"), st.sampled_from(sorted(GRANTED)), st.integers(1, 700)),
        st.tuples(st.just("use"), st.integers(0, 5), st.integers(0, 700)),
        st.tuples(st.just("release"), st.integers(0, 5), st.just(0)),
        st.tuples(st.just("cancel"), st.integers(0, 5), st.integers(1, 700)),
        st.tuples(st.just("wait"), st.integers(0, 12), st.booleans()),
        st.tuples(st.just("again"), st.integers(0, 30), st.just(0)),
    ),
    min_size=3,
    max_size=25,
)


@dataclass
class Redemption:
    """What the model knows of one."""

    entry_id: int
    name: str
    quantity: int
    amount: int
    undone: int = 0


@dataclass
class Town:
    """The hub's vouchers beside a model of them."""

    db: AsyncConnection
    shop: Business
    cards: dict[str, Voucher]
    at: datetime = kit.NOW
    used: dict[str, int] = field(default_factory=lambda: dict.fromkeys(GRANTED, 0))
    holds: dict[int, tuple[str, int, int, datetime]] = field(default_factory=dict)
    redeemed: list[Redemption] = field(default_factory=list)
    asked: list[Any] = field(default_factory=list)

    def free(self, name: str) -> int:
        kept = sum(n for of, n, _, until in self.holds.values() if of == name and until > self.at)
        return GRANTED[name] - self.used[name] - kept

    def wanted(self, name: str, amount: int) -> int:
        return amount if name == "card" else 1

    async def call(self, verb: Any, **facts: Any) -> Any:
        """Send a request under a key of its own, and remember it."""
        said = {"idempotency_key": f"k{len(self.asked)}", "business_date": kit.DAY, **facts}
        answer = await verb(self.db, now=self.at, **said)
        assert not answer.replayed
        self.asked.append((verb, said, answer))
        return answer

    async def redeem(self, name: str, amount: int, *, reserve: bool = False) -> None:
        facts: dict[str, Any] = {
            "business": self.shop,
            "vouchers": [VoucherAsked(voucher_id=self.cards[name].voucher_id, amount_minor=amount)],
            "bill": kit.bill(amount),
            "member_id": 1,
            "keyring": kit.KEYRING,
        }
        if reserve:
            facts["ttl_seconds"] = int(TTL.total_seconds())
        n, free = self.wanted(name, amount), self.free(name)
        answer = await self.call(reserve_vouchers if reserve else kit.redeem_vouchers, **facts)
        if n > free:
            assert answer.outcome in {
                Verdict.USED_UP, Verdict.RESERVED_ELSEWHERE, Verdict.AMOUNT_TOO_HIGH,
                Verdict.NOTHING_TO_TAKE,
            }  # fmt: skip
            return
        assert answer.outcome is Verdict.TAKEN
        if reserve:
            self.holds[answer.request_id] = (name, n, amount, self.at + TTL)
        else:
            self._took(name, n, amount, answer.parts[0].entry_id)

    def _took(self, name: str, n: int, amount: int, entry_id: int | None) -> None:
        assert entry_id is not None
        self.used[name] += n
        self.redeemed.append(Redemption(entry_id, name, n, amount))

    async def end(self, place: int, amount: int, *, use: bool) -> None:
        if not self.holds:
            return
        number = sorted(self.holds)[place % len(self.holds)]
        name, n, held, until = self.holds[number]
        facts: dict[str, Any] = {
            "business_id": self.shop.business_id,
            "reservation_id": number,
        }
        if use:
            facts["amounts"] = {self.cards[name].voucher_id: min(amount, held)}
        answer = await self.call(redeem_reserved if use else release_vouchers, **facts)
        del self.holds[number]
        if until <= self.at:
            assert answer.outcome is Verdict.RESERVATION_CLOSED
            return
        assert answer.outcome is Verdict.TAKEN
        taken = min(amount, held) if use else 0
        n = (taken if name == "card" else n) if use else 0
        if n:
            self._took(name, n, taken, answer.parts[0].entry_id)

    async def cancel(self, place: int, amount: int | None) -> None:
        if not self.redeemed:
            return
        of = self.redeemed[place % len(self.redeemed)]
        left = of.amount - of.undone
        answer = await self.call(
            kit.cancel_redemption, business_id=self.shop.business_id, entry_id=of.entry_id,
            amount_minor=amount,
        )  # fmt: skip
        n = left if amount is None else amount
        if n > left or (left == 0 and of.undone == of.amount and of.amount > 0):
            assert answer.outcome in {Verdict.AMOUNT_TOO_HIGH, Verdict.ALREADY_CANCELLED}
            return
        assert answer.outcome is Verdict.TAKEN
        of.undone += n
        if of.name == "card":
            self.used["card"] -= n
        elif of.undone == of.amount:
            self.used[of.name] -= of.quantity

    async def again(self, place: int) -> None:
        if self.asked:
            verb, said, answer = self.asked[place % len(self.asked)]
            same = await verb(self.db, now=self.at, **said)
            assert (same.replayed, same.parts, same.outcome) == (True, answer.parts, answer.outcome)

    async def step(self, step: tuple[Any, ...]) -> None:
        match step:
            case ("redeem" | "reserve" as verb, name, amount):
                await self.redeem(name, amount, reserve=verb == "reserve")
            case ("use" | "release" as verb, place, amount):
                await self.end(place, amount, use=verb == "use")
            case ("cancel", place, amount):
                await self.cancel(place, amount)
            case ("wait", minutes, sweep):
                self.at += timedelta(minutes=minutes)
                if sweep:
                    await lapse_vouchers(self.db, now=self.at)
            case ("again", place, _):
                await self.again(place)

    async def agrees(self) -> None:
        for name, voucher in self.cards.items():
            held, used, left = await kit.left(self.db, voucher)
            assert used == self.used[name]
            assert 0 <= self.used[name] <= GRANTED[name]
            assert left <= self.free(name)
            assert held >= GRANTED[name] - self.used[name] - self.free(name)
        await kit.vouchers_sound(self.db)


@asynccontextmanager
async def _town(db: AsyncConnection) -> AsyncIterator[Town]:
    async with db.begin_nested() as attempt:
        shops = await kit.make_campaigns(
            db,
            kit.campaign("card", amount_minor=1000, keeps_rest=True),
            kit.campaign("several", uses=3, price_minor=77, grace_days=9),
        )
        cards = {name: await kit.given(db, name, source_id=name) for name in GRANTED}
        yield Town(db, shops["hotel"], cards)
        await attempt.rollback()


@given(steps=STEPS, order=st.randoms(use_true_random=False))
@settings(
    max_examples=int(os.environ.get("HUB_VOUCHER_EXAMPLES", "20")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_a_voucher_gives_what_it_gives_and_refunds_undo_exactly_that(
    db: AsyncConnection, steps: list[tuple[Any, ...]], order: Any
) -> None:
    async with _town(db) as town:
        for step in steps:
            await town.step(step)
        await town.agrees()
        # Every redemption is refunded, in whatever order, some after the vouchers' end.
        places = list(range(len(town.redeemed)))
        order.shuffle(places)
        for place in places[: len(places) // 2]:
            await town.cancel(place, None)
        town.at += TOO_LATE
        await lapse_vouchers(db, now=town.at)
        await expire_vouchers(db, now=town.at)
        for place in places:
            await town.cancel(place, None)
        assert town.used == dict.fromkeys(GRANTED, 0)
        town.holds.clear()
        await town.agrees()
        unpaid = await db.execute(
            text("SELECT sum(price_minor), sum(amount_minor), sum(used) FROM voucher_entry")
        )
        assert set(unpaid.one()) <= {0, None}
