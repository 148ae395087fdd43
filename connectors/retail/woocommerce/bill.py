"""Bills as WooCommerce adds them up: lines without tax, taxes beside them, negative fees.

A draft is a line whose amounts may still move: a negative fee is spread over what was sold, so
that no line is negative and none earns what was never paid.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from connectors.retail.woocommerce.config import WooCommerceConfig
from connectors.retail.woocommerce.payload import Item, OrderLine, TaxRate, rounded_minor
from hub.connector import Line, LineKind, Tax
from hub.errors import Malformed
from hub.units import share_by_largest_remainder

# Keys that gift card plugins hang on a line which sells one.
_GIFT_CARD_KEYS = ("wc_gc_giftcard", "pw_gift_card")
# Under this key a refund's line names the sold line that it reverses.
REVERSED_KEY = "_refunded_item_id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A line in the making; `gross` is as the shop shows it, with or without tax."""

    source: OrderLine
    kind: LineKind
    quantity: Decimal = Decimal(1)
    gross: int = 0
    net: int
    tax: int

    def line(self, *, included: bool, rates: Mapping[str, TaxRate]) -> Line:
        """Return the finished line; what its gross is more than its parts was discounted."""
        within = self.net + (self.tax if included else 0)
        gross = max(self.gross, within)
        return Line(
            id=self.source.id,
            kind=self.kind,
            quantity=self.quantity,
            gross_minor=gross,
            discount_minor=gross - within,
            net_minor=self.net,
            taxes=_taxes(self, included=included, rates=rates),
            reverses=self.source.meta(REVERSED_KEY),
        )


def item_kind(item: Item, config: WooCommerceConfig) -> LineKind:
    """Say what a sold line is: goods, unless the shop or a gift card plugin says otherwise."""
    told = config.product_kinds.get(item.product_id or "")
    if told is not None:
        return told
    if any(meta.key.startswith(_GIFT_CARD_KEYS) for meta in item.meta_data):
        return LineKind.GIFTCARD_SALE
    return LineKind.ITEM


def drafted(line: OrderLine, kind: LineKind, currency: str, field: str, *, sign: int = 1) -> Draft:
    """Read a line's net and tax; raises Malformed, naming the field, when they are negative."""
    net = sign * rounded_minor(line.total, currency, f"{field}.total")
    tax = sign * rounded_minor(line.total_tax, currency, f"{field}.total_tax")
    for amount, name in ((net, "total"), (tax, "total_tax")):
        if amount < 0:
            raise Malformed("the sign says that it was not sold", field=f"{field}.{name}")
    return Draft(source=line, kind=kind, gross=net, net=net, tax=tax)


def taken_off(drafts: Sequence[Draft], net: int, tax: int, field: str) -> list[Draft]:
    """Spread a reduction over the goods, by what each costs and is taxed; over all lines where
    the goods cost less than that.
    """
    for among in ([draft.kind is LineKind.ITEM for draft in drafts], [True] * len(drafts)):
        nets = [draft.net if meant else 0 for draft, meant in zip(drafts, among, strict=True)]
        taxes = [draft.tax if meant else 0 for draft, meant in zip(drafts, among, strict=True)]
        if net <= sum(nets) and tax <= sum(taxes):
            return [
                replace(draft, net=draft.net - less, tax=draft.tax - less_tax)
                for draft, less, less_tax in zip(
                    drafts,
                    share_by_largest_remainder(net, nets),
                    share_by_largest_remainder(tax, taxes),
                    strict=True,
                )
            ]
    raise Malformed("it takes off more than there is", field=field)


def with_tax_of(drafts: Sequence[Draft], total_tax: int, field: str) -> list[Draft]:
    """Let the lines' taxes add up to the order's.

    A shop may round tax once for all lines; what that leaves, at most one unit for each taxed
    line, goes to those that are taxed most. More is tax that no line knows of: Malformed.
    """
    left = total_tax - sum(draft.tax for draft in drafts)
    taxed = sorted(
        (i for i, draft in enumerate(drafts) if draft.tax > 0), key=lambda i: -drafts[i].tax
    )
    if abs(left) > len(taxed):
        raise Malformed("the lines' taxes do not add up to the order's", field=field)
    adjusted = list(drafts)
    for i in taxed[: abs(left)]:
        step = 1 if left > 0 else -1
        adjusted[i] = replace(adjusted[i], tax=adjusted[i].tax + step)
    return adjusted


def _taxes(draft: Draft, *, included: bool, rates: Mapping[str, TaxRate]) -> tuple[Tax, ...]:
    """Return a line's tax by rate. The parts come unrounded: they only say how to share it."""
    if draft.tax == 0:
        return ()
    parts = [part for part in draft.source.taxes if part.total]
    weights = [_weight(part.total) for part in parts]
    if not weights or any(weight <= 0 for weight in weights):
        return (Tax(code="tax", amount_minor=draft.tax, included=included),)
    return tuple(
        Tax(
            code=_code(rates.get(part.id)),
            amount_minor=share,
            rate=_rate(rates.get(part.id)),
            included=included,
        )
        for part, share in zip(parts, share_by_largest_remainder(draft.tax, weights), strict=True)
        if share
    )


def _weight(total: Decimal) -> int:
    return int(abs(total).scaleb(6)) if -6 <= total.adjusted() <= 15 else 0


def _code(rate: TaxRate | None) -> str:
    return (rate.rate_code or rate.label if rate else "") or "tax"


def _rate(rate: TaxRate | None) -> Decimal | None:
    return None if rate is None or rate.rate_percent is None else rate.rate_percent / 100
