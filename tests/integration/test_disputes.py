"""Disputes: what is disputed is held back, decided by another, and settled by the next close."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Conflict, Forbidden, Malformed, NotFound, Rejected
from hub.ledger.verify import verify
from hub.settlement.add_dispute_message import add_dispute_message
from hub.settlement.approve_period import approve_period
from hub.settlement.close_period import close
from hub.settlement.codes import LineKind
from hub.settlement.credit import standings
from hub.settlement.disputes import Dispute, disputes, disputes_of_lines, messages
from hub.settlement.dues import dues, net_dues
from hub.settlement.issue_period import issue_period
from hub.settlement.open_dispute import open_dispute
from hub.settlement.open_period import open_period
from hub.settlement.queries import Obligation, net_positions, obligations, totals
from hub.settlement.resolve_dispute import resolve_dispute
from hub.settlement.verify import CHECKS, DUES, PERIODS, check
from hub.settlement.watch_credit import watch_credit
from hub.settlement.withdraw_dispute import withdraw_dispute
from tests.support.settlement import KINDS, Tills, agreement, make_group, noon, taxed_agreement

OCTOBER, NOVEMBER = date(2026, 10, 10), date(2026, 11, 10)
THEN, NOW = noon(date(2026, 11, 2)), noon(date(2026, 12, 2))


class Group:
    """Three businesses: retail's points are redeemed at the hotel, 6% on top, and at dining."""

    def __init__(self, db: AsyncConnection, ids: dict[str, int]) -> None:
        self.db, self.ids, self.tills = db, ids, Tills(db, ids)
        self._keys = 0

    async def month(self, code: str, *, close_it: bool = True) -> int:
        at = noon(date(int(code[:4]), int(code[5:]), 28))
        period = await open_period(self.db, code=code, now=at)
        if close_it:
            await close(self.db, period_id=period.period_id, now=at)
        return period.period_id

    async def lines(self, period_id: int, *, kind: LineKind | None = None) -> list[Obligation]:
        found = await obligations(self.db, period_id=period_id, first=1000)
        return [line for line in found if kind in (None, line.kind)]

    async def dispute(
        self, period_id: int, lines: Sequence[int], who: str = "retail", **changed: object
    ) -> Dispute:
        self._keys += 1
        facts: dict[str, object] = {
            "period_id": period_id,
            "line_ids": lines,
            "business_id": self.ids[who],
            "reason": "no such guest",
            "actor": f"{who}-finance",
            "idempotency_key": f"key-{self._keys}",
            "now": THEN,
        }
        return await open_dispute(self.db, **{**facts, **changed})  # type: ignore[arg-type]

    async def decide(self, dispute_id: int, *, upheld: bool) -> Dispute:
        return await resolve_dispute(
            self.db, dispute_id=dispute_id, upheld=upheld, reason="seen", actor="wei", now=THEN
        )

    async def approve(self, period_id: int) -> None:
        await approve_period(self.db, period_id=period_id, actor="ann", now=THEN)

    async def proven(self) -> None:
        for name in (PERIODS, DUES, *CHECKS):
            assert await check(self.db, name) is None


@pytest.fixture
async def group(db: AsyncConnection) -> Group:
    pairs = [(i, a) for i in KINDS for a in KINDS if i != a]
    agreements = [
        taxed_agreement(i, a, "0.008") if a == "hotel" else agreement(i, a, "0.00333")
        for i, a in pairs
    ]
    made = Group(db, await make_group(db, agreements))
    await made.tills.issue("retail", 1, 100_000, OCTOBER)
    await made.tills.issue("hotel", 2, 100_000, OCTOBER)
    for points in (1_000, 2_000, 313):
        await made.tills.redeem("hotel", 1, points, OCTOBER)
        await made.tills.redeem("dining", 1, points, OCTOBER)
    await made.tills.redeem("retail", 2, 500, OCTOBER)
    return made


