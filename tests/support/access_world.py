"""What the group and a member may have of everything: for tests of who is shown what."""

from datetime import timedelta
from typing import Any

from sqlalchemy import text

from hub.benefits.memberships.plans import PlanConfig, configure_plans
from hub.benefits.rewards.configure import configure_rewards
from hub.benefits.vouchers.configure import configure_campaigns
from hub.clock import now
from hub.crypto import tokens
from hub.crypto.tokens import Principal
from hub.settlement.accounts import PaymentAccountConfig
from hub.settlement.open_account import open_account
from tests.integration.api_kit import ADMIN, FINANCE, HOTEL, KINDS, STAFF, START, Api
from tests.support.rewards import reward
from tests.support.vouchers import campaign

PLAN = {
    "code": "club", "effective_from": START, "name": "Club", "name_zh": "会员", "price_minor": 3100,
    "currency": "CNY", "period": "month", "trial_days": 7, "grace_days": 5, "seller": "hotel",
    "grants": [{"benefit": "room-upgrade", "quantity": 2}],
}  # fmt: skip
_ROWS = (
    """INSERT INTO expiry_notice (member_id, unit, expires_on, days_ahead, points, state, given_at)
       VALUES (:member, 1, '2099-12-31', 30, 7, 'given', now())""",
    """INSERT INTO member_session (member_id, begun_at, used_at, expires_at, began_by)
       VALUES (:member, now(), now(), now() + interval '1 day', 'code')""",
    """INSERT INTO voucher_notice (voucher_id, member_id, given_at, ends_at, days_ahead)
       SELECT voucher_id, member_id, now(), ends_at, 3 FROM voucher WHERE member_id = :member""",
    """INSERT INTO shortfall (member_id, tx_id, earn_tx, points, account_id, issuer_id, unit, mode,
         cost_rate)
       SELECT t.member_id, t.tx_id, t.tx_id, 1, l.account_id, t.business_id, 1, 2, 0.01
       FROM ledger_transaction t JOIN account_link l USING (member_id)
       WHERE t.member_id = :member ORDER BY t.tx_id LIMIT 1""",
)


async def configure_everything(api: Api) -> None:
    """Give the group a reward, a campaign and a plan of the hotel, and everybody an account."""
    until = now() + timedelta(days=365)
    facts = {"funder": "hotel", "businesses": ["hotel"], "valid_from": START, "valid_until": until}
    async with api.engine.begin() as db:
        pictures = [{"url": "https://example.com/towel.jpg", "alt": {"en": "A towel"}}]
        await configure_rewards(db, rewards=[reward("towel", "hotel", 10, pictures=pictures)])
        await configure_campaigns(db, campaigns=[campaign(effective_from=START, **facts)])
        await configure_plans(db, plans=[PlanConfig.model_validate(PLAN)])
        for n, business in enumerate(KINDS):
            config = PaymentAccountConfig(
                business=business,
                effective_from=START.date(),
                currency="CNY",
                holder=business,
                account_number=f"62220210011122233{n}",
                clearing_member_id="102290000007",
            )
            await open_account(db, config=config, keyring=api.keyring)


async def furnish(api: Api, *, phone: str, member_id: int) -> None:
    """Let a member of the hotel have one of everything that a member may have."""
    key, own = {"member": {"phone": phone}}, tokens.member(member_id)
    until = f"{now().date() + timedelta(days=90)}"
    acts: list[tuple[str, Principal, dict[str, Any]]] = [
        ("recordConsent", HOTEL, {**key, "business": "hotel", "purpose": "MARKETING",
                                  "given": True, "textVersion": "1", "source": "desk"}),
        ("hold", HOTEL, {**key, "points": 10}),
        ("holdBenefit", HOTEL, {**key, "benefit": "room-upgrade"}),
        ("openPool", own, {}),
        ("stockReward", HOTEL, {"reward": "towel", "quantity": 9}),
        ("orderReward", own, {"reward": "towel"}),
        ("proposeAdjustment", STAFF, {**key, "business": "hotel", "points": 5, "reason": "sorry"}),
        ("grantTier", STAFF, {**key, "tier": "gold", "validUntil": until, "reason": "guest"}),
        ("assignVoucher", STAFF, {**key, "campaign": "ten-off", "reason": "sorry"}),
        ("startTrial", HOTEL, {**key, "plan": "club"}),
        ("pinAttribute", STAFF, {**key, "attribute": "NAME", "reason": "seen",
                                 "value": "Canaryhan"}),
        ("proposeEstimate", FINANCE, {"business": "hotel", "rate": "0.9",
                                      "effectiveFrom": f"{now().date()}"}),
        ("createClient", ADMIN, {"clientId": "desk", "name": "Desk", "role": "STAFF"}),
    ]  # fmt: skip
    for verb, who, facts in acts:
        await act(api, verb, who, **facts)
    async with api.engine.begin() as db:
        for statement in _ROWS:
            await db.execute(text(statement), {"member": member_id})


async def settle(api: Api, *, period: str) -> None:
    """Let a closed period be disputed, approved, issued and made ready to pay."""
    asked = """query ($p: String!) { settlementPeriod(code: $p) { obligations(first: 9) {
      nodes { number creditor { code } } } } }"""
    found = (await api.data(asked, FINANCE, p=period))["settlementPeriod"]["obligations"]["nodes"]
    [line] = [one["number"] for one in found if one["creditor"]["code"] == "diner"]
    facts = {"period": period, "lines": [line], "reason": "not ours"}
    made = await act(api, "openDispute", HOTEL, **facts)
    await act(api, "addDisputeMessage", HOTEL, dispute=made["dispute"]["number"], body="look")
    for step in ("approvePeriod", "issuePeriod", "preparePayments"):
        await act(api, step, FINANCE, period=period)
    await act(api, "proposeCorrection", FINANCE, debtor="hotel", creditor="diner", amount="1.00",
              currency="CNY", reason="late")  # fmt: skip


async def act(api: Api, verb: str, who: Principal, **facts: Any) -> Any:
    """Do one mutation, which must not be refused; a key is given where one is taken."""
    kind = INPUTS.get(verb, verb[0].upper() + verb[1:] + "Input")
    if verb not in KEYLESS:
        facts["idempotencyKey"] = f"{verb}-1"
    seen = "... on Disputed { dispute { number } }" if verb == "openDispute" else ""
    query = f"""mutation ($input: {kind}!) {{ {verb}(input: $input) {{ __typename {seen}
      ... on Rejection {{ message }} }} }}"""
    done = (await api.data(query, who, input=facts))[verb]
    assert "message" not in done, (verb, done)
    return done


INPUTS = {"openPool": "PoolInput", "approvePeriod": "MovePeriodInput",
          "issuePeriod": "MovePeriodInput", "preparePayments": "PayPeriodInput"}  # fmt: skip
KEYLESS = {"recordConsent", "createClient", "pinAttribute", "proposeEstimate", "approvePeriod",
           "issuePeriod", "preparePayments"}  # fmt: skip
