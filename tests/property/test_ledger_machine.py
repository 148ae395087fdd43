"""The ledger against a model that anyone can read: every verb, in any order, on real PostgreSQL."""

import asyncio
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    consumes,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import text

from hub.db.engine import make_engine
from hub.ledger.codes import Kind, Outcome, ShortfallMode
from hub.ledger.post import (
    Answer,
    post_activation,
    post_adjustment,
    post_clawback,
    post_expiry,
    post_extension,
    post_move,
    post_recovery,
    post_reinstatement,
)
from hub.points.capture import capture
from hub.points.hold import hold
from hub.points.lapse import lapse
from hub.points.redeem import redeem
from hub.points.restore import GRACE_DAYS, restore
from hub.points.void import void
from tests.support import stack
from tests.support.ledger import COST
from tests.support.ledger_machine import (
    ANNA,
    BO,
    HOTEL,
    POOL,
    SHOP,
    SPENDABLE,
    STARS,
    LedgerMachine,
)
from tests.support.ledger_model import Account, Hold, Lot, Shortfall, Spent, open_lots
from tests.support.tills import at_once, driver, open_tills

EXAMPLES = int(os.environ.get("HUB_MACHINE_EXAMPLES", "40"))
TTL = timedelta(days=4)
MOST_SENT, MOST_RECEIVED = 1200, 1500

members = st.sampled_from([ANNA, BO])
holders = st.sampled_from([ANNA, BO, POOL])
units = st.sampled_from([SPENDABLE, SPENDABLE, STARS])
businesses = st.sampled_from([SHOP, HOTEL])
some = st.integers(1, 900)
quarters = st.integers(1, 5)  # of what is there, so that one in five asks for too much


