"""Export: everything held about a member, as one document that a person can read and take along."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, TypeVar

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.audit.queries import reads_of
from hub.crypto.keyring import Keyring
from hub.errors import NotFound, Rejected, Unavailable
from hub.intake.mentions import Mention, mentions
from hub.ledger.codes import Kind, Outcome, Side
from hub.members.family import Family, family
from hub.members.identifiers import Kind as IdentifierKind
from hub.members.lineage import lineage
from hub.privacy.consent import consents
from hub.privacy.queries import retentions
from hub.rights.audience import Audience, as_given
from hub.rights.words import pins, profiles, words_of

T = TypeVar("T")

FORMAT = "group-membership-hub/member/1"
EVERYTHING = "everything"
"""What the audit says was read of whom a document is about."""
MOST_AT_ONCE = 4


class ExportTooLarge(Rejected):
    """The document is larger than whoever asked for it can be given at once."""

    code = "export_too_large"


# What is held of a member beside profiles and deliveries, one query for each part of the document.
# Rows name businesses by their codes; what a number means is said by `_meaning`.
# What was posted while members were one is whose account it says.
# Who is kin is found once, and not again for each row that is looked at.
_KIN = "CAST((SELECT ledger_kin(CAST(:members AS bigint[]))) AS bigint[])"
_ENTRIES = f"""e.member_id = ANY ({_KIN})
        AND coalesce(account_holder(e.account_id), e.member_id)
          = ANY (CAST(:members AS bigint[]))"""
_PARTS = {
    "links": """
      SELECT l.account_id, l.member_id, l.method, lower(l.valid) AS since, upper(l.valid) AS until
      FROM account_link l WHERE l.member_id = ANY (CAST(:members AS bigint[]))
        OR l.account_id = ANY (CAST(:accounts AS bigint[])) ORDER BY 1, lower(l.valid)""",
    "identifiers": """
      SELECT account_id, kind AS identifier, verified, opened_at, closed_at, last_seen_at
      FROM identifier_claim WHERE member_id = ANY (CAST(:members AS bigint[])) ORDER BY claim_id""",
    "reviews": """
      SELECT account_id, reason, state, opened_at, decided_at, decision, note, score, (
          SELECT jsonb_agg(e.value) FROM jsonb_each(evidence) e) AS evidence
      FROM review_item WHERE account_id = ANY (CAST(:accounts AS bigint[]))
      UNION ALL
      SELECT NULL, reason, state, opened_at, decided_at, decision, NULL, NULL, NULL
      FROM review_item WHERE candidates && CAST(:members AS bigint[])
        AND account_id <> ALL (CAST(:accounts AS bigint[])) ORDER BY opened_at""",
    "review_steps": """
      SELECT r.account_id, s.done, s.done_at, s.note
      FROM review_step s JOIN review_item r USING (review_id)
      WHERE r.account_id = ANY (CAST(:accounts AS bigint[])) ORDER BY s.step_id""",
    "balances": """
      SELECT u.code AS unit, sum(posted)::bigint AS posted, sum(held)::bigint AS held,
        sum(pending)::bigint AS pending, sum(owed)::bigint AS owed
      FROM balance b JOIN point_unit u ON u.unit_id = b.unit
      WHERE member_id = ANY (CAST(:members AS bigint[])) GROUP BY u.code ORDER BY 1""",
    "lots": """
      SELECT lot_id, account_id, i.code AS issuer, u.code AS unit, earned, remaining, earned_at,
        nullif(expires_on, 'infinity') AS expires_on, nullif(activates_at, 'infinity') AS
        activates_at, pending
      FROM lot l JOIN business i ON i.business_id = l.issuer_id
      JOIN point_unit u ON u.unit_id = l.unit
      WHERE member_id = ANY (CAST(:members AS bigint[])) ORDER BY lot_id""",
    "transactions": f"""
      SELECT t.tx_id, t.account_id, b.code AS business, t.kind, t.outcome, u.code AS unit, t.points,
        t.occurred_at, t.posted_at, t.business_date, t.reason
      FROM ledger_transaction t LEFT JOIN business b USING (business_id)
      JOIN point_unit u ON u.unit_id = t.unit
      WHERE t.tx_id IN (SELECT e.tx_id FROM entry e WHERE {_ENTRIES})
        OR (t.member_id = ANY ({_KIN})
          AND coalesce(account_holder(t.account_id), t.member_id)
            = ANY (CAST(:members AS bigint[])))
      ORDER BY t.tx_id""",  # noqa: S608 - a constant of ours
    "entries": f"""
      SELECT e.tx_id, e.seq, e.account_id, e.lot_id, b.code AS business, i.code AS issuer,
        u.code AS unit, e.points, e.debit, e.credit, e.occurred_at, e.posted_at
      FROM entry e LEFT JOIN business b USING (business_id)
      JOIN business i ON i.business_id = e.issuer_id JOIN point_unit u ON u.unit_id = e.unit
      WHERE {_ENTRIES} ORDER BY e.tx_id, e.seq""",  # noqa: S608 - a constant of ours
    "holds": """
      SELECT hold_id, b.code AS business, points, captured, voided, expires_at, open
      FROM hold JOIN business b USING (business_id)
      WHERE member_id = ANY (CAST(:members AS bigint[])) ORDER BY hold_id""",
    "tiers": """
      SELECT t.code AS tier, l.code AS ladder, m.since, m.until, m.valid_until, m.qualifying,
        m.reason
      FROM member_tier m JOIN tier t USING (tier_id, ladder_id) JOIN ladder l USING (ladder_id)
      WHERE member_id = ANY (CAST(:members AS bigint[])) ORDER BY m.member_id, step""",
    "tier_notices": """
      SELECT t.code AS tier, n.kind, n.days_ahead, n.valid_until, n.state, n.given_at
      FROM tier_notice n JOIN member_tier h USING (member_id, step) JOIN tier t USING (tier_id)
      WHERE n.member_id = ANY (CAST(:members AS bigint[])) ORDER BY n.notice_id""",
    "tier_awards": """
      SELECT t.code AS tier, a.kind, a.reason, a.partner, a.evidence, a.starts_on, a.trial_until,
        a.valid_until, a.given_at, a.revoked_at, a.revoked_because
      FROM tier_award a JOIN tier t USING (tier_id)
      WHERE member_id = ANY (CAST(:members AS bigint[])) ORDER BY award_id""",
    "qualifying_activity": """
      SELECT b.code AS business, q.account_id, q.business_date, q.occurred_at, q.spend_minor,
        q.currency, q.bills, q.nights, q.referrals
      FROM qualifying_activity q JOIN business b USING (business_id)
      WHERE account_id = ANY (CAST(:accounts AS bigint[]))
      ORDER BY q.account_id, q.business_date, q.key""",
    "entitlements": """
      SELECT b.code AS benefit, e.source, e.source_id, e.starts_on, e.ends_on, e.granted, e.held,
        e.used, e.ended
      FROM entitlement e JOIN benefit b USING (benefit_id)
      WHERE member_id = ANY (CAST(:members AS bigint[])) ORDER BY starts_on, b.code""",
    "entitlement_entries": """
      SELECT b.code AS benefit, e.source, n.kind AS movement, n.quantity, n.reason, n.occurred_at
      FROM entitlement e JOIN entitlement_entry n USING (entitlement_id)
      JOIN benefit b USING (benefit_id)
      WHERE member_id = ANY (CAST(:members AS bigint[])) ORDER BY n.entry_id""",
    "entitlement_uses": """
      SELECT n.code AS benefit, b.code AS business, u.kind AS request, u.quantity, u.used_at,
        u.outcome, u.remaining
      FROM entitlement_use u JOIN benefit n USING (benefit_id) JOIN business b USING (business_id)
      WHERE member_id = ANY (CAST(:members AS bigint[])) ORDER BY used_at""",
    "memberships": """
      SELECT p.code AS plan, f.kind AS event, f.day, f.amount_minor, f.credit_minor, f.currency,
        f.reason, t.starts_on, t.ends_on, t.refund_minor, t.refunded_minor
      FROM membership_fact f JOIN membership_plan p USING (plan_id)
      LEFT JOIN membership_term t USING (fact_id)
      WHERE f.member_id = ANY (CAST(:members AS bigint[])) ORDER BY f.day, f.fact_id""",
    "membership_gifts": """
      SELECT p.code AS plan, t.starts_on, g.points, g.taken_points, g.tx_id, g.voucher_id,
        g.given_at, g.taken_at
      FROM membership_gift g JOIN membership_term t USING (fact_id)
      JOIN membership_plan p USING (plan_id)
      WHERE t.member_id = ANY (CAST(:members AS bigint[])) ORDER BY t.starts_on, g.number""",
    "vouchers": """
      SELECT v.voucher_id, c.code AS campaign, v.granted, v.held, v.used, v.assigned_at, v.ends_at,
        v.state = 2 AS voided
      FROM voucher v JOIN voucher_terms t USING (terms_id)
      JOIN voucher_campaign c USING (campaign_id)
      WHERE member_id = ANY (CAST(:members AS bigint[])) ORDER BY voucher_id""",
    "voucher_history": """
      SELECT e.voucher_id, e.kind, b.code AS business, e.held, e.used, e.amount_minor, e.currency,
        e.occurred_at, e.reason
      FROM voucher_entry e LEFT JOIN business b USING (business_id)
      WHERE EXISTS (SELECT 1 FROM voucher v WHERE v.voucher_id = e.voucher_id
          AND v.member_id = ANY (CAST(:members AS bigint[])))
        AND (e.member_id IS NULL OR e.member_id = ANY (CAST(:members AS bigint[])))
      ORDER BY e.voucher_id, e.entry_id""",
    "voucher_notices": """
      SELECT voucher_id, ends_at, days_ahead, given_at FROM voucher_notice
      WHERE member_id = ANY (CAST(:members AS bigint[])) ORDER BY ends_at, days_ahead""",
    "occasions": """
      SELECT o.code AS occasion, g.year, g.points, g.tx_id, g.voucher_id, g.entitlement_id,
        g.given_at
      FROM occasion_grant g JOIN occasion o USING (occasion_id)
      WHERE g.account_id = ANY (CAST(:accounts AS bigint[])) ORDER BY g.given_at, o.code""",
    "referrals": """
      SELECT CASE WHEN r.referrer_account_id = ANY (CAST(:accounts AS bigint[]))
          THEN 'referrer' ELSE 'referred' END AS as_whom,
        r.said_at, r.ends_at, r.source, r.outcome, r.counted_on
      FROM referral r
      WHERE r.referrer_account_id = ANY (CAST(:accounts AS bigint[]))
        OR r.referred_account_id = ANY (CAST(:accounts AS bigint[])) ORDER BY r.referral_id""",
    "referral_gifts": """
      SELECT side AS as_whom, points, tx_id, voucher_id, entitlement_id, given_at, taken_at
      FROM referral_gift WHERE account_id = ANY (CAST(:accounts AS bigint[]))
      ORDER BY referral_id, side, number""",
    "baskets": """
      SELECT b.basket_id, s.code AS business, b.state, b.points, b.hold_tx, b.redeem_tx,
        b.occurred_at, b.expires_at, b.redeemed_at, b.answer AS told
      FROM till_basket b JOIN business s USING (business_id)
      WHERE member_id = ANY (CAST(:members AS bigint[])) ORDER BY b.basket_id""",
    "basket_refunds": """
      SELECT r.basket_id, r.at, r.asked -> 'lines' AS lines, r.answer AS told
      FROM till_refund r JOIN till_basket b USING (basket_id)
      WHERE b.member_id = ANY (CAST(:members AS bigint[])) ORDER BY r.basket_id, r.at""",
    "reward_orders": """
      SELECT o.order_id, r.code AS reward, b.code AS business, o.points, o.price_minor, o.currency,
        o.outcome, o.state, o.ordered_at, o.delivery_note, o.voucher_id, o.entitlement_id
      FROM reward_order o JOIN reward r USING (reward_id) JOIN business b
        ON b.business_id = o.business_id
      WHERE o.member_id = ANY (CAST(:members AS bigint[])) ORDER BY o.order_id""",
    "adjustments": """
      SELECT b.code AS business, a.points, a.state, a.reason, a.verdict, a.proposed_at, a.decided_at
      FROM adjustment a JOIN business b USING (business_id)
      WHERE member_id = ANY (CAST(:members AS bigint[])) ORDER BY adjustment_id""",
    "pools": """
      SELECT pool_id, joined_at, left_at FROM pool_member
      WHERE member_id = ANY (CAST(:members AS bigint[])) ORDER BY joined_at""",
    "expiry_notices": """
      SELECT u.code AS unit, n.points, n.expires_on, n.days_ahead, n.state, n.given_at
      FROM expiry_notice n JOIN point_unit u ON u.unit_id = n.unit
      WHERE member_id = ANY (CAST(:members AS bigint[])) ORDER BY expires_on, days_ahead""",
    "sessions": """
      SELECT begun_at, began_by, used_at, expires_at, ended_at, ended_by FROM member_session
      WHERE member_id = ANY (CAST(:members AS bigint[])) ORDER BY begun_at""",
    "passkeys": """
      SELECT name, added_at, used_at FROM passkey
      WHERE member_id = ANY (CAST(:members AS bigint[])) ORDER BY added_at""",
    "facts": """
      SELECT c.code AS connection, f.type, f.source_id, f.tx_id, f.posted_at
      FROM business_fact f JOIN connection c USING (connection_id)
      WHERE f.account_id = ANY (CAST(:accounts AS bigint[])) ORDER BY f.posted_at, f.source_id""",
}
_CODES: dict[str, type[Enum]] = {"kind": Kind, "outcome": Outcome, "debit": Side, "credit": Side,
                                 "identifier": IdentifierKind}  # fmt: skip


async def export(
    db: AsyncConnection,
    *,
    member_id: int,
    now: datetime,
    keyring: Keyring,
    audience: Audience = Audience.STAFF,
    most_bytes: int | None = None,
) -> dict[str, Any]:
    """Return everything held about a member and those merged into it, in the clear.

    Parts of a delivery that tell of others are left out: of one that could not be read as events
    only its number and time are told. A member itself is not given what is staff's
    (hub.rights.audience). Deliveries that no key opens any more are counted by their business, in
    `unopened_deliveries`: they may tell of the member or not. Run it in a transaction that sees one
    state throughout.

    Raises NotFound, for an erased member too: nothing is held about one; Undecipherable or
    KeyUnknown when what is sealed for the member itself cannot be opened; ExportTooLarge as soon as
    what was read would be written in more than `most_bytes`; Unavailable while another export of
    the member, or MOST_AT_ONCE of any, are under way.
    """
    found = await family(db, member_id=member_id)
    if found.erased_at is not None:
        raise NotFound(f"member {member_id} was erased", field="member_id")
    await _alone(db, found)
    room = _Room(most_bytes)
    facts = {"members": list(found.member_ids), "accounts": found.account_ids}
    parts: dict[str, Any] = {}
    for name, query in _PARTS.items():
        wanted = {key: value for key, value in facts.items() if f":{key}" in query}
        parts[name] = [_meaning(row._asdict()) for row in await db.execute(text(query), wanted)]
        room.take(parts[name])
    words = await words_of(db, family=found, keyring=keyring)
    unopened: Counter[str] = Counter()
    told = mentions(
        db, account_ids=found.account_ids, telling=words, keyring=keyring, unopened=unopened
    )
    said = await consents(db, member_ids=[found.member_id])
    document = {
        "format": FORMAT,
        "exported_at": now,
        "member": found.member_id,
        "merged_members": list(found.member_ids[1:]),
        "lineage": asdict(await lineage(db, member_id=found.member_id)),
        "accounts": await _accounts(db, found, keyring),
        "pins": await pins(db, family=found, keyring=keyring),
        "consents": [asdict(one) for one in said[found.member_id]],
        "consent_history": await _consent_history(db, found.member_ids),
        "retentions": [asdict(one) for one in await retentions(db, member_ids=found.member_ids)],
        **parts,
        "deliveries": [room.take(_delivery(one)) async for one in told],
        "unopened_deliveries": [
            {"business": code, "deliveries": count} for code, count in sorted(unopened.items())
        ],
        "reads": [asdict(one) for one in await reads_of(db, member_ids=found.member_ids)],
    }
    return as_given(document, audience)


def write(document: dict[str, Any], *, most_bytes: int | None = None) -> bytes:
    """Return the document as JSON: readable, in UTF-8, amounts exact as text.

    Raises ExportTooLarge for more than `most_bytes`.
    """
    written = json.dumps(document, default=_plain, ensure_ascii=False, indent=2).encode() + b"\n"
    if most_bytes is not None and len(written) > most_bytes:
        raise _too_large(most_bytes)
    return written


def unopened_in(document: dict[str, Any]) -> dict[str, int]:
    """Return how many deliveries of each business could not be opened for a document."""
    return {one["business"]: one["deliveries"] for one in document["unopened_deliveries"]}


async def _alone(db: AsyncConnection, found: Family) -> None:
    """See to it that few do at once what opens many bodies, and nobody the same work twice."""
    free = await db.scalar(
        text("SELECT pg_try_advisory_xact_lock(hashtextextended('export', :slot))"),
        {"slot": found.member_id % MOST_AT_ONCE},
    )
    if not free:
        raise Unavailable("another export is under way: ask again when it is done")


class _Room:
    """How much more may be read: what is written takes at least what it takes without blanks."""

    def __init__(self, most_bytes: int | None) -> None:
        self._most, self._left = most_bytes, most_bytes

    def take(self, part: T) -> T:
        if self._most is not None and self._left is not None:
            self._left -= len(json.dumps(part, default=_plain, ensure_ascii=False))
            if self._left < 0:
                raise _too_large(self._most)
        return part


def _too_large(most_bytes: int) -> ExportTooLarge:
    return ExportTooLarge(
        f"the document would have more than {most_bytes} bytes: an operator writes it to a file",
        most_bytes=most_bytes,
    )


async def _accounts(db: AsyncConnection, found: Family, keyring: Keyring) -> list[dict[str, Any]]:
    """Return each account with what its business said of the person, and when."""
    said = await profiles(db, family=found, keyring=keyring)
    rows = await db.execute(
        text("""
          SELECT a.account_id, b.code AS business, e.code AS legal_entity, a.external_id, a.walk_in,
            a.created_at
          FROM account a JOIN business b USING (business_id) JOIN legal_entity e
            USING (legal_entity_id)
          WHERE a.account_id = ANY (CAST(:accounts AS bigint[])) ORDER BY a.account_id"""),
        {"accounts": found.account_ids},
    )
    return [{**row._asdict(), "profile": said.get(row.account_id, [])} for row in rows]


async def _consent_history(db: AsyncConnection, member_ids: Sequence[int]) -> list[dict[str, Any]]:
    rows = await db.execute(
        text("""
          SELECT e.code AS legal_entity, c.purpose, c.given, c.said_at, c.recorded_at, c.source,
            c.text_version
          FROM consent c JOIN legal_entity e USING (legal_entity_id)
          WHERE c.member_id = ANY (CAST(:members AS bigint[])) ORDER BY c.said_at, c.consent_id"""),
        {"members": list(member_ids)},
    )
    return [row._asdict() for row in rows]


def _delivery(mention: Mention) -> dict[str, Any]:
    return {
        "delivery_id": mention.delivery_id,
        "connection": mention.connection,
        "topic": mention.topic,
        "state": mention.state,
        "received_at": mention.received_at,
        "events": [
            {
                "type": event.type,
                "entity": event.entity,
                "entity_id": event.entity_id,
                "occurred_at": event.occurred_at,
                "content": event.snapshot,
            }
            for event in mention.events
        ],
    }


def _meaning(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with the names of its codes in the place of their numbers."""
    for column, codes in _CODES.items():
        if isinstance(row.get(column), int):
            row[column] = codes(row[column]).name.lower()
    return row


def _plain(value: object) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    raise TypeError(f"{type(value).__name__} has no place in an export")
