"""Who Han of the hotel is: said, doubted, merged, split, proven, forgotten and signed in."""

from datetime import date, timedelta

from hub.benefits.occasions.configure import OccasionConfig, configure_occasions
from hub.benefits.occasions.give_occasions import give_occasions
from hub.benefits.occasions.queries import occasion_terms
from hub.benefits.referrals.configure import GiftConfig, ReferralConfig, configure_referrals
from hub.benefits.referrals.judge_referrals import judge_referrals
from hub.benefits.referrals.settle_gifts import settle_gifts
from hub.benefits.tiers.count_sales import CountedSale, count_sales
from hub.clock import now
from hub.intake.match_members import match_members
from hub.members.batch.plan_matches import plan_matches
from hub.members.review.propose import Proposal, propose
from hub.members.send_code import open_code
from tests.integration.api_kit import ADMIN, DINER, FINANCE, HOTEL, STAFF, START
from tests.integration.test_graphql_card import gid
from tests.support.access_world import PHONE, SECOND, World

REVIEWS = "{ reviewItems(state: OPEN, first: 50) { nodes { id seen { account { id } } } } }"
MY_CODE = "{ me { referralCode joinCode { code } } }"
_ROWS = (
    """INSERT INTO passkey (credential_id, user_handle, member_id, public_key, sign_count, name,
         added_at, used_at)
       SELECT decode(one, 'hex'), sha256('h'), :member, 'k', 1, 'canary key', now(), now()
       FROM unnest(ARRAY['c0', 'c1']) one""",
    """INSERT INTO tier_notice (member_id, step, kind, days_ahead, state, given_at, valid_until)
       SELECT :member, min(step), 'upgraded', 0, 'given', now(), '2099-12-31'
       FROM member_tier WHERE member_id = :member""",
    """INSERT INTO member_session (member_id, begun_at, used_at, expires_at, began_by)
       SELECT :member, now(), now(), now() + interval '1 day', 'code' FROM generate_series(1, 2)""",
)


async def be_somebody(world: World) -> None:
    """Say and pin what is known of Han, prove a mailbox, consent."""
    act, han = world.act, world.han.principal
    consent = {"business": "hotel", "purpose": "MARKETING", "given": True, "textVersion": "1",
               "source": "canary desk"}  # fmt: skip
    await act("recordConsent", HOTEL, **PHONE, **consent)
    await act("pinAttribute", STAFF, **PHONE, attribute="NAME", reason="canary seen",
              value="Canaryhan")  # fmt: skip
    await act("pinAttribute", STAFF, **PHONE, attribute="EMAIL", reason="canary seen",
              value="canary@example.com")  # fmt: skip
    await act("unpinAttribute", STAFF, **PHONE, attribute="EMAIL", reason="canary left")
    asked = await act("requestVerification", han, identifier={"email": "canary@example.org"})
    async with world.api.engine.begin() as db:
        sent = await open_code(db, verification_id=int(asked["verification"]), now=now(),
                               keyring=world.api.keyring)  # fmt: skip
    assert sent is not None
    wrong = f"{(int(sent.code) + 1) % 10**6:06}"
    await world.ask("confirmVerification", han, verification=asked["verification"], code=wrong)
    await act("confirmVerification", han, verification=asked["verification"], code=sent.code)
    world.found["verification"] = asked["verification"]
    await act("rankSources", ADMIN, attribute="NAME", businesses=["hotel", "shop", "diner"])
    await world.see("hotel", "g-canary-odd", phone="1391020304")
    for n in range(6):
        await world.see("diner", f"d-shared-{n}", phone="+8613910203041", verified=True)
    await act("releaseSharedIdentifier", STAFF, identifier={"phone": "+8613910203041"})


async def be_doubted(world: World) -> None:
    """Be merged with who is the same, be taken for others, and have that undone."""
    act = world.act
    twin = await world.api.join("hotel", "g-canary-2", name="Canaryhan")
    other = await world.api.join("hotel", "g-canary-3", name="Canaryhan")
    for one in (twin, other):
        await act("mergeMembers", STAFF, members=[world.ids["han"], gid("Member", one.member_id)],
                  reason="canary passport")  # fmt: skip
    account = gid("Account", world.han.member_id, other.account_id)
    await act("splitMembers", STAFF, member=world.ids["han"], accounts=[account],
              reason="canary two")  # fmt: skip
    await world.ask("splitMembers", STAFF, member=world.ids["han"], accounts=[account],
                    reason="canary two")  # fmt: skip
    evidence = {"weights": [{"field": "name", "level": "equal", "weight": 7.5}],
                "vetoes": ["birthday"]}  # fmt: skip
    proposal = Proposal(account_id=other.account_id, candidate_id=world.han.member_id, score=7.5,
                        evidence=evidence)  # fmt: skip
    async with world.api.engine.begin() as db:
        await propose(db, proposals=[proposal], now=now())
    phone = PHONE["member"]["phone"]
    seen = [await world.see("diner", f"d-canary-{n}", name="Canaryhan", phone=phone)
            for n in range(5)]  # fmt: skip
    nodes = (await world.api.data(REVIEWS, STAFF))["reviewItems"]["nodes"]
    of = {one["seen"]["account"]["id"]: one["id"] for one in nodes}
    reviews = [of[gid("Account", one.member_id, one.account_id)] for one in seen]
    note = {"note": "canary note"}
    await act("assignReview", STAFF, review=reviews[0], to="ann")
    await act("acceptReview", STAFF, review=reviews[1], **note)
    await act("undoReview", SECOND, review=reviews[1], **note)
    await act("rejectReview", STAFF, review=reviews[2], **note)
    await act("markNotTheSame", STAFF, review=reviews[3], **note)
    await act("markNotTheSame", STAFF, review=reviews[4], **note)
    await act("undoReview", STAFF, review=reviews[4], **note)
    await world.ask("acceptReview", STAFF, review=reviews[2])
    world.found["ReviewItem"], world.found["reviewed"] = reviews[0], reviews[2]
    world.found["births"] = f"{gid('Member', twin.member_id)} {gid('Member', other.member_id)}"


