"""The sample's tills: people give their phone, hear their balance, and spend points, by GraphQL."""

from dataclasses import dataclass
from typing import Any

import httpx2
from rich.progress import Progress

from hub.clock import now
from hub.crypto import tokens
from hub.crypto.keyring import Keyring
from hub.errors import Unavailable

BUSINESSES = ("bund-outfitters", "lakeside-hotel", "jade-kitchen")
BALANCE = """
query ($phone: String!) { memberByIdentifier(presented: {phone: $phone}) { balance { available } } }
"""
REDEEM = """
mutation ($input: RedeemInput!) {
  redeem(input: $input) { __typename ... on Rejection { message } }
}"""
STEP = 100


@dataclass(frozen=True, slots=True)
class Tills:
    """One till at each business, which knows nothing but its own token."""

    base_url: str
    keyring: Keyring

    async def visit(self, phones: list[str], progress: Progress) -> int:
        """Every third person spends half of what they have, at one business after another.

        Returns how many redemptions were taken. The keys are the phones' own places in the list:
        loading again redeems nothing twice.
        """
        taken = 0
        visitors = list(enumerate(phones))[::3]
        task = progress.add_task("points spent at tills", total=len(visitors))
        async with httpx2.AsyncClient(base_url=self.base_url, timeout=30) as http:
            for n, phone in visitors:
                business = BUSINESSES[n // 3 % len(BUSINESSES)]
                taken += await self._spend_half(http, business, phone, f"sample-{n}")
                progress.advance(task)
        return taken

    async def _spend_half(
        self, http: httpx2.AsyncClient, business: str, phone: str, key: str
    ) -> bool:
        found = await self._ask(http, business, BALANCE, {"phone": phone})
        member = found["memberByIdentifier"]
        points = member["balance"]["available"] // (2 * STEP) * STEP if member else 0
        if points == 0:
            return False
        asked = {"member": {"phone": phone}, "points": points, "idempotencyKey": key}
        answer = await self._ask(http, business, REDEEM, {"input": asked})
        return bool(answer["redeem"]["__typename"] == "Redeemed")

    async def _ask(
        self, http: httpx2.AsyncClient, business: str, query: str, variables: dict[str, Any]
    ) -> dict[str, Any]:
        token = tokens.issue(self.keyring, tokens.business(business), now=now())
        try:
            answer = await http.post(
                "/graphql",
                headers={"authorization": f"Bearer {token}"},
                json={"query": query, "variables": variables},
            )
            body: dict[str, Any] = answer.json()
        except (httpx2.HTTPError, ValueError) as failure:
            raise Unavailable(f"the till of {business} got no answer: {failure}") from failure
        if body.get("errors"):
            raise Unavailable(f"the till of {business} was answered {body['errors']}")
        data: dict[str, Any] = body["data"]
        return data