async def _to(group: Group, period_id: int, acceptor: str) -> list[Obligation]:
    """Return the lines of redemptions there, the largest last."""
    found = [
        line for line in await group.lines(period_id) if line.acceptor_id == group.ids[acceptor]
    ]
    return sorted(found, key=lambda line: line.points)


async def _gross(group: Group, period_id: int) -> dict[tuple[str, str, str], tuple[int, ...]]:
    names = {v: k for k, v in group.ids.items()}
    of_period = (await totals(group.db, period_ids=[period_id]))[period_id]
    return {
        (names[t.debtor_id], names[t.creditor_id], LineKind(t.kind).name.lower()): (
            t.net_minor,
            t.tax_minor,
            t.gross_minor,
        )
        for t in of_period
    }


async def _refused(group: Group, sql: str, why: str) -> None:
    with pytest.raises(IntegrityError, match=why):
        async with group.db.begin_nested():
            await group.db.exec_driver_sql(sql)


async def test_what_is_disputed_is_held_back_with_its_tax(group: Group) -> None:
    october = await group.month("2026-10")
    *_, largest = await _to(group, october, "hotel")
    found = await group.dispute(october, [largest.line_id])
    assert (found.state, found.lines, found.held_minor) == ("open", 1, None)
    await group.approve(october)
    # Lines of 2.504, 8 and 16: 26.50 and 1.59 of tax. Without the last 10.50 and 0.63.
    assert (await _gross(group, october))["retail", "hotel", "redemption"] == (2650, 159, 2809)
    [due] = [
        d
        for d in (await dues(group.db, period_ids=[october]))[october]
        if d.creditor_id == group.ids["hotel"]
    ]
    assert (due.gross_minor, due.disputed_minor, due.due_minor) == (2809, 1696, 1113)
    [held] = await disputes(group.db, first=10)
    assert held.held_minor == 1696
    nets = await net_dues(group.db, period_id=october)
    assert sum(n.net_minor for n in nets) == 0
    stated = {
        n.business_id: n.net_minor
        for n in (await net_positions(group.db, period_ids=[october]))[october]
    }
    assert {n.business_id: n.net_minor - stated[n.business_id] for n in nets} == {
        group.ids["retail"]: 1696,
        group.ids["hotel"]: -1696,
        group.ids["dining"]: 0,
    }
    await group.proven()


async def test_a_rejected_dispute_is_due_with_the_next_close(group: Group) -> None:
    october = await group.month("2026-10")
    line = (await _to(group, october, "hotel"))[-1]
    found = await group.dispute(october, [line.line_id])
    await group.approve(october)
    await group.decide(found.dispute_id, upheld=False)
    november = await group.month("2026-11")
    assert await _gross(group, november) == {("retail", "hotel", "carried"): (1696, 0, 1696)}
    [carried] = await group.lines(november)
    assert (carried.amount, carried.points, carried.tax_code) == (Decimal("16.96"), 0, None)
    await group.approve(november)
    [due] = (await dues(group.db, period_ids=[november]))[november]
    assert (due.carried_in_minor, due.due_minor) == (1696, 1696)
    assert await group.lines(await group.month("2026-12")) == []
    await group.proven()


async def test_an_upheld_dispute_is_carried_and_corrected(group: Group) -> None:
    october = await group.month("2026-10")
    line = (await _to(group, october, "hotel"))[-1]
    found = await group.dispute(october, [line.line_id])
    await group.approve(october)
    await group.decide(found.dispute_id, upheld=True)
    november = await group.month("2026-11")
    assert await _gross(group, november) == {
        ("retail", "hotel", "carried"): (1696, 0, 1696),
        ("retail", "hotel", "correction"): (-1600, -96, -1696),
    }
    await group.approve(november)
    [due] = (await dues(group.db, period_ids=[november]))[november]
    assert (due.gross_minor, due.due_minor) == (0, 0)
    await group.proven()


