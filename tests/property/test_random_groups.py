"""Random groups, months on end: what was posted is settled, recognised, booked and stated.

Every group is made of a seed: businesses and legal entities, currencies, agreements and their
taxes, policies, estimates; then whatever happens in shops. Each month is worked out a second time
by tests/support/reference.py, from the entries alone.
"""

import csv
import io
import json
import os
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.accounting.journals.eliminate import eliminate
from hub.accounting.journals.lines import Journal
from hub.accounting.journals.post_journals import post_journals
from hub.accounting.movements import MovementKind, RollForward
from hub.accounting.recognise import recognise
from hub.accounting.standing import states_of
from hub.ledger.codes import Outcome
from hub.ledger.verify import verify
from hub.points.capture import capture
from hub.points.hold import hold
from hub.programme.agree import AgreementTaxConfig
from hub.programme.apply import (
    AgreementConfig,
    BusinessConfig,
    EarningRuleConfig,
    GroupConfig,
    ProgrammeConfig,
    apply,
)
from hub.programme.chart import Purpose
from hub.programme.policy_config import ExpiryPolicyConfig
from hub.programme.queries import businesses
from hub.settlement import verify as settlement
from hub.settlement.approve_correction import approve_correction
from hub.settlement.approve_period import approve_period
from hub.settlement.codes import LineKind
from hub.settlement.propose_correction import propose_correction
from hub.settlement.queries import Period, bilaterals, net_positions, statement, totals
from hub.units import exponent
from tests.property.test_random_months import MEMBERS, Months, ties
from tests.support.accounting import START, account_for, closed, expect
from tests.support.journals import give_charts
from tests.support.promises import Promises
from tests.support.reference import Corrected, Deal, Owed, Pair, Reference
from tests.support.settlement import noon, statement_csv

