"""What the hotel and others owe each other for Han's points, up to the books and the bank."""

from collections import defaultdict
from datetime import timedelta
from decimal import Decimal

from hub.clock import now
from hub.closing.check_period import check_period
from hub.programme.agree import AgreementConfig, AgreementRateConfig, AgreementTaxConfig, agree
from hub.reconciliation.codes import Role as Book
from hub.reconciliation.mapping import read_mapping
from hub.reconciliation.save_mapping import save_mapping
from hub.reconciliation.take_file import take_file
from hub.settlement.accounts import PaymentAccountConfig
from hub.settlement.close_period import close
from hub.settlement.open_account import open_account
from hub.settlement.open_period import open_period
from hub.settlement.watch_credit import watch_credit
from tests.integration.api_kit import DINER, FINANCE, HOTEL, KINDS, START
from tests.support.access_world import OTHER_FINANCE, PHONE, World
from tests.support.journals import give_charts
from tests.support.reconciling import run_over

SUGGESTED = "{ reconciliationSuggestions { nodes { number } } }"
LINES = """query ($p: String!) { settlementPeriod(code: $p) { obligations(first: 99) {
  nodes { number points creditor { code } debtor { code } } } } }"""


async def configure_money(world: World) -> None:
    """Agree on taxes, awards and limits; have bank accounts, charts and policies."""
    agreement = AgreementConfig(
        issuer="hotel", acceptor="diner", effective_from=world.today, currency="CNY",
        rate_per_point=Decimal("0.008"), cap_points=10**6, cap_amount=Decimal(10**6),
        credit_limit=Decimal(9000),
        taxes=(AgreementTaxConfig(kind="redemption", code="VAT6", rate=Decimal("0.06")),),
        rates=(AgreementRateConfig(award="brunch", amount=Decimal(4)),
               AgreementRateConfig(category="spa", rate_per_point=Decimal("0.007")),
               AgreementRateConfig(from_percent=80, rate_per_point=Decimal("0.009"))),
    )  # fmt: skip
    async with world.api.engine.begin() as db:
        await agree(db, config=agreement, ids=world.api.ids)
        for n, business in enumerate(KINDS):
            config = PaymentAccountConfig(
                business=business, effective_from=START.date(), currency="CNY", holder=business,
                account_number=f"62220210011122233{n}", clearing_member_id="102290000007",
            )  # fmt: skip
            await open_account(db, config=config, keyring=world.api.keyring)
        await give_charts(db, *(f"{business}-ltd" for business in KINDS))
    await world.act("stateOpeningLiability", FINANCE, business="diner", amount="10",
                    reason="brought along")  # fmt: skip
    month = f"{world.today.replace(day=1)}"
    for business in KINDS:
        policy = {"business": business, "effectiveFrom": month, "pointValue": "0.01"}
        await world.act("setAccountingPolicy", FINANCE, **policy)
        said = {"business": business, "effectiveFrom": world.period, "rate": "0.8",
                "reason": "as ever", "cohort": month if business == "diner" else None}  # fmt: skip
        for verb in ("approveEstimate", "rejectEstimate"):
            [made] = (await world.act("proposeEstimate", FINANCE, **said))["estimates"]
            reason = {} if verb == "approveEstimate" else {"reason": "too high"}
            await world.act(verb, OTHER_FINANCE, number=made["number"], **reason)
            if business == "shop":
                break


async def spend_at_the_diner(world: World) -> None:
    """Have lines of what the hotel owes the diner."""
    for n, points in enumerate((11, 12, 13, 13, 14, 14)):
        await world.act("redeem", DINER, **PHONE, points=points, award="brunch",
                        idempotencyKey=f"brunch-{n}")  # fmt: skip
    await world.act("stateOccupancy", HOTEL, business="hotel", day=world.in_days(-1), percent="83")
    async with world.api.engine.begin() as db:
        await watch_credit(db, now=now(), today=world.today)


async def close_the_day(world: World) -> None:
    """Check the day, close it, dispute lines of it, and pay what it comes to."""
    act, code = world.act, {"period": world.period}
    async with world.api.engine.begin() as db:
        opened = await open_period(db, code=world.period, now=now())
        found = await check_period(db, period_id=opened.period_id, now=now())
    await act("closePeriod", FINANCE, **code, early=True)
    for one in found:
        if one.facts:
            await act("waiveCheck", FINANCE, **code, check=one.code, reason="seen")
    async with world.api.engine.begin() as db:
        await close(db, period_id=opened.period_id, now=now())
    await _dispute(world)
    await act("approvePeriod", OTHER_FINANCE, **code, note="as agreed")
    await act("recognisePeriod", FINANCE, **code)
    await act("postJournals", FINANCE, **code)
    await act("issuePeriod", FINANCE, **code)
    payments = (await act("preparePayments", FINANCE, **code))["payments"]
    await act("releasePayments", OTHER_FINANCE, **code)
    await act("markPaid", FINANCE, endToEndId=payments[0]["endToEndId"], reference="bank 9")
    await _correct(world)