async def test_what_is_upheld_before_the_approval_is_not_paid_either(group: Group) -> None:
    october = await group.month("2026-10")
    line = (await _to(group, october, "dining"))[-1]
    found = await group.dispute(october, [line.line_id], "dining")
    await group.decide(found.dispute_id, upheld=True)
    # Nobody knows yet what October's approval holds back.
    assert await group.lines(await group.month("2026-11")) == []
    await group.approve(october)
    december = await group.month("2026-12")
    assert await _gross(group, december) == {
        ("retail", "dining", "carried"): (666, 0, 666),
        ("retail", "dining", "correction"): (-666, 0, -666),
    }
    assert all(line.late for line in await group.lines(december))
    await group.proven()


async def test_what_is_rejected_before_the_approval_holds_nothing_back(group: Group) -> None:
    october = await group.month("2026-10")
    line = (await _to(group, october, "dining"))[-1]
    found = await group.dispute(october, [line.line_id], "dining")
    await group.decide(found.dispute_id, upheld=False)
    await group.approve(october)
    [held] = await disputes(group.db, first=10)
    assert held.held_minor is None
    assert await group.lines(await group.month("2026-11")) == []
    await group.proven()


async def test_a_dispute_after_the_approval_changes_the_next_close_alone(group: Group) -> None:
    october = await group.month("2026-10")
    await group.approve(october)
    await issue_period(group.db, period_id=october, actor="ann", now=THEN)
    before = await dues(group.db, period_ids=[october])
    small, _, large = await _to(group, october, "dining")
    wrong = await group.dispute(october, [small.line_id, large.line_id])
    right = await group.dispute(october, [(await _to(group, october, "hotel"))[0].line_id])
    await group.decide(wrong.dispute_id, upheld=True)
    await group.decide(right.dispute_id, upheld=False)
    assert await dues(group.db, period_ids=[october]) == before
    november = await group.month("2026-11")
    [line] = await group.lines(november)
    assert (line.kind, line.amount, line.points) == (
        LineKind.CORRECTION,
        -(small.amount + large.amount),
        -2313,
    )
    await group.proven()


async def test_who_disputed_withdraws_and_may_dispute_again(group: Group) -> None:
    october = await group.month("2026-10")
    line = (await _to(group, october, "hotel"))[0].line_id
    first = await group.dispute(october, [line])
    with pytest.raises(Forbidden, match="only the business that disputes"):
        await withdraw_dispute(
            group.db,
            dispute_id=first.dispute_id,
            business_id=group.ids["hotel"],
            reason="x",
            actor="h",
            now=THEN,
        )
    for _ in range(2):
        ended = await withdraw_dispute(
            group.db,
            dispute_id=first.dispute_id,
            business_id=group.ids["retail"],
            reason="found the guest",
            actor="retail-finance",
            now=THEN,
        )
        assert (ended.state, ended.resolution) == ("withdrawn", "found the guest")
    second = await group.dispute(october, [line], "hotel")
    assert (await disputes_of_lines(group.db, line_ids=[line]))[line] == second


async def test_a_line_is_disputed_once_at_a_time(group: Group) -> None:
    october = await group.month("2026-10")
    line = (await _to(group, october, "hotel"))[0].line_id
    first = await group.dispute(october, [line])
    with pytest.raises(Rejected, match=f"dispute {first.dispute_id} is open"):
        await group.dispute(october, [line], "hotel")
    await group.decide(first.dispute_id, upheld=True)
    with pytest.raises(Rejected, match="is upheld"):
        await group.dispute(october, [line], "hotel")
    other = await group.dispute(october, [(await _to(group, october, "hotel"))[1].line_id])
    await _refused(
        group, f"INSERT INTO dispute_line VALUES ({other.dispute_id}, {line})", "dispute_line_once"
    )