async def bring_friends(world: World) -> None:
    """Refer somebody who buys, be given for that and for a birthday."""
    api, han = world.api, world.han
    gift = GiftConfig(points=7, business="hotel", voucher="ten-off", benefit="room-upgrade")
    day = world.today - timedelta(days=1)
    birthday = OccasionConfig(
        code="birthday", kind="birthday", effective_from=date(2020, 1, 1), name="Birthday",
        name_zh="生日", points=200, business="hotel", voucher="ten-off", benefit="room-upgrade",
    )  # fmt: skip
    async with api.engine.begin() as db:
        terms = ReferralConfig(effective_from=START, currency="CNY", give_after_days=0,
                               referrer=gift)  # fmt: skip
        await configure_referrals(db, referrals=[terms], keyring=api.keyring)
        await configure_occasions(db, occasions=[birthday])
    mine = (await api.data(MY_CODE, han.principal))["me"]
    world.found["referral"] = mine["referralCode"]
    friend = await api.join("hotel", "g-friend", name="Canaryfriend")
    await world.act("nameReferrer", friend.principal, referralCode=mine["referralCode"])
    sale = CountedSale(
        account_id=friend.account_id, business_id=api.ids["hotel"], business_date=world.today,
        occurred_at=now(), key="friend", spend_minor=100_00, paid_minor=100_00, currency="CNY",
    )  # fmt: skip
    await world.see("hotel", "g-canary", birthday=f"1990-{day:%m-%d}")
    await world.act("join", DINER, shown={"code": mine["joinCode"]["code"]})
    async with api.engine.begin() as db:
        await count_sales(db, sales=[sale])
        await judge_referrals(db, member_ids=[friend.member_id], since=now(), now=now())
        await settle_gifts(db, referral_ids=[1], now=now(), keyring=api.keyring)
        for versions in (await occasion_terms(db)).values():
            await give_occasions(db, versions=versions, now=now(), keyring=api.keyring)


async def be_matched(world: World) -> None:
    """Have a match of everybody look at the members."""
    async with world.api.engine.begin() as db:
        run = await plan_matches(db, kind=None, now=now(), keyring=world.api.keyring)
        while await match_members(db, run_id=run, now=now()):
            pass


async def be_kept_and_copied(world: World) -> None:
    """Be kept from being forgotten, for a time and for good; have a copy of everything taken."""
    act, copied = world.act, {"member": {"id": world.ids["han"]}}
    kept = await act("retainMember", STAFF, **PHONE, reason="canary claim",
                     endsAt=f"{world.in_days(30)}T00:00:00Z")  # fmt: skip
    await act(
        "releaseRetention", SECOND, retention=kept["retention"]["number"], reason="canary closed"
    )
    await act("retainMember", STAFF, **PHONE, reason="canary court")
    await act("retainMember", STAFF, **PHONE, reason="canary audit",
              endsAt=f"{world.in_days(60)}T00:00:00Z")  # fmt: skip
    await act("exportMember", world.han.principal, **copied)
    await act("exportMember", STAFF, **copied)


async def be_forgotten(world: World) -> None:
    """Have somebody else forgotten."""
    gone = await world.api.join("hotel", "g-gone", name="Canarygone")
    await world.act("eraseMember", STAFF, member={"id": gid("Member", gone.member_id)},
                    reason="canary asked")  # fmt: skip


async def sign_in(world: World) -> None:
    """Be signed in on devices, and make clients that may."""
    act, han = world.act, world.han.principal
    await world.rows(*_ROWS)
    mine = await world.api.data("{ mySessions { id } myPasskeys { id } }", han)
    await act("removePasskey", han, passkey=mine["myPasskeys"][0]["id"])
    await act("endSessions", han, session=mine["mySessions"][0]["id"])
    await world.ask("removePasskey", han, passkey="999")
    for client, role in (("desk", "STAFF"), ("tills", "BUSINESS"), ("old", "FINANCE")):
        at = {"business": "hotel"} if role == "BUSINESS" else {}
        await act("createClient", ADMIN, clientId=client, name=client.title(), role=role,
                  scopes=["members:read"] if role == "STAFF" else None, **at)  # fmt: skip
    await act("rotateClientSecret", ADMIN, clientId="tills", keepDays=3)
    await act("disableClient", ADMIN, clientId="old")
    await world.ask("disableClient", ADMIN, clientId="nobody")
    await world.rows("UPDATE api_client_secret SET last_used_at = now()")
    await world.ask("disableClient", FINANCE, clientId="desk")