def of(whole: int, share: int) -> int:
    """So many quarters of a whole; at least one point."""
    return max(1, whole * share // 4)


class Ledger(LedgerMachine):
    """Every verb, as the ledger posts it and as the model says that it should."""

    lots, holds = LedgerMachine.lots, LedgerMachine.holds
    spends, shorts = LedgerMachine.spends, LedgerMachine.shorts

    @rule(
        target=lots,
        member=members,
        unit=units,
        points=some,
        days=st.sampled_from([0, 1, 2, 3, 40, None]),
        business=businesses,
        late=st.integers(0, 2),
        active_in=st.sampled_from([None, None, 0, 1, 3]),
        idle=st.sampled_from([None, None, 1]),
    )
    def earn(
        self,
        *,
        member: int,
        unit: int,
        points: int,
        days: int | None,
        business: int,
        late: int,
        active_in: int | None,
        idle: int | None,
    ) -> object:
        return self.issue(
            member, unit, points, business=business, days=days, late=late, active_in=active_in,
            idle=idle,
        )  # fmt: skip

    @rule(target=spends, member=holders, unit=units, share=quarters, quick=st.booleans())
    def redeem(self, member: int, unit: int, share: int, quick: bool) -> object:
        """Spend; where points of members are asked for, perhaps at once, as most tills do."""
        account = self.account(member, unit)
        points = of(account.free(self.today), share)
        asked = {**self.facts(member, HOTEL), "points": points, "unit": unit, "today": self.today}
        free = account.free(self.today)
        if quick and (member, unit) in {(ANNA, SPENDABLE), (BO, SPENDABLE)}:
            done = self.run(at_once(driver(self.db), self.till, **asked))
            assert done is not None
            answer = done
            assert self.run(at_once(driver(self.db), self.till, **asked)) is None
        else:
            answer = self.run(redeem(self.db, **asked))
        assert answer.available == free
        assert self.run(redeem(self.db, **asked)).replayed
        if points > free:
            assert answer.outcome is Outcome.INSUFFICIENT_POINTS
            return multiple()
        assert answer.outcome is Outcome.POSTED
        account.active_on(self.today)
        return Spent(answer.tx_id, account, account.take(points, self.today))

    @rule(target=holds, member=holders, unit=units, share=quarters)
    def hold(self, member: int, unit: int, share: int) -> object:
        account = self.account(member, unit)
        free = account.free(self.today)
        points = of(free, share)
        seconds = TTL.days * 86_400
        answer = self.run(
            hold(
                self.db,
                **self.facts(member, HOTEL),
                points=points,
                unit=unit,
                today=self.today,
                ttl_seconds=seconds,
            )
        )
        if points > free:
            assert answer.outcome is Outcome.INSUFFICIENT_POINTS
            return multiple()
        made = Hold(answer.tx_id, account, points, self.today, self.now + TTL)
        account.holds.append(made)
        return made

    @rule(target=spends, held=holds, share=quarters)
    def capture(self, held: Hold, share: int) -> object:
        points = of(held.left, share)
        account = self.account(held.account.member, held.account.unit)
        answer = self.run(
            capture(
                self.db,
                **self.facts(account.member, HOTEL),
                hold_id=held.hold_id,
                points=points,
            )
        )
        if not self.answered_by_hold(answer, held, points):
            return multiple()
        account.active_on(self.today)
        return Spent(answer.tx_id, account, account.capture(held, points))

    @rule(held=holds, share=quarters)
    def void(self, held: Hold, share: int) -> None:
        points = of(held.left, share)
        account = self.account(held.account.member, held.account.unit)
        asked = {**self.facts(account.member, HOTEL), "hold_id": held.hold_id, "points": points}
        if self.answered_by_hold(self.run(void(self.db, **asked)), held, points):
            held.left -= points
            account.settle()

    def answered_by_hold(self, answer: Answer, held: Hold, points: int) -> bool:
        """Check the outcome, and say whether it was posted."""
        if held.left == 0:
            assert answer.outcome is Outcome.HOLD_CLOSED
        elif points > held.left:
            assert answer.outcome is Outcome.HOLD_EXCEEDED
        else:
            assert answer.outcome is Outcome.POSTED
            return True
        return False

    @rule(held=consumes(holds))
    def nobody_elses_hold(self, held: Hold) -> None:
        asked = self.facts(held.account.member, SHOP)
        answer = self.run(void(self.db, **asked, hold_id=held.hold_id))
        assert answer.outcome is Outcome.HOLD_UNKNOWN

    @rule(spent=spends, share=quarters)
    def restore(self, spent: Spent, share: int) -> None:
        points = of(spent.left, share)
        account = self.account(spent.account.member, spent.account.unit)
        answer = self.run(
            restore(
                self.db,
                **self.facts(account.member, HOTEL),
                redemption_tx=spent.tx_id,
                points=points,
                today=self.today,
            )
        )
        if points > spent.left:
            assert answer.outcome is Outcome.REDEMPTION_EXCEEDED
            return
        assert answer.outcome is Outcome.POSTED
        account.give_back(spent, points, self.today, timedelta(days=GRACE_DAYS))
        account.active_on(self.today)
        account.settle()

    @rule(
        target=shorts,
        sale=lots,
        share=quarters,
        mode=st.sampled_from(ShortfallMode),
        limit=st.sampled_from([0, 100, 2000]),
    )
    def clawback(
        self, sale: tuple[Account, Lot], share: int, mode: ShortfallMode, limit: int
    ) -> object:
        account, made = sale
        account.activate(self.now)
        points = min(of(made.to_claw, share), made.to_claw)
        answer = self.run(
            post_clawback(
                self.db,
                **self.facts(account.member, made.issuer),
                account_id=account.member * 10,
                earn_tx=made.lot_id,
                points=points,
                qualifying=points if account.unit == SPENDABLE else 0,
                unit=account.unit,
                mode=mode,
                limit=limit,
            )
        )
        assert answer.shortfall == account.claw(answer.tx_id, made, points, mode, limit)
        made.to_claw -= points
        left = [s for s in account.shortfalls if s.tx_id == answer.tx_id and s.mode == 2]
        return multiple(*((account, short) for short in left))

    @rule(short=shorts, points=st.sampled_from([None, 50, 500]))
    def recover(self, short: tuple[Account, Shortfall], points: int | None) -> None:
        account, debt = short
        account.activate(self.now)
        answer = self.run(
            post_recovery(
                self.db,
                **self.facts(account.member, debt.issuer),
                clawback_tx=debt.tx_id,
                points=points,
                reason="paid in cash",
            )
        )
        if debt.left == 0:
            assert answer.outcome is Outcome.RECEIVABLE_UNKNOWN
        elif points is not None and points > debt.left:
            assert answer.outcome is Outcome.RECEIVABLE_EXCEEDED
        else:
            assert answer.outcome is Outcome.POSTED
            debt.left -= points or debt.left

    @rule(
        unit=units,
        share=quarters,
        way=st.sampled_from(
            [
                (Kind.TRANSFER, ANNA, BO),
                (Kind.TRANSFER, BO, ANNA),
                (Kind.CONTRIBUTE, ANNA, POOL),
                (Kind.CONTRIBUTE, BO, POOL),
            ]
        ),
    )
    def move(self, unit: int, share: int, way: tuple[Kind, int, int]) -> None:
        kind, giver, taker = way
        source, target = self.account(giver, unit), self.account(taker, unit)
        free = source.free(self.today)
        points = of(free, share)
        given, taken = source.moved(self.today), target.moved(self.today)
        used = given.sent if kind is Kind.TRANSFER else given.contributed
        room = min(MOST_SENT - used, MOST_RECEIVED - taken.received)
        answer = self.moved(kind, source, target, points, None)
        if points > free:
            assert answer.outcome is Outcome.INSUFFICIENT_POINTS
        elif points > room:
            assert answer.outcome is Outcome.LIMIT_EXCEEDED
        else:
            assert answer.outcome is Outcome.POSTED
            self.arrive(answer, target, source.take(points, self.today))
            if kind is Kind.TRANSFER:
                given.sent += points
                taken.received += points
            else:
                given.contributed += points

    @precondition(lambda self: any(a.lots for a in self.accounts.values() if a.member == POOL))
    @rule(unit=units, who=members)
    def leave(self, unit: int, who: int) -> None:
        """Whoever leaves a pool takes what is left of what they brought."""
        pool, target = self.account(POOL, unit), self.account(who, unit)
        own = [n for n in open_lots(pool, self.today) if n.origin == who and not n.pending]
        points = min(pool.free(self.today), sum(n.remaining for n in own))
        answer = self.moved(Kind.LEAVE, pool, target, None, who)
        assert (answer.outcome, answer.points) == (Outcome.POSTED, points)
        self.arrive(answer, target, pool.take(points, self.today, lambda n: n.origin == who))

    def moved(
        self, kind: Kind, source: Account, target: Account, points: int | None, origin: int | None
    ) -> Answer:
        asked = self.facts(source.member, HOTEL)
        del asked["member_id"]
        limited = origin is None
        return self.run(
            post_move(
                self.db,
                **asked,
                kind=kind,
                from_id=source.member,
                to_id=target.member,
                account_id=None,
                to_account_id=None,
                points=points,
                year=self.today.year,
                today=self.today,
                unit=source.unit,
                origin_id=origin,
                sent_limit=MOST_SENT if limited else None,
                received_limit=MOST_RECEIVED if limited else None,
            )
        )

    def arrive(self, answer: Answer, target: Account, parts: list[tuple[Lot, int]]) -> None:
        """Lots arrive under numbers of their own; all else travels with them."""
        numbers = self.run(
            self.db.execute(
                text("""
                  SELECT lot_id FROM entry WHERE member_id = :m AND tx_id = :t AND credit = 1
                  ORDER BY seq"""),
                {"m": target.member, "t": answer.tx_id},
            )
        ).scalars()
        for (came, points), lot_id in zip(parts, numbers, strict=True):
            origin = answer.member_id if answer.kind is Kind.CONTRIBUTE else None
            target.lots.append(
                replace(came, lot_id=lot_id, remaining=points, origin=origin, to_claw=0, lost=0)
            )
        if target.owed and parts:
            target.settle()

    @rule(
        member=members, unit=units, points=some, sign=st.sampled_from([-1, 1]), business=businesses
    )
    def adjust(self, member: int, unit: int, points: int, sign: int, business: int) -> None:
        account = self.account(member, unit)
        own = [n for n in open_lots(account, self.today) if n.issuer == business and not n.pending]
        free = min(account.free(self.today), sum(n.remaining for n in own))
        answer = self.run(
            post_adjustment(
                self.db,
                **self.facts(member, business),
                account_id=member * 10,
                points=sign * points,
                cost_rate=COST,
                expires_on=self.today,
                reason="counted again",
                today=self.today,
                unit=unit,
            )
        )
        if sign < 0 and points > free:
            assert answer.outcome is Outcome.INSUFFICIENT_POINTS
            return
        assert answer.outcome is Outcome.POSTED
        if sign < 0:
            account.take(points, self.today, lambda n: n.issuer == business)
            return
        account.lots.append(Lot(answer.tx_id, business, points, self.today, self.now))
        if account.owed:
            account.settle()

    @rule(member=holders, unit=units, days=st.integers(0, 5), one=st.none() | lots)
    def extend(self, member: int, unit: int, days: int, one: tuple[Account, Lot] | None) -> None:
        account = self.account(member, unit)
        until = self.today + timedelta(days=days)
        found = open_lots(account, self.today)
        if one is not None:
            found = [n for n in found if n is one[1]]
        later = [n for n in found if n.expires_on < until]
        asked = self.facts(member, HOTEL)
        del asked["occurred_at"]
        answer = self.run(
            post_extension(
                self.db,
                **asked,
                lot_id=one[1].lot_id if one else None,
                until=until,
                reason="a typhoon",
                today=self.today,
                unit=unit,
            )
        )
        if not found:
            assert answer.outcome is Outcome.LOT_UNKNOWN
        elif not later:
            assert answer.outcome is Outcome.NOT_LATER
        else:
            assert answer.outcome is Outcome.POSTED
            for changed in later:
                changed.expires_on = until

    @rule(ended=lots, points=st.sampled_from([None, 10, 300]))
    def reinstate(self, ended: tuple[Account, Lot], points: int | None) -> None:
        account, back = ended
        account.activate(self.now)
        until = self.today + timedelta(days=2)
        answer = self.run(
            post_reinstatement(
                self.db,
                **self.facts(account.member, HOTEL),
                lot_id=back.lot_id,
                points=points,
                until=until,
                reason="was ill",
            )
        )
        if back.lost == 0:
            assert answer.outcome is Outcome.LOT_UNKNOWN
        elif points is not None and points > back.lost:
            assert answer.outcome is Outcome.LOT_EXCEEDED
        else:
            assert answer.outcome is Outcome.POSTED
            account.reinstate(back, points or back.lost, until, self.now)
            account.active_on(self.today)
            account.settle()

    @rule(days=st.sampled_from([1, 2, 3, 20]), sweep=st.booleans())
    def tomorrow(self, days: int, sweep: bool) -> None:
        """Days pass and holds lapse; the expiry sweep may or may not have run."""
        self.today += timedelta(days=days)
        self.now += timedelta(days=days)
        self.run(lapse(self.db, now=self.now, business_date=self.today))
        for _, account in sorted(self.accounts.items()):
            for held in account.holds:
                if held.left and held.ends_at <= self.now:
                    account.activate(self.now)
                    held.left = 0
                    account.settle()
        if sweep:
            self.expire(SPENDABLE)
            self.expire(STARS)

    @rule(unit=units)
    def expire(self, unit: int) -> None:
        everybody = [ANNA, BO, POOL]
        ended = self.run(
            post_expiry(self.db, member_ids=everybody, today=self.today, now=self.now, unit=unit)
        )
        assert ended.points == sum(
            self.account(member, unit).expire(self.today) for member in everybody
        )

    @rule(unit=units)
    def activate(self, unit: int) -> None:
        everybody = [ANNA, BO, POOL]
        self.run(post_activation(self.db, member_ids=everybody, now=self.now, unit=unit))
        for member in everybody:
            self.account(member, unit)


@pytest.fixture(scope="module")
def machine_url(postgres_url: str, template: str) -> Iterator[str]:
    runner = asyncio.Runner()
    manager = stack.fresh_database(postgres_url, template)
    url = runner.run(manager.__aenter__())
    runner.run(open_unit(url))
    yield url
    runner.run(manager.__aexit__(None, None, None))
    runner.close()


async def open_unit(url: str) -> None:
    engine = make_engine(url)
    async with engine.begin() as db:
        await db.execute(
            text("INSERT INTO point_unit VALUES (:id, 'stars', 'Stars', 'spendable')"),
            {"id": STARS},
        )
        await open_tills(db)
    await engine.dispose()


def test_every_history_of_verbs_agrees_with_the_model(machine_url: str) -> None:
    Ledger.url = machine_url
    run_state_machine_as_test(
        Ledger,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=50,
            deadline=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_what_was_moved_counts_for_its_own_year(machine_url: str) -> None:
    """A history that chance finds seldom: gifts on both sides of a new year."""
    Ledger.url = machine_url
    machine = Ledger()
    machine.start()
    years = set()
    for _ in range(5):
        machine.issue(ANNA, SPENDABLE, 900, business=SHOP, days=None)
        machine.move(SPENDABLE, 1, (Kind.TRANSFER, ANNA, BO))
        machine.books_are_right()
        years.add(machine.today.year)
        machine.tomorrow(20, sweep=False)
    machine.teardown()
    assert len(years) == 2