async def test_asking_again_is_asking_once(group: Group) -> None:
    october = await group.month("2026-10")
    lines = [line.line_id for line in await _to(group, october, "hotel")]
    first = await group.dispute(october, lines[:2], idempotency_key="k")
    assert await group.dispute(october, lines[1::-1], idempotency_key="k") == first
    with pytest.raises(Conflict, match="another lines"):
        await group.dispute(october, lines, idempotency_key="k")
    with pytest.raises(Conflict, match="another reason"):
        await group.dispute(october, lines[:2], idempotency_key="k", reason="other")
    assert len(await disputes(group.db, first=10)) == 1


async def test_only_ones_own_lines_that_stand_are_disputed(group: Group) -> None:
    october = await group.month("2026-10")
    hotel = [line.line_id for line in await _to(group, october, "hotel")]
    dining = [line.line_id for line in await _to(group, october, "dining")]
    with pytest.raises(Rejected, match="not in this business's statement"):
        await group.dispute(october, hotel, "dining")
    with pytest.raises(Rejected, match="not in this business's statement"):
        await group.dispute(october, [10**12])
    with pytest.raises(Rejected, match="of several debtors"):
        await group.dispute(october, [hotel[0], dining[0]])
    with pytest.raises(Malformed):
        await group.dispute(october, [])
    november = await group.month("2026-11", close_it=False)
    with pytest.raises(Rejected, match="is open"):
        await group.dispute(november, hotel)


async def test_what_follows_from_a_dispute_is_not_disputed(group: Group) -> None:
    october = await group.month("2026-10")
    found = await group.dispute(october, [(await _to(group, october, "hotel"))[0].line_id])
    await group.approve(october)
    await group.decide(found.dispute_id, upheld=True)
    november = await group.month("2026-11")
    for line in await group.lines(november):
        with pytest.raises(Rejected, match=f"follows from dispute {found.dispute_id}"):
            await group.dispute(november, [line.line_id])


async def test_somebody_else_decides_and_once(group: Group) -> None:
    october = await group.month("2026-10")
    line = (await _to(group, october, "hotel"))[0].line_id
    found = await group.dispute(october, [line], actor="wei")
    with pytest.raises(Forbidden, match="somebody else"):
        await group.decide(found.dispute_id, upheld=True)
    facts = {"dispute_id": found.dispute_id, "reason": "seen", "actor": "li", "now": THEN}
    first = await resolve_dispute(group.db, upheld=True, **facts)  # type: ignore[arg-type]
    again = await resolve_dispute(
        group.db,
        upheld=True,
        **{**facts, "actor": "bo", "now": NOW},  # type: ignore[arg-type]
    )
    assert again == first
    with pytest.raises(Rejected, match="was upheld by li"):
        await resolve_dispute(group.db, upheld=False, **facts)  # type: ignore[arg-type]
    with pytest.raises(NotFound):
        await group.decide(10**9, upheld=True)
    await _refused(group, "UPDATE dispute SET resolution = 'other'", "decided once")


async def test_both_sides_and_finance_speak(group: Group) -> None:
    october = await group.month("2026-10")
    found = await group.dispute(october, [(await _to(group, october, "hotel"))[0].line_id])
    facts = {"dispute_id": found.dispute_id, "actor": "x", "now": THEN, "idempotency_key": "k"}
    for who in ("hotel", "retail", None, "hotel"):
        business_id = None if who is None else group.ids[who]
        await add_dispute_message(
            group.db, business_id=business_id, body=f"{who}: see\nroom 7", **facts
        )  # type: ignore[arg-type]
    said = (await messages(group.db, dispute_ids=[found.dispute_id]))[found.dispute_id]
    assert [one.business_id for one in said] == [group.ids["hotel"], group.ids["retail"], None]
    with pytest.raises(NotFound):
        await add_dispute_message(group.db, business_id=group.ids["dining"], body="?", **facts)  # type: ignore[arg-type]
    with pytest.raises(Conflict):
        await add_dispute_message(group.db, business_id=group.ids["hotel"], body="other", **facts)  # type: ignore[arg-type]
    for body in ("", "  ", "x" * 2001, "\x00"):
        with pytest.raises(Malformed):
            await add_dispute_message(
                group.db, business_id=None, body=body, **{**facts, "idempotency_key": "n"}
            )  # type: ignore[arg-type]


