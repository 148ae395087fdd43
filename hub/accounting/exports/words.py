"""What a journal's events are called, in English and Chinese, and amounts as files write them."""

from decimal import Decimal

from hub.accounting.journals.build import ELSEWHERE, PAYABLE, RECEIVABLE
from hub.accounting.journals.lines import PostedLine
from hub.accounting.movements import MovementKind
from hub.settlement.codes import LineKind
from hub.units import exponent

_MOVED = {
    MovementKind.BROUGHT_IN: ("Points brought in", "期初积分转入"),
    MovementKind.DEFERRED: ("Sales price allocated to points", "销售价款分摊至积分"),
    MovementKind.REDEEMED: ("Points redeemed", "积分兑换确认收入"),
    MovementKind.REINSTATED: ("Redemptions given back", "积分兑换退回"),
    MovementKind.EXPIRED: ("Points expired", "积分到期"),
    MovementKind.CLAWBACK: ("Points taken back on refunds", "退货收回积分"),
    MovementKind.CATCH_UP: ("Estimate of redemption revised", "预计兑换率变更调整"),
    MovementKind.BREAKAGE: ("Breakage", "积分失效确认收入"),
    MovementKind.ADJUSTED: ("Points granted without a sale", "非销售积分调整"),
}
_KINDS = {
    LineKind.REDEMPTION: ("Points redeemed", "积分兑换结算"),
    LineKind.ISSUE: ("Points sold", "积分发行结算"),
    LineKind.BENEFIT: ("Benefits served", "会员权益结算"),
    LineKind.VOUCHER: ("Vouchers taken", "优惠券结算"),
    LineKind.BREAKAGE: ("Breakage given back", "失效积分返还"),
    LineKind.PREFUND: ("Prefund paid", "预付结算款"),
    LineKind.PREFUND_DRAW: ("Prefund drawn", "预付款抵扣"),
    LineKind.CAP: ("Above the cap", "超出上限冲减"),
    LineKind.PLAN: ("Plans sold for others", "代售会员计划结算"),
    LineKind.COMMISSION: ("Commission on plans", "代售会员计划佣金"),
    LineKind.CORRECTION: ("Correction", "结算更正"),
}
_EVENTS = {
    **{kind.value: words for kind, words in _MOVED.items()},
    **{
        kind.value + ELSEWHERE: (f"{english} at partners", f"{chinese}(伙伴处)")
        for kind, (english, chinese) in _MOVED.items()
    },
    **{
        kind.name.lower() + PAYABLE: (f"{english}, payable", f"{chinese}(应付)")
        for kind, (english, chinese) in _KINDS.items()
    },
    **{
        kind.name.lower() + RECEIVABLE: (f"{english}, receivable", f"{chinese}(应收)")
        for kind, (english, chinese) in _KINDS.items()
    },
}


def in_english(line: PostedLine) -> str:
    """Say what a line is of."""
    return _said(line, _EVENTS[line.event][0], ", ")


def in_chinese(line: PostedLine) -> str:
    """Say what a line is of; no comma of ours is one that separates fields."""
    return _said(line, _EVENTS[line.event][1], " ")


def _said(line: PostedLine, words: str, gap: str) -> str:
    who = line.business if line.counterparty is None else f"{line.business}/{line.counterparty}"
    return f"{words}{gap}{who}"


def amount(minor: int, currency: str) -> str:
    """Write minor units in major ones, with the currency's decimals: 12.34."""
    return str(Decimal(minor).scaleb(-exponent(currency)))
