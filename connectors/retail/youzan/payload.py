"""The parts of Youzan's messages and answers that are read.

Yuan (as text) and fen (as whole numbers) stand side by side: each field says which it is. Times are
China's, without zone. What is absent may be null, empty or the text "null".
"""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, ConfigDict, Field

from hub.connector import Read
from hub.errors import Malformed
from hub.units import Money

CURRENCY = "CNY"
_CHINA = ZoneInfo("Asia/Shanghai")


def _absent(value: Any) -> Any:
    return None if value in ("", "null") else value


def _or_zero(value: Any) -> Any:
    return Decimal(0) if value in (None, "", "null") else value


def _or_nothing(value: Any) -> Any:
    return () if value in (None, "") else value


def _time(value: Any) -> Any:
    """Read a time as it is written, in China; what is no time is left for the model to refuse."""
    if not isinstance(value, str):
        return _absent(value)
    try:
        found = datetime.fromisoformat(value.strip())
    except ValueError:
        return _absent(value)
    return found.replace(tzinfo=_CHINA) if found.tzinfo is None else found


Yuan = Annotated[Decimal, BeforeValidator(_or_zero)]
Fen = Annotated[int, BeforeValidator(lambda value: value or 0)]
Text = Annotated[str | None, BeforeValidator(_absent)]
Number = Annotated[int | None, BeforeValidator(_absent)]
Time = Annotated[datetime | None, BeforeValidator(_time)]


class _Resource(Read):
    model_config = ConfigDict(extra="ignore", frozen=True, coerce_numbers_to_str=True)


class OrderTags(_Resource):
    """What an order is marked with."""

    is_purchase_order: bool | None = None
    is_down_payment_pre: bool | None = None


class OrderExtra(_Resource):
    """What does not fit elsewhere."""

    is_parent_order: Text = None


class OrderInfo(_Resource):
    """What decides whether an order is a sale at all, and when and where."""

    tid: str
    status: str
    type: Number = 0
    pay_type: Number = None
    pay_time: Time = None
    update_time: Time = None
    refund_state: Number = 0
    offline_id: Text = None
    node_kdt_id: Text = None
    order_tags: OrderTags | None = None
    order_extra: OrderExtra | None = None


class PayInfo(_Resource):
    """What an order cost. `payment` holds `post_fee`; what `deduction_pay` took off it is in fen.

    `real_payment` is what was paid in the end; some messages lack it, or say 0.00.
    """

    payment: Decimal
    post_fee: Yuan = Decimal(0)
    real_payment: Yuan = Decimal(0)
    deduction_pay: Fen = 0
    deduct_value_card_pay: Fen = 0
    deduct_gift_card_pay: Fen = 0
    outer_transactions: Annotated[tuple[str, ...], BeforeValidator(_or_nothing)] = ()


class Item(_Resource):
    """A sold line; its `payment` is its share of the order's, of postage and discounts too."""

    oid: str
    item_type: Number = 0
    num: Annotated[Decimal, Field(ge=0, le=10**9)] = Decimal(1)
    price: Yuan = Decimal(0)
    payment: Decimal
    tax_total: Yuan = Decimal(0)


class BuyerInfo(_Resource):
    """Who bought. `outer_user_id` is WeChat's openid when the order came from there."""

    yz_open_id: Text = None
    buyer_id: Text = None
    buyer_phone: Text = None
    outer_user_id: Text = None


class Source(_Resource):
    """Through what the order was placed."""

    platform: Text = None


class SourceInfo(_Resource):
    """Where the order came from."""

    source: Source | None = None


class FullOrder(_Resource):
    """An order as messages, lists and details have it."""

    order_info: OrderInfo
    pay_info: PayInfo
    orders: Annotated[tuple[Item, ...], BeforeValidator(_or_nothing)]
    buyer_info: BuyerInfo | None = None
    source_info: SourceInfo | None = None


class RefundItem(_Resource):
    """What was paid back of a sold line, in fen, its postage included."""

    oid: str
    refund_fee: Fen = 0
    item_num: Annotated[Decimal, Field(ge=0, le=10**9), BeforeValidator(_or_zero)] = Decimal(0)


class RefundFund(_Resource):
    """The way that a part of a refund took back, in fen."""

    refund_no: str
    refund_fee: Fen = 0
    pay_way: Number = None


class RefundDetail(_Resource):
    """A refund (youzan.trade.refund.get); `refund_fee` is in yuan and holds `refund_postage`."""

    refund_id: str
    status: str
    demand: Number = None
    refund_type: Text = None
    refund_fee: Decimal
    refund_postage: Yuan = Decimal(0)
    oid: Text = None
    refund_success_time: Time = None
    refund_account_time: Time = None
    refund_order_item: Annotated[tuple[RefundItem, ...], BeforeValidator(_or_nothing)] = ()
    refund_fund_list: Annotated[tuple[RefundFund, ...], BeforeValidator(_or_nothing)] = ()


class Head(_Resource):
    """The head of an order: `FullOrder` without what only sales need."""

    order_info: OrderInfo


class TradeHead(_Resource):
    """A snapshot whose order may be no sale."""

    full_order_info: Head


class Trade(_Resource):
    """A snapshot: a message's content, or an order's detail with its refunds'."""

    full_order_info: FullOrder
    refund_details: tuple[RefundDetail, ...] = ()
    kdt_id: Text = None


class Customer(_Resource):
    """A customer as pushed (`version`, in milliseconds or seconds) or listed (`created_at`)."""

    yz_open_id: str
    version: int
    mobile: Text = None
    name: Text = None
    birthday: Text = None


def minor(amount: Decimal, field: str) -> int:
    """Return yuan in fen; raises Malformed, naming `field`, for less than nothing."""
    found = Money.parse(amount, CURRENCY, field=field).minor
    if found < 0:
        raise Malformed("an amount here is not negative", field=field)
    return found