async def _dispute(world: World) -> None:
    act = world.act
    seen = await world.api.data(LINES, FINANCE, p=world.period)
    lines = {
        one["points"]: one["number"]
        for one in seen["settlementPeriod"]["obligations"]["nodes"]
        if one["creditor"]["code"] == "diner"
    }
    numbers = []
    for points in (777, 11, 12):
        facts = {"period": world.period, "lines": [lines[points]], "reason": "canary not ours"}
        numbers.append((await act("openDispute", HOTEL, **facts))["dispute"]["number"])
    await act("addDisputeMessage", HOTEL, dispute=numbers[0], body="canary look")
    await act("withdrawDispute", HOTEL, dispute=numbers[1], reason="canary sorry")
    await act("resolveDispute", FINANCE, dispute=numbers[2], upheld=True, reason="canary so")
    world.found["line"], world.found["dispute"] = lines[13], numbers[0]


async def _correct(world: World) -> None:
    act = world.act
    owed = {"debtor": "hotel", "creditor": "diner", "amount": "1.00", "currency": "CNY",
            "reason": "canary late", "line": world.found["line"]}  # fmt: skip
    for verb, more in (("approveCorrection", {}), ("rejectCorrection", {"reason": "no"}), ("", {})):
        made = await act("proposeCorrection", FINANCE, **owed)
        if verb:
            await act(verb, OTHER_FINANCE, correction=made["correction"]["number"], **more)


async def reconcile(world: World) -> None:
    """Lay the hotel's book beside the lines, and do with what differs what can be done."""
    act, day = world.act, world.period
    async with world.api.engine.begin() as db:
        for business, other, role in (
            ("hotel", "diner", Book.DEBTOR), ("diner", "hotel", Book.CREDITOR),
        ):  # fmt: skip
            said = {"code": f"{business}-book", "business": business, "role": role}
            saved = await save_mapping(db, config=read_mapping(said), actor="ann", now=now())
            early = f"brunch-0,{world.in_days(-3)},11,{other}"
            rows = (early, "canary-1,{},7,{}", "canary-2,{},8,{}", ",{},13,{}", ",{},14,{}")
            body = "\n".join(("receipt,day,points,counterparty", *rows)).replace("{},", f"{day},")
            facts = {"name": "canary.csv", "actor": "ann", "now": now()}
            taken = await take_file(
                db, code=saved.code, body=body.replace("{}", other).encode(), **facts
            )
            assert not isinstance(taken, list), taken
            first = world.today - timedelta(days=3)
            await run_over(db, saved, first=first, last=world.today, now=now())
    await act("reconcile", HOTEL, mapping="hotel-book", **{"from": day, "to": day})
    breaks = await _breaks(world)
    await act("matchBreak", HOTEL, **{"break": breaks["date"][0]}, reason="canary late")
    first, second = breaks["missing_at_hub"]
    await act("investigateBreak", HOTEL, **{"break": first}, owner="ann", note="canary look")
    step = {"break": first, "reason": "canary nobody"}
    await act("writeOffBreak", HOTEL, **step)
    await act("writeOffBreak", FINANCE, **step)
    await act("reopenBreak", FINANCE, **step)
    for number in breaks["missing_at_partner"][:1]:
        step = {"break": number, "reason": "canary never was"}
        await act("adjustBreak", HOTEL, **step)
        await act("resolveBreak", FINANCE, resolution="reversed", **step)
    offered = (await world.api.data(SUGGESTED, HOTEL))["reconciliationSuggestions"]["nodes"]
    right, wrong = offered[:2]
    await act("rejectMatch", HOTEL, match=wrong["number"], reason="canary other")
    await act("confirmMatch", HOTEL, match=right["number"])
    world.found["break"], world.found["match"] = second, right["number"]


async def _breaks(world: World) -> dict[str, list[str]]:
    """Return the breaks of the hotel's book by kind."""
    asked = "{ reconciliationBreaks(first: 50) { nodes { number kind } } }"
    found: dict[str, list[str]] = defaultdict(list)
    for one in (await world.api.data(asked, HOTEL))["reconciliationBreaks"]["nodes"]:
        found[one["kind"]].append(one["number"])
    return found
