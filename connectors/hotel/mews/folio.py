"""A reservation's order items, told apart by when they came about.

A folio changes after check-out: minibars are charged late, items cancelled, nights rebated. Every
snapshot must tell the same facts, whenever it is taken, so that the line is drawn by the items'
own times and never by what happened to be posted before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

from connectors.hotel.mews.config import CORRECTING_TYPES, INTERNAL_TYPES, LINE_KINDS
from connectors.hotel.mews.payload import Amount, OrderItem
from hub.connector import Line, LineKind, Tax
from hub.errors import Malformed
from hub.units import Money, exponent


@dataclass(frozen=True, slots=True)
class Charge:
    """An item as a line, what it came to with tax, and since when it is cancelled, if it is."""

    item: OrderItem
    line: Line
    gross_minor: int
    cancelled_at: datetime | None


@dataclass(frozen=True, slots=True)
class Folio:
    """`settled`: charged before the guest left. `late`: charged after. `rebates`: given back,
    their amounts positive.
    """

    settled: tuple[Charge, ...]
    late: tuple[Charge, ...]
    rebates: tuple[Charge, ...]


def read_folio(
    items: Sequence[OrderItem], left_at: datetime, currency: str, *, no_show: bool
) -> Folio:
    """Sort a reservation's items; raises Malformed, naming the field, for what does not add up.

    What was cancelled before the guest left was never charged; a cancelled rebate never given.
    """
    settled, late, rebates = [], [], []
    for i, item in sorted(enumerate(items), key=lambda one: (one[1].created_utc, one[1].id)):
        cancelled = item.canceled_utc is not None or item.accounting_state == "Canceled"
        charge = _charge(item, currency, f"order_items[{i}].Amount", no_show=no_show)
        if item.type in INTERNAL_TYPES or charge.gross_minor == 0:
            continue
        if item.amount.gross_value < 0:
            if not cancelled and item.type not in CORRECTING_TYPES:
                rebates.append(charge)
        elif cancelled and (item.canceled_utc is None or item.canceled_utc <= left_at):
            continue
        elif item.created_utc <= left_at:
            settled.append(charge)
        else:
            late.append(charge)
    return Folio(settled=tuple(settled), late=tuple(late), rebates=tuple(rebates))


def _charge(item: OrderItem, currency: str, field: str, *, no_show: bool) -> Charge:
    sign = -1 if item.amount.gross_value < 0 else 1
    gross = sign * gross_minor(item.amount, currency, field)
    taxes = tuple(
        Tax(code=tax.code or "tax", amount_minor=amount, included=True)
        for tax in item.amount.tax_values
        if (amount := sign * _tax_minor(tax.value, currency))
    )
    net = gross - sum(tax.amount_minor for tax in taxes)
    stated = sign * item.amount.net_value.scaleb(exponent(currency))
    if abs(stated - net) > 1:
        raise Malformed("net and taxes do not make up the gross", field=f"{field}.NetValue")
    line = Line(
        id=item.id,
        kind=_kind(item, sign, no_show=no_show),
        quantity=Decimal(item.unit_count),
        gross_minor=gross,
        net_minor=net,
        taxes=taxes,
        category=item.accounting_category_id,
        reverses=item.gives_back_to,
    )
    return Charge(item=item, line=line, gross_minor=gross, cancelled_at=item.canceled_utc)


def _kind(item: OrderItem, sign: int, *, no_show: bool) -> LineKind:
    if sign < 0:
        return LineKind.REBATE
    if no_show and item.type == "CancellationFee":
        return LineKind.NO_SHOW_FEE
    return LINE_KINDS.get(item.type, LineKind.ITEM)


def gross_minor(amount: Amount, currency: str, field: str) -> int:
    """Return what an amount comes to with taxes; raises Malformed for another currency."""
    if amount.currency != currency:
        raise Malformed(
            f"an amount in {amount.currency} on a folio in {currency}", field=f"{field}.Currency"
        )
    return Money.parse(amount.gross_value, currency, field=f"{field}.GrossValue").minor


def _tax_minor(value: Decimal, currency: str) -> int:
    """Return a tax in minor units, rounded half up: an enterprise may set a finer TaxPrecision."""
    return int(value.scaleb(exponent(currency)).quantize(Decimal(1), rounding=ROUND_HALF_UP))
