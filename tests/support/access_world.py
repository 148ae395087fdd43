"""What the group and a member may have of everything: for tests of who is shown what."""

from datetime import timedelta
from typing import Any

from graphql import get_named_type
from sqlalchemy import text

from hub.benefits.tiers.promote import promote
from hub.clock import business_date, now
from hub.connector import Hint, HintType
from hub.crypto import tokens
from hub.crypto.tokens import Principal, Role
from hub.members.resolve import Sighting, resolve
from tests.integration.api_kit import ADMIN, FINANCE, HOTEL, SHOP, STAFF, ZONE, Api, Person
from tests.integration.test_graphql_card import gid
from tests.support.access_asking import HAN, LI, SCHEMA, fields, mutation
from tests.support.access_seen import CALLERS, Seen

LI_FACTS = {"phone": LI, "name": "Li Lei"}
HAN_FACTS = {"phone": HAN, "name": "Canaryhan"}
# To a business that serves somebody who is none of its customers, and whom it is shown that once.
SERVED = {("redeem", "business"), ("hold", "other business")}
PHONE = {"member": {"phone": HAN}}
SECOND = Principal(role=Role.STAFF, subject="dee")
OTHER_FINANCE = Principal(role=Role.FINANCE, subject="cleo")


def nodes_of(kind: str) -> dict[str, Any]:
    """Return the fields of a type that are something with a node id, or several, and of which."""
    node = SCHEMA.type_map["Node"]
    named = {name: get_named_type(of.type) for name, of in SCHEMA.type_map[kind].fields.items()}
    return {name: of for name, of in named.items() if node in getattr(of, "interfaces", ())}


def answers_with_nodes() -> set[tuple[str, str]]:
    """Return all that mutations may answer with a node, and in which field."""
    assert SCHEMA.mutation_type is not None
    answers = [get_named_type(of.type) for of in SCHEMA.mutation_type.fields.values()]
    kinds = {of.name for one in answers for of in getattr(one, "types", (one,))}
    return {(kind, name) for kind in kinds for name in nodes_of(kind)}


class World:
    """Han of the hotel has one of everything that there is; Li of the shop is a stranger.

    Everything is done as it would be, and all that is answered is noted.
    """

    def __init__(self, api: Api, li: Person, han: Person, guest: Person) -> None:
        self.api, self.li, self.han, self.guest = api, li, han, guest
        self.seen = Seen()
        self.said: list[tuple[str, str, dict[str, Any], Any]] = []
        """Who did what with which facts, and what was answered."""
        self.today = business_date(now(), ZONE)
        self.period = f"{self.today}"
        self.found: dict[str, str] = {}
        """What of it is asked for by name."""
        self.read_again: set[tuple[str, str]] = set()
        """Of which answers of mutations which fields were read once more."""
        self._keys = 0

    @property
    def ids(self) -> dict[str, str]:
        return {
            name: gid("Member", getattr(self, name).member_id) for name in ("li", "han", "guest")
        }

    @property
    def named(self) -> dict[str, str]:
        """Return what questions name."""
        return {
            "$MEMBER": self.ids["han"],
            "$PERIOD": self.period,
            "$CODE": self.found["code"],
            "$BIRTH": self.found["births"].split()[0],
            "$OTHER_BIRTH": self.found["births"].split()[1],
        }

    @property
    def callers(self) -> dict[str, Principal | None]:
        """Return who asks, as the callers of `Seen`."""
        known = (None, self.han.principal, self.li.principal, HOTEL, SHOP, STAFF, FINANCE, ADMIN)
        return dict(zip(CALLERS, known, strict=True))

    def caller(self, who: Principal) -> str:
        """Return which caller somebody is: others of the group's people are as one of them."""
        for name, known in self.callers.items():
            if known == who:
                return name
        return who.role.value

    async def act(self, verb: str, who: Principal, **facts: Any) -> Any:
        """Do one mutation, which must not be refused; a key is given where one is taken."""
        kind, answered = await self.ask(verb, who, **facts)
        assert "message" not in answered, (verb, answered)
        assert "message" not in SCHEMA.type_map[kind].fields, (verb, answered)
        return answered

    async def ask(self, verb: str, who: Principal, **facts: Any) -> tuple[str, Any]:
        """Do one mutation; returns what kind of answer it has, and the answer."""
        writes = SCHEMA.mutation_type
        assert writes is not None
        if "idempotencyKey" in writes.fields[verb].args["input"].type.of_type.fields:
            self._keys += 1
            facts = {"idempotencyKey": f"{verb}-{self._keys}", **facts}
        answer = await self.api.ask(mutation(verb), who, input=facts)
        assert "errors" not in answer, (verb, answer["errors"])
        caller = self.caller(who)
        self.seen.note(answer, caller, writes)
        found = answer["data"][verb]
        await self._read_again(verb, who, found)
        self.said.append((verb, caller, facts, found))
        return found["__typename"], found

    async def _read_again(self, verb: str, who: Principal, answered: Any) -> None:
        """Ask by its id for what a mutation answered: the same is read."""
        kind = answered["__typename"]
        for name, of in nodes_of(kind).items():
            self.read_again.add((kind, name))
            chosen = fields(of, frozenset({kind, "Member"}))
            query = f"query ($id: ID!) {{ node(id: $id) {{ ... on {of.name} {{ {chosen} }} }} }}"
            found = answered[name]
            for one in found if isinstance(found, list) else [found] if found else []:
                read = await self.api.data(query, who, id=one["id"])
                served = read["node"] is None and (verb, self.caller(who)) in SERVED
                assert served or read["node"] == one, (verb, name)

    async def rows(self, *statements: str) -> None:
        """Write what only time or another system would."""
        async with self.api.engine.begin() as db:
            for statement in statements:
                await db.execute(text(statement), {"member": self.han.member_id})

    async def see(
        self, business: str, external_id: str, *, verified: bool = False, **said: str
    ) -> Person:
        """Have a business see somebody, whose details are not verified."""
        hints = tuple(
            Hint(type=HintType(kind), value=value, verified=verified)
            for kind, value in said.items()
        )
        sighting = Sighting(
            business_id=self.api.ids[business], external_id=external_id, hints=hints, seen_at=now()
        )
        async with self.api.engine.begin() as db:
            [seen] = await resolve(db, people=[sighting], now=now(), keyring=self.api.keyring)
        assert seen.member_id is not None
        assert seen.account_id is not None
        return Person(member_id=seen.member_id, account_id=seen.account_id)

    def in_days(self, days: int) -> str:
        return f"{self.today + timedelta(days=days)}"


async def open_world(api: Api) -> World:
    """Li of the shop spends at the hotel, Han of the hotel at the diner."""
    li = await api.join("shop", "c-1", **LI_FACTS)
    han = await api.join("hotel", "g-canary", **HAN_FACTS)
    guest = await api.join("hotel", "g-2", phone="+8613955556666", name="Mei")
    async with api.engine.begin() as db:
        await promote(db, member_ids=[han.member_id], now=now(), time_zone=ZONE)
    await api.buy(li, "shop", 1000)
    await api.buy(han, "hotel", 7331)
    world = World(api, li, han, guest)
    for phone, points, at in ((LI, 500, "hotel"), (HAN, 777, "diner")):
        await world.act("redeem", tokens.business(at), member={"phone": phone}, points=points)
    return world
