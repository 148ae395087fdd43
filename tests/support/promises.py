"""Vouchers and benefits at random: used, given back in parts, and what businesses owe for each."""

from collections.abc import Callable, Mapping
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from random import Random

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.configure import configure
from hub.benefits.definitions import BenefitConfig
from hub.benefits.entitlements.cancel_use import cancel_use
from hub.benefits.entitlements.grant_entitlement import grant_entitlement
from hub.benefits.entitlements.requests import UseOutcome
from hub.benefits.use import use
from hub.benefits.vouchers.configure import configure_campaigns
from hub.benefits.vouchers.worth import Verdict
from hub.programme.queries import business_by_code
from hub.settlement.codes import LineKind
from hub.units import exponent
from tests.support.accounting import START
from tests.support.reference import Corrected, Pair
from tests.support.settlement import noon
from tests.support.vouchers import bill, campaign, cancelled, given, redeemed

DINNERS, PRICE, DESSERT = 1_000, 777, 345
"""What a voucher takes off, what its funder pays for it where that is said, and for a dessert."""


class Promises:
    """What every business promises, used at all of them; `owed` is told what comes of it."""

    def __init__(
        self, db: AsyncConnection, currencies: Mapping[str, str], dice: Random,
        owed: Callable[[Corrected], None],
    ) -> None:  # fmt: skip
        self.db, self.currencies, self.dice, self.owed = db, currencies, dice, owed
        self.taken: list[tuple[str, str, int, date, int, int]] = []
        self.served: list[tuple[str, str, int, date]] = []
        self._number = 0

    async def open(self, members: int) -> None:
        """Configure two campaigns and a benefit of each business; create the members."""
        places = list(self.currencies)
        for code, currency in self.currencies.items():
            facts = {
                "effective_from": START, "valid_from": START, "funder": code, "currency": currency,
                "businesses": places, "amount_minor": DINNERS,
            }  # fmt: skip
            await configure_campaigns(
                self.db,
                campaigns=[
                    campaign(f"as-taken-{code}", **facts),
                    campaign(f"priced-{code}", **facts, price_minor=PRICE),
                ],
            )
            dessert = BenefitConfig(
                code=f"dessert-{code}", effective_from=START, name="Dessert", name_zh="甜品",
                kind="free_item", funder=code, price_minor=DESSERT, currency=currency,
                offered_at=places,
            )  # fmt: skip
            await configure(self.db, tiers=[], benefits=[dessert])
        await self.db.execute(
            text("""
              INSERT INTO member (member_id, created_at) SELECT generate_series(1, :n), :at
              ON CONFLICT DO NOTHING"""),
            {"n": members, "at": START},
        )

    async def step(self, day: date) -> None:
        """Use something, or give something of it back."""
        verbs = (self._voucher, self._voucher, self._cancel, self._dessert, self._return)
        await self.dice.choice(verbs)(day)

    def _key(self) -> str:
        self._number += 1
        return f"promise-{self._number}"

    async def _owes(self, kind: LineKind, funder: str, shop: str, minor: int, day: date) -> None:
        if funder != shop and minor:
            currency = self.currencies[funder]
            ids = [(await business_by_code(self.db, code)).business_id for code in (funder, shop)]
            amount = Decimal(minor).scaleb(-exponent(currency))
            self.owed(Corrected(day, Pair(*ids, currency), 0, amount, kind))

    async def _voucher(self, day: date) -> None:
        funder, shop = (self.dice.choice(list(self.currencies)) for _ in range(2))
        kind, price = self.dice.choice([("as-taken", None), ("priced", PRICE)])
        key, at = self._key(), noon(day)
        voucher = await given(self.db, f"{kind}-{funder}", source_id=key, now=at)
        off = self.dice.randint(1, DINNERS)
        answer = await redeemed(
            self.db, await business_by_code(self.db, shop), [voucher], key=key, at=at,
            of=bill(off, currency=self.currencies[funder]),
        )  # fmt: skip
        assert answer.outcome is Verdict.TAKEN
        price = off if price is None else price
        self.taken.append((funder, shop, answer.parts[0].entry_id or 0, day, off, price))
        await self._owes(LineKind.VOUCHER, funder, shop, price, day)

    async def _cancel(self, day: date) -> None:
        """Give a redeemed voucher back in up to three parts: their prices add up to the whole."""
        if not self.taken:
            return
        place = self.dice.randrange(len(self.taken))
        funder, shop, entry_id, since, off, price = self.taken.pop(place)
        day, undone, paid_back = max(day, since), 0, 0
        marks = sorted({self.dice.randint(1, off) for _ in range(2)} | {off})
        for mark in marks[: self.dice.randint(1, 3)]:
            answer = await cancelled(
                self.db, await business_by_code(self.db, shop), entry_id, key=self._key(),
                amount_minor=mark - undone, at=noon(day),
            )  # fmt: skip
            assert answer.outcome is Verdict.TAKEN
            due = int((Decimal(price) * mark / off).to_integral_value(ROUND_HALF_UP))
            await self._owes(LineKind.VOUCHER, funder, shop, paid_back - due, day)
            undone, paid_back = mark, due

    async def _dessert(self, day: date) -> None:
        funder, shop = (self.dice.choice(list(self.currencies)) for _ in range(2))
        key, quantity = self._key(), self.dice.randint(1, 3)
        code = f"dessert-{funder}"
        await grant_entitlement(
            self.db, member_id=1, benefit_code=code, quantity=quantity, source="staff",
            source_id=key, starts_on=day, ends_on=day, now=noon(day),
        )  # fmt: skip
        answer = await use(
            self.db, member_id=1, benefit_code=code, idempotency_key=key, quantity=quantity,
            business_id=(await business_by_code(self.db, shop)).business_id, now=noon(day),
        )  # fmt: skip
        assert answer.outcome is UseOutcome.USED
        self.served += [(funder, shop, answer.use_id, day)] * quantity
        await self._owes(LineKind.BENEFIT, funder, shop, quantity * DESSERT, day)

    async def _return(self, day: date) -> None:
        if not self.served:
            return
        funder, shop, use_id, since = self.served.pop(self.dice.randrange(len(self.served)))
        day = max(day, since)
        answer = await cancel_use(
            self.db, business_id=(await business_by_code(self.db, shop)).business_id,
            use_id=use_id, idempotency_key=self._key(), now=noon(day), quantity=1,
        )  # fmt: skip
        assert answer.outcome is UseOutcome.CANCELLED
        await self._owes(LineKind.BENEFIT, funder, shop, -DESSERT, day)
