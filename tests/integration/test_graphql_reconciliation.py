"""Reconciliation by GraphQL: finance sees and decides all, a business what is in its own books."""

from datetime import timedelta
from typing import Any

import pytest

from hub.clock import business_date, now
from hub.crypto import tokens
from hub.crypto.tokens import Principal, Role
from hub.reconciliation.codes import Role as Book
from hub.reconciliation.mapping import read_mapping
from hub.reconciliation.save_mapping import save_mapping
from hub.reconciliation.take_file import take_file
from hub.settlement.close_period import close
from hub.settlement.open_period import open_period
from tests.integration.api_kit import DINER, FINANCE, HOTEL, SHOP, STAFF, ZONE, Api
from tests.support.reconciling import run_over

OTHER = Principal(role=Role.FINANCE, subject="cleo")
REDEEM = "mutation ($input: RedeemInput!) { redeem(input: $input) { __typename } }"
BREAKS = """query ($business: String, $kinds: [String!], $first: Int, $after: String) {
  reconciliationBreaks(business: $business, kinds: $kinds, first: $first, after: $after) {
    pageInfo { hasNextPage endCursor }
    nodes { number kind state points amount { formatted } alone business { code }
      counterparty { code } rows { ofHub reference file line } matches { number state }
      events { event actor } } } }"""
SAID = {
    "Break": "... on BreakMoved { break { state owner writeOffBy correction } }",
    "Match": "... on MatchDecided { match { state decidedBy } }",
    "concile": "... on ReconciliationAsked { run { number role steps { name } stepsTotal } }",
}


@pytest.fixture
async def today(api: Api) -> str:
    """A closed day on which the diner took points of the shop, and books of both that disagree."""
    li = await api.join("shop", "c-1", phone="+8613910203040")
    await api.buy(li, "shop", 5000)
    for n, points in enumerate((500, 125, 250, 250, 375)):
        asked = {"member": {"phone": "+8613910203040"}, "points": points, "idempotencyKey": f"k{n}"}
        await api.data(REDEEM, tokens.business("diner"), input=asked)
    day = business_date(now(), ZONE, day_starts_at_hour=4)
    files = {
        # k1 is 124 points, which only this book says; k4 is missing here alone.
        "diner": f"receipt,day,points,counterparty\nk0,{day},500,shop\nk1,{day},124,shop\n"
        f",{day},250,shop\nghost,{day},7,shop\n",
        # The shop also owes the ghost, and lacks k0.
        "shop": f"receipt,day,points,counterparty\nk1,{day},125,diner\nk2,{day},250,diner\n"
        f"k3,{day},250,diner\nghost,{day},7,diner\nk4,{day},375,diner\n",
    }
    async with api.engine.begin() as db:
        period = await open_period(db, code=f"{day}", now=now() - timedelta(days=1))
        await close(db, period_id=period.period_id, now=now())
        for business, role in (("diner", Book.CREDITOR), ("shop", Book.DEBTOR)):
            config = read_mapping({"code": f"{business}-book", "business": business, "role": role})
            saved = await save_mapping(db, config=config, actor="ann", now=now())
            taken = await take_file(
                db,
                code=saved.code,
                name="book.csv",
                body=files[business].encode(),
                actor="ann",
                now=now(),
            )
            assert not isinstance(taken, list)
            await run_over(db, saved, first=day, last=day, now=now())
    return f"{day}"


async def _breaks(api: Api, who: Principal, **asked: object) -> list[dict[str, Any]]:
    page = (await api.data(BREAKS, who, **asked))["reconciliationBreaks"]
    nodes: list[dict[str, Any]] = page["nodes"]
    return nodes


