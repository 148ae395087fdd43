"""A Mews reservation's order items as charges and rebates."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal

from connectors.hotel.mews.config import CORRECTING_TYPES, INTERNAL_TYPES, LINE_KINDS
from connectors.hotel.mews.payload import Amount, OrderItem
from hub.connector import Charge, Line, LineKind, Rebate, Tax, as_reference
from hub.errors import Malformed
from hub.units import Money, exponent


def read_folio(
    items: Sequence[OrderItem], currency: str, day: Callable[[datetime], date], *, no_show: bool
) -> tuple[list[Charge], list[Rebate]]:
    """Sort a reservation's items; raises Malformed, naming the field, for what does not add up.

    A cancelled rebate was never given, nor was anything charged that is cancelled since nobody
    knows when.
    """
    charges, rebates = [], []
    for i, item in sorted(enumerate(items), key=lambda one: (one[1].created_utc, one[1].id)):
        cancelled = item.canceled_utc is not None or item.accounting_state == "Canceled"
        line, gross = _line(item, currency, f"order_items[{i}].Amount", no_show=no_show)
        line = replace(line, charged_on=day(item.created_utc))
        if item.type in INTERNAL_TYPES:
            continue
        if item.amount.gross_value < 0:
            if not cancelled and item.type not in CORRECTING_TYPES:
                rebates.append(
                    Rebate(
                        line=line,
                        gross_minor=gross,
                        given_at=item.created_utc,
                        of=item.gives_back_to,
                    )
                )
        elif not cancelled or item.canceled_utc is not None:
            charges.append(
                Charge(
                    line=line,
                    gross_minor=gross,
                    charged_at=item.created_utc,
                    cancelled_at=item.canceled_utc,
                )
            )
    return charges, rebates


def _line(item: OrderItem, currency: str, field: str, *, no_show: bool) -> tuple[Line, int]:
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
        check=as_reference(item.external_identifier),
        reverses=item.gives_back_to,
    )
    return line, gross


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
