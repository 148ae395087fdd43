"""Payments received beside the bank's statement: what is exact is paid, the rest a person says."""

from dataclasses import dataclass
from datetime import date, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.crypto.keyring import Keyring
from hub.db.keyset import Stretch
from hub.errors import Rejected
from hub.reconciliation.breaks import breaks
from hub.reconciliation.codes import Role
from hub.reconciliation.confirm_match import confirm_match
from hub.reconciliation.match_break import match_break
from hub.reconciliation.matches import suggestions
from hub.reconciliation.reject_match import reject_match
from hub.reconciliation.runs import Run
from hub.reconciliation.save_mapping import SavedMapping
from hub.reconciliation.take_file import take_file
from hub.reconciliation.take_in import TakenIn
from hub.settlement.accounts import PaymentAccountConfig
from hub.settlement.approve_period import approve_period
from hub.settlement.close_period import close
from hub.settlement.issue_period import issue_period
from hub.settlement.open_account import open_account
from hub.settlement.open_period import open_period
from hub.settlement.payments import Payment, payment
from hub.settlement.prepare_payments import prepare_payments
from hub.settlement.release_payments import release_payments
from tests.support.reconciling import make_mapping, run_over, state_of
from tests.support.settlement import KINDS, Tills, agreement, make_group, noon

NOVEMBER = date(2026, 11, 10)
RELEASED = date(2026, 12, 1)
BOOKED = RELEASED + timedelta(days=2)
LATER = noon(BOOKED + timedelta(days=1))
KEYRING = Keyring.generate()


@dataclass
class Bank:
    """The bank of whoever is paid, in either dialect."""

    db: AsyncConnection
    ids: dict[str, int]
    payments: list[Payment]
    kind: str
    files: int = 0

    async def mapping(self, business: str) -> SavedMapping:
        return await make_mapping(
            self.db,
            business=business,
            role=Role.BANK,
            code=f"{business}-bank",
            format=self.kind,
            tolerance={"amount_minor": 500, "days": 5},
        )

    def to(self, business: str) -> list[Payment]:
        return [p for p in self.payments if p.creditor_id == self.ids[business]]

    async def says(self, business: str, *entries: tuple[int, str]) -> Run:
        """Have the bank book amounts under what it says of each, and lay that beside payments."""
        mapping = await self.mapping(business)
        self.files += 1
        write = _mt940 if self.kind == "mt940" else _camt053
        taken = await take_file(
            self.db,
            code=mapping.code,
            name="statement",
            body=write(self.files, entries).encode(),
            actor="ann",
            now=LATER,
        )
        assert isinstance(taken, TakenIn)
        assert taken.added == len(entries)
        return await self.run(business)

    async def run(self, business: str) -> Run:
        mapping = await self.mapping(business)
        days = {"first": NOVEMBER, "last": BOOKED + timedelta(days=1)}
        return await run_over(self.db, mapping, now=LATER, **days)

    async def state(self, of: Payment) -> str:
        return (await payment(self.db, of.end_to_end_id)).state

    async def kinds(self, business: str) -> list[str]:
        found = await breaks(self.db, business_ids=[self.ids[business]], first=100)
        return sorted(one.kind for one in found)


def _mt940(n: int, entries: tuple[tuple[int, str], ...]) -> str:
    def amount(minor: int) -> str:
        return f"{minor // 100},{minor % 100:02}"

    said = "".join(
        f":61:{BOOKED:%y%m%d}C{amount(minor)}NTRFNONREF//B{n}-{place}\n:86:?20EREF+{name}?32X\n"
        for place, (minor, name) in enumerate(entries)
    )
    total = sum(minor for minor, _ in entries)
    return (
        f":20:S{n}\n:25:1\n:28C:{n}\n:60F:C261201CNY0,\n{said}"
        f":62F:C{BOOKED:%y%m%d}CNY{amount(total)}\n"
    )


def _camt053(n: int, entries: tuple[tuple[int, str], ...]) -> str:
    said = "".join(
        f'<Ntry><Amt Ccy="CNY">{minor / 100:.2f}</Amt><CdtDbtInd>CRDT</CdtDbtInd>'
        f"<Sts><Cd>BOOK</Cd></Sts><BookgDt><Dt>{BOOKED}</Dt></BookgDt>"
        f"<AcctSvcrRef>B{n}-{place}</AcctSvcrRef><NtryDtls><TxDtls><Refs><EndToEndId>{name}"
        f"</EndToEndId></Refs></TxDtls></NtryDtls></Ntry>"
        for place, (minor, name) in enumerate(entries)
    )
    return (
        '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt><Stmt>'
        f"<Id>{n}</Id><Acct><Id><IBAN>DE02</IBAN></Id></Acct>{said}</Stmt></BkToCstmrStmt></Document>"
    )


@pytest.fixture(params=["mt940", "camt053"])
async def bank(db: AsyncConnection, request: pytest.FixtureRequest) -> Bank:
    """Two released payments to the restaurant in two currencies' worth, and one to the hotel."""
    ids = await make_group(db, [agreement(i, a, "0.008") for i in KINDS for a in KINDS if i != a])
    tills = Tills(db, ids)
    await tills.issue("retail", 1, 100_000, NOVEMBER)
    await tills.redeem("dining", 1, 40_000, NOVEMBER)
    await tills.redeem("hotel", 1, 12_501, NOVEMBER)
    made: list[Payment] = []
    for day in (NOVEMBER, NOVEMBER + timedelta(days=1)):
        if made:
            await tills.redeem("dining", 1, 20_000, day)
        period = await open_period(db, code=f"{day}", now=noon(day))
        await close(db, period_id=period.period_id, now=noon(RELEASED))
        if not made:
            for n, code in enumerate(KINDS):
                config = PaymentAccountConfig(
                    business=code,
                    effective_from=date(2026, 1, 1),
                    currency="CNY",
                    holder=code,
                    account_number=f"62220210011122233{n}",
                    clearing_member_id="102290000007",
                )
                await open_account(db, config=config, keyring=KEYRING)
        period_id = period.period_id
        await approve_period(db, period_id=period_id, actor="bo", now=noon(RELEASED))
        await issue_period(db, period_id=period_id, actor="ann", now=noon(RELEASED))
        await prepare_payments(
            db, period_id=period_id, actor="ann", today=RELEASED, now=noon(RELEASED)
        )
        made += await release_payments(db, period_id=period_id, actor="bo", now=noon(RELEASED))
    return Bank(db, ids, made, request.param)