async def _do(api: Api, name: str, who: Principal | None, **given: object) -> dict[str, Any]:
    type_ = {
        "confirmMatch": "ConfirmMatchInput",
        "rejectMatch": "RejectMatchInput",
        "investigateBreak": "InvestigateBreakInput",
        "resolveBreak": "ResolveBreakInput",
        "reconcile": "ReconcileInput",
    }.get(name, "BreakInput")
    said = next(said for part, said in SAID.items() if name.endswith(part))
    query = f"""mutation ($input: {type_}!) {{ {name}(input: $input) {{ __typename
      ... on Rejection {{ message }} ... on InvalidInput {{ field }} {said} }} }}"""
    answer: dict[str, Any] = (await api.data(query, who, input=given))[name]
    return answer


async def test_who_of_three_stands_alone_is_told_to_finance(api: Api, today: str) -> None:
    by_kind = {(one["business"]["code"], one["kind"]): one for one in await _breaks(api, FINANCE)}
    assert {of: one["alone"] for of, one in by_kind.items()} == {
        ("diner", "points"): "book",
        ("diner", "missing_at_hub"): "hub",
        ("diner", "missing_at_partner"): "book",
        ("diner", "ambiguous"): "book",
        ("shop", "missing_at_hub"): "hub",
        ("shop", "missing_at_partner"): "book",
    }
    wrong = by_kind["diner", "points"]
    assert wrong["points"] == -1
    assert wrong["counterparty"] == {"code": "shop"}
    assert [row["ofHub"] for row in wrong["rows"]] == [False, True]
    assert wrong["rows"][0]["line"] == 3
    assert wrong["events"] == [{"event": "opened", "actor": "hub"}]
    assert {one["alone"] for one in await _breaks(api, DINER)} == {None}
    assert {one["alone"] for one in await _breaks(api, STAFF)} == {"book", "hub"}


async def test_a_business_sees_its_own_books_alone(api: Api, today: str) -> None:
    seen = {
        who.subject: {one["business"]["code"] for one in await _breaks(api, who)}
        for who in (FINANCE, DINER, SHOP, HOTEL)
    }
    assert list(seen.values()) == [{"diner", "shop"}, {"diner"}, {"shop"}, set()]
    for field in ("Breaks", "Suggestions", "Runs"):
        answer = await api.ask(
            f'{{ reconciliation{field}(business: "shop") {{ nodes {{ number }} }} }}', DINER
        )
        assert answer["errors"][0]["extensions"]["code"] == "forbidden"
    # What is suggested to one book is nothing of the other's, though the lines are the same.
    offered = "{ reconciliationSuggestions { nodes { number business { code } rows { ofHub } } } }"
    for who, codes in ((FINANCE, {"diner"}), (DINER, {"diner"}), (SHOP, set())):
        nodes = (await api.data(offered, who))["reconciliationSuggestions"]["nodes"]
        assert {one["business"]["code"] for one in nodes} == codes
    for one in await _breaks(api, SHOP):
        assert all(match["state"] != "suggested" for match in one["matches"])
    number = (await _breaks(api, SHOP))[0]["number"]
    answer = await _do(api, "investigateBreak", DINER, **{"break": number})
    assert answer["__typename"] == "ReconciliationUnknown"
    suggestion = (await api.data(offered, FINANCE))["reconciliationSuggestions"]["nodes"][0]
    answer = await _do(api, "confirmMatch", SHOP, match=suggestion["number"])
    assert answer["__typename"] == "ReconciliationUnknown"


