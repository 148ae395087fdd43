"""The lines of a stay: what its revenue categories say, or else its rooms and services."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from connectors.hotel.opentravel.config import OpenTravelConfig
from connectors.hotel.opentravel.money import minor, priced_line
from connectors.hotel.opentravel.xml import Node, attribute, every, first
from hub.connector import Line, LineKind, Tax, rounding_line
from hub.errors import Malformed

# Revenue of these kinds below zero gives back what earned nothing.
_EARNS_NOTHING = (LineKind.TAX, LineKind.CITY_TAX, LineKind.DEPOSIT, LineKind.GRATUITY)


@dataclass(slots=True)
class Folio:
    """What was sold, and by code what was given back in all."""

    sold: list[Line] = field(default_factory=list)
    back: dict[str, int] = field(default_factory=dict)


def currency_of(reservation: Node, revenue: Sequence[Node] | None) -> str | None:
    """Return the first currency that a stay's amounts state."""
    amounts = [
        node
        for category in revenue or ()
        for node in (
            *every(category, "RevenueDetails", "RevenueDetail"),
            *every(category, "SummaryAmount"),
        )
    ]
    amounts += every(reservation, "RoomStays", "RoomStay", "Total")
    amounts += every(reservation, "ResGlobalInfo", "Total")
    return next((code for one in amounts if (code := attribute(one, "CurrencyCode"))), None)


def read_revenue(revenue: Sequence[Node], currency: str, config: OpenTravelConfig) -> Folio:
    """Sum revenue by its code; raises Malformed, naming the field, for a code that has no kind."""
    sums: dict[str, int] = {}
    kinds: dict[str, LineKind] = {}
    for c, category in enumerate(revenue):
        at = f"RevenueCategory[{c}]"
        number = attribute(category, "RevenueCategoryCode")
        details = every(category, "RevenueDetails", "RevenueDetail")
        parts = [(one, f"{at}.RevenueDetail[{d}]") for d, one in enumerate(details)]
        summary = first(category, "SummaryAmount")
        stated = minor(summary, "Amount", currency, f"{at}.SummaryAmount")
        told = 0
        for node, where in parts or [(summary, f"{at}.SummaryAmount")]:
            amount = minor(node, "Amount", currency, where)
            if amount is None:
                raise Malformed("revenue has an amount", field=f"{where}.Amount")
            own = attribute(node, "PMSRevenueCode")
            code = own if own in config.revenue_kinds else f"category:{number}"
            kind = config.revenue_kinds.get(code or "")
            if code is None or kind is None:
                raise Malformed(
                    f"revenue code {own or code} has no kind: add it to revenue_kinds",
                    field=f"{where}.PMSRevenueCode" if own else f"{at}.RevenueCategoryCode",
                )
            sums[code] = sums.get(code, 0) + amount
            kinds[code] = kind
            told += amount
        if stated is not None and abs(stated - told) > len(parts):
            raise Malformed(
                "the details do not make up the sum", field=f"{at}.SummaryAmount.Amount"
            )
    folio = Folio()
    for code, amount in sums.items():
        if amount > 0:
            folio.sold.append(_revenue_line(code, amount, kinds[code]))
        elif amount < 0 and kinds[code] not in _EARNS_NOTHING:
            folio.back[code] = -amount
    return folio


def _revenue_line(code: str, amount: int, kind: LineKind) -> Line:
    """Return a sum as a line. Taxes are a category of their own: all of it is tax, nothing net."""
    alone = kind is LineKind.TAX
    taxes = (Tax(code=code, amount_minor=amount, included=True),) if alone else ()
    return Line(
        id=code,
        kind=kind,
        gross_minor=amount,
        net_minor=0 if alone else amount,
        taxes=taxes,
        category=code,
    )


def read_rooms(reservation: Node, currency: str, config: OpenTravelConfig) -> Folio:
    """Read what was booked, where nothing says what was charged; raises Malformed for no price."""
    common: dict[str, Any] = {"currency": currency, "tax_rate": config.tax_rate}
    lines = []
    rooms = every(reservation, "RoomStays", "RoomStay")
    whole = first(reservation, "ResGlobalInfo", "Total")
    if len(rooms) == 1 and not first(rooms[0], "Total") and whole:
        at = "ResGlobalInfo.Total"
        return Folio([priced_line(whole, line_id="room-1", kind=LineKind.ROOM, at=at, **common)])
    for n, room in enumerate(rooms, start=1):
        at = f"RoomStays.RoomStay[{n - 1}].Total"
        total = first(room, "Total")
        lines.append(priced_line(total, line_id=f"room-{n}", kind=LineKind.ROOM, at=at, **common))
    for n, service in enumerate(every(reservation, "Services", "Service"), start=1):
        price = first(service, "Price", "Total") or first(service, "Price", "Base")
        if price and attribute(service, "Inclusive") not in ("true", "1"):
            at = f"Services.Service[{n - 1}].Price"
            lines.append(
                priced_line(price, line_id=f"service-{n}", kind=LineKind.ITEM, at=at, **common)
            )
    if not lines:
        raise Malformed("a stay has a room", field="RoomStays.RoomStay")
    stated = minor(whole, "AmountAfterTax", currency, "ResGlobalInfo.Total")
    if stated is None:
        return Folio(lines)
    residual = stated - sum(line.gross_minor for line in lines)
    rounding = rounding_line(
        residual,
        allowed_minor=len(lines),
        currency=currency,
        field="ResGlobalInfo.Total.AmountAfterTax",
    )
    return Folio([*lines, *rounding])
