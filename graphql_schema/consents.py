"""What members agreed to, as it is shown."""

from datetime import datetime
from enum import Enum

import strawberry

from graphql_schema.access import only_business, require
from graphql_schema.context import Info
from graphql_schema.programme import Business
from hub.crypto.tokens import Role
from hub.privacy import consent


@strawberry.enum(description="What personal data may be used for, beyond serving the membership.")
class ConsentPurpose(Enum):
    """The purposes that need a consent."""

    SHARING = strawberry.enum_value(
        consent.Purpose.SHARING.value,
        description="To be shown what other legal entities of the group were told.",
    )
    MARKETING = strawberry.enum_value(
        consent.Purpose.MARKETING.value, description="To advertise to the member."
    )
    PROFILING = strawberry.enum_value(
        consent.Purpose.PROFILING.value, description="To derive what the member may like or do."
    )


@strawberry.type(description="What a member last said of a purpose to a legal entity.")
class Consent:
    """A consent, given or withdrawn."""

    legal_entity: str = strawberry.field(description="The legal entity it was said to, by code.")
    businesses: list[Business] = strawberry.field(description="Its businesses.")
    purpose: ConsentPurpose = strawberry.field(description="What for.")
    given: bool = strawberry.field(description="Whether the member agrees; false: withdrew.")
    said_at: datetime = strawberry.field(description="When the member said so.")
    source: str = strawberry.field(description="Where it was said.")
    text_version: str = strawberry.field(
        description="The version of the words that were put to the member."
    )


async def visible_consents(info: Info, member_id: int) -> list[Consent]:
    """Return what a member said; a business sees what was said to its own legal entity."""
    caller = require(info.context.principal, Role.MEMBER, Role.BUSINESS, Role.STAFF)
    businesses = (await info.context.load.businesses()).values()
    only = only_business(caller)
    own = {b.legal_entity_id for b in businesses if b.code == only}
    return [
        Consent(
            legal_entity=row.legal_entity,
            businesses=[
                Business.of(b) for b in businesses if b.legal_entity_id == row.legal_entity_id
            ],
            purpose=ConsentPurpose(row.purpose.value),
            given=row.given,
            said_at=row.said_at,
            source=row.source,
            text_version=row.text_version,
        )
        for row in await info.context.load.consents.load(member_id)
        if only is None or row.legal_entity_id in own
    ]
