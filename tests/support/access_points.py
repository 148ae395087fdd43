"""Han of the hotel does with points what can be done, and so do tills and staff."""

from tests.integration.api_kit import HOTEL, SHOP, STAFF
from tests.support.access_world import LI_FACTS, PHONE, SECOND, World

_ROWS = (
    """INSERT INTO expiry_notice (member_id, unit, expires_on, days_ahead, points, state, given_at)
       VALUES (:member, 1, '2099-12-31', 30, 7, 'given', now())""",
    """INSERT INTO voucher_notice (voucher_id, member_id, given_at, ends_at, days_ahead)
       SELECT voucher_id, member_id, now(), ends_at, 3 FROM voucher WHERE member_id = :member""",
    """INSERT INTO shortfall (member_id, tx_id, earn_tx, points, account_id, issuer_id, unit, mode,
         cost_rate)
       SELECT t.member_id, t.tx_id, t.tx_id, 9, l.account_id, t.business_id, 1, 2, 0.01
       FROM ledger_transaction t JOIN account_link l USING (member_id)
       WHERE t.member_id = :member ORDER BY t.tx_id LIMIT 1""",
)


async def be_told(world: World) -> None:
    """Be told of what ends, and owe for a refund."""
    await world.rows(*_ROWS)


async def move_points(world: World) -> None:
    """Spend, hold, give back, give away and share."""
    act, han, guest = world.act, world.han.principal, world.guest.principal
    await act("hold", HOTEL, **PHONE, points=10)
    held = (await act("hold", HOTEL, **PHONE, points=10))["hold"]["id"]
    await act("capture", HOTEL, hold=held, points=4)
    await world.ask("capture", HOTEL, hold=held, points=400)
    await act("void", HOTEL, hold=held)
    await world.ask("void", HOTEL, hold=held)
    spent = (await act("redeem", HOTEL, **PHONE, points=50))["transaction"]
    await act("restore", HOTEL, **PHONE, transaction=spent, points=20)
    await world.ask("restore", HOTEL, **PHONE, transaction=spent, points=2000)
    await world.ask("redeem", HOTEL, **PHONE, points=10**8)
    await act("transfer", han, receiver={"phone": LI_FACTS["phone"]}, points=3)
    await world.ask("transfer", han, receiver={"phone": LI_FACTS["phone"]}, points=10**7)
    code = (await act("openPool", han))["pool"]["code"]
    await world.ask("openPool", han)
    await act("joinPool", guest, code=code)
    await act("contributeToPool", han, points=30)
    await act("redeemFromPool", HOTEL, **PHONE, points=7)
    await act("leavePool", guest)
    # A till that the member has no account at is shown what it presents.
    await act("hold", SHOP, **PHONE, points=1)


async def correct_points(world: World) -> None:
    """Adjust, extend, reinstate and recover."""
    act, by_staff = world.act, {**PHONE, "business": "hotel", "reason": "canary sorry"}
    await act("proposeAdjustment", STAFF, **by_staff, points=5)
    proposed = []
    for _ in range(3):
        made = await act("proposeAdjustment", STAFF, **by_staff, points=5000)
        proposed.append(made["adjustment"]["id"])
    await act("rejectAdjustment", SECOND, adjustment=proposed[0], reason="canary too much")
    await world.ask("approveAdjustment", SECOND, adjustment=proposed[0])
    await act("approveAdjustment", SECOND, adjustment=proposed[1])
    world.found["Adjustment"] = proposed[0]
    asked = "{ member(id: %s) { lots { id } receivables { clawback } } }"
    mine = (await world.api.data(asked.replace("%s", f'"{world.ids["han"]}"'), STAFF))["member"]
    lot = mine["lots"][0]["id"]
    world.found["Lot"] = lot
    await act("extendPoints", STAFF, **by_staff, lot=lot, until=world.in_days(400))
    await world.ask("extendPoints", STAFF, **by_staff, lot=lot, until=world.in_days(1))
    await world.ask("extendPoints", STAFF, **by_staff, lot=lot, until=world.in_days(9000))
    for receivable in mine["receivables"]:
        await act("recoverReceivable", STAFF, **by_staff, clawback=receivable["clawback"],
                  how="PAID", points=1)  # fmt: skip
