"""A payment file for the bank: ISO 20022 pain.001.001.09, one payment block a debtor's account.

The same payments give the same bytes: ids follow from the period, times from the release.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from zoneinfo import ZoneInfo

from lxml import etree

from hub.errors import Rejected
from hub.settlement.accounts import PaymentAccount
from hub.settlement.documents.bank_text import bank_text
from hub.settlement.payments import Payment
from hub.units import Money

NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"
LONGEST_NAME = 70
LONGEST_NOTE = 140


def write_pain001(
    payments: Sequence[Payment],
    *,
    period: str,
    group: str,
    time_zone: str,
    accounts: Mapping[int, PaymentAccount],
) -> bytes:
    """Return the file that orders `payments` of a period.

    Raises Rejected when there is none, or one that was not released.
    """
    if not payments:
        raise Rejected(f"period {period} has no payments: prepare and release them", period=period)
    if any(payment.released_at is None for payment in payments):
        raise Rejected(f"payments of {period} are not released: have them released", period=period)
    released = max(p.released_at for p in payments if p.released_at is not None)
    document = etree.Element(_tag("Document"), nsmap={None: NAMESPACE})
    order = _add(document, "CstmrCdtTrfInitn")
    header = _add(order, "GrpHdr")
    name = f"S{period.replace('-', '')}"
    _add(header, "MsgId", f"{name}-{released:%Y%m%d%H%M%S}")
    local = released.astimezone(ZoneInfo(time_zone))
    _add(header, "CreDtTm", local.isoformat(timespec="seconds"))
    _counted(header, payments)
    _add(_add(header, "InitgPty"), "Nm", bank_text(group, longest=LONGEST_NAME))
    for debtor in sorted({payment.debtor_account_id for payment in payments}):
        of = [payment for payment in payments if payment.debtor_account_id == debtor]
        block = _add(order, "PmtInf")
        _add(block, "PmtInfId", f"{name}-A{debtor}")
        _add(block, "PmtMtd", "TRF")
        _counted(block, of)
        _add(_add(block, "ReqdExctnDt"), "Dt", f"{local:%Y-%m-%d}")
        _party(block, "Dbtr", accounts[debtor])
        for payment in of:
            _transfer(block, payment, period, accounts[payment.creditor_account_id])
    file: bytes = etree.tostring(
        document, xml_declaration=True, encoding="UTF-8", pretty_print=True
    )
    return file


def _counted(parent: etree._Element, payments: Sequence[Payment]) -> None:
    """Say how many payments there are and what they sum to, whatever their currencies."""
    amounts = (Decimal(str(Money(p.amount_minor, p.currency))) for p in payments)
    _add(parent, "NbOfTxs", str(len(payments)))
    _add(parent, "CtrlSum", f"{sum(amounts):f}")


def _transfer(
    block: etree._Element, payment: Payment, period: str, creditor: PaymentAccount
) -> None:
    one = _add(block, "CdtTrfTxInf")
    ids = _add(one, "PmtId")
    _add(ids, "InstrId", payment.end_to_end_id)
    _add(ids, "EndToEndId", payment.end_to_end_id)
    amount = _add(_add(one, "Amt"), "InstdAmt", str(Money(payment.amount_minor, payment.currency)))
    amount.set("Ccy", payment.currency)
    _party(one, "Cdtr", creditor)
    note = f"Settlement {period} {payment.end_to_end_id}"
    _add(_add(one, "RmtInf"), "Ustrd", bank_text(note, longest=LONGEST_NOTE))


def _party(parent: etree._Element, role: str, account: PaymentAccount) -> None:
    """Write who pays or is paid; the standard puts a creditor's bank first, a debtor's last."""
    if role == "Cdtr":
        _agent(parent, role, account)
    _add(_add(parent, role), "Nm", bank_text(account.holder, longest=LONGEST_NAME))
    held = _add(parent, f"{role}Acct")
    number = _add(held, "Id")
    if account.scheme == "iban":
        _add(number, "IBAN", account.number)
    else:
        _add(_add(number, "Othr"), "Id", account.number)
    _add(held, "Ccy", account.currency)
    if role == "Dbtr":
        _agent(parent, role, account)


def _agent(parent: etree._Element, role: str, account: PaymentAccount) -> None:
    bank = _add(_add(parent, f"{role}Agt"), "FinInstnId")
    if account.agent_scheme == "bic":
        _add(bank, "BICFI", account.agent)
        return
    member = _add(bank, "ClrSysMmbId")
    _add(_add(member, "ClrSysId"), "Cd", account.agent_scheme)
    _add(member, "MmbId", account.agent)


def _add(parent: etree._Element, name: str, words: str | None = None) -> etree._Element:
    child = etree.SubElement(parent, _tag(name))
    child.text = words
    return child


def _tag(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"