SEEDS = range(int(os.environ.get("HUB_GROUPS_EXAMPLES", "12")))
MONTHS, STEPS = 4, 34
FIRST = date(2026, 1, 1)
NEAR = Fraction(1, 10**9)
CODES = ("ash", "birch", "cedar", "date", "elm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A group as a seed makes it."""

    currencies: dict[str, str]
    entities: dict[str, str]
    costs: dict[str, Decimal]
    values: dict[str, Decimal]
    roles: dict[str, str]
    portfolios: dict[str, str]
    deals: dict[tuple[str, str], list[Deal]]


def a_plan(dice: Random) -> Plan:
    """Throw a group: two to five businesses, one to three currencies, a deal for every pair."""
    codes = CODES[: dice.randint(2, 5)]
    known = dice.sample(["CNY", "JPY", "KWD"], dice.randint(1, 3))
    currencies = {code: dice.choice(known) for code in codes}
    unit = {code: Decimal(10) ** (2 - exponent(currencies[code])) for code in codes}
    entities = {code: f"{code}-ltd" for code in codes}
    if len(codes) > 2 and dice.random() < 0.4:
        entities[codes[1]] = entities[codes[0]]

    def deal(issuer: str, since: date) -> Deal:
        own = dice.random() < 0.3
        tax = Decimal(dice.choice(["0", "0.06", "0.13", "0.0725"]))
        return Deal(
            since=since,
            rate=None if own else Decimal(dice.randint(0, 2_000_000)).scaleb(-8),
            currency=currencies[issuer] if own else dice.choice(known),
            tax=tax,
            included=bool(tax) and dice.random() < 0.5,
        )

    return Plan(
        currencies=currencies,
        entities=entities,
        costs={code: unit[code] * Decimal(dice.randint(1, 9_999)).scaleb(-6) for code in codes},
        values={code: unit[code] * Decimal(dice.randint(1, 9_999)).scaleb(-5) for code in codes},
        roles={code: dice.choice(["principal", "agent"]) for code in codes},
        portfolios={code: dice.choice(["month", "month", "all"]) for code in codes},
        deals={
            (i, a): [deal(i, START.date())]
            + ([deal(i, date(2026, 2, 10))] if dice.random() < 0.4 else [])
            for i in codes
            for a in codes
            if i != a
        },
    )


async def found(db: AsyncConnection, plan: Plan) -> dict[str, int]:
    """Configure a group and its books; return the businesses' ids by code."""
    config = ProgrammeConfig(
        group=GroupConfig(name="Random", time_zone="Asia/Shanghai", currency="CNY"),
        businesses=[
            BusinessConfig(
                code=code, name=code.title(), kind="retail", legal_entity=plan.entities[code],
                legal_name=plan.entities[code], currency=currency, country="CN",
                time_zone="Asia/Shanghai",
            )
            for code, currency in plan.currencies.items()
        ],
        earning_rules=[
            EarningRuleConfig(
                business=code, effective_from=START, points_per_unit=Decimal("1.1"),
                qualifying_per_unit=Decimal(0), cost_per_point=cost,
            )
            for code, cost in plan.costs.items()
        ],
        expiry_policies=[ExpiryPolicyConfig(effective_from=START, mode="months", months=2)],
        agreements=[
            AgreementConfig(
                issuer=issuer, acceptor=acceptor, effective_from=deal.since,
                rate_per_point=deal.rate, currency=deal.currency,
                taxes=(AgreementTaxConfig(kind="redemption", code=f"T{deal.tax:f}", rate=deal.tax,
                    included=deal.included),) if deal.tax else (),
            )
            for (issuer, acceptor), deals in plan.deals.items() for deal in deals
        ],
    )  # fmt: skip
    await apply(db, config=config)
    ids = {business.code: business.business_id for business in await businesses(db)}
    for code, business_id in ids.items():
        await account_for(
            db, business_id, value=str(plan.values[code]), since=FIRST, role=plan.roles[code],
            portfolio=plan.portfolios[code],
        )  # fmt: skip
    await give_charts(db, *sorted(set(plan.entities.values())))
    return ids


class Town(Months):
    """Months in a group of many currencies; keeps what was sold for how much, and holds points."""

    def __init__(self, db: AsyncConnection, ids: dict[str, int], seed: int, plan: Plan) -> None:
        super().__init__(db, ids, seed)
        self.currencies = plan.currencies
        self.reference = Reference(
            deals={(ids[i], ids[a]): deals for (i, a), deals in plan.deals.items()},
            values={ids[code]: value for code, value in plan.values.items()},
            pools={ids[code]: FIRST for code, how in plan.portfolios.items() if how == "all"},
        )
        self.promises = Promises(db, plan.currencies, self.dice, self._owes)

    def _owes(self, one: Corrected) -> None:
        self.reference.corrected.append(one)

    async def step(self, day: date) -> None:
        dice = self.dice.random()
        if dice < 0.1:
            await self._hold(day)
        elif dice < 0.14:
            await self._correct(day)
        elif dice < 0.3:
            await self.promises.step(day)
        else:
            await super().step(day)

    async def sell(self, issuer: str, member_id: int, price_minor: int, day: date) -> int:
        # What is too little for a point is no sale here: a yen is dearer than a fen.
        price_minor *= 10 ** max(exponent(self.currencies[issuer]) - 1, 0)
        tx_id = await super().sell(issuer, member_id, price_minor, day)
        places = exponent(self.currencies[issuer])
        self.reference.prices[tx_id] = Decimal(price_minor).scaleb(-places)
        return tx_id

    async def _hold(self, day: date) -> None:
        code, member = self.dice.choice(list(self.ids)), self.dice.randint(1, MEMBERS)
        points = self.dice.randint(2, 500)
        facts: dict[str, Any] = self._facts(code, day)
        held = await hold(
            self.db, member_id=member, points=points, ttl_seconds=60, today=day, **facts
        )
        if held.outcome is Outcome.POSTED:
            part = self.dice.choice([None, points // 2])
            facts = self._facts(code, day)
            await capture(self.db, member_id=member, hold_id=held.tx_id, points=part, **facts)

    async def _correct(self, day: date) -> None:
        debtor, creditor = self.dice.sample(list(self.ids), 2)
        currency = self.dice.choice(sorted(set(self.currencies.values())))
        amount = Decimal(self.dice.choice((1, -1)) * self.dice.randint(1, 10**11)).scaleb(-8)
        points = self.dice.randint(0, 100)
        pair = Pair(self.ids[debtor], self.ids[creditor], currency)
        made = await propose_correction(
            self.db, debtor_id=pair.debtor_id, creditor_id=pair.creditor_id, currency=currency,
            amount=amount, points=points, reason="counted twice", actor="mei",
            idempotency_key=self._key(), now=noon(day),
        )  # fmt: skip
        await approve_correction(
            self.db, correction_id=made.correction_id, actor="wei", now=noon(day)
        )
        self.reference.corrected.append(Corrected(day, pair, points, amount))


@pytest.mark.parametrize("seed", SEEDS)
async def test_what_was_posted_is_settled_recognised_booked_and_stated(
    db: AsyncConnection, seed: int
) -> None:
    dice = Random(seed)
    plan = a_plan(dice)
    ids = await found(db, plan)
    town = Town(db, ids, seed, plan)
    await town.promises.open(MEMBERS)
    rates: dict[int, Decimal] = {}
    before: dict[int, RollForward] = {}
    for number in range(1, MONTHS + 1):
        first = date(2026, number, 1)
        for business_id in ids.values():
            if number == 1 or dice.random() < 0.3:
                rates[business_id] = Decimal(dice.randint(1, 100)) / 100
                await expect(db, business_id, str(rates[business_id]), since=first)
        for n in sorted(dice.randint(0, 27) for _ in range(STEPS)):
            late = number > 1 and dice.random() < 0.1
            await town.step(first + timedelta(days=n - 31 if late else n))
        at = datetime(2026, number + 1, 1, tzinfo=UTC)
        period = await closed(db, f"2026-{number:02}", at)
        news = await town.reference.news(db, period.ends_on)
        owed = town.reference.settle(news, period.ends_on)
        town.reference.recognise(news, rates)
        await _is_settled(db, period, owed)
        await _is_stated(db, ids, period, owed)
        rolls = await recognise(db, period_id=period.period_id, actor="wei", now=at)
        for roll in rolls:
            ties(roll, before.get(roll.owner_id))
        await _is_recognised(db, period, town.reference, rates)
        await approve_period(db, period_id=period.period_id, actor="li", now=at)
        journals = await post_journals(db, period_id=period.period_id, actor="wei", now=at)
        _is_booked(journals, owed, rolls, {ids[code]: e for code, e in plan.entities.items()})
        before = {roll.owner_id: roll for roll in rolls}
    assert await verify(db) == []
    for name in (settlement.PERIODS, *settlement.CHECKS):
        assert await settlement.check(db, name) is None


async def _is_settled(
    db: AsyncConnection, period: Period, owed: dict[tuple[Pair, Deal], Owed]
) -> None:
    """Totals are the lines' sums, rounded and taxed once; both nettings follow, and sum to zero."""
    ids = [period.period_id]
    kept = {
        (
            Pair(t.debtor_id, t.creditor_id, t.currency.strip()),
            LineKind(t.kind),
            t.tax_rate or Decimal(0),
            bool(t.tax_included),
        ): (t.lines, t.points, t.exact, t.net_minor, t.tax_minor)
        for t in (await totals(db, period_ids=ids))[period.period_id]
    }
    assert kept == {
        (pair, deal.kind, deal.tax, deal.included): (
            o.lines,
            o.points,
            o.exact,
            *deal.total(o.exact),
        )
        for (pair, deal), o in owed.items()
    }
    nets: dict[tuple[int, str], int] = defaultdict(int)
    pairs: dict[tuple[int, int, str], int] = defaultdict(int)
    for (debtor_id, creditor_id, currency), gross in _gross(owed):
        nets[creditor_id, currency] += gross
        nets[debtor_id, currency] -= gross
        low, high = sorted((debtor_id, creditor_id))
        pairs[low, high, currency] += gross if debtor_id == low else -gross
    found = (await net_positions(db, period_ids=ids))[period.period_id]
    assert {(n.business_id, n.currency): n.net_minor for n in found} == nets
    by_currency: dict[str, int] = defaultdict(int)
    for net in found:
        by_currency[net.currency] += net.net_minor
    assert not any(by_currency.values())
    sides = (await bilaterals(db, period_ids=ids))[period.period_id]
    assert {
        (min(p.debtor_id, p.creditor_id), max(p.debtor_id, p.creditor_id), p.currency): (
            p.net_minor if p.debtor_id < p.creditor_id else -p.net_minor
        )
        for p in sides
    } == pairs


def _gross(owed: dict[tuple[Pair, Deal], Owed]) -> list[tuple[Pair, int]]:
    return [(pair, sum(deal.total(o.exact))) for (pair, deal), o in owed.items()]


async def _is_stated(
    db: AsyncConnection, ids: dict[str, int], period: Period, owed: dict[tuple[Pair, Deal], Owed]
) -> None:
    """A statement's lines, roundings and taxes sum to its nets; it has exactly its own lines."""
    for business_id in ids.values():
        told = await statement(db, period_id=period.period_id, business_id=business_id)
        assert told.body is not None
        body = json.loads(told.body)
        its = {pair: o for pair, o in owed.items() if business_id in pair[0][:2]}
        assert body["lines"]["count"] == sum(o.lines for o in its.values())
        nets: dict[str, Decimal] = defaultdict(Decimal)
        for (_, creditor_id, currency), gross in _gross(its):
            sign = 1 if creditor_id == business_id else -1
            nets[currency] += sign * Decimal(gross).scaleb(-exponent(currency))
        assert {n["currency"]: Decimal(n["amount"]) for n in body["nets"]} == nets
        sheet = await statement_csv(db, period_id=period.period_id, business_id=business_id)
        summed: dict[str, Decimal] = dict.fromkeys(nets, Decimal(0))
        for row in csv.DictReader(io.StringIO(sheet.decode())):
            if row["record"] in ("line", "rounding", "tax"):
                summed[row["currency"]] += Decimal(row["amount"])
        assert summed == nets


async def _is_recognised(
    db: AsyncConnection, period: Period, reference: Reference, rates: dict[int, Decimal]
) -> None:
    """Every cohort's points and liability are as worked out anew."""
    states = {(s.issuer_id, s.cohort): s for s in await states_of(db, period_id=period.period_id)}
    assert states.keys() == reference.cohorts.keys()
    for key, cohort in reference.cohorts.items():
        state = states[key]
        assert (state.issued, state.redeemed, state.outstanding) == (
            cohort.issued,
            cohort.redeemed,
            cohort.left,
        )
        owed = cohort.owed(Fraction(rates[key[0]]))
        assert abs(Fraction(state.liability) - owed) < NEAR


def _is_booked(
    journals: list[Journal],
    owed: dict[tuple[Pair, Deal], Owed],
    rolls: list[RollForward],
    entities: dict[int, str],
) -> None:
    """Events balance; what is receivable less payable is the net position, but for one's own."""
    booked: dict[tuple[Purpose, int, str], int] = defaultdict(int)
    for journal in journals:
        events: dict[str, int] = defaultdict(int)
        for line in journal.lines:
            assert entities[line.business_id] == journal.legal_entity
            events[line.event] += line.signed_minor
            booked[line.purpose, line.business_id, journal.currency] += line.signed_minor
        assert not any(events.values())
    nets: dict[tuple[int, str], int] = defaultdict(int)
    taxes: dict[str, int] = defaultdict(int)
    for (pair, deal), one in owed.items():
        if entities[pair.debtor_id] == entities[pair.creditor_id]:
            continue
        net, tax = deal.total(one.exact)
        nets[pair.creditor_id, pair.currency] += net + tax
        nets[pair.debtor_id, pair.currency] -= net + tax
        taxes[pair.currency] += tax
    for currency in {currency for _, _, currency in booked}:
        for business_id in entities:
            sides = (Purpose.RECEIVABLE, Purpose.PAYABLE)
            left = sum(booked[side, business_id, currency] for side in sides)
            assert left == nets[business_id, currency]
        for side, sign in ((Purpose.OUTPUT_TAX, -1), (Purpose.INPUT_TAX, 1)):
            charged = sum(booked[side, business_id, currency] for business_id in entities)
            assert charged == sign * taxes[currency]
    for roll in rolls:
        change = roll.of(MovementKind.CLOSING).minor - roll.of(MovementKind.OPENING).minor
        liability = booked[Purpose.CONTRACT_LIABILITY, roll.owner_id, roll.currency]
        assert -liability == change
    for sheet in eliminate(journals):
        assert sum(row.debit_minor - row.credit_minor for row in sheet.rows) == 0
