"""Set-based reads for one request: what resolvers ask for one by one is read at once."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import date, datetime
from itertools import groupby
from typing import Any, Generic, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection
from strawberry.dataloader import DataLoader

from graphql_schema import access
from graphql_schema.page_loaders import PageLoaders
from graphql_schema.voucher_loaders import VoucherLoaders
from hub.accounting.standing import Standing, standing
from hub.benefits.entitlements import queries as quotas
from hub.benefits.memberships import queries as memberships
from hub.benefits.occasions.queries import OccasionGrant, occasion_grants
from hub.benefits.tiers import standings as tiers
from hub.benefits.tiers.awards import TierAward, awards_of
from hub.benefits.tiers.notices import TierNotice, tier_notices
from hub.benefits.tiers.progress import Place, places_of
from hub.benefits.tiers.terms import Ladder, ladders
from hub.clock import business_date
from hub.crypto.keyring import Keyring
from hub.crypto.tokens import Principal
from hub.db.relation import parameters
from hub.errors import Rejected
from hub.intake.trace import Trace, lots_consumed, trace
from hub.ledger import history
from hub.ledger import queries as ledger
from hub.members import queries as members
from hub.members.display import MemberView
from hub.members.lineage import Lineage, lineages
from hub.members.review.comparison import Comparison, comparisons
from hub.members.review.items import ReviewItem
from hub.members.review.queries import ReviewStep, reviews_by_id, steps_of
from hub.points import mending_queries as mending
from hub.points import notice_queries as notices
from hub.points.adjustments import Adjustment
from hub.points.explain import Explanation, explanations
from hub.points.pool_queries import Pool, pools_of
from hub.privacy.consent import Consent, consents
from hub.privacy.queries import retentions_of
from hub.privacy.retain import Retention
from hub.privacy.shown_to import shown_to
from hub.programme.policy_queries import Policies, policies
from hub.programme.queries import Business, Programme, businesses, earning_rules, programme
from hub.programme.rule import EarningRule
from hub.reconciliation.both_sides import SideRow, rows_of_breaks, rows_of_matches
from hub.reconciliation.breaks import BreakEvent, break_events
from hub.reconciliation.matches import Match, matches_of_breaks
from hub.reconciliation.verdicts import Verdict, verdicts
from hub.settlement import disputes, life, payments
from hub.settlement import queries as settlement
from hub.settlement.disputes import Dispute, Message
from hub.settlement.dues import Due, dues
from hub.settlement.funds import Fund, funds
from hub.settlement.life import Check, PeriodEvent
from hub.settlement.netting import Bilateral, Net
from hub.settlement.steps import Step, steps

Reading = Callable[[], AbstractAsyncContextManager[AsyncConnection]]
Key = TypeVar("Key")
Found = TypeVar("Found")
MOST_LOTS = 100
MOST_ADJUSTMENTS = 100
MOST_RETENTIONS = 100
MOST_TIER_AWARDS = 100
MOST_TIER_NOTICES = 20


class Loader(Generic[Key, Found]):
    """A loader whose answers several fields wait for; made when it is first asked.

    An error on one branch of an answer ends what is under way on it. What others wait for too goes
    on; what nobody waits for any more is given up.
    """

    __slots__ = ("_loader", "_read", "_waiting")

    def __init__(self, read: Callable[[list[Key]], Awaitable[list[Found]]]) -> None:
        self._read = read
        self._loader: DataLoader[Key, Found] | None = None

    def load(self, key: Key) -> Awaitable[Found]:
        """Return what is loaded for a key; whoever waits for it may be cancelled alone."""
        if self._loader is None:
            self._loader = DataLoader(self._read)
            self._waiting: Counter[asyncio.Future[Found]] = Counter()
        shared = asyncio.ensure_future(self._loader.load(key))
        mine = asyncio.shield(shared)
        self._waiting[shared] += 1
        mine.add_done_callback(lambda done: self._leave(shared, gave_up=done.cancelled()))
        return mine

    def _leave(self, shared: asyncio.Future[Found], *, gave_up: bool) -> None:
        self._waiting[shared] -= 1
        if gave_up and not self._waiting[shared]:
            shared.cancel()


class Loaders:
    """The loaders of one request. They remember what they read: after a mutation take new ones.

    `principal` is for whose eyes members are read.
    Keys are the hub's own ids; an answer of None means that there is no such thing.
    """

    def __init__(
        self, reading: Reading, *, now: datetime, keyring: Keyring, principal: Principal | None
    ) -> None:
        business = principal.business if principal else None
        self._reading = reading
        self._now, self._keyring = now, keyring
        of = self._loader
        self.members: Loader[int, int | None] = of(
            lambda db, ids: members.current_members(db, member_ids=ids)
        )
        self.visible: Loader[int, int | None] = of(lambda db, ids: _visible(db, ids, principal))
        self.views: Loader[int, MemberView | None] = of(
            lambda db, ids: shown_to(
                db, member_ids=ids, business=business, now=now, keyring=keyring
            )
        )
        self.consents: Loader[int, list[Consent]] = of(lambda db, ids: consents(db, member_ids=ids))
        self.accounts: Loader[int, list[members.MemberAccount] | None] = of(
            lambda db, ids: members.accounts_of(db, member_ids=ids)
        )
        self.lots: Loader[int, list[ledger.Lot]] = of(
            lambda db, ids: ledger.open_lots(db, member_ids=ids, limit=MOST_LOTS)
        )
        self.open_holds: Loader[int, list[ledger.Hold]] = of(
            lambda db, ids: ledger.open_holds(db, member_ids=ids)
        )
        self.holds: Loader[tuple[int, int], ledger.Hold | None] = of(
            lambda db, keys: ledger.holds_by_key(db, keys=keys)
        )
        self.entries: Loader[tuple[int, int, int], ledger.Entry | None] = of(
            lambda db, keys: ledger.entries_by_key(db, keys=keys)
        )
        self.explanations: Loader[tuple[int, int], Explanation | None] = of(
            lambda db, keys: explanations(db, keys=keys)
        )
        self.balances: Loader[int, ledger.Balance] = of(self._balances)
        self.past_balances: Loader[tuple[datetime, int], ledger.Balance] = of(self._past_balances)
        self.expiring: Loader[tuple[date, int], int] = of(self._expiring)
        self.notices: Loader[int, list[notices.ExpiryNotice]] = of(self._notices)
        self.pools: Loader[int, Pool | None] = of(lambda db, ids: pools_of(db, member_ids=ids))
        self.vouchers = VoucherLoaders(of, now=now, keyring=keyring)
        self.occasions: Loader[int, list[OccasionGrant]] = of(
            lambda db, ids: occasion_grants(db, member_ids=ids)
        )
        self.adjustments: Loader[int, list[Adjustment]] = of(
            lambda db, ids: mending.adjustments_of(db, member_ids=ids, limit=MOST_ADJUSTMENTS)
        )
        self.retentions: Loader[int, list[Retention]] = of(self._retentions)
        self.adjustments_by_key: Loader[tuple[int, int], Adjustment | None] = of(
            lambda db, keys: mending.adjustments_by_key(db, keys=keys)
        )
        self.receivables: Loader[int, list[mending.Receivable]] = of(
            lambda db, ids: mending.receivables_of(db, member_ids=ids)
        )
        self.reviews: Loader[int, ReviewItem | None] = of(
            lambda db, ids: reviews_by_id(db, review_ids=ids)
        )
        self.review_steps: Loader[int, list[ReviewStep]] = of(
            lambda db, ids: steps_of(db, review_ids=ids)
        )
        self.comparisons: Loader[int, Comparison | None] = of(
            lambda db, ids: comparisons(db, review_ids=ids, keyring=keyring)
        )
        self.lineages: Loader[int, Lineage | None] = of(
            lambda db, ids: lineages(db, member_ids=ids)
        )
        self._of_benefits()
        self._of_settlement()
        self._of_reconciliation()
        self._group: Loader[str, Any] = of(_group)

    def _of_benefits(self) -> None:
        of = self._loader
        self.pages = PageLoaders(of, now=self._now, keyring=self._keyring)
        self.standings: Loader[int, tiers.Standing] = of(self._standings)
        self.places: Loader[int, list[Place]] = of(self._places)
        self.tier_awards: Loader[int, list[TierAward]] = of(
            lambda db, ids: awards_of(db, member_ids=ids, limit=MOST_TIER_AWARDS)
        )
        self.entitlements: Loader[int, list[quotas.Entitlement]] = of(self._entitlements)
        self.grants: Loader[int, list[quotas.Grant]] = of(
            lambda db, ids: quotas.grants(db, member_ids=ids, now=self._now)
        )
        self.benefit_holds: Loader[int, list[quotas.Held]] = of(
            lambda db, ids: quotas.holds(db, member_ids=ids, now=self._now)
        )
        self.benefit_movements: Loader[int, list[quotas.Movement]] = of(
            lambda db, ids: quotas.movements(db, member_ids=ids, now=self._now)
        )
        self.memberships: Loader[int, list[memberships.Membership]] = of(self._memberships)
        self.tier_notices: Loader[int, list[TierNotice]] = of(
            lambda db, ids: tier_notices(db, member_ids=ids, limit=MOST_TIER_NOTICES)
        )

    def _of_settlement(self) -> None:
        of = self._loader
        self.payments: Loader[int, list[payments.Payment]] = of(
            lambda db, ids: payments.payments(db, period_ids=ids)
        )
        self.traces: Loader[int, Trace | None] = of(lambda db, ids: trace(db, tx_ids=ids))
        self.lots_consumed: Loader[int, int | None] = of(
            lambda db, ids: lots_consumed(db, line_ids=ids)
        )
        self.settled: Loader[int, list[payments.Settled]] = of(
            lambda db, ids: payments.settled(db, payment_ids=ids)
        )
        self.funds: Loader[int, list[Fund]] = of(lambda db, ids: funds(db, period_ids=ids))
        self.dues: Loader[int, list[Due]] = of(lambda db, ids: dues(db, period_ids=ids))
        self.disputes_of_lines: Loader[int, Dispute | None] = of(
            lambda db, ids: disputes.disputes_of_lines(db, line_ids=ids)
        )
        self.disputed_lines: Loader[int, list[int]] = of(
            lambda db, ids: disputes.lines_of(db, dispute_ids=ids)
        )
        self.dispute_messages: Loader[int, list[Message]] = of(
            lambda db, ids: disputes.messages(db, dispute_ids=ids)
        )
        self.close_steps: Loader[int, list[Step]] = of(lambda db, ids: steps(db, period_ids=ids))
        self.period_checks: Loader[int, list[Check]] = of(
            lambda db, ids: life.checks(db, period_ids=ids)
        )
        self.period_events: Loader[int, list[PeriodEvent]] = of(
            lambda db, ids: life.events(db, period_ids=ids)
        )
        self.bilaterals: Loader[int, list[Bilateral]] = of(
            lambda db, ids: settlement.bilaterals(db, period_ids=ids)
        )
        self.liabilities: Loader[int, Standing | str] = of(_liabilities)
        self.nets: Loader[int, list[Net]] = of(
            lambda db, ids: settlement.net_positions(db, period_ids=ids)
        )

    def _of_reconciliation(self) -> None:
        of = self._loader
        self.break_rows: Loader[int, list[SideRow]] = of(
            lambda db, ids: rows_of_breaks(db, break_ids=ids)
        )
        self.break_events: Loader[int, list[BreakEvent]] = of(
            lambda db, ids: break_events(db, break_ids=ids)
        )
        self.break_matches: Loader[int, list[Match]] = of(
            lambda db, ids: matches_of_breaks(db, break_ids=ids)
        )
        self.break_verdicts: Loader[int, Verdict] = of(lambda db, ids: verdicts(db, break_ids=ids))
        self.match_rows: Loader[int, list[SideRow]] = of(
            lambda db, ids: rows_of_matches(db, match_ids=ids)
        )

    async def programme(self) -> Programme:
        """Return the group; raises NotFound when none is configured."""
        found: Programme = await self._group.load("programme")
        return found

    async def businesses(self) -> dict[int, Business]:
        """Return all businesses by id, in the order of their ids."""
        found: dict[int, Business] = await self._group.load("businesses")
        return found

    async def policies(self) -> Policies:
        """Return every version of the policies of points."""
        found: Policies = await self._group.load("policies")
        return found

    async def earning_rules(self) -> list[EarningRule]:
        """Return every version of the earning rules, by business, the newest first."""
        found: list[EarningRule] = await self._group.load("earning_rules")
        return found

    async def ladders(self) -> list[Ladder]:
        """Return every ladder with its versions."""
        found: list[Ladder] = await self._group.load("ladders")
        return found

    async def today(self) -> date:
        """Return the group's date at the request's instant: the one that points expire by."""
        return business_date(self._now, (await self.programme()).time_zone)

    def _loader(
        self, read: Callable[[AsyncConnection, list[Any]], Awaitable[Mapping[Any, Any]]]
    ) -> Loader[Any, Any]:
        async def load(keys: list[Any]) -> list[Any]:
            async with self._reading() as db:
                found = await read(db, keys)
            return [found.get(key) for key in keys]

        return Loader(load)

    async def _balances(self, db: AsyncConnection, ids: list[int]) -> Mapping[int, ledger.Balance]:
        today = business_date(self._now, (await programme(db)).time_zone)
        return await ledger.balances(db, member_ids=ids, today=today, now=self._now)

    async def _past_balances(
        self, db: AsyncConnection, keys: list[tuple[datetime, int]]
    ) -> Mapping[tuple[datetime, int], ledger.Balance]:
        zone = (await programme(db)).time_zone
        found = {}
        for at, group in groupby(sorted(keys), key=lambda key: key[0]):
            ids = [member_id for _, member_id in group]
            today = business_date(at, zone)
            then = await history.balance_as_of(db, member_ids=ids, at=at, today=today)
            found.update({(at, member_id): balance for member_id, balance in then.items()})
        return found

    async def _expiring(
        self, db: AsyncConnection, keys: list[tuple[date, int]]
    ) -> Mapping[tuple[date, int], int]:
        today = business_date(self._now, (await programme(db)).time_zone)
        found = {}
        for until, group in groupby(sorted(keys), key=lambda key: key[0]):
            ids = [member_id for _, member_id in group]
            of_day = await ledger.expiring(
                db, member_ids=ids, today=today, until=until, now=self._now
            )
            found.update({(until, member_id): n for member_id, n in of_day.items()})
        return found

    async def _notices(
        self, db: AsyncConnection, ids: list[int]
    ) -> Mapping[int, list[notices.ExpiryNotice]]:
        today = business_date(self._now, (await programme(db)).time_zone)
        return await notices.expiry_notices(db, member_ids=ids, today=today)

    async def _retentions(
        self, db: AsyncConnection, ids: list[int]
    ) -> Mapping[int, list[Retention]]:
        return await retentions_of(db, member_ids=ids, now=self._now, limit=MOST_RETENTIONS)

    async def _standings(self, db: AsyncConnection, ids: list[int]) -> Mapping[int, tiers.Standing]:
        zone = (await programme(db)).time_zone
        return await tiers.standings(db, member_ids=ids, now=self._now, time_zone=zone)

    async def _places(self, db: AsyncConnection, ids: list[int]) -> Mapping[int, list[Place]]:
        zone = (await programme(db)).time_zone
        return await places_of(db, member_ids=ids, now=self._now, time_zone=zone)

    async def _memberships(
        self, db: AsyncConnection, ids: list[int]
    ) -> Mapping[int, list[memberships.Membership]]:
        zone = (await programme(db)).time_zone
        return await memberships.memberships(db, member_ids=ids, now=self._now, time_zone=zone)

    async def _entitlements(
        self, db: AsyncConnection, ids: list[int]
    ) -> Mapping[int, list[quotas.Entitlement]]:
        return await quotas.entitlements(db, member_ids=ids, now=self._now)


async def _visible(
    db: AsyncConnection, ids: list[int], principal: Principal | None
) -> Mapping[int, int]:
    asked = members.known(access.sees_member(principal))
    facts = {**access.caller_facts(principal), "member_ids": ids}
    rows = await db.execute(asked.statement, {name: facts[name] for name in parameters(asked.sql)})
    return {row.wanted: row.member_id for row in rows}


async def _liabilities(db: AsyncConnection, period_ids: list[int]) -> Mapping[int, Standing | str]:
    """Return where the liabilities of each period stand, or why that cannot be told."""
    found: dict[int, Standing | str] = {}
    for period_id in period_ids:
        try:
            found[period_id] = await standing(db, period_id=period_id)
        except Rejected as why:
            found[period_id] = why.message
    return found


async def _group(db: AsyncConnection, parts: list[str]) -> Mapping[str, Any]:
    """Read what does not depend on a key; few rows, so all of them."""
    found: dict[str, Any] = {}
    if "programme" in parts:
        found["programme"] = await programme(db)
    if "businesses" in parts:
        found["businesses"] = {b.business_id: b for b in await businesses(db)}
    if "policies" in parts:
        found["policies"] = await policies(db)
    if "earning_rules" in parts:
        found["earning_rules"] = list((await earning_rules(db)).values())
    if "ladders" in parts:
        found["ladders"] = await ladders(db)
    return found
