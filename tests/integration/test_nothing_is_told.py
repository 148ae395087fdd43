"""A person whose every word is known: none stands in a log, a denial, an event or a table."""

import json
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import structlog
from pydantic import BaseModel, ValidationError
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from hub.audit.denials import DenialFilter, denials
from hub.clock import now
from hub.crypto import tokens
from hub.db.keyset import Stretch
from hub.egress.note import note
from hub.errors import Malformed, plainly
from tests.integration.api_kit import ADMIN, FINANCE, HOTEL, SHOP, STAFF, Api, Person, running_api
from tests.integration.test_graphql_card import gid

SAID = {
    "name": "Canaryhan Zzyx",
    "phone": "+8613977778888",
    "email": "canary.zzyx@example.com",
    "birthday": "1991-07-23",
    "id_document_hash": "ab" * 32,
}
WORDS = ("canaryhan", "zzyx", "77778888", "1391977778888", "1991-07-23", "ab" * 32)


def told(what: object) -> list[str]:
    """Return the words of the person that stand in something, as text or as bytes."""
    said = str(what).lower()
    return [word for word in WORDS if word in said or word.encode().hex() in said]


@pytest.fixture
async def loud(
    database_url: str, redis_url: str, tmp_path: Path, grouped_template: str
) -> AsyncIterator[Api]:
    """The application, where every operation is slow enough to be told of."""
    async with running_api(database_url, redis_url, tmp_path, slow_milliseconds=0) as api:
        yield api


@pytest.fixture
def copied(grouped_template: str) -> str:
    return grouped_template


@pytest.fixture
async def han(loud: Api) -> Person:
    han = await loud.join("hotel", "g-1", **SAID)
    await loud.buy(han, "hotel", 100)
    await loud.join("shop", "c-1", phone="+8613910203040", name="Li")
    return han


MEMBER = """number displayName phone email
  attributes { attribute value because source { account { externalId } } }
  accounts { externalId } consents { purpose }"""


async def test_what_is_masked_is_masked_wherever_it_is_shown(loud: Api, han: Person) -> None:
    card = f"query ($id: ID!) {{ member(id: $id) {{ {MEMBER} }} }}"
    doubts = """{ reviewItems(first: 5) { nodes { seen { said { attribute value } }
      candidates { agreement { attribute } } } } }"""
    id_ = gid("Member", han.member_id)
    for who in (STAFF, HOTEL, SHOP, FINANCE, ADMIN, None):
        for query in (card, doubts, "{ denials(first: 50) { nodes { asked path subject } } }"):
            assert told(await loud.ask(query, who, id=id_)) == []
    found = f"query ($by: Identifier!) {{ memberSearch(by: $by) {{ {MEMBER} }} }}"
    for by in ({"phone": SAID["phone"]}, {"email": SAID["email"]}):
        assert told(await loud.ask(found, STAFF, by=by)) == []
    # The member is shown itself, and staff what they lift the mask of.
    assert told(await loud.ask(card, han.principal, id=id_))
    lifted = "query ($id: ID!) { member(id: $id) { phone(masked: false) } }"
    assert told(await loud.ask(lifted, STAFF, id=id_))


