"""Payments: what a period comes to is prepared by one, released by another, and found paid."""

from datetime import date
from importlib.resources import files
from typing import Any

import pytest
from lxml import etree
from pydantic import ValidationError
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.crypto.keyring import Keyring, Purpose
from hub.errors import Conflict, Forbidden, Malformed, NotFound, Rejected
from hub.settlement.accounts import ClearingAccountConfig, PaymentAccountConfig, accounts
from hub.settlement.approve_period import approve_period
from hub.settlement.close_period import close
from hub.settlement.documents.pain001 import write_pain001
from hub.settlement.issue_period import issue_period
from hub.settlement.mark_paid import mark_paid
from hub.settlement.open_account import (
    numbers_under,
    open_account,
    pay_through,
    reseal_accounts,
)
from hub.settlement.open_dispute import open_dispute
from hub.settlement.open_period import open_period
from hub.settlement.payments import Payment, settled
from hub.settlement.prepare_payments import prepare_payments
from hub.settlement.queries import obligations, period_by_id, statement
from hub.settlement.release_payments import release_payments
from tests.support.settlement import KINDS, Tills, agreement, make_group, noon

NOVEMBER = date(2026, 11, 10)
TODAY = date(2026, 12, 1)
NOW = noon(TODAY)
KEYRING = Keyring.generate()
NUMBERS: dict[str, dict[str, Any]] = {
    "retail": {"account_number": "6222021001112223334", "clearing_member_id": "102290000007"},
    "hotel": {"iban": "DE89 3704 0044 0532 0130 00", "bic": "COBADEFFXXX"},
    "dining": {"account_number": "4403-0012-99", "bic": "BKCHCNBJ"},
}
NAMES = {"retail": "上海外滩服饰有限公司", "hotel": "Hôtel du Lac & Söhne", "dining": "翠玉轩"}


def account(code: str, **changed: Any) -> PaymentAccountConfig:
    facts = {"effective_from": date(2026, 1, 1), "currency": "CNY", "holder": NAMES[code]}
    return PaymentAccountConfig(business=code, **{**facts, **NUMBERS[code], **changed})


async def _issued(
    db: AsyncConnection, *, with_accounts: bool = True, disputed_points: int | None = None
) -> int:
    """Close and issue a month in which retail owes both others."""
    ids = await make_group(db, [agreement(i, a, "0.008") for i in KINDS for a in KINDS if i != a])
    tills = Tills(db, ids)
    await tills.issue("retail", 1, 100_000, NOVEMBER)
    await tills.redeem("dining", 1, 40_000, NOVEMBER)
    await tills.redeem("hotel", 1, 12_501, NOVEMBER)
    period = await open_period(db, code="2026-11", now=NOW)
    await close(db, period_id=period.period_id, now=NOW)
    if with_accounts:
        for code in KINDS:
            await open_account(db, config=account(code), keyring=KEYRING)
    for line in await obligations(db, period_id=period.period_id, first=100):
        if line.points == disputed_points:
            await open_dispute(
                db,
                period_id=period.period_id,
                line_ids=[line.line_id],
                business_id=line.debtor_id,
                reason="doubtful",
                actor="mei",
                idempotency_key="k",
                now=NOW,
            )
    await approve_period(db, period_id=period.period_id, actor="ann", now=NOW)
    await issue_period(db, period_id=period.period_id, actor="ann", now=NOW)
    return period.period_id


async def _prepared(db: AsyncConnection, period_id: int) -> list[Payment]:
    return await prepare_payments(db, period_id=period_id, actor="ann", today=TODAY, now=NOW)


async def _file(db: AsyncConnection, made: list[Payment]) -> bytes:
    ids = [i for p in made for i in (p.debtor_account_id, p.creditor_account_id)]
    return write_pain001(
        made,
        period="2026-11",
        group="三江 Group",
        time_zone="Asia/Shanghai",
        accounts=await accounts(db, account_ids=ids, keyring=KEYRING),
    )


