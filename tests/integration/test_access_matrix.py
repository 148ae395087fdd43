"""Every role by every field, of its own and of others: what is declared here, and not a word more.

Selections are made of the schema, so that a new field is asked for by everybody until it is
declared. The others' world is full of words and amounts that nobody else has; in an answer to
whom they are not meant for, none of them may be.
"""

import base64
import re
from typing import Any

import pytest
from graphql import GraphQLObjectType, get_named_type, is_leaf_type, is_required_argument

from graphql_schema.schema import build_schema
from hub.clock import business_date, now
from hub.crypto import tokens
from hub.crypto.tokens import Principal
from hub.settlement.close_period import close
from hub.settlement.open_period import open_period
from tests.integration.api_kit import FINANCE, HOTEL, SHOP, STAFF, ZONE, Api
from tests.integration.test_graphql_card import gid

SCHEMA = build_schema()._schema
LI, HAN = "+8613910203040", "+8613977778888"
# Of the stranger: who it is; and what it has, which nobody needs to be told but those concerned.
PERSON = ("Canaryhan", "13977778888", "g-canary")
FIGURES = ("7331", "6554", "777", "6.22", "622", "6.216")
CALLERS = ("nobody", "member", "other member", "business", "other business", "staff", "finance")

BY_FIELD = ("Member", "SettlementPeriod")
STRANGERS = ("other member", "other business", "finance")