async def test_a_cent_that_rounding_made_is_held_once(group: Group) -> None:
    """Three lines of 0.00333 come to 0.01; disputed one by one they hold back 0.01, and not 0."""
    for _ in range(3):
        await group.tills.redeem("dining", 2, 1, OCTOBER)
    october = await group.month("2026-10")
    lines = [
        line
        for line in await group.lines(october)
        if line.debtor_id == group.ids["hotel"] and line.creditor_id == group.ids["dining"]
    ]
    made = [await group.dispute(october, [line.line_id], "hotel") for line in lines]
    await group.approve(october)
    held = [one.held_minor for one in await disputes(group.db, first=10)]
    assert sum(one or 0 for one in held) == 1
    for one in made:
        await group.decide(one.dispute_id, upheld=True)
    await group.approve(await group.month("2026-11"))
    await group.proven()
    assert await verify(group.db) == []


async def test_dues_are_fixed_as_the_period_is_approved_and_at_no_other_time(group: Group) -> None:
    october = await group.month("2026-10")
    found = await group.dispute(october, [(await _to(group, october, "hotel"))[0].line_id])
    approve = f"UPDATE settlement_period SET state = 'approved' WHERE period_id = {october}"
    await _refused(group, approve, f"without regard to dispute {found.dispute_id}")
    await group.approve(october)
    changed = 'jsonb_populate_record(NULL::settlement_due, to_jsonb(d) || \'{"currency": "XXX"}\')'
    await _refused(
        group,
        f"INSERT INTO settlement_due SELECT ({changed}).* FROM settlement_due d",
        "I8: settlement_due",
    )
    await _refused(
        group,
        "INSERT INTO dispute_held SELECT dispute_id, lines, points, net_minor, tax_minor, "
        "gross_minor, 9, kind, tax_included, exact, tax_rate, tax_code FROM dispute_held",
        "I8: dispute_held",
    )
    for table in ("settlement_due", "dispute_held", "dispute_message"):
        await _refused(group, f"DELETE FROM {table}", "append-only")


async def test_what_is_held_back_is_owed_until_it_is_paid(db: AsyncConnection) -> None:
    """A credit limit sees 24 owed, 16 of it disputed: 16 once the rest is paid, until it is too."""
    limited = agreement("retail", "hotel", "0.008").model_copy(update={"credit_limit": Decimal(50)})
    group = Group(db, await make_group(db, [limited]))
    await group.tills.issue("retail", 1, 5000, OCTOBER)
    for points in (1000, 2000):
        await group.tills.redeem("hotel", 1, points, OCTOBER)

    async def owed() -> Decimal:
        await db.execute(text("SELECT ledger_rebuild_daily()"))
        await watch_credit(db, today=NOVEMBER, now=NOW)
        (one,) = await standings(db)
        return one.exposure

    async def pay(period_id: int) -> None:
        for state in ("issued", "paid"):
            move = text("UPDATE settlement_period SET state = :state WHERE period_id = :id")
            await db.execute(move, {"state": state, "id": period_id})

    october = await group.month("2026-10")
    found = await group.dispute(october, [(await _to(group, october, "hotel"))[-1].line_id])
    await group.approve(october)
    assert await owed() == 24
    await pay(october)
    assert await owed() == 16
    await group.decide(found.dispute_id, upheld=False)
    november = await group.month("2026-11")
    await group.approve(november)
    assert await owed() == 16
    await pay(november)
    assert await owed() == 0
