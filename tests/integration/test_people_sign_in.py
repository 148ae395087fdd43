"""People of the group's own provider, at the real door."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.integration.api_kit import running_api
from tests.integration.test_graphql_card import gid
from tests.support.issuer import AUDIENCE, running_provider

PIN = """mutation ($input: PinAttributeInput!) { pinAttribute(input: $input) { __typename } }"""


@pytest.fixture
def copied(grouped_template: str) -> str:
    return grouped_template


async def test_a_person_of_the_provider_is_one_name_in_what_is_recorded(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    with running_provider() as provider:
        issuer = {"name": "corp", "issuer": provider.url, "audience": AUDIENCE,
                  "algorithms": ["RS256"], "roles": {"hub-staff": "staff"}}  # fmt: skip
        oidc = json.dumps([issuer])
        async with running_api(database_url, redis_url, tmp_path, oidc=oidc) as api:
            li = await api.join("shop", "c-1", phone="+8613910203040", name="Li")

            async def ask(token: str, query: str, **variables: Any) -> Any:
                headers = {"authorization": f"Bearer {token}"}
                body = {"query": query, "variables": variables}
                return await api.client.post("/graphql", json=body, headers=headers)

            pin = {"member": {"id": gid("Member", li.member_id)}, "attribute": "NAME",
                   "value": "Li Lei", "reason": "asked"}  # fmt: skip
            done = (await ask(provider.token(), PIN, input=pin)).json()
            assert done["data"]["pinAttribute"]["__typename"] == "AttributePinned"
            async with api.engine.connect() as db:
                assert await db.scalar(text("SELECT pinned_by FROM pin")) == "corp:ann"
            for wrong in ({"aud": "other"}, {"roles": ["nobody"]}, {"iss": "https://x.example"}):
                answer = await ask(provider.token(**wrong), "{ businesses { code } }")
                assert answer.status_code == 401
            provider.down = True
            query = "{ members { nodes { number } } }"
            assert "data" in (await ask(provider.token(), query)).json()