async def test_the_payment_file_is_valid_and_orders_what_is_owed(db: AsyncConnection) -> None:
    period_id = await _issued(db)
    made = await _prepared(db, period_id)
    assert [p.amount_minor for p in made] == [32_000, 10_001]
    released = await release_payments(db, period_id=period_id, actor="bo", now=NOW)
    file = await _file(db, released)
    assert file == await _file(db, released)
    schema = etree.XMLSchema(
        etree.fromstring((files("sepaxml") / "schemas/pain.001.001.09.xsd").read_bytes())
    )
    document = etree.fromstring(file)
    schema.assertValid(document)
    space = {"p": "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"}

    def said(path: str) -> list[str]:
        return [str(node.text) for node in document.iterfind(f".//{path}", space)]

    assert len(said("p:PmtInfId")) == 1
    assert said("p:GrpHdr/p:CtrlSum") == ["420.01"]
    assert said("p:InstdAmt") == ["320.00", "100.01"]
    assert said("p:EndToEndId") == [p.end_to_end_id for p in made]
    assert said("p:IBAN") == ["DE89370400440532013000"]
    assert said("p:Cdtr/p:Nm") == ["Cui Yu Xuan", "Hotel du Lac + Sohne"]
    for name in ("MsgId", "PmtInfId", "InstrId", "EndToEndId"):
        assert all(0 < len(one) <= 35 for one in said(f"p:{name}"))


async def test_what_is_disputed_is_not_paid_and_the_advice_says_so(db: AsyncConnection) -> None:
    period_id = await _issued(db, disputed_points=12_501)
    [payment] = await _prepared(db, period_id)
    assert payment.amount_minor == 32_000
    found = (await settled(db, payment_ids=[payment.payment_id]))[payment.payment_id]
    assert [
        (one.stated_minor, one.disputed_minor, one.carried_in_minor, one.due_minor) for one in found
    ] == [(-42_001, -10_001, 0, -32_000), (32_000, 0, 0, 32_000)]


async def test_all_is_paid_through_a_clearing_account_where_there_is_one(
    db: AsyncConnection,
) -> None:
    period_id = await _issued(db)
    since = date(2026, 6, 1)
    await pay_through(db, config=ClearingAccountConfig(effective_from=since, business="hotel"))
    made = await _prepared(db, period_id)
    assert [p.amount_minor for p in made] == [42_001, 32_000]
    await pay_through(db, config=ClearingAccountConfig(effective_from=since, business="hotel"))
    with pytest.raises(Conflict):
        await pay_through(db, config=ClearingAccountConfig(effective_from=since, business=None))


async def test_payments_are_prepared_once(db: AsyncConnection) -> None:
    period_id = await _issued(db)
    made = await _prepared(db, period_id)
    await open_account(
        db,
        config=account("hotel", effective_from=TODAY, iban="GB82 WEST 1234 5698 7654 32"),
        keyring=KEYRING,
    )
    assert await _prepared(db, period_id) == made


async def test_nothing_is_paid_before_it_is_issued(db: AsyncConnection) -> None:
    await make_group(db, [])
    period = await open_period(db, code="2026-11", now=NOW)
    with pytest.raises(Rejected, match="is open: it is paid once"):
        await _prepared(db, period.period_id)


async def test_who_has_no_account_is_named(db: AsyncConnection) -> None:
    period_id = await _issued(db, with_accounts=False)
    await open_account(db, config=account("hotel"), keyring=KEYRING)
    with pytest.raises(Rejected, match="retail in CNY, dining in CNY"):
        await _prepared(db, period_id)


async def test_who_prepares_does_not_release_and_nothing_goes_out_unreleased(
    db: AsyncConnection,
) -> None:
    period_id = await _issued(db)
    with pytest.raises(Rejected, match="prepare them"):
        await release_payments(db, period_id=period_id, actor="bo", now=NOW)
    made = await _prepared(db, period_id)
    with pytest.raises(Rejected, match="not released"):
        await _file(db, made)
    with pytest.raises(Forbidden, match="somebody else"):
        await release_payments(db, period_id=period_id, actor="ann", now=NOW)
    with pytest.raises(IntegrityError, match="check"):
        async with db.begin_nested():
            await db.execute(
                text("""
                  UPDATE payment SET state = 'released', released_at = now(),
                    released_by = 'ann'""")
            )
    released = await release_payments(db, period_id=period_id, actor="bo", now=NOW)
    again = await release_payments(db, period_id=period_id, actor="ann", now=NOW)
    assert again == released


async def test_the_last_payment_makes_the_period_paid(db: AsyncConnection) -> None:
    period_id = await _issued(db)
    made = await _prepared(db, period_id)
    await release_payments(db, period_id=period_id, actor="bo", now=NOW)
    for n, one in enumerate(made):
        assert (await period_by_id(db, period_id)).state == "issued"
        await mark_paid(db, end_to_end_id=one.end_to_end_id, reference=f"B{n}", actor="bo", now=NOW)
    assert (await period_by_id(db, period_id)).state == "paid"