CODES = {
    "forbidden": "F", "unauthenticated": "U", "not_found": "N", "rejected": "R", "malformed": "M",
    "unavailable": "A",
}  # fmt: skip
# S shown, 0 null, H hidden with what it is of; or the error, as in CODES. In the order of CALLERS.
MEMBER: dict[str, str] = {
    "id": "USHSHSF", "number": "USHSHSF", "joinCode": "USHFHFF", "displayName": "USHSHSF",
    "phone": "USHSHSF", "email": "U0H0H0F", "attributes": "USHSHSF", "lineage": "UFHFHSF",
    "tier": "USHSHSF", "tiers": "USHSHSF", "tierHistory": "USHSHSF", "tierNotices": "USHSHSF",
    "tierAwards": "UFHFHSF", "balance": "USHSHSF", "expiringSoon": "USHSHSF",
    "expiryNotices": "USHSHSF", "accounts": "USHSHSF", "consents": "USHSHSF",
    "entries": "USHSHSF", "statement": "USHFHSF", "lots": "USHSHSF", "holds": "USHSHSF",
    "pool": "U0H0H0F", "rewardOrders": "USHSHSF", "adjustments": "UFHFHSF",
    "receivables": "USHSHSF", "entitlements": "USHSHSF", "vouchers": "USHSHSF",
    "voucherNotices": "USHSHSF", "entitlementGrants": "USHSHSF", "entitlementHolds": "USHSHSF",
    "entitlementHistory": "USHSHSF", "memberships": "USHSHSF",
    "occasions": "USHSHSF",
}  # fmt: skip
PERIOD: dict[str, str] = {
    "id": "UFFSSSS", "code": "UFFSSSS", "startsOn": "UFFSSSS", "endsOn": "UFFSSSS",
    "state": "UFFSSSS", "closedAt": "UFFSSSS", "netPositions": "UFFSSSS", "prefunds": "UFFSSSS",
    "bilateral": "UFFSSSS", "history": "UFFFFSS", "closeSteps": "UFFFFSS", "checks": "UFFFFSS",
    "payments": "UFFSSSS", "dues": "UFFSSSS", "disputes": "UFFSSSS", "obligations": "UFFSSSS",
    "rollForwards": "UFFSSSS", "priceAllocations": "UFFSSSS", "liabilityCohorts": "UFFSSSS",
    "unreckoned": "UFFSSSS", "sensitivity": "UFFSSSS", "statement": "UFFSFSS",
}  # fmt: skip
ROOTS: dict[str, str] = {
    "clients": "UFFFFFF", "myPasskeys": "USSFFFF", "mySessions": "USSFFFF",
    "me": "USS0000", "member": "US0S0SF", "members": "UFFFFSF", "memberSearch": "UFFFFSF",
    "memberByIdentifier": "UFF00FF", "unreadableDetails": "UFFSSSF",
    "settlementPeriods": "UFFSSSS", "reconciliationMappings": "UFFSSSS",
    "reconciliationRuns": "UFFSSSS", "reconciliationSuggestions": "UFFSSSS",
    "reconciliationBreaks": "UFFSSSS", "reconciliationAgeing": "UFFSSSS", "denials": "UFFFFSF",
    "disputes": "UFFSSSS", "settlementCorrections": "UFFFFSS", "journals": "UFFSSSS",
    "elimination": "UFFFFSS", "journalFiles": "UFFFFFN", "redemptionEstimates": "UFFSSSS",
    "liabilityAgeing": "UFFSSSS", "accountingPolicies": "UFFSSSS", "agreements": "UFFSSSS",
    "creditStandings": "UFFSSSS", "programme": "USSSSSS", "businesses": "USSSSSS",
    "liability": "UFFSSSS", "explainMatch": "UFFFFAF", "matchRuns": "UFFFFSF",
    "proposedAdjustments": "UFFFFSF", "reviewItems": "UFFFFSF", "rewards": "USSSSSS",
    "reward": "U000000", "node": "US0S0SF", "nodes": "USSSSSF", "voucherByCode": "UFFMMMM",
"voucherCampaigns": "UFFSSSS", "quote": "USSSFSF",
    "membershipPlans": "USSSSSS",
}  # fmt: skip
GIVEN = {
    ("Member", "expiringSoon"): "withinDays: 30",
    ("Member", "statement"): 'from: "2026-01-01T00:00:00Z"',
    ("SettlementPeriod", "sensitivity"): 'by: "0.1"',
    ("SettlementPeriod", "statement"): 'business: "hotel"',
    ("Query", "member"): "id: $MEMBER",
    ("Query", "memberSearch"): f'by: {{ phone: "{HAN}" }}',
    ("Query", "memberByIdentifier"): 'presented: { phone: "+8613900000000" }',
    ("Query", "unreadableDetails"): "first: 10",
    ("Query", "settlementPeriod"): "code: $PERIOD",
    ("Query", "journals"): "period: $PERIOD",
    ("Query", "elimination"): "period: $PERIOD",
    ("Query", "journalFiles"): 'period: $PERIOD, format: "csv"',
    ("Query", "explainMatch"): "a: $MEMBER, b: $MEMBER",
    ("Query", "matchRuns"): "first: 10",
    ("Query", "settlementPeriods"): "first: 2",
    ("Query", "reconciliationBreaks"): "first: 2",
    ("Query", "reviewItems"): "first: 2",
    ("Query", "disputes"): "first: 2",
    ("Query", "rewards"): "affordable: false",
    ("Query", "reward"): 'code: "none"',
    ("Query", "node"): "id: $MEMBER",
    ("Query", "nodes"): "ids: [$MEMBER]",
    ("Query", "voucherByCode"): 'code: "none"',
    ("Query", "quote"): 'cart: { lines: [{ id: "a", unitPriceMinor: 5 }] }, business: "hotel"',
}


def asked(type_: GraphQLObjectType, name: str, seen: frozenset[str] = frozenset()) -> str:
    """Return a field with all that is below it, each type once on the way."""
    field = type_.fields[name]
    given = GIVEN.get((type_.name, name), "")
    for argument, of in field.args.items():
        assert f"{argument}:" in given or not is_required_argument(of), (type_.name, name)
    inner = get_named_type(field.type)
    call = f"{name}({given})" if given else name
    if is_leaf_type(inner):
        return call
    if not isinstance(inner, GraphQLObjectType) or inner.name in seen:
        return f"{call} {{ __typename }}"
    below = seen | {inner.name, "Member"}
    fields = [
        asked(inner, one, below)
        for one, of in inner.fields.items()
        # What else these have is asked for one by one.
        if inner.name not in BY_FIELD or is_leaf_type(get_named_type(of.type))
    ]
    return f"{call} {{ {' '.join(fields)} }}"


