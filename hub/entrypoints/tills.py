"""The sample's tills: members of one business spend their points at another, through GraphQL."""

from dataclasses import dataclass

import httpx2
from rich.progress import Progress
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from strawberry.relay import to_base64

from hub.clock import now
from hub.config import Settings
from hub.crypto import tokens
from hub.crypto.keyring import Keyring
from hub.errors import Unavailable

REDEEM = """
mutation ($input: RedeemInput!) {
  redeem(input: $input) { __typename ... on Redeemed { points } ... on Rejection { message } }
}"""
MEMBERS = 60


@dataclass(frozen=True, slots=True)
class _Visit:
    member_id: int
    business: str
    points: int


async def redeem_at_tills(
    engine: AsyncEngine, settings: Settings, keyring: Keyring, progress: Progress
) -> int:
    """Redeem for the members with the most points; returns how many redemptions were taken.

    Each visits the businesses in turn, one that issued the points or another. The keys are the
    visits' own: loading again redeems nothing twice.
    """
    visits = await _visits(engine)
    task = progress.add_task("redemptions at tills", total=len(visits))
    taken = 0
    async with httpx2.AsyncClient(base_url=settings.base_url, timeout=30) as http:
        for visit in visits:
            token = tokens.issue(keyring, tokens.business(visit.business), now=now())
            answer = await http.post(
                "/graphql",
                headers={"authorization": f"Bearer {token}"},
                json={"query": REDEEM, "variables": {"input": _input(visit)}},
            )
            body = answer.json()
            if answer.status_code != 200 or body.get("errors"):
                raise Unavailable(f"the till of {visit.business} was answered {answer.text}")
            taken += body["data"]["redeem"]["__typename"] == "Redeemed"
            progress.advance(task)
    return taken


def _input(visit: _Visit) -> dict[str, object]:
    return {
        "member": {"id": to_base64("Member", str(visit.member_id))},
        "points": visit.points,
        "idempotencyKey": f"sample-{visit.business}-{visit.member_id}",
    }


async def _visits(engine: AsyncEngine) -> list[_Visit]:
    """Choose who goes where: the members with the most points, business after business."""
    async with engine.connect() as db:
        codes = list(await db.scalars(text("SELECT code FROM business ORDER BY business_id")))
        rows = await db.execute(
            text("""
              SELECT member_id, posted FROM balance WHERE unit = 1 AND posted >= 200
              ORDER BY posted DESC, member_id LIMIT :members"""),
            {"members": MEMBERS},
        )
        return [
            _Visit(row.member_id, codes[n % len(codes)], row.posted // 200 * 100)
            for n, row in enumerate(rows)
        ]
