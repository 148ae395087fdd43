"""The businesses of the group: what anybody may know."""

from typing import ClassVar

import strawberry
from strawberry import relay

from graphql_schema.access import EVERYBODY, require
from graphql_schema.context import Info
from graphql_schema.fields import key_of, resolved, shown
from hub.programme import queries


@strawberry.type(description="A business of the group: it earns, accepts and settles points.")
class Business(relay.Node):
    """A business, by its code."""

    node_key: ClassVar = ("code",)
    code: str = strawberry.field(description="Its short name, never changed: bund-retail.")
    name: str = strawberry.field(description="Its name as members know it.")
    kind: str = strawberry.field(description="What it is: retail, hotel, dining or programme.")
    currency: str = strawberry.field(description="ISO 4217 currency that it trades in.")
    country: str = strawberry.field(description="ISO 3166 country that it is in.")
    time_zone: str = strawberry.field(description="IANA zone of its trading day.")

    @classmethod
    def resolve_id(cls, root: "Business", *, info: strawberry.Info) -> str:
        """Return the node id's second half."""
        return key_of(cls.node_key, root)

    @classmethod
    def of(cls, row: queries.Business) -> "Business":
        """Show a business as configured."""
        return shown(cls, row)


async def business_node(info: Info, key: str) -> Business | None:
    """Find a business by its code."""
    require(info.context.principal, *EVERYBODY)
    rows = (await info.context.load.businesses()).values()
    return next((Business.of(row) for row in rows if row.code == key), None)


@strawberry.type
class BusinessQuery:
    """Reads of businesses."""

    @resolved("The group's businesses. For everybody who is signed in.")
    async def businesses(self, info: Info) -> list[Business]:
        """Return all businesses."""
        require(info.context.principal, *EVERYBODY)
        return [Business.of(row) for row in (await info.context.load.businesses()).values()]