@pytest.fixture
async def world(api: Api) -> dict[str, str]:
    """Li of the shop spends at the hotel, Han of the hotel at the diner; the day is closed."""
    li = await api.join("shop", "c-1", phone=LI, name="Li Lei")
    han = await api.join("hotel", "g-canary", phone=HAN, name="Canaryhan")
    await api.buy(li, "shop", 1000)
    await api.buy(han, "hotel", 7331)
    spend = "mutation ($input: RedeemInput!) { redeem(input: $input) { __typename } }"
    for phone, points, at in ((LI, 500, "hotel"), (HAN, 777, "diner")):
        facts = {"member": {"phone": phone}, "points": points, "idempotencyKey": f"r{points}"}
        assert await api.data(spend, tokens.business(at), input=facts)
    code = f"{business_date(now(), ZONE)}"
    async with api.engine.begin() as db:
        period = await open_period(db, code=code, now=now())
        await close(db, period_id=period.period_id, now=now())
    return {"li": gid("Member", li.member_id), "han": gid("Member", han.member_id), "period": code}


def callers(world: dict[str, str]) -> dict[str, Principal | None]:
    members = [tokens.member(int(base64.b64decode(world[n]).split(b":")[1])) for n in ("li", "han")]
    return dict(zip(CALLERS, (None, *reversed(members), HOTEL, SHOP, STAFF, FINANCE), strict=True))


def leaked(text: str, words: tuple[str, ...]) -> list[str]:
    return [word for word in words if re.search(rf"(?<![\w.]){re.escape(word)}(?![\w])", text)]


def kept_from(caller: str, world: dict[str, str]) -> tuple[str, ...]:
    """Return the words that a caller must not be told."""
    match caller:
        case "nobody" | "other member" | "other business":
            return (*PERSON, *FIGURES, world["han"])
        case "business":
            return PERSON[1:2]
        case "staff":
            return PERSON[:2]
        case "finance":
            return (*PERSON, world["han"])
    return ()


def verdict(answer: dict[str, Any], root: str, name: str | None) -> str:
    if "errors" in answer:
        code: str = answer["errors"][0]["extensions"]["code"]
        return CODES[code]
    found = answer["data"][root]
    if name is None:
        return "0" if found is None else "S"
    return "H" if found is None else "0" if found[name] is None else "S"


@pytest.mark.parametrize(
    ("type_name", "root", "declared"),
    [
        ("Member", 'member(id: "$MEMBER")', MEMBER),
        ("SettlementPeriod", 'settlementPeriod(code: "$PERIOD")', PERIOD),
    ],
)
async def test_every_field_by_every_caller(
    api: Api, world: dict[str, str], type_name: str, root: str, declared: dict[str, str]
) -> None:
    found = {}
    type_ = SCHEMA.type_map[type_name]
    assert isinstance(type_, GraphQLObjectType)
    for name in type_.fields:
        query = f"{{ {root} {{ {asked(type_, name)} }} }}"
        query = query.replace("$MEMBER", world["han"]).replace("$PERIOD", world["period"])
        said = ""
        for caller, who in callers(world).items():
            # Where nothing may be told: the resolvers, then the plan where there is one.
            for _ in range(2 if caller in STRANGERS else 1):
                answer = await api.ask(query, who)
                told = leaked(str(answer), kept_from(caller, {**world, "han": "-"}))
                assert not told, (name, caller, told)
            said += verdict(answer, root.partition("(")[0], name)
        found[name] = said
    assert found == declared


async def test_every_root_by_every_caller(api: Api, world: dict[str, str]) -> None:
    found = {}
    query_type = SCHEMA.query_type
    assert query_type is not None
    for name in query_type.fields:
        if name == "settlementPeriod":
            continue  # field by field above
        query = f"{{ {asked(query_type, name)} }}"
        query = query.replace("$MEMBER", f'"{world["han"]}"')
        query = query.replace("$PERIOD", f'"{world["period"]}"')
        said = ""
        for caller, who in callers(world).items():
            answer = await api.ask(query, who)
            told = leaked(str(answer), kept_from(caller, world))
            assert not told, (name, caller, told)
            said += verdict(answer, name, None)
        found[name] = said
    assert found == ROOTS
