"""What OpenTravel's amounts come to: before and after tax, with or without a decimal point."""

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

from connectors.hotel.opentravel.xml import Node, attribute, every, first
from hub.connector import Line, LineKind, Tax
from hub.errors import Malformed
from hub.units import Money


def minor(node: Node, name: str, currency: str, at: str) -> int | None:
    """Return the amount in an attribute, None when there is none.

    An amount without a decimal point beside `DecimalPlaces` counts minor units: 8500 and 2 is 85.
    Raises Malformed, naming the attribute, for what is no amount of `currency`.
    """
    text = attribute(node, name)
    if text is None:
        return None
    stated = attribute(node, "CurrencyCode") or currency
    if stated != currency:
        raise Malformed(
            f"an amount in {stated} on a bill in {currency}", field=f"{at}.CurrencyCode"
        )
    places = attribute(node, "DecimalPlaces")
    if places is None or "." in text:
        return Money.parse(text, currency, field=f"{at}.{name}").minor
    if places not in ("0", "1", "2", "3", "4"):
        raise Malformed("a number of decimals was expected", field=f"{at}.DecimalPlaces")
    try:
        value = Decimal(text).scaleb(-int(places))
    except InvalidOperation as bad:
        raise Malformed(f"{text[:30]!r} is no amount", field=f"{at}.{name}") from bad
    return Money.parse(value, currency, field=f"{at}.{name}").minor


def priced_line(
    total: Node,
    *,
    line_id: str,
    kind: LineKind,
    currency: str,
    tax_rate: Decimal | None,
    at: str,
) -> Line:
    """Return a total as a line; raises Malformed when it does not tell net from gross."""
    before = minor(total, "AmountBeforeTax", currency, at)
    after = minor(total, "AmountAfterTax", currency, at)
    stated = _stated_tax(total, currency, at)
    if before is not None:
        net, gross = before, before + (stated or 0) if after is None else after
    elif after is None:
        raise Malformed("a total has an amount", field=f"{at}.AmountAfterTax")
    elif stated is not None:
        net, gross = after - stated, after
    elif tax_rate is not None:
        net, gross = _without(after, tax_rate), after
    else:
        raise Malformed(
            "only the price after tax is stated: set tax_rate", field=f"{at}.AmountBeforeTax"
        )
    if not 0 <= net <= gross:
        raise Malformed("before tax is more than after tax", field=f"{at}.AmountBeforeTax")
    codes = [attribute(one, "Code") for one in every(total, "Taxes", "Tax")]
    tax = Tax(
        code=(codes[0] if len(codes) == 1 else None) or "tax",
        amount_minor=gross - net,
        included=True,
    )
    return Line(
        id=line_id,
        kind=kind,
        gross_minor=gross,
        net_minor=net,
        taxes=(tax,) if gross > net else (),
    )


def _stated_tax(total: Node, currency: str, at: str) -> int | None:
    """Return what the taxes of a total come to, None when nothing is said of them."""
    taxes = first(total, "Taxes")
    whole = minor(taxes, "Amount", currency, f"{at}.Taxes")
    if whole is not None:
        return whole
    return _sum(
        [
            minor(one, "Amount", currency, f"{at}.Taxes.Tax[{i}]")
            for i, one in enumerate(every(taxes, "Tax"))
        ]
    )


def _sum(amounts: Sequence[int | None]) -> int | None:
    if not amounts or None in amounts:
        return None
    return sum(amount for amount in amounts if amount is not None)


def _without(gross: int, rate: Decimal) -> int:
    net = Decimal(gross) / (1 + rate)
    return int(net.quantize(Decimal(1), rounding=ROUND_HALF_UP))