async def test_pages_and_filters(api: Api, today: str) -> None:
    every = [one["number"] for one in await _breaks(api, FINANCE)]
    read: list[str] = []
    after = None
    while True:
        asked = {"first": 2, "after": after}
        page = (await api.data(BREAKS, FINANCE, **asked))["reconciliationBreaks"]
        read += [one["number"] for one in page["nodes"]]
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    assert read == every
    assert len(await _breaks(api, FINANCE, kinds=["missing_at_hub"])) == 2
    assert len(await _breaks(api, FINANCE, business="shop", kinds=["missing_at_hub"])) == 1
    answer = await api.ask(BREAKS, FINANCE, kinds=["odd"])
    assert answer["errors"][0]["extensions"]["field"] == "kinds"
    runs = "{ reconciliationRuns { nodes { number role finishedAt stepsDone stepsTotal } } }"
    nodes = (await api.data(runs, FINANCE))["reconciliationRuns"]["nodes"]
    assert [one["role"] for one in nodes] == ["debtor", "creditor"]
    assert all(one["stepsDone"] == one["stepsTotal"] for one in nodes)
    aged = "{ reconciliationAgeing { kind breaks upToDays unowned business { code } } }"
    rows = (await api.data(aged, DINER))["reconciliationAgeing"]
    assert {row["business"]["code"] for row in rows} == {"diner"}
    assert {row["upToDays"] for row in rows} == {7}


async def test_two_people_write_off_and_a_business_may_only_ask(api: Api, today: str) -> None:
    (ghost,) = await _breaks(api, DINER, kinds=["missing_at_hub"])
    step = {"break": ghost["number"], "reason": "nobody was there"}
    asked = await _do(api, "writeOffBreak", FINANCE, **step)
    assert asked["break"]["writeOffBy"] == FINANCE.subject
    assert await _do(api, "writeOffBreak", FINANCE, **step) == asked
    assert (await _do(api, "writeOffBreak", DINER, **step))["__typename"] == "Forbidden"
    done = await _do(api, "writeOffBreak", OTHER, **step)
    assert done["break"]["state"] == "written_off"
    assert (await _do(api, "reopenBreak", DINER, **step))["__typename"] == "Forbidden"
    assert (await _do(api, "reopenBreak", OTHER, **step))["break"]["state"] == "reopened"
    asked = await _do(api, "writeOffBreak", DINER, **step)
    assert asked["break"]["writeOffBy"] == DINER.subject
    assert (await _do(api, "writeOffBreak", OTHER, **step))["break"]["state"] == "written_off"


async def test_a_suggestion_is_confirmed_by_a_person(api: Api, today: str) -> None:
    (open_,) = await _breaks(api, DINER, kinds=["ambiguous"])
    first, second = open_["matches"]
    assert first["state"] == second["state"] == "suggested"
    made = await _do(api, "confirmMatch", DINER, match=first["number"])
    assert made["match"] == {"state": "confirmed", "decidedBy": DINER.subject}
    assert await _do(api, "confirmMatch", FINANCE, match=first["number"]) == made
    taken = await _do(api, "confirmMatch", FINANCE, match=second["number"])
    assert taken["__typename"] == "ReconciliationNotReady"
    assert await _breaks(api, DINER, kinds=["ambiguous"]) == []
    wrong = await _do(api, "rejectMatch", FINANCE, match=first["number"], reason="the other one")
    assert wrong["match"]["state"] == "rejected"


async def test_a_break_is_adjusted_by_a_correction(api: Api, today: str) -> None:
    (gone,) = await _breaks(api, DINER, kinds=["missing_at_partner"])
    step = {"break": gone["number"], "reason": "it never was"}
    proposed = await _do(api, "adjustBreak", DINER, **step)
    assert proposed["break"]["correction"] is not None
    assert await _do(api, "adjustBreak", DINER, **step) == proposed
    early = await _do(api, "resolveBreak", FINANCE, resolution="adjusted", **step)
    assert early["__typename"] == "ReconciliationNotReady"
    wrong = await _do(api, "resolveBreak", FINANCE, resolution="matched", **step)
    assert (wrong["__typename"], wrong["field"]) == ("InvalidInput", "resolution")
    right = await _do(api, "resolveBreak", FINANCE, resolution="reversed", **step)
    assert right["break"]["state"] == "resolved"


@pytest.mark.parametrize("number", ["", "x", "9" * 30, "-1", "1e3"])
async def test_a_made_up_number_leads_nowhere(api: Api, number: str) -> None:
    step = await _do(api, "reopenBreak", FINANCE, reason="r", **{"break": number})
    assert step["__typename"] == "InvalidInput"
    unknown = await _do(api, "reopenBreak", FINANCE, reason="r", **{"break": "77"})
    assert unknown["__typename"] == "ReconciliationUnknown"


