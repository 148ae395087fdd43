"""What a till does: find who stands there, take points once, show what happened."""

from collections.abc import AsyncIterator

from hub_client.client import HubClient, pages
from hub_client.operations import (
    ENTRIES,
    FIND_MEMBER,
    REDEEM,
    EntriesMemberEntriesNodes,
    FindMemberMemberByIdentifier,
)


async def find(hub: HubClient, phone: str) -> FindMemberMemberByIdentifier | None:
    """Return the member with a phone number, masked; None for nobody."""
    found = await hub.execute(FIND_MEMBER({"presented": {"phone": phone}}))
    return found["memberByIdentifier"]


async def redeem(hub: HubClient, member: str, points: int, *, bill: str) -> str:
    """Take points for a bill, once however often it is asked; returns what to print."""
    key = f"bill-{bill}"
    answer = await hub.execute(
        REDEEM({"input": {"member": {"id": member}, "points": points, "idempotencyKey": key}})
    )
    done = answer["redeem"]
    match done["__typename"]:
        case "Redeemed":
            return f"{done['points']} points taken, {done['available']} left"
        case "InsufficientPoints":
            return f"only {done['available']} points can be spent"
        case "PointsNotAccepted":
            return f"not that many for this bill: at most {done['nearestPoints']}"
        case "IdempotencyConflict" | "InvalidInput":
            raise ValueError(f"{done['field']}: {done['message']}")
        case "MemberUnknown" | "Forbidden":
            return done["message"]


async def entries(
    hub: HubClient, member: str, *, at_once: int = 50
) -> AsyncIterator[EntriesMemberEntriesNodes]:
    """Yield all that moved for a member at this business, the latest first."""

    async def page(after: str | None) -> tuple[list[EntriesMemberEntriesNodes], str | None]:
        data = await hub.execute(ENTRIES({"member": member, "first": at_once, "after": after}))
        if data["member"] is None:
            return [], None
        found = data["member"]["entries"]
        more = found["pageInfo"]["hasNextPage"]
        return found["nodes"], found["pageInfo"]["endCursor"] if more else None

    async for entry in pages(page):
        yield entry
