"""A bank's statement as ISO 20022 camt.053, of any version: one row for each transaction booked."""

import io
from collections.abc import Iterator
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from lxml import etree

from hub.errors import Malformed
from hub.reconciliation.codes import Leg
from hub.reconciliation.payment_names import payment_named
from hub.reconciliation.rows import PartnerRow
from hub.units import Money


def read_camt053(body: bytes, *, account: str | None) -> Iterator[PartnerRow]:
    """Yield the booked transactions of a file of statements.

    Nothing outside of the file is read, whatever it names. Raises Malformed for what is no
    camt.053, for another account than `account` and for a statement whose entries are not the
    difference of its balances: a part of it is missing.
    """
    number, statements = 0, 0
    for statement in _statements(body):
        statements += 1
        for row in _rows(statement, account, number):
            number += 1
            yield row
    if statements == 0:
        raise Malformed("the file is no camt.053: it has no statement", field="file")


def _statements(body: bytes) -> Iterator[Any]:
    """Yield one statement after another, and forget each when the next is asked for."""
    parser: dict[str, Any] = {
        "resolve_entities": False,
        "no_network": True,
        "load_dtd": False,
        "huge_tree": False,
    }
    try:
        events = etree.iterparse(io.BytesIO(body), events=("start", "end"), **parser)
        for event, element in events:
            if event == "start":
                tree = element.getroottree()
                if element is tree.getroot() and tree.docinfo.doctype:
                    raise Malformed("a statement has no document type", field="file")
            elif etree.QName(element).localname == "Stmt":
                yield element
                element.clear()
    except etree.XMLSyntaxError as bad:
        raise Malformed(f"the file is no XML: {bad.msg}", field="file") from None


def _rows(statement: Any, account: str | None, number: int) -> Iterator[PartnerRow]:
    own = _text(statement, "./{*}Acct/{*}Id/{*}IBAN") or _text(
        statement, "./{*}Acct/{*}Id/{*}Othr/{*}Id"
    )
    if account is not None and own != account:
        raise Malformed(f"the statement is of account {own[-4:]!r}, another one", field="Acct")
    rows: list[PartnerRow] = []
    moved: dict[str, int] = {}
    for entry in statement.iterfind("./{*}Ntry"):
        if (_text(entry, "./{*}Sts/{*}Cd") or _text(entry, "./{*}Sts")) != "BOOK":
            continue
        made = list(_of_entry(entry, number + len(rows)))
        rows += made
        for row in made:
            sign = 1 if row.leg is Leg.RECEIVED else -1
            moved[row.currency or ""] = moved.get(row.currency or "", 0) + sign * (
                row.amount_minor or 0
            )
    _refuse_gap(statement, moved)
    yield from rows


def _of_entry(entry: Any, number: int) -> Iterator[PartnerRow]:
    """Yield an entry's transactions; as one where it does not say what each comes to."""
    whole = _money(entry.find("./{*}Amt"))
    credit = _text(entry, "./{*}CdtDbtInd") == "CRDT"
    reversed_ = _text(entry, "./{*}RvslInd") in ("true", "1")
    # A reversal of a credit is booked as a debit: it takes back what came in.
    leg = Leg.RECEIVED if credit is not reversed_ else Leg.PAID
    day = _day(entry)
    reference = _text(entry, "./{*}AcctSvcrRef")
    parts = entry.findall("./{*}NtryDtls/{*}TxDtls")
    amounts = [
        _money(found)
        for part in parts
        if (found := part.find("./{*}Amt")) is not None
        or (found := part.find("./{*}AmtDtls/{*}TxAmt/{*}Amt")) is not None
    ]
    apart = (
        len(amounts) == len(parts) > 1
        and {money.currency for money in amounts} == {whole.currency}
        and sum(money.minor for money in amounts) == whole.minor
    )
    if not apart:
        parts, amounts = parts[:1] if len(parts) == 1 else [entry], [whole]
    for n, (part, money) in enumerate(zip(parts, amounts, strict=True), start=1):
        said = " ".join(found.text or "" for found in part.iterfind(".//{*}RmtInf/{*}Ustrd"))
        names, receipt = payment_named(_text(part, "./{*}Refs/{*}EndToEndId"), said)
        own = _text(part, "./{*}Refs/{*}AcctSvcrRef") or reference
        yield PartnerRow(
            number=number + n,
            leg=leg,
            day=day,
            amount_minor=-money.minor if reversed_ else money.minor,
            currency=money.currency,
            reference=(f"{own}/{n}" if apart and own == reference else own) or None,
            names=names,
            receipt=receipt,
        )


def _refuse_gap(statement: Any, moved: dict[str, int]) -> None:
    """Raise Malformed when opening and closing balance are stated, and differ by something else."""
    stated: dict[str, Money] = {}
    for balance in statement.iterfind("./{*}Bal"):
        money = _money(balance.find("./{*}Amt"))
        sign = 1 if _text(balance, "./{*}CdtDbtInd") == "CRDT" else -1
        code = _text(balance, "./{*}Tp/{*}CdOrPrtry/{*}Cd")
        stated[code] = Money(sign * money.minor, money.currency)
    opening, closing = stated.get("OPBD", stated.get("PRCD")), stated.get("CLBD")
    if opening is None or closing is None:
        return
    entries = moved.get(opening.currency, 0)
    if opening.minor + entries != closing.minor:
        raise Malformed(
            f"the entries come to {Money(entries, opening.currency)}, the balances move by "
            f"{Money(closing.minor - opening.minor, opening.currency)}: a part is missing",
            field="Bal",
        )


def _money(amount: Any) -> Money:
    if amount is None:
        raise Malformed("an entry has an amount", field="Amt")
    try:
        said = Decimal((amount.text or "").strip())
    except InvalidOperation:
        raise Malformed("an amount is a decimal number", field="Amt") from None
    return Money.parse(said, amount.get("Ccy") or "", field="Amt")


def _day(entry: Any) -> date:
    for place in ("BookgDt", "ValDt"):
        for kind in ("Dt", "DtTm"):
            said = _text(entry, f"./{{*}}{place}/{{*}}{kind}")
            if said:
                try:
                    return date.fromisoformat(said[:10])
                except ValueError:
                    raise Malformed(f"{said[:40]!r} is no day", field=place) from None
    raise Malformed("an entry has a day on which it was booked", field="BookgDt")


def _text(element: Any, path: str) -> str:
    return (element.findtext(path) or "").strip()
