"""The golden month as it would happen: canonical events come in, tills redeem, the sweep expires.

Sales are of 990 yuan (a rule of 1.262627 points per yuan gives 1,250 points for each), so that the
month's figures come out whole. What the businesses sold in September are the opening points.
"""

import hashlib
import json
from datetime import UTC, date, datetime, time
from decimal import Decimal
from itertools import count
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from connectors.sandbox.delivery import Delivery, identifier
from connectors.sandbox.signing import sign
from hub.accounting.exports.export_journals import FORMATS, export_journals
from hub.accounting.journals.lines import Journal
from hub.accounting.movements import RollForward
from hub.accounting.recognise import recognise
from hub.clock import now
from hub.closing.actors import check_and_close
from hub.closing.ask_close import CLOSE, ask_close
from hub.connector import Inbound
from hub.crypto.keyring import Keyring
from hub.entrypoints.commands.programme import GroupFile, apply_group
from hub.intake.accept import accept
from hub.intake.actors import Intake
from hub.intake.connections import Switchboard
from hub.jobs.runtime import Runtime
from hub.ledger.codes import Outcome
from hub.ledger.post import Answer
from hub.points.expire import expire
from hub.points.redeem import redeem
from hub.programme.queries import businesses
from hub.settlement.issue_period import issue_period
from hub.settlement.queries import Period, period_by_id, statement
from tests.support.accounting import account_for, expect
from tests.support.golden_figures import INPUT, PARAMETERS
from tests.support.journals import give_charts, posted
from tests.support.settlement import statement_csv

SHOPS = {"R": "retail", "H": "hotel", "D": "dining"}
PERIOD = "2026-10"
SEPTEMBER, EARLY, LATER = date(2026, 9, 20), date(2026, 10, 5), date(2026, 10, 20)
LAST_DAY = date(2026, 10, 31)
SALE = 990
"""Yuan of a sale, which earns 1,250 points."""
SOLD = {letter: int(amount) for letter, amount in INPUT["sales"].items()}
SOLD_BEFORE = {"R": 39_600, "H": 19_800, "D": 0}
FORGOTTEN = {"R": 7_920, "H": 3_960}
"""Of what was sold before: to somebody who lets the points expire."""
REFUNDED = {letter: int(refund["sale"]) for letter, refund in INPUT["refunds"].items()}
GIVEN_BACK: int = INPUT["reinstated_points"]["R>H"]
"""Of R's points, spent at H on a bill that is refunded."""
SPENT = INPUT["redemptions_issuer_acceptor_points"] | {
    "R>H": INPUT["redemptions_issuer_acceptor_points"]["R>H"] - GIVEN_BACK
}
RATE = PARAMETERS["issuer_to_acceptor_rate_per_point"]
SECRET = "whsec_Z29sZGVuLW1vbnRoLXNlY3JldC1vZi0zMi1ieXRlcw=="
PHONES = {"R": "+8613900000001", "H": "+8613900000002", "D": "+8613900000003"}
FORGETFUL = {"R": "+8613900000011", "H": "+8613900000012"}


def group(**more: Any) -> GroupFile:
    """The three businesses, their rules, agreements and in-house systems; `more` overrides."""
    start = "2020-01-01T00:00:00+08:00"
    config: dict[str, Any] = {
        "group": {"name": "Golden Group", "time_zone": "Asia/Shanghai", "currency": "CNY"},
        "businesses": [
            {
                "code": code, "name": code.title(), "kind": code, "legal_entity": f"{code}-ltd",
                "legal_name": f"{code.title()} Ltd", "currency": "CNY", "country": "CN",
                "time_zone": "Asia/Shanghai",
            }
            for code in SHOPS.values()
        ],
        "earning_rules": [
            {
                "business": code, "effective_from": start, "points_per_unit": "1.262627",
                "qualifying_per_unit": "0", "cost_per_point": "0.008",
            }
            for code in SHOPS.values()
        ],
        # What was sold first lives for a month, so that it expires within the golden one.
        "expiry_policies": [
            {"effective_from": start, "mode": "months", "months": 1, "round_up_to": "day"},
            {
                "effective_from": "2026-09-10T00:00:00+08:00", "mode": "months", "months": 24,
                "round_up_to": "quarter",
            },
        ],
        "agreements": [
            {
                "issuer": issuer, "acceptor": acceptor, "effective_from": "2020-01-01",
                "currency": "CNY", "rate_per_point": RATE,
            }
            for issuer in SHOPS.values() for acceptor in SHOPS.values() if issuer != acceptor
        ],
        "connections": [
            {
                "code": f"{code}-system", "business": code, "connector": "canonical",
                "secrets": [SECRET],
            }
            for code in SHOPS.values()
        ],
    }  # fmt: skip
    return GroupFile.model_validate(config | more)


