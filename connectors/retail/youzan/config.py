"""What a Youzan connection is configured with, and what Youzan's numbers stand for."""

from collections.abc import Mapping

from pydantic import Field

from hub.connector import DialectConfig, LineKind, TenderKind

_KINDS: Mapping[TenderKind, tuple[int, ...]] = {
    # 微信, 支付宝, QQ, 财付通, 百度, PayPal and what collects them
    TenderKind.WALLET: (
        *(1, 2, 3, 5, 10, 11, 13, 19, 20, 26, 27, 29, 30, 53, 72, 101, 102, 103, 105, 110, 111),
        *(115, 117, 118, 4095, 4096, 4097),
    ),
    TenderKind.CARD: (4, 6, 8, 12, 24, 36, 37, 104, 112, 113, 119, 4093, 4101),
    # 储值卡, 会员余额, 储值账户
    TenderKind.STORED_VALUE: (25, 35, 106, 300),
    # E卡, 礼品卡
    TenderKind.GIFTCARD: (28, 33, 90, 107),
    TenderKind.CASH: (201,),
    TenderKind.VOUCHER: (15, 16, 22, 116),
    # 挂账
    TenderKind.HOUSE_ACCOUNT: (205,),
}
# `pay_type` and `pay_way`: by whom or what a payment was made. Any other is `other`: 代付,
# 组合支付, 外部支付, 标记收款.
PAY_TYPES = {number: kind for kind, numbers in _KINDS.items() for number in numbers}
# 货到付款, 先用后付: paid after the goods have come.
PAID_LATER = (9, 49)

# `item_type` of what is sold but is no goods. 20 and 201 are memberships.
ITEM_TYPES: Mapping[int, LineKind] = {
    20: LineKind.FEE,
    201: LineKind.FEE,
    21: LineKind.GIFTCARD_SALE,
    208: LineKind.GIFTCARD_SALE,
    207: LineKind.STORED_VALUE_LOAD,
    35: LineKind.ROOM,
}
GIFT_CARD_ORDER = 81
GROUP_ORDER = 10
# `type` of orders in which no customer buys anything.
NO_SALES: Mapping[int, str] = {
    3: "a supply order of a distributor",
    7: "several supply orders paid as one",
    8: "a cent paid to prove a name",
    15: "a rebate",
    51: "a seller's deposit",
}


class YouzanConfig(DialectConfig):
    """`base_url` is https://open.youzanyun.com; the secrets are the app's client secrets.

    Without an `access_token`, one is asked for with `client_id`, the secret and `grant_id`, the
    shop's kdt_id, as apps for one's own use do. `points_pay_types` are pay types under which the
    group's own points pay.
    """

    client_id: str = ""
    grant_id: str | None = None
    points_pay_types: frozenset[int] = frozenset()
    pay_type_kinds: Mapping[int, TenderKind] = Field(default_factory=dict)

    def tender_kind(self, pay_type: int | None) -> TenderKind:
        """Say what a payment's money is; a number that nobody told us of is `other`."""
        if pay_type is None:
            return TenderKind.OTHER
        if pay_type in self.points_pay_types:
            return TenderKind.POINTS
        own = self.pay_type_kinds.get(pay_type)
        return own or PAY_TYPES.get(pay_type, TenderKind.OTHER)
