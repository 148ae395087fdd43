"""A bank's statement as MT940: one row for each entry, once the balances add up.

SWIFT's customer statement, with what banks write into field 86 in several ways. Of it is read what
says which payment an entry is: the end-to-end id, behind EREF.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from hub.connector import decoded
from hub.errors import Malformed
from hub.reconciliation.codes import Leg
from hub.reconciliation.payment_names import payment_named
from hub.reconciliation.rows import PartnerRow
from hub.units import Money

_FIELD = re.compile(r"^:(\d\d[A-Z]?):", re.MULTILINE)
_ENTRY = re.compile(
    r"(?P<day>\d{6})(?P<booked>\d{4})?(?P<mark>R?[CD])(?P<funds>[A-Z])?(?P<amount>\d[\d]*,\d*)"
    r"(?P<kind>[A-Z][A-Z0-9]{3})(?P<reference>[^\n]{0,16}?)(?://(?P<bank>[^\n]{0,34}))?"
    r"(?:\n(?P<more>.*))?$",
    re.DOTALL,
)
_BALANCE = re.compile(r"(?P<mark>[CD])(?P<day>\d{6})(?P<currency>[A-Z]{3})(?P<amount>\d[\d]*,\d*)$")
# A remittance goes on from sub-field to sub-field (?20 … ?29), in the middle of a word as well;
# others begin something else, as a tag does.
_GOES_ON = re.compile(r"\?2\d")
_ELSE = re.compile(r"\?\d\d|(?=[KMB]REF\+|CRED\+|DEBT\+|SVWZ\+|PURP\+|ABW[AE]\+|[CO]AMT\+|COAM\+)")
# Its characters, and the spaces that a bank put between them.
_END_TO_END = re.compile(r"/?EREF[+/ ]+([A-Za-z0-9](?:[ ]?[A-Za-z0-9-]){0,34})")


@dataclass(slots=True)
class _Entry:
    said: re.Match[str]
    about: str = ""


def read_mt940(
    body: bytes, *, account: str | None, encoding: str | None = None
) -> Iterator[PartnerRow]:
    """Yield the entries of a file of statements.

    Raises Malformed for what is no MT940, for another account than `account` and for a statement
    whose entries are not the difference of its balances: a part of it is missing.
    """
    statements = _statements(decoded(body, encoding).replace("\r\n", "\n"))
    number = 0
    for fields in statements:
        for row in _rows(fields, account, number):
            number += 1
            yield row
    if not statements:
        raise Malformed("the file is no MT940: it has no field 20", field="file")


def _statements(text: str) -> list[list[tuple[str, str]]]:
    """Split a text into statements, each a list of fields with what they hold."""
    found: list[list[tuple[str, str]]] = []
    marks = list(_FIELD.finditer(text))
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    for mark, end in zip(marks, ends, strict=bool(marks)):
        held = text[mark.end() : end]
        # What ends a message, or begins the next one's header, is of no field.
        held = re.split(r"\n-(?:\}|\n|$)|\n\{", held)[0].strip("\n")
        if mark.group(1) == "20":
            found.append([])
        if not found:
            raise Malformed("the file is no MT940: it does not begin with field 20", field="file")
        found[-1].append((mark.group(1), held))
    return found


def _rows(
    fields: Sequence[tuple[str, str]], account: str | None, number: int
) -> Iterator[PartnerRow]:
    opening: Money | None = None
    closing: Money | None = None
    entries: list[_Entry] = []
    for name, held in fields:
        if name == "25" and account not in (None, held, held.partition("/")[2]):
            raise Malformed(f"the statement is of account {held[-4:]!r}, another one", field="25")
        if name in ("60F", "60M"):
            opening = _balance(held, name)
        elif name in ("62F", "62M"):
            closing = _balance(held, name)
        elif name == "61":
            said = _ENTRY.match(held)
            if said is None:
                raise Malformed(f"{held[:40]!r} is no entry of a statement", field="61")
            entries.append(_Entry(said))
        elif name == "86" and entries and not entries[-1].about:
            entries[-1].about = held
    if opening is None or closing is None:
        raise Malformed("a statement has an opening and a closing balance", field="60F")
    rows = [_row(entry, opening.currency, number + n) for n, entry in enumerate(entries, start=1)]
    moved = sum((row.amount_minor or 0) * (1 if row.leg is Leg.RECEIVED else -1) for row in rows)
    if opening.currency != closing.currency or opening.minor + moved != closing.minor:
        raise Malformed(
            f"the entries come to {Money(moved, opening.currency)}, the balances move by "
            f"{Money(closing.minor - opening.minor, opening.currency)}: a part is missing",
            field="62F",
        )
    yield from rows


def _row(entry: _Entry, currency: str, number: int) -> PartnerRow:
    said = entry.said
    amount = _amount(said["amount"], currency, "61")
    credit = said["mark"].endswith("C")
    reversed_ = said["mark"].startswith("R")
    # A reversal takes back what came in, or what went out.
    about = _ELSE.sub("\n", _GOES_ON.sub("", entry.about.replace("\n", "")))
    told = f"{about}\n{said['more'] or ''}"
    named = _END_TO_END.search(told)
    names, receipt = payment_named(named.group(1) if named else said["reference"], told)
    bank = (said["bank"] or "").strip()
    return PartnerRow(
        number=number,
        leg=Leg.RECEIVED if credit else Leg.PAID,
        day=_day(said["day"]),
        amount_minor=-amount if reversed_ else amount,
        currency=currency,
        reference=bank or None,
        names=names,
        receipt=receipt,
    )


def _balance(held: str, field: str) -> Money:
    said = _BALANCE.match(held)
    if said is None:
        raise Malformed(f"{held[:40]!r} is no balance", field=field)
    minor = _amount(said["amount"], said["currency"], field)
    return Money(minor if said["mark"] == "C" else -minor, said["currency"])


def _amount(said: str, currency: str, field: str) -> int:
    return Money.parse(Decimal(said.replace(",", ".")), currency, field=field).minor


def _day(said: str) -> date:
    try:
        return date(2000 + int(said[:2]), int(said[2:4]), int(said[4:6]))
    except ValueError:
        raise Malformed(f"{said!r} is no day as 261231", field="61") from None
