"""What is asked again is answered by a plan: the same bytes as by resolvers, in one statement."""

from typing import Any

import orjson
import pytest

from graphql_schema.context import Context
from graphql_schema.schema import build_schema
from hub.clock import now
from hub.crypto.tokens import Principal
from tests.integration.api_kit import HOTEL, SHOP, STAFF, Api, Person
from tests.integration.test_graphql_card import gid

CARD = """query ($id: ID!) { member(id: $id) {
  id number
  tier { code name nameZh since qualifying progress { nextCode nextName nextNameZh missingPoints
    by } }
  balance { available posted held pending owed qualifying } expiringSoon
  expiryNotices { unit points expiresOn daysAhead givenAt }
  accounts { id externalId createdAt business { code name } }
  lots { id earned remaining expiresOn issuer { id code } }
  holds { id points captured voided remaining open expiresAt business { code } }
  pool { code openedAt members balance { available } }
  entitlements { benefit kind name nameZh startsOn endsOn granted used remaining
    offeredAt { code name kind currency country timeZone } } } }"""


@pytest.fixture
async def li(api: Api) -> Person:
    """A person with an account at the shop and one at the hotel, who bought at both."""
    li = await api.join("shop", "c-1", phone="+8613910203040", name="李雷", email="lei@example.com")
    again = await api.join("hotel", "g-1", phone="+8613910203040", name="Li Lei")
    await api.buy(li, "shop", 800)
    await api.buy(Person(member_id=li.member_id, account_id=again.account_id), "hotel", 400)
    return li


class Both:
    """A schema that answers every operation twice: by its plan and by its resolvers."""

    def __init__(self, api: Api) -> None:
        self.api, self.schema = api, build_schema()

    async def ask(self, query: str, who: Principal | None, **variables: Any) -> tuple[bytes, bool]:
        """Return the answer, the same by both, and whether a plan gave it."""
        at = now()
        before = self.schema.plans.answered
        answers = []
        for ask in (self.schema.resolve, self.schema.execute):
            context = Context(self.api.engine, keyring=self.api.keyring, principal=who, now=at)
            async with context:
                answers.append(
                    _bytes(await ask(query, variable_values=variables, context_value=context))
                )
        resolved, planned = answers
        assert planned == resolved
        return planned, self.schema.plans.answered > before


def _bytes(result: Any) -> bytes:
    errors = [error.formatted for error in result.errors or ()]
    return orjson.dumps({"data": result.data, "errors": errors})


@pytest.fixture
def both(api: Api) -> Both:
    return Both(api)


async def test_a_card_is_one_statement(both: Both, li: Person) -> None:
    for who in (STAFF, li.principal, HOTEL, SHOP):
        answer, planned = await both.ask(CARD, who, id=gid("Member", li.member_id))
        assert planned, who
        assert b'"errors":[]' in answer, answer
