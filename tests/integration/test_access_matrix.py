"""Every role by every field, of its own and of others: what is declared, and not a word more.

`access_types.txt` declares of every type what each caller is shown of its fields, as they are met
in all these answers. HUB_WRITE_ACCESS_TYPES=1 writes it anew: read what it then says.

Selections are made of the schema, so that a new field is asked for by everybody until it is
declared. The others' world is full of words and amounts that nobody else has; in an answer to
whom they are not meant for, none of them may be.
"""

import base64
import os
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    GraphQLObjectType,
    GraphQLUnionType,
    get_named_type,
    is_leaf_type,
    is_required_argument,
)

from graphql_schema.schema import build_schema
from hub.clock import business_date, now
from hub.crypto import tokens
from hub.crypto.tokens import Principal
from hub.settlement.close_period import close
from hub.settlement.open_period import open_period
from tests.integration.api_kit import ADMIN, FINANCE, HOTEL, SHOP, STAFF, ZONE, Api
from tests.integration.test_graphql_card import gid

SCHEMA = build_schema()._schema
LI, HAN = "+8613910203040", "+8613977778888"
# Of the stranger: who it is; and what it has, which nobody needs to be told but those concerned.
PERSON = ("Canaryhan", "13977778888", "g-canary")
FIGURES = ("7331", "6554", "777", "6.22", "622", "6.216")
CALLERS = (
    "nobody", "member", "other member", "business", "other business", "staff", "finance", "admin",
)  # fmt: skip
TYPES = Path(__file__).with_name("access_types.txt")
"""Of every type its fields by what callers are shown of them: see `Seen`."""

BY_FIELD = ("Member", "SettlementPeriod")
STRANGERS = ("other member", "other business", "finance", "admin")

