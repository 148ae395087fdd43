"""What is denied is on record: of whom, what, how often; and not more than a disk holds."""

import hashlib
import json
from pathlib import Path

import pytest

from hub.audit.denials import DenialFilter, denials
from hub.audit.record_denials import BEYOND, MOST_KINDS
from hub.clock import now
from hub.crypto import tokens
from hub.db.keyset import Stretch
from tests.integration.api_kit import FINANCE, HOTEL, SHOP, STAFF, Api, running_api
from tests.integration.test_graphql_card import gid
from tests.support.sockets import served, subscriber

DENIALS = """query ($of: String) { denials(subject: $of, first: 50) {
  nodes { times role subject path reason asked } } }"""


async def kept(api: Api, of: str) -> list[tuple[str, ...]]:
    rows = (await api.data(DENIALS, STAFF, of=of))["denials"]["nodes"]
    return sorted((one["path"], one["reason"], one["asked"], one["times"]) for one in rows)


async def test_what_is_refused_or_hidden_is_on_record(api: Api) -> None:
    li = await api.join("shop", "c-1", phone="+8613910203040", name="Li")
    han = await api.join("hotel", "g-1", phone="+8613910203041", name="Han")
    ask = "query ($id: ID!) { member(id: $id) { number } }"
    for _ in range(3):  # the resolvers, then the plan
        assert await api.data(ask, li.principal, id=gid("Member", han.member_id)) == {
            "member": None
        }
    await api.data(ask, li.principal, id=gid("Member", li.member_id))
    number = f"Member:{han.member_id}"
    assert await kept(api, li.principal.subject) == [("member", "hidden", number, 3)]

    full = "query ($id: ID!) { member(id: $id) { phone(masked: false) } }"
    assert await api.code(full, SHOP, id=gid("Member", li.member_id)) == "forbidden"
    others = '{ reconciliationBreaks(business: "shop") { nodes { number } } }'
    assert await api.code(others, HOTEL) == "forbidden"
    assert await api.code("{ members { nodes { number } } }", FINANCE) == "forbidden"
    assert await kept(api, SHOP.subject) == [("member.phone", "forbidden", "masked", 1)]
    assert [one[:3] for one in await kept(api, HOTEL.subject)] == [
        ("reconciliationBreaks", "forbidden", "business")
    ]
    assert await kept(api, FINANCE.subject) == [("members", "forbidden", "", 1)]

    cancel = """mutation { stockReward(input: { reward: "none", quantity: 1, idempotencyKey: "k" })
      { __typename } }"""
    answer = await api.data(cancel, FINANCE)
    assert answer == {"stockReward": {"__typename": "Forbidden"}}
    assert ("mutation", "forbidden", "", 1) in await kept(api, FINANCE.subject)

    # Who is not signed in is counted, and is not on record.
    assert await api.code("{ businesses { code } }") == "unauthenticated"
    everything = str(await api.data(DENIALS, STAFF, of=None))
    assert "nobody" not in everything
    assert not [said for said in ("1391020", "Li", "Han") if said in everything]
    assert (
        'hub_denials_total{reason="unauthenticated",role="nobody"}'
        in (await api.client.get("/metrics")).text
    )


async def test_what_a_download_is_refused_is_on_record(api: Api) -> None:
    for path, who in (
        ("/statements/2026-10/hotel.pdf", SHOP),
        ("/payments/2026-10.xml", SHOP),
        ("/payments/S202610-1-2-CNY.pdf", SHOP),
        ("/payments/13910203040.pdf", SHOP),
        ("/statements/2026-10/shop.pdf", SHOP),  # not there, and no secret
        ("/statements/2026-10/shop.pdf", STAFF),
    ):
        assert (await api.client.get(path, headers=api.token(who))).status_code in (403, 404)
    payment = "/payments/{id}.pdf"
    assert await kept(api, SHOP.subject) == [
        (payment, "hidden", "Payment", 1),
        (payment, "hidden", "Payment:S202610-1-2-CNY", 1),
        ("/payments/{period}.xml", "forbidden", "", 1),
        ("/statements/{period}/{business}.{kind}", "forbidden", "business", 1),
    ]
    sent = {"name": "x.csv"}
    refused = await api.client.post("/reconciliation/book", params=sent, headers=api.token(HOTEL))
    assert refused.status_code == 403
    assert await kept(api, HOTEL.subject) == [("/reconciliation/{mapping}", "forbidden", "", 1)]
    assert await kept(api, STAFF.subject) == []


async def test_what_a_subscription_is_refused_is_on_record(api: Api) -> None:
    li = await api.join("shop", "c-1", phone="+8613910203040")
    han = await api.join("hotel", "g-1", phone="+8613910203041")
    watch = "subscription ($m: ID) { balanceChanged(member: $m) { posted } }"
    close = """subscription { settlementProgress(period: "2026-10") { state } }"""
    async with served(api.app) as (url, _):
        token = tokens.issue(api.keyring, li.principal, now=now())
        async with subscriber(url, token) as told:
            await told.subscribe("1", watch, m=gid("Member", han.member_id))
            assert await told.refusal() == "not_found"
            await told.subscribe("2", close)
            assert await told.refusal("2") == "forbidden"
    assert await kept(api, li.principal.subject) == [
        ("member", "hidden", f"Member:{han.member_id}", 1),
        ("settlementProgress", "forbidden", "", 1),
    ]


async def test_what_is_refused_for_its_text_is_on_record(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    known = "{ programme { name } }"
    documents = tmp_path / "documents.json"
    documents.write_text(json.dumps({hashlib.sha256(known.encode()).hexdigest(): known}))
    async with running_api(
        database_url, redis_url, tmp_path, documents=documents, only_documents=True
    ) as api:
        sent = {"query": "{ businesses { code } }"}
        refused = await api.client.post("/graphql", json=sent, headers=api.token(SHOP))
        assert refused.status_code == 403
        async with api.engine.connect() as db:
            [one] = await denials(db, only=DenialFilter(SHOP.subject), stretch=Stretch(9))
        assert (one.operation, one.path, one.asked) == ("http", "/graphql", "query")


@pytest.mark.parametrize("at_once", [MOST_KINDS + 15])
async def test_who_probes_fills_no_disk(api: Api, at_once: int) -> None:
    li = await api.join("shop", "c-1")
    for first in (0, at_once):
        roots = [
            f'm{n}: member(id: "{gid("Member", 1000 + n)}") {{ number }}'
            for n in range(first, first + at_once)
        ]
        for begins in range(0, at_once, 10):
            await api.data(f"{{ {' '.join(roots[begins : begins + 10])} }}", li.principal)
    rows = await kept(api, li.principal.subject)
    assert sum(int(one[3]) for one in rows) == 2 * at_once
    # The minute may have changed on the way.
    assert len(rows) <= 2 * (MOST_KINDS + 1)
    assert next(one[:3] for one in rows if one[0] == BEYOND) == (BEYOND, BEYOND, "")