def noon(day: date) -> datetime:
    """Noon in the shops, whose clocks are eight hours ahead."""
    return datetime.combine(day, time(4), UTC)


def sold(number: str, yuan: int, day: date, phone: str) -> dict[str, Any]:
    """Return the event that tells of a sale."""
    data = {
        "id": number, "version": 1, "occurred_at": noon(day).isoformat(), "currency": "CNY",
        "total": f"{yuan}.00", "lines": [{"id": "1", "amount": f"{yuan}.00"}],
        "tenders": [{"kind": "card", "amount": f"{yuan}.00"}],
        "customer": {"id": phone, "phone": phone, "verified": ["phone"]},
    }  # fmt: skip
    return {"type": "sale.completed", "data": data}


def refunded(sale: str, yuan: int, kind: str, day: date) -> dict[str, Any]:
    """Return the event that tells of a refund, by the tender that the sale was paid with."""
    data = {
        "id": f"refund-of-{sale}", "sale": sale, "amount": f"{yuan}.00", "currency": "CNY",
        "occurred_at": noon(day).isoformat(), "tenders": [{"kind": kind, "amount": f"{yuan}.00"}],
    }  # fmt: skip
    return {"type": "refund.recorded", "data": data}


class GoldenMonth:
    """Plays the month into a hub of its own database."""

    def __init__(self, engine: AsyncEngine, database_url: str) -> None:
        self.engine = engine
        self.keyring = Keyring.generate()
        self._url = database_url
        self._runtime = Runtime(engine=engine, keyring=self.keyring)
        self._intake = Intake(self._runtime)
        self._switchboard = Switchboard(self.keyring)
        self._numbers = count(1)
        self.ids: dict[str, int] = {}

    async def configure(self, config: GroupFile | None = None) -> None:
        """Apply the group's file."""
        await apply_group(self._url, self.keyring, config or group())
        async with self.engine.connect() as db:
            codes = {one.code: one.business_id for one in await businesses(db)}
        self.ids = {letter: codes[code] for letter, code in SHOPS.items()}

    async def aclose(self) -> None:
        """Let go of what the intake holds."""
        await self._intake.aclose()

    async def hear(self, letter: str, events: list[dict[str, Any]]) -> None:
        """Have a business's own system tell events in one signed call, and work on them."""
        body = json.dumps({"events": events}).encode()
        said = Delivery(
            system="canonical", sent_at=now(), body=body, topic=None,
            transport_id=identifier("golden", letter, next(self._numbers)),
        )  # fmt: skip
        code = f"{SHOPS[letter]}-system"
        signed = sign(said, url=f"http://hub.test/hooks/{code}", secret=SECRET)
        inbound = Inbound(body=signed.body, headers=signed.headers, url=signed.url)
        async with self.engine.begin() as db:
            wired = await self._switchboard.by_code(db, code, now=now())
            await accept(db, wired=wired, inbound=inbound, now=now(), keyring=self.keyring)
        await self._intake.run(await self._waiting("intake.process"))

    async def _waiting(self, actor: str) -> list[int]:
        """Return the ids of the messages that wait for an actor."""
        async with self.engine.connect() as db:
            due = await db.scalars(
                text("""SELECT message_id FROM outbox_message
                  WHERE actor = :actor AND dead_at IS NULL ORDER BY message_id"""),
                {"actor": actor},
            )
            return list(due)

    async def account(self) -> None:
        """Say how points are accounted for, from the month before on, and in which accounts."""
        async with self.engine.begin() as db:
            for issuer_id in self.ids.values():
                value, rate = PARAMETERS["face_value_per_point"], PARAMETERS["expected_redemption"]
                await account_for(db, issuer_id, value=value, since=SEPTEMBER.replace(day=1))
                await expect(db, issuer_id, rate, since=SEPTEMBER.replace(day=1))
            await give_charts(db, *(f"{code}-ltd" for code in SHOPS.values()))

    async def close(self, code: str, *, by: str = "zhao") -> Period:
        """Ask for a period's close and have the worker close it, over or not."""
        async with self.engine.begin() as db:
            period = await ask_close(db, code=code, actor=by, early=True, now=now())
        await check_and_close(self._runtime, await self._waiting(CLOSE))
        async with self.engine.connect() as db:
            return await period_by_id(db, period.period_id)

    async def book(self, period: Period) -> tuple[dict[str, RollForward], dict[str, Journal]]:
        """Recognise, approve, issue and post a closed period; return what it made, by letter."""
        letters = {business_id: letter for letter, business_id in self.ids.items()}
        entities = {f"{code}-ltd": letter for letter, code in SHOPS.items()}
        async with self.engine.begin() as db:
            rolls = await recognise(db, period_id=period.period_id, actor="wei", now=now())
            journals = await posted(db, period.period_id, now())
            await issue_period(db, period_id=period.period_id, actor="li", now=now())
        return (
            {letters[roll.owner_id]: roll for roll in rolls},
            {entities[entity]: journal for entity, journal in journals.items()},
        )

    async def kept(self, period: Period) -> dict[str, Any]:
        """Return all that a closed and posted period says to anybody, as it is read now."""
        kept: dict[str, Any] = {}
        async with self.engine.connect() as db:
            for letter, business_id in self.ids.items():
                told = {"period_id": period.period_id, "business_id": business_id}
                kept[f"statement {letter}"] = await statement(db, **told)
                sheet = await statement_csv(db, **told)
                kept[f"lines {letter}"] = hashlib.sha256(sheet).hexdigest()
            for to in FORMATS:
                kept[to] = await export_journals(db, period_id=period.period_id, to=to)
        return kept

    async def sell(self, letter: str, yuan: int, day: date, phone: str) -> list[str]:
        """Sell goods for `yuan` net in sales of SALE, and the rest as one; returns their ids."""
        prices = [SALE] * (yuan // SALE) + ([yuan % SALE] if yuan % SALE else [])
        sales = [(f"{letter}-{next(self._numbers)}", price) for price in prices]
        if not sales:
            return []
        await self.hear(letter, [sold(number, price, day, phone) for number, price in sales])
        return [number for number, _ in sales]

    async def refund(self, letter: str, sale: str, yuan: int, kind: str, day: date) -> None:
        """Refund a sale by the tender it was paid with."""
        await self.hear(letter, [refunded(sale, yuan, kind, day)])

    async def spend(self, issuer: str, acceptor: str, points: int, day: date, key: str) -> Answer:
        """Redeem points of the customer of `issuer` alone at a till of `acceptor`."""
        async with self.engine.begin() as db:
            member_id = await db.scalar(
                text("""
                  SELECT DISTINCT account_holder(account_id) FROM account
                  WHERE business_id = :business AND external_id = :phone"""),
                {"business": self.ids[issuer], "phone": PHONES[issuer]},
            )
            answer = await redeem(
                db, business_id=self.ids[acceptor], member_id=member_id, points=points,
                idempotency_key=key, occurred_at=noon(day), business_date=day, today=day, now=now(),
            )  # fmt: skip
        assert answer.outcome is Outcome.POSTED
        return answer

    async def play(self) -> None:
        """Play the whole month, but for what comes late."""
        for letter, yuan in FORGOTTEN.items():
            await self.sell(letter, yuan, date(2026, 9, 5), FORGETFUL[letter])
        for letter, yuan in SOLD_BEFORE.items():
            await self.sell(letter, yuan - FORGOTTEN.get(letter, 0), SEPTEMBER, PHONES[letter])
        refunded = {}
        for letter, yuan in SOLD.items():
            back = REFUNDED.get(letter, 0)
            await self.sell(letter, yuan - back, EARLY, PHONES[letter])
            if back:
                (refunded[letter],) = await self.sell(letter, back, EARLY, PHONES[letter])
        for pair, points in SPENT.items():
            issuer, acceptor = pair.split(">")
            await self.spend(issuer, acceptor, points, LATER, key=f"till-{pair}")
        await self._pay_in_points_and_give_back()
        for letter, sale in refunded.items():
            await self.refund(letter, sale, REFUNDED[letter], "card", LAST_DAY)
        async with self.engine.begin() as db:
            await expire(db, today=LAST_DAY, now=noon(LAST_DAY))

    async def _pay_in_points_and_give_back(self) -> None:
        await self.spend("R", "H", GIVEN_BACK, LATER, key="till-dinner")
        paid = {
            "id": "dinner", "version": 1, "occurred_at": noon(LATER).isoformat(),
            "currency": "CNY", "total": "10.00", "lines": [{"id": "1", "amount": "10.00"}],
            "tenders": [{"kind": "points", "amount": "10.00", "reference": "till-dinner"}],
            "customer": {"id": PHONES["R"], "phone": PHONES["R"], "verified": ["phone"]},
        }  # fmt: skip
        await self.hear("H", [{"type": "sale.completed", "data": paid}])
        await self.refund("H", "dinner", 10, "points", LAST_DAY)


def yuan(minor: int) -> str:
    """Write fen as yuan, as the golden file does."""
    return str(Decimal(minor).scaleb(-2))