async def test_a_run_is_asked_for(api: Api, today: str) -> None:
    days = {"from": today, "to": today}
    asked = await _do(api, "reconcile", DINER, mapping="diner-book", **days)
    assert asked["run"]["role"] == "creditor"
    assert asked["run"]["steps"] == []
    assert (await _do(api, "reconcile", DINER, mapping="shop-book", **days))["__typename"] == (
        "ReconciliationUnknown"
    )
    long = {"from": "2020-01-01", "to": today}
    answer = await _do(api, "reconcile", FINANCE, mapping="diner-book", **long)
    assert (answer["__typename"], answer["field"]) == ("InvalidInput", "to")


MUTATIONS = {
    "confirmMatch": {"match": "1"},
    "rejectMatch": {"match": "1", "reason": "r"},
    "investigateBreak": {"break": "1"},
    "matchBreak": {"break": "1", "reason": "r"},
    "adjustBreak": {"break": "1", "reason": "r"},
    "writeOffBreak": {"break": "1", "reason": "r"},
    "resolveBreak": {"break": "1", "reason": "r", "resolution": "reversed"},
    "reopenBreak": {"break": "1", "reason": "r"},
    "reconcile": {"mapping": "m", "from": "2026-11-01", "to": "2026-11-30"},
}


@pytest.mark.parametrize("name", MUTATIONS)
async def test_every_mutation_against_every_role(api: Api, name: str) -> None:
    li = await api.join("shop", "c-1", phone="+8613910203040")
    for who in (STAFF, li.principal):
        answer = await _do(api, name, who, **MUTATIONS[name])
        assert answer["__typename"] == "Forbidden"
    expected = {FINANCE: "ReconciliationUnknown", SHOP: "ReconciliationUnknown"}
    if name in ("resolveBreak", "reopenBreak"):
        expected[SHOP] = "Forbidden"
    for who, said in expected.items():
        assert (await _do(api, name, who, **MUTATIONS[name]))["__typename"] == said
    query = f"mutation {{ {name}(input: {{}}) {{ __typename }} }}"
    assert "errors" in await api.ask(query, None)


async def _send(api: Api, who: Principal | None, body: bytes, path: str = "diner-book") -> Any:
    headers = {} if who is None else api.token(who)
    return await api.client.post(
        f"/reconciliation/{path}?name=more.csv", content=body, headers=headers
    )


async def test_finance_sends_a_file(api: Api, today: str) -> None:
    body = f"receipt,day,points,counterparty\nk9,{today},5,shop\n".encode()
    sent = await _send(api, FINANCE, body)
    assert (sent.status_code, sent.json()["added"]) == (200, 1)
    assert (await _send(api, FINANCE, body)).json()["replayed"] is True
    bad = await _send(api, FINANCE, body.replace(b",5,", b",x,") + b",,,\nk8,never,1,shop\n")
    assert bad.status_code == 400
    error = bad.json()["error"]
    assert [(row["row"], row["field"]) for row in error["rows"]] == [(2, "points"), (4, "day")]
    assert "nothing was taken: 2 rows" in error["message"]
    unknown = await _send(api, FINANCE, body, path="nobody")
    assert unknown.status_code == 404
    answer = await api.client.post(
        "/reconciliation/diner-book?name=x.exe", content=body, headers=api.token(FINANCE)
    )
    assert answer.status_code == 400
    large = await _send(api, FINANCE, b"x" * (2 * 1024 * 1024 + 1))
    assert large.status_code == 413


async def test_nobody_else_sends_a_file(api: Api, today: str) -> None:
    for who, status in ((None, 401), (DINER, 403), (STAFF, 403), (tokens.member(1), 403)):
        assert (await _send(api, who, b"")).status_code == status