async def test_no_log_and_no_record_names_anybody(
    loud: Api, han: Person, capfd: pytest.CaptureFixture[str]
) -> None:
    phone, email = SAID["phone"], SAID["email"]
    search = f'{{ memberSearch(by: {{ phone: "{phone}" }}) {{ number phone(masked: false) }} }}'
    operations: list[tuple[str, Any]] = [
        (search, STAFF), (search, FINANCE), (search, None), (search, SHOP),
        (f'{{ memberByIdentifier(presented: {{ phone: "{phone}" }}) {{ number }} }}', STAFF),
        (f'{{ memberByIdentifier(presented: {{ phone: "{phone}x" }}) {{ number }} }}', HOTEL),
        (f'{{ member(id: "{phone}") {{ number }} }}', STAFF),
        (f'{{ node(id: "{gid("Member", phone)}") {{ id }} }}', HOTEL),
        (f'{{ businesses {{ code }} }} # {SAID["name"]}', SHOP),
        (f'{{ nothing(name: "{SAID["name"]}") }}', SHOP),
        (f'{{ denials(subject: "{email}") {{ nodes {{ times }} }} }}', STAFF),
    ]  # fmt: skip
    for query, who in operations:
        await loud.ask(query, who)
    known = "query ($by: Identifier!) { memberSearch(by: $by) { phone } }"
    await loud.ask(known, STAFF, by={"phone": phone})
    asked = await loud.client.post("/auth/code", json={"phone": phone})
    wrong = {"challenge": asked.json()["challenge"], "code": phone}
    for path, body in (
        ("/auth/token", wrong), ("/auth/code", {"phone": f"{phone}9999999"}),
        ("/auth/code", {"email": SAID["name"]}), ("/auth/token", {"refresh_token": phone}),
    ):  # fmt: skip
        await loud.client.post(path, json=body)
    for path in (f"/statements/{phone}/shop.csv", f"/payments/{phone}.pdf", f"/nowhere/{email}"):
        await loud.client.get(path, headers=loud.token(SHOP), params={"name": SAID["name"]})
    await loud.client.post(f"/hooks/{email}", content=json.dumps(SAID))
    async with loud.engine.begin() as db:
        await note(db, now=now())
        await db.execute(text("ALTER TABLE identifier_claim RENAME TO away"))
    for who in (STAFF, han.principal):  # a bug, with its traceback
        await loud.ask(search, who)
    heard = "".join(capfd.readouterr())
    assert "slow_operation" in heard
    assert "Traceback" in heard
    assert told(heard) == []
    async with loud.engine.connect() as db:
        for subject in (STAFF, FINANCE, SHOP, HOTEL):
            found = await denials(db, only=DenialFilter(subject.subject), stretch=Stretch(50))
            assert told(found) == []
        tables = await db.scalars(
            text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        )
        for table in tables.all():
            rows = (await db.scalars(text(f"SELECT t::text FROM {table} t"))).all()
            assert told(rows) == [], table


class Sent(BaseModel):
    """What somebody may send."""

    born: date


async def test_a_failure_is_told_without_what_it_was_about(
    loud: Api, capfd: pytest.CaptureFixture[str]
) -> None:
    failures: list[Exception] = []

    async def fails(statement: str, **values: Any) -> None:
        try:
            async with loud.engine.begin() as db:
                await db.execute(text(statement), values)
        except Exception as failure:
            failures.append(failure)

    phone = SAID["phone"]
    await fails("INSERT INTO legal_entity (code, name) VALUES (:code, 'x')", code=phone)
    await fails("INSERT INTO legal_entity (code, name) VALUES (:code, 'x')", code=phone)
    await fails("INSERT INTO business (code, name) VALUES (:code, :name)", code="a", name=phone)
    await fails("SELECT CAST(CAST(:phone AS text) AS integer)", phone=f"{phone} {SAID['email']}")
    await fails("SELECT :n + 1", n=phone)
    assert isinstance(failures[0], IntegrityError)
    for make in (lambda: int(SAID["name"]), lambda: date.fromisoformat(f"{phone}")):
        with pytest.raises(ValueError) as quoted:  # noqa: PT011 - whatever the library says
            make()
        failures.append(quoted.value)
    with pytest.raises(ValidationError) as unfit:
        Sent.model_validate({"born": SAID["name"]})
    failures.append(unfit.value)
    assert len(failures) == 7
    log = structlog.get_logger("test")
    for failure in failures:
        assert told(plainly(failure)) == [], plainly(failure)
        log.error("failed", exc_info=failure)
        group = ExceptionGroup(f"{phone}", [failure])
        group.__cause__ = failure
        log.error("failed_together", exc_info=group)
    heard = "".join(capfd.readouterr())
    assert heard.count("Traceback") >= len(failures)
    assert told(heard) == []
    assert "legal_entity_code_key" in plainly(failures[0])
    assert plainly(unfit.value) == "ValidationError: born: date_from_datetime_parsing"
    assert plainly(Malformed("say when", field="born")) == "Malformed: say when"
    assert "total" in plainly(KeyError("total"))
    assert tokens.member(1).subject == "member:1"
