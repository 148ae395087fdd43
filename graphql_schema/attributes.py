"""A member's attributes as they are shown, each with its source and why it is the one shown."""

from datetime import datetime
from enum import Enum

import strawberry

from graphql_schema.access import (
    MEMBER_READERS,
    masks,
    only_business,
    reads_birthday,
    reads_pins,
    require,
)
from graphql_schema.accounts import Account
from graphql_schema.audit import read_in_full
from graphql_schema.context import Context, Info
from graphql_schema.programme import Business
from hub.members.display import Shown
from hub.members.survivorship import ATTRIBUTES, Because, Pin


@strawberry.enum(description="What is shown of a person.")
class PersonalAttribute(Enum):
    """The attributes that a member is shown with."""

    NAME = strawberry.enum_value("name", description="The name.")
    PHONE = strawberry.enum_value("phone", description="The phone number, in E.164 when in full.")
    EMAIL = strawberry.enum_value("email", description="The email address.")
    BIRTHDAY = strawberry.enum_value(
        "birthday", description="The birthday, YYYY-MM-DD; --MM-DD without the year."
    )


@strawberry.enum(description="The rule that chose a value: what tells it from the next best.")
class Survived(Enum):
    """Rules of survivorship, the first one that decides."""

    PIN = strawberry.enum_value("pin", description="Staff pinned it.")
    VERIFIED = strawberry.enum_value("verified", description="It is verified, the next is not.")
    RANK = strawberry.enum_value(
        "rank", description="Its business is ranked higher for the attribute."
    )
    RECENCY = strawberry.enum_value("recency", description="It was seen later.")
    ONLY = strawberry.enum_value("only", description="No other account says anything.")


@strawberry.type(description="Who says a value. A business is told only that it is its own word.")
class AttributeSource:
    """The account that a value comes from."""

    business: Business | None = strawberry.field(
        description="The business; null for words of staff, and where it is not for the caller."
    )
    account: Account | None = strawberry.field(
        description="The account; null for words of staff, and where it is not for the caller."
    )


@strawberry.type(description="A choice of staff. For staff.")
class AttributePin:
    """Who pinned a value, when and why."""

    pinned_by: str = strawberry.field(description="Who.")
    pinned_at: datetime = strawberry.field(description="When.")
    reason: str = strawberry.field(description="Why.")

    @classmethod
    def of(cls, pin: Pin) -> "AttributePin":
        """Show a pin."""
        return cls(pinned_by=pin.pinned_by, pinned_at=pin.pinned_at, reason=pin.reason)


@strawberry.type(description="One attribute of a member, as it is shown.")
class Attribute:
    """A value that survived, and where it comes from."""

    attribute: PersonalAttribute = strawberry.field(description="Which.")
    value: str = strawberry.field(description="The value, masked or in full.")
    source: AttributeSource = strawberry.field(description="Who says so.")
    observed_at: datetime = strawberry.field(description="When it was last seen there, or written.")
    verified: bool = strawberry.field(description="Whether its source had it proven.")
    because: Survived = strawberry.field(description="Why this value is shown and no other.")
    pin: AttributePin | None = strawberry.field(
        description="The choice of staff that it is; null where there is none, and for others than "
        "staff."
    )


async def visible_attributes(info: Info, member_id: int, asked: bool | None) -> list[Attribute]:
    """Return a member's attributes as far as the caller may see them, masked as access demands."""
    context = info.context
    caller = require(context.principal, *MEMBER_READERS)
    masked = masks(caller, asked=asked)
    view = await context.load.views.load(member_id)
    attributes = []
    for name in ATTRIBUTES:
        shown: Shown | None = getattr(view, name, None)
        if shown is None or (name == "birthday" and not reads_birthday(caller)):
            continue
        if not masked:
            read_in_full(context, caller, member_id=member_id, attribute=name)
        pinned = shown.pin if reads_pins(caller) else None
        attributes.append(
            Attribute(
                attribute=PersonalAttribute(name),
                value=shown.masked if masked else shown.value,
                source=await _source(context, member_id, shown, only_business(caller)),
                observed_at=shown.observed_at,
                verified=shown.verified,
                because=Survived(shown.because.value),
                pin=None if pinned is None else AttributePin.of(pinned),
            )
        )
    return attributes


async def _source(
    context: Context, member_id: int, shown: Shown, only: str | None
) -> AttributeSource:
    business = await context.business(shown.business_id)
    if shown.because is Because.PIN and shown.account_id is None:
        return AttributeSource(business=None, account=None)
    if only is not None and business.code != only:
        return AttributeSource(business=None, account=None)
    accounts = await context.load.accounts.load(member_id) or []
    row = next((one for one in accounts if one.account_id == shown.account_id), None)
    return AttributeSource(
        business=Business.of(business),
        account=None if row is None else Account.of(member_id, row),
    )