CODES = {
    "forbidden": "F", "unauthenticated": "U", "not_found": "N", "rejected": "R", "malformed": "M",
    "unavailable": "A",
}  # fmt: skip
# S shown, 0 null, H hidden with what it is of; or the error, as in CODES. In the order of CALLERS.
MEMBER: dict[str, str] = {
    "id": "USHSHSFF", "number": "USHSHSFF", "joinCode": "USHFHFFF", "displayName": "USHSHSFF",
    "phone": "USHSHSFF", "email": "U0H0H0FF", "attributes": "USHSHSFF", "lineage": "UFHFHSFF",
    "tier": "USHSHSFF", "tiers": "USHSHSFF", "tierHistory": "USHSHSFF", "tierNotices": "USHSHSFF",
    "tierAwards": "UFHFHSFF", "balance": "USHSHSFF", "expiringSoon": "USHSHSFF",
    "expiryNotices": "USHSHSFF", "accounts": "USHSHSFF", "consents": "USHSHSFF",
    "entries": "USHSHSFF", "statement": "USHFHSFF", "lots": "USHSHSFF", "holds": "USHSHSFF",
    "pool": "U0H0H0FF", "rewardOrders": "USHSHSFF", "adjustments": "UFHFHSFF",
    "receivables": "USHSHSFF", "entitlements": "USHSHSFF", "vouchers": "USHSHSFF",
    "voucherNotices": "USHSHSFF", "entitlementGrants": "USHSHSFF", "entitlementHolds": "USHSHSFF",
    "entitlementHistory": "USHSHSFF", "memberships": "USHSHSFF",
    "occasions": "USHSHSFF", "referralCode": "U0H0H0FF", "referrals": "USHFHSFF",
}  # fmt: skip
PERIOD: dict[str, str] = {
    "id": "UFFSSSSF", "code": "UFFSSSSF", "startsOn": "UFFSSSSF", "endsOn": "UFFSSSSF",
    "state": "UFFSSSSF", "closedAt": "UFFSSSSF", "netPositions": "UFFSSSSF", "prefunds": "UFFSSSSF",
    "bilateral": "UFFSSSSF", "history": "UFFFFSSF", "closeSteps": "UFFFFSSF", "checks": "UFFFFSSF",
    "payments": "UFFSSSSF", "dues": "UFFSSSSF", "disputes": "UFFSSSSF", "obligations": "UFFSSSSF",
    "rollForwards": "UFFSSSSF", "priceAllocations": "UFFSSSSF", "liabilityCohorts": "UFFSSSSF",
    "unreckoned": "UFFSSSSF", "sensitivity": "UFFSSSSF", "statement": "UFFSFSSF",
}  # fmt: skip
ROOTS: dict[str, str] = {
    "clients": "UFFFFFFS", "myPasskeys": "USSFFFFF", "mySessions": "USSFFFFF",
    "me": "USS00000", "member": "US0S0SFF", "members": "UFFFFSFF", "memberSearch": "UFFFFSFF",
    "memberByIdentifier": "UFF00FFF", "unreadableDetails": "UFFSSSFF",
    "settlementPeriods": "UFFSSSSF", "reconciliationMappings": "UFFSSSSF",
    "reconciliationRuns": "UFFSSSSF", "reconciliationSuggestions": "UFFSSSSF",
    "reconciliationBreaks": "UFFSSSSF", "reconciliationAgeing": "UFFSSSSF", "denials": "UFFFFSFF",
    "disputes": "UFFSSSSF", "settlementCorrections": "UFFFFSSF", "journals": "UFFSSSSF",
    "elimination": "UFFFFSSF", "journalFiles": "UFFFFFNF", "redemptionEstimates": "UFFSSSSF",
    "liabilityAgeing": "UFFSSSSF", "accountingPolicies": "UFFSSSSF", "agreements": "UFFSSSSF",
    "creditStandings": "UFFSSSSF", "programme": "USSSSSSS", "businesses": "USSSSSSS",
    "liability": "UFFSSSSF", "explainMatch": "UFFFFAFF", "matchRuns": "UFFFFSFF",
    "proposedAdjustments": "UFFFFSFF", "reviewItems": "UFFFFSFF", "rewards": "USSSSSSS",
    "reward": "U0000000", "node": "US0S0SFF", "nodes": "USSSSSFF", "voucherByCode": "UFFMMMMF",
"voucherCampaigns": "UFFSSSSF", "quote": "USSSFSFF",
    "membershipPlans": "USSSSSSS",
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
    if isinstance(inner, GraphQLUnionType):
        parts = [_all_of(of, seen) for of in SCHEMA.get_possible_types(inner)]
        return f"{name}({given}) {{ __typename {' '.join(parts)} }}"
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


def _all_of(type_: GraphQLObjectType, seen: frozenset[str]) -> str:
    fields = " ".join(asked(type_, name, seen | {type_.name, "Member"}) for name in type_.fields)
    return f"... on {type_.name} {{ {fields} }}"


class Seen:
    """What callers were shown of types' fields, in whatever was answered to them.

    S shown, 0 nothing there, or the error, as in CODES; - none of that type was shown at all.
    """

    def __init__(self) -> None:
        self._shown: dict[tuple[str, str], dict[str, set[str]]] = defaultdict(
            lambda: defaultdict(set)
        )

    def note(self, answer: dict[str, Any], caller: str) -> None:
        """Note what an answer shows, field by field."""
        query = SCHEMA.query_type
        assert query is not None
        for name, value in (answer.get("data") or {}).items():
            self._below(get_named_type(query.fields[name].type), value, caller)
        for error in answer.get("errors", ()):
            steps = [step for step in error.get("path") or () if isinstance(step, str)]
            type_: Any = query
            for step in steps[:-1]:
                type_ = get_named_type(type_.fields[step].type)
            if steps and type_ is not query:
                self._shown[type_.name, steps[-1]][caller].add(CODES[error["extensions"]["code"]])

    def _below(self, type_: Any, value: Any, caller: str) -> None:
        if isinstance(value, list):
            for one in value:
                self._below(type_, one, caller)
        elif isinstance(value, dict):
            if not isinstance(type_, GraphQLObjectType):
                type_ = SCHEMA.type_map[value["__typename"]]
            for name, what in value.items():
                if name in type_.fields:
                    shown = "0" if what is None or what == [] else "S"
                    self._shown[type_.name, name][caller].add(shown)
                    self._below(get_named_type(type_.fields[name].type), what, caller)

    def lines(self) -> Iterator[str]:
        """Yield a line for each type and verdict, with the fields that it is of."""
        for name in sorted(_shown_types()):
            type_ = SCHEMA.type_map[name]
            assert isinstance(type_, GraphQLObjectType)
            fields: dict[str, list[str]] = defaultdict(list)
            for field in type_.fields:
                by = self._shown.get((name, field), {})
                # Shown to somebody once is shown: it is what must be justified.
                said = (min(by.get(caller, {"-"}), key=_worst) for caller in CALLERS)
                fields["".join(said)].append(field)
            for verdict, of in sorted(fields.items()):
                yield f"{name} {verdict} {' '.join(of)}"


def _worst(shown: str) -> int:
    return "S".find(shown) if shown == "S" else "FUNRMA0-".index(shown) + 1


def _shown_types() -> set[str]:
    """Return the types that queries lead to."""
    found: set[str] = set()
    ahead: list[Any] = [SCHEMA.query_type]
    while ahead:
        type_ = ahead.pop()
        if isinstance(type_, GraphQLObjectType):
            if type_.name not in found:
                found.add(type_.name)
                ahead += [get_named_type(field.type) for field in type_.fields.values()]
        elif not is_leaf_type(type_):
            ahead += SCHEMA.get_possible_types(type_)
    return found - {"Query"}


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
    known = (None, *reversed(members), HOTEL, SHOP, STAFF, FINANCE, ADMIN)
    return dict(zip(CALLERS, known, strict=True))


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
        case "finance" | "admin":
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


def questions(world: dict[str, str]) -> Iterator[tuple[str, str, str | None]]:
    """Yield what is asked of everybody: an operation, its root, and the field below that."""
    query_type = SCHEMA.query_type
    assert query_type is not None
    roots = {
        "Member": f'member(id: "{world["han"]}")',
        "SettlementPeriod": f'settlementPeriod(code: "{world["period"]}")',
    }
    for type_name, root in roots.items():
        type_ = SCHEMA.type_map[type_name]
        assert isinstance(type_, GraphQLObjectType)
        for name in type_.fields:
            yield f"{{ {root} {{ {asked(type_, name)} }} }}", root.partition("(")[0], name
    for name in query_type.fields:
        if name != "settlementPeriod":  # field by field above
            query = f"{{ {asked(query_type, name)} }}"
            query = query.replace("$MEMBER", f'"{world["han"]}"')
            yield query.replace("$PERIOD", f'"{world["period"]}"'), name, None


async def test_every_root_type_and_field_by_every_caller(api: Api, world: dict[str, str]) -> None:
    found: dict[str, dict[str, str]] = {"member": {}, "settlementPeriod": {}, "": {}}
    seen, who = Seen(), callers(world)
    for query, root, name in questions(world):
        said = ""
        # A member that was asked for is named by its id, whatever is shown.
        ids = {**world, "han": "-"} if name else world
        for caller, principal in who.items():
            # Where nothing may be told: the resolvers, then the plan where there is one.
            for _ in range(2 if name and caller in STRANGERS else 1):
                answer = await api.ask(query, principal)
                told = leaked(str(answer), kept_from(caller, ids))
                assert not told, (query, caller, told)
                seen.note(answer, caller)
            said += verdict(answer, root, name)
        found[root if name else ""][name or root] = said
    lines = [*seen.lines()]
    if os.environ.get("HUB_WRITE_ACCESS_TYPES"):
        TYPES.write_text("\n".join(lines) + "\n")
    for kind, table in (("member", MEMBER), ("settlementPeriod", PERIOD), ("", ROOTS)):
        assert found[kind].keys() == table.keys()
        assert {name: said for name, said in found[kind].items() if said != table[name]} == {}
    assert lines == TYPES.read_text().splitlines()
