"""How campaigns of vouchers are filtered and ordered."""

from datetime import datetime
from enum import Enum

import strawberry

from graphql_schema.filters import DIRECTION, Direction
from hub.benefits.vouchers import queries
from hub.benefits.vouchers.terms import VoucherKind as _Kind


@strawberry.enum(description="What a voucher takes off a bill, or gives beside it.")
class VoucherKind(Enum):
    """The kinds of hub.benefits.vouchers."""

    CASH = strawberry.enum_value(_Kind.CASH.value, description="An amount.")
    PERCENTAGE = strawberry.enum_value(
        _Kind.PERCENTAGE.value, description="A percentage, up to a cap."
    )
    THRESHOLD = strawberry.enum_value(
        _Kind.THRESHOLD.value, description="An amount for so much that is spent (满减)."
    )
    GIFT = strawberry.enum_value(_Kind.GIFT.value, description="Something for nothing.")
    POINTS = strawberry.enum_value(_Kind.POINTS.value, description="Points as a bonus.")
    DELIVERY = strawberry.enum_value(_Kind.DELIVERY.value, description="Delivery, up to a cap.")
    BENEFIT = strawberry.enum_value(
        _Kind.BENEFIT.value, description="Uses of a benefit, as soon as it is a member's."
    )


@strawberry.input(description="Which campaigns; all that is said holds.")
class VoucherCampaignFilter:
    """By where they hold, who pays, and what they give when."""

    business: str | None = strawberry.field(
        default=None, description="Whose vouchers this business takes, by its code."
    )
    funder: str | None = strawberry.field(
        default=None, description="Whose vouchers this business pays for, by its code."
    )
    kinds: list[VoucherKind] | None = strawberry.field(default=None, description="Of these kinds.")
    currency: str | None = strawberry.field(
        default=None, description="Whose amounts are in this currency, by ISO 4217."
    )
    benefit: str | None = strawberry.field(
        default=None, description="Whose vouchers give this benefit, by its short name."
    )
    valid_at: datetime | None = strawberry.field(
        default=None, description="Within whose validity that moment is, with an offset from UTC."
    )


@strawberry.enum(description="By what campaigns are ordered.")
class VoucherCampaignOrderField(Enum):
    """The orders of hub.benefits.vouchers.queries."""

    CODE = strawberry.enum_value("code", description="Their short names.")
    BEGINS = strawberry.enum_value("begins", description="When their validity begins.")
    ENDS = strawberry.enum_value("ends", description="When their validity ends.")


@strawberry.input(description="How campaigns are ordered.")
class VoucherCampaignOrder:
    """By what, and which way."""

    field: VoucherCampaignOrderField = strawberry.field(description="By what.")
    direction: Direction = strawberry.field(description=DIRECTION)


CAMPAIGN_ORDERS = {
    "CODE": queries.CAMPAIGNS,
    "BEGINS": queries.BY_BEGIN,
    "ENDS": queries.BY_END,
}