async def test_a_period_with_nothing_to_pay_is_paid(db: AsyncConnection) -> None:
    await make_group(db, [])
    period = await open_period(db, code="2026-11", now=NOW)
    await close(db, period_id=period.period_id, now=NOW)
    await approve_period(db, period_id=period.period_id, actor="ann", now=NOW)
    await issue_period(db, period_id=period.period_id, actor="ann", now=NOW)
    for _ in range(2):
        assert await _prepared(db, period.period_id) == []
        assert (await period_by_id(db, period.period_id)).state == "paid"


async def test_a_payment_says_which_statements_and_lines_it_settles(db: AsyncConnection) -> None:
    period_id = await _issued(db)
    (first, _) = await _prepared(db, period_id)
    by, to = (await settled(db, payment_ids=[first.payment_id]))[first.payment_id]
    assert (by.business_id, to.business_id) == (first.debtor_id, first.creditor_id)
    assert (by.lines, to.lines) == (2, 1)
    told = await statement(db, period_id=period_id, business_id=first.creditor_id)
    assert to.sha256 == told.sha256


async def test_a_payment_is_paid_once(db: AsyncConnection) -> None:
    period_id = await _issued(db)
    (first, _) = await _prepared(db, period_id)
    said = {
        "end_to_end_id": first.end_to_end_id,
        "reference": "BANK-1",
        "actor": "bo",
        "now": NOW,
    }
    with pytest.raises(Rejected, match="not released"):
        await mark_paid(db, **said)
    await release_payments(db, period_id=period_id, actor="bo", now=NOW)
    paid = await mark_paid(db, **said)
    assert (paid.state, paid.paid_reference) == ("paid", "BANK-1")
    assert await mark_paid(db, **said) == paid
    with pytest.raises(Conflict, match="under reference BANK-1"):
        await mark_paid(db, **{**said, "reference": "BANK-2"})
    with pytest.raises(Malformed):
        await mark_paid(db, **{**said, "reference": ""})
    with pytest.raises(NotFound):
        await mark_paid(db, **{**said, "end_to_end_id": "S0"})
    for change in ("state = 'prepared'", "amount_minor = 1", "debtor_id = creditor_id"):
        with pytest.raises(IntegrityError):
            async with db.begin_nested():
                await db.execute(text(f"UPDATE payment SET {change}"))


async def test_an_account_is_never_edited_and_its_number_is_sealed(db: AsyncConnection) -> None:
    await make_group(db, [])
    for _ in range(2):
        await open_account(db, config=account("hotel"), keyring=KEYRING)
    with pytest.raises(Conflict, match="its own effective_from") as refused:
        await open_account(
            db, config=account("hotel", iban="GB82 WEST 1234 5698 7654 32"), keyring=KEYRING
        )
    assert refused.value.field == "iban"
    with pytest.raises(Conflict):
        await open_account(db, config=account("hotel", holder="Other"), keyring=KEYRING)
    stored = (await db.execute(text("SELECT number, ending FROM payment_account"))).one()
    assert stored.ending == "3000"
    assert b"370400440532" not in stored.number
    with pytest.raises(IntegrityError, match="append-only"):
        async with db.begin_nested():
            await db.execute(text("UPDATE payment_account SET holder = 'me'"))
    newer = KEYRING.renewed(Purpose.KEY_ENCRYPTION)
    assert await reseal_accounts(db, keyring=newer) == 1
    assert await numbers_under(db) == {2: 1}
    await open_account(db, config=account("hotel"), keyring=newer)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"iban": "DE88 3704 0044 0532 0130 00"}, "check digits"),
        ({"iban": "12"}, "an IBAN was expected"),
        ({"account_number": "1234"}, "either iban or account_number"),
        ({"iban": None}, "either iban or account_number"),
        ({"bic": None}, "either bic or clearing_member_id"),
        ({"bic": "NOBANK"}, "pattern"),
        ({"bic": None, "clearing_member_id": "12"}, "no member number of CNAPS"),
        (
            {"bic": None, "clearing_member_id": "12", "clearing_system": "MOON"},
            "clearing_system is one of",
        ),
        ({"currency": "XYZ"}, "not an ISO 4217"),
        ({"holder": ""}, "at least 1"),
    ],
)
def test_a_wrong_account_is_refused_with_the_reason(changed: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        account("hotel", **changed)