async def test_an_exact_payment_is_paid_by_itself_however_the_bank_spaced_its_name(
    bank: Bank,
) -> None:
    first, second = bank.to("dining")
    spaced = (
        f"{first.end_to_end_id[:5]} {first.end_to_end_id[5:12].lower()} {first.end_to_end_id[12:]}"
    )
    run = await bank.says("dining", (first.amount_minor, spaced))
    assert run.found["paid"] == 1
    assert [await bank.state(one) for one in (first, second)] == ["paid", "released"]
    assert (await payment(bank.db, first.end_to_end_id)).paid_reference == "B1-0"
    assert await bank.kinds("dining") == ["missing_at_partner"]
    before = await state_of(bank.db)
    assert (await bank.run("dining")).found["paid"] == 0
    assert await state_of(bank.db) == before
    # The last one of a period makes the period paid.
    await bank.says("dining", (second.amount_minor, second.end_to_end_id))
    state = await bank.db.scalar(
        text("SELECT state FROM settlement_period WHERE period_id = :id"),
        {"id": second.period_id},
    )
    assert state == "paid"


async def test_a_name_that_is_cut_short_is_suggested_and_a_person_says_it_is_paid(
    bank: Bank,
) -> None:
    first, second = bank.to("dining")
    short = first.end_to_end_id[:12]
    run = await bank.says("dining", (first.amount_minor, short), (777, "rent"))
    assert (run.found["paid"], run.found["cut_short"]) == (0, 1)
    assert await bank.state(first) == "released"
    (offered,) = await suggestions(bank.db, business_ids=[bank.ids["dining"]], stretch=Stretch(9))
    assert await bank.kinds("dining") == ["ambiguous", "missing_at_partner"]
    made = await confirm_match(bank.db, match_id=offered.match_id, actor="bo", now=LATER)
    assert made.state == "confirmed"
    assert [await bank.state(one) for one in (first, second)] == ["paid", "released"]


async def test_charges_are_a_persons_to_accept(bank: Bank) -> None:
    first, second = bank.to("dining")
    run = await bank.says(
        "dining",
        (first.amount_minor - 300, first.end_to_end_id),
        (second.amount_minor - 900, second.end_to_end_id),
    )
    assert run.found["paid"] == 0
    short, shorter = await breaks(bank.db, business_ids=[bank.ids["dining"]], first=9)
    assert [(one.kind, one.amount_minor) for one in (short, shorter)] == [
        ("amount", -300),
        ("amount", -900),
    ]
    how = {"reason": "the bank's charges", "actor": "bo", "now": LATER}
    await match_break(bank.db, break_id=short.break_id, **how)
    assert await bank.state(first) == "paid"
    with pytest.raises(Rejected, match="differ by -900"):
        await match_break(bank.db, break_id=shorter.break_id, **how)
    assert await bank.state(second) == "released"


async def test_a_payment_in_parts_is_paid_when_all_are_there(bank: Bank) -> None:
    first, _ = bank.to("dining")
    run = await bank.says("dining", (10_000, first.end_to_end_id))
    assert run.found["paid"] == 0
    assert await bank.kinds("dining") == ["amount", "missing_at_partner"]
    run = await bank.says("dining", (first.amount_minor - 10_000, first.end_to_end_id))
    assert (run.found["reference_parts_of_any"], run.found["paid"]) == (1, 1)
    assert await bank.state(first) == "paid"


async def test_two_payments_in_one_sum_are_suggested(bank: Bank) -> None:
    both = bank.to("dining")
    run = await bank.says("dining", (sum(one.amount_minor for one in both), "NOTPROVIDED"))
    assert (run.found["parts"], run.found["paid"]) == (1, 0)
    (offered,) = await suggestions(bank.db, business_ids=[bank.ids["dining"]], stretch=Stretch(9))
    await confirm_match(bank.db, match_id=offered.match_id, actor="bo", now=LATER)
    assert {await bank.state(one) for one in both} == {"paid"}


async def test_money_of_the_same_amount_is_only_suggested(bank: Bank) -> None:
    (only,) = bank.to("hotel")
    run = await bank.says("hotel", (only.amount_minor, "NOTPROVIDED"))
    assert (run.found["twins"], run.found["paid"]) == (1, 0)
    (offered,) = await suggestions(bank.db, business_ids=[bank.ids["hotel"]], stretch=Stretch(9))
    await reject_match(bank.db, match_id=offered.match_id, reason="rent", actor="bo", now=LATER)
    run = await bank.run("hotel")
    assert run.found["twins"] == 0
    assert await bank.state(only) == "released"
    assert await bank.kinds("hotel") == ["missing_at_partner"]


async def test_a_payment_that_nobody_ordered_is_a_break(bank: Bank) -> None:
    await bank.says("hotel", (4_200, "S20261110-98-99-CNY"), (77, "rent"))
    assert await bank.kinds("hotel") == ["missing_at_hub", "missing_at_partner"]
