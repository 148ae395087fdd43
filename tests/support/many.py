"""Many rows in every list, written straight into the tables: for how lists are read."""

from typing import Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# Member 1 has `:n` of everything; of the others, each has an account, points, a tier and a voucher.
# Businesses 1 to 3 and the tiers are there already.
_PERSONS = (
    """INSERT INTO member (member_id, created_at)
       SELECT i, timestamptz '2024-01-01T00:00Z' + i * interval '1 hour'
       FROM generate_series(1, :n) i""",
    """INSERT INTO account (account_id, business_id, external_id, created_at)
       SELECT i, 1 + i % 3, 'e-' || i, now() FROM generate_series(1, :n) i""",
    """INSERT INTO account_link (account_id, member_id, method, valid)
       SELECT i, i, 'birth', '[2020-01-01,)' FROM generate_series(1, :n) i""",
)
_PEOPLE = (
    *_PERSONS,
    # A step a day; the last one stands, the second was matched, the third was undone.
    """INSERT INTO member_tier (member_id, step, tier_id, ladder_id, since, until, qualifying,
         reason, undone)
       SELECT 1, i, t.tier_id, t.ladder_id, timestamptz '2020-01-01T00:00Z' + i * interval '1 day',
         CASE WHEN i < :n THEN timestamptz '2020-01-02T00:00Z' + i * interval '1 day' END, 0,
         CASE WHEN i = 2 THEN 'matched' ELSE 'reached' END, i = 3
       FROM generate_series(1, :n) i JOIN (SELECT *, row_number() OVER (ORDER BY rank) AS nth,
         count(*) OVER () AS tiers FROM tier) t ON t.nth = 1 + i % t.tiers""",
    """INSERT INTO member_tier (member_id, step, tier_id, ladder_id, since, qualifying, reason)
       SELECT i, 1, t.tier_id, t.ladder_id, timestamptz '2024-01-01T00:00Z', 0, 'reached'
       FROM generate_series(2, :n) i JOIN (SELECT *, row_number() OVER (ORDER BY rank) AS nth,
         count(*) OVER () AS tiers FROM tier) t ON t.nth = 1 + i % t.tiers""",
    """INSERT INTO balance (member_id, unit, posted, last_active_on)
       SELECT i, 1, 0, CASE WHEN i % 7 > 0 THEN date '2024-01-01' + (i % 400)::integer END
       FROM generate_series(1, :n) i""",
    """INSERT INTO entry (member_id, tx_id, seq, lot_id, account_id, points, occurred_at,
         business_date, debit, credit, issuer_id, business_id, unit, cost_rate, posted_at)
       SELECT 1, ledger_tx_at(now()) + i / 2, 1 + i % 2, i, 1, 1, now(),
         date '2024-01-01' + (i % 700)::integer, CASE WHEN i % 3 = 0 THEN 1 ELSE 10 END,
         CASE WHEN i % 3 = 0 THEN 20 ELSE 1 END, 1, 1 + i % 3, 1, 0.01,
         now() - (i / 5) * interval '1 second'
       FROM generate_series(1, :n) i""",
)  # fmt: skip
_WORK = (
    # What tells doubts that are met twice takes half a millisecond a row.
    "ALTER TABLE review_item DISABLE TRIGGER review_item_opening",
    # Of five, two have no score, and one is dismissed; of ten, one is somebody's to look at.
    """INSERT INTO review_item (account_id, opened_at, reason, candidates, score, assigned_to,
         state, decided_at, decided_by, decision)
       SELECT i, timestamptz '2026-01-01T00:00Z' + i * interval '1 hour',
         CASE WHEN i % 2 = 0 THEN 'batch_match' ELSE 'second_account' END, ARRAY[1 + i % :n],
         CASE WHEN i % 5 > 1 THEN i % 30 + 0.1 END, CASE WHEN i % 10 = 3 THEN 'ann' END,
         CASE WHEN i % 5 = 4 THEN 'dismissed' ELSE 'open' END,
         CASE WHEN i % 5 = 4 THEN now() END, CASE WHEN i % 5 = 4 THEN 'hub' END,
         CASE WHEN i % 5 = 4 THEN 'settled' END
       FROM generate_series(1, :n) i""",
    "ALTER TABLE review_item ENABLE TRIGGER review_item_opening",
    """INSERT INTO adjustment (member_id, account_id, points, proposed_at, business_id, unit,
         cost_rate, maker, reason, idempotency_key)
       SELECT i, i, CASE WHEN i % 40 = 20 THEN 1 ELSE i % 40 - 20 END,
         timestamptz '2026-01-01T00:00Z' + i * interval '1 hour', 1 + i % 3, 1, 0.01,
         CASE WHEN i % 4 = 0 THEN 'bob' ELSE 'ann' END, 'r', i
       FROM generate_series(1, :n) i""",
    """INSERT INTO settlement_period (starts_on, ends_on, opened_at, code)
       SELECT date '2001-01-01' + i::integer, date '2001-01-01' + i::integer, now(),
         (date '2001-01-01' + i::integer)::text FROM generate_series(1, least(:n, 3000)) i""",
    "UPDATE settlement_period SET state = 'closing' WHERE code = '2001-01-02'",
    # Of seven, one is of another period; of sixty, one is what the third business owes, or is owed.
    """INSERT INTO dispute (opened_at, period_id, business_id, debtor_id, creditor_id, currency,
         reason, opened_by, idempotency_key, state, resolved_at, resolved_by, resolution)
       SELECT timestamptz '2026-01-01T00:00Z' + i * interval '1 hour', p.period_id, debtor_id,
         debtor_id, creditor_id, CASE WHEN i % 7 = 0 THEN 'USD' ELSE 'CNY' END, 'r', 'ann', i,
         CASE WHEN i % 2 = 0 THEN 'rejected' ELSE 'open' END, CASE WHEN i % 2 = 0 THEN now() END,
         CASE WHEN i % 2 = 0 THEN 'bob' END, CASE WHEN i % 2 = 0 THEN 'r' END
       FROM generate_series(1, :n) i CROSS JOIN LATERAL (
         SELECT CASE WHEN i % 60 = 20 THEN 3 ELSE 1 + i % 2 END AS debtor_id,
           CASE WHEN i % 60 = 40 THEN 3 ELSE 2 - i % 2 END AS creditor_id) x
       JOIN settlement_period p ON p.code = (date '2001-01-02'
         + CASE WHEN i % 7 = 0 THEN i / 7 % 100 ELSE 0 END::integer)::text""",
    """INSERT INTO correction (proposed_at, debtor_id, creditor_id, currency, amount, reason, maker,
         idempotency_key)
       SELECT timestamptz '2026-01-01T00:00Z' + i * interval '1 hour',
         CASE WHEN i % 60 = 20 THEN 3 ELSE 1 + i % 2 END,
         CASE WHEN i % 60 = 40 THEN 3 ELSE 2 - i % 2 END,
         CASE WHEN i % 7 = 0 THEN 'USD' ELSE 'CNY' END, i % 40 - 20.5, 'r',
         CASE WHEN i % 60 = 1 THEN 'bob' ELSE 'ann' END, i
       FROM generate_series(1, :n) i""",
    # Two to a minute.
    """INSERT INTO denial (minute, times, role, subject, operation, path, reason, asked)
       SELECT timestamptz '2026-01-01T00:00Z' + i / 2 * interval '1 minute', 1, 'business',
         'business:' || i % 50, CASE WHEN i % 4 = 0 THEN 'Card' ELSE 'other' END,
         CASE WHEN i % 3 = 0 THEN 'denials' ELSE 'member' END,
         CASE WHEN i % 10 = 9 THEN 'forbidden' ELSE 'hidden' END, ''
       FROM generate_series(1, :n) i""",
    """INSERT INTO connection (business_id, code, connector, settings)
       SELECT i, 'system-' || i, 'shopify', 'x' FROM generate_series(1, 3) i""",
    # Of sixty, one is refused and one is dead; an hour apart.
    """INSERT INTO delivery (connection_id, state, topic, body, body_sha256, received_at,
         finished_at, reason_code, reason_field)
       SELECT c.connection_id, CASE i % 60 WHEN 7 THEN 'dead' WHEN 9 THEN 'refused' ELSE 'done' END,
         CASE WHEN i % 2 = 0 THEN 'orders' ELSE 'refunds' END, 'x', 'x',
         timestamptz '2026-01-01T00:00Z' + i * interval '1 hour', now(),
         CASE WHEN i % 60 IN (7, 9) THEN 'malformed' END,
         CASE WHEN i % 60 = 7 THEN 'total' END
       FROM generate_series(1, :n) i JOIN connection c ON c.business_id = 1 + i % 3""",
    """INSERT INTO pull_stream (connection_id, stream, since, next_at)
       SELECT c.connection_id, 'stream-' || i, now(), now()
       FROM generate_series(1, :n) i JOIN connection c ON c.business_id = 1 + i % 3""",
    """INSERT INTO subscription (business_id, code, url, types, secrets)
       SELECT i, 'events-' || i, 'https://hub-' || i || '.example/', '{points.posted}', 'x'
       FROM generate_series(1, 3) i""",
    # Of sixty, one is given up and one waits; of three, one is of a tier; an hour apart.
    """INSERT INTO hub_event (event_id, member_id, account_id, business_id, occurred_at, noted_at,
         type, tier_id) OVERRIDING SYSTEM VALUE
       SELECT i, i, i, 1 + i % 3, now(), now(), CASE WHEN i % 3 = 0 THEN 'tier.changed'
         ELSE 'points.posted' END, 1 FROM generate_series(1, :n) i""",
    """INSERT INTO event_delivery (event_id, subscription_id, attempts, status, asked_at, state,
         ended_at)
       SELECT i, s.subscription_id, 1, 200, timestamptz '2026-01-01T00:00Z' + i * interval '1 hour',
         CASE i % 60 WHEN 7 THEN 'dead' WHEN 8 THEN 'pending' ELSE 'delivered' END,
         CASE WHEN i % 60 <> 8 THEN now() END
       FROM generate_series(1, :n) i JOIN subscription s ON s.business_id = 1 + i % 3""",
    """INSERT INTO reconciliation_book (business_id, role)
       SELECT i, 'creditor' FROM generate_series(1, 3) i""",
    """INSERT INTO reconciliation_run (asked_at, finished_at, from_date, to_date,
         amount_tolerance_minor, points_tolerance, window_days, book_id, day_totals, asked_by)
       SELECT timestamptz '2026-01-01T00:00Z' + i * interval '1 hour',
         CASE WHEN i % 4 > 0 THEN now() END, date '2001-01-01' + (i / 2)::integer,
         date '2001-01-02' + (i / 2)::integer, 0, 0, 0, 1 + i % 3, false, 'ann'
       FROM generate_series(1, :n) i""",
    # Of six hundred, one is of the third book.
    """INSERT INTO reconciliation_partner_row (row_id, points, digest, file_id, number, copy, day,
         book_id, leg, reference)
       SELECT i, 5, md5(i::text)::uuid, 1, i, 0, '2001-01-01',
         CASE WHEN i % 600 = 20 THEN 3 ELSE 1 + i % 2 END, 1, 'x' || i
       FROM generate_series(1, :n) i""",
    # Few are but suggested.
    """INSERT INTO reconciliation_match (match_id, leg, rule, state, made_at, book_id)
       SELECT i, 1, CASE WHEN i % 2 = 0 THEN 7 ELSE 8 END,
         CASE WHEN i <= 400 THEN 'suggested' ELSE 'confirmed' END,
         timestamptz '2026-01-01T00:00Z' + i * interval '1 hour', p.book_id
       FROM generate_series(1, :n) i JOIN reconciliation_partner_row p ON p.row_id = i""",
    """INSERT INTO reconciliation_match_row (match_id, row_id, leg, live)
       SELECT i, i, 1, false FROM generate_series(1, :n) i""",
    # Of ten, nine are open still; the last is resolved. Of five, one has no amount.
    """INSERT INTO reconciliation_break (anchor_row_id, opened_at, closed_at, day, book_id, leg,
         kind, state, resolution, points, amount_minor, currency, counterparty_id, owner)
       SELECT i, timestamptz '2026-01-01T00:00Z' + i * interval '1 hour',
         CASE WHEN i % 10 = 9 THEN now() END, date '2001-01-01' + (i / 3)::integer, 1 + i % 3, 1,
         CASE WHEN i % 2 = 0 THEN 'missing_at_hub' ELSE 'amount' END,
         CASE i % 10 WHEN 9 THEN 'resolved' WHEN 5 THEN 'investigating' ELSE 'open' END,
         CASE WHEN i % 10 = 9 THEN 'matched' END, 5,
         CASE WHEN i % 5 > 0 THEN (i % 40 - 20) * 100 END, CASE WHEN i % 5 > 0 THEN 'CNY' END,
         1 + (i + 1) % 3, CASE WHEN i % 10 = 5 THEN 'ann' END
       FROM generate_series(1, :n) i""",
)  # fmt: skip
_REST = (
    """INSERT INTO referral_terms (effective_from, min_spend_minor, join_within_days,
         buy_within_days, give_after_days, gifts, is_open, period)
       VALUES ('2020-01-01', 0, 30, 30, 0, '[]', true, 'year')""",
    # One is over the limit; for one, below, something is given.
    """INSERT INTO referral (referrer_account_id, referred_account_id, said_at, ends_at, terms_from,
         source, outcome)
       SELECT 1, i, timestamptz '2026-01-01T00:00Z' + i * interval '1 hour',
         CASE WHEN i % 2 = 0 THEN timestamptz '2099-01-01T00:00Z' ELSE now() END, '2020-01-01',
         'member', CASE WHEN i = 5 THEN 'over_limit' ELSE 'waiting' END
       FROM generate_series(2, :n) i""",
    """INSERT INTO obligation (member_id, tx_id, account_id, points, occurred_at, posted_at,
         business_date, period_id, seq, issuer_id, acceptor_id, late, currency, rate, amount,
         debtor_id, creditor_id, source, kind)
       SELECT 1, i / 2, 1, 10, now(), now(), date '2001-01-02' + (i / 3)::integer, p.period_id,
         1 + i % 2, 1 + i % 3, 1 + (i + 1) % 3, false, 'CNY', 0.01, 0.1, 1 + i % 3,
         1 + (i + 1) % 3, 1, 1
       FROM generate_series(1, :n) i, settlement_period p WHERE p.state = 'closing'""",
    # One gives a thing, one uses of a benefit.
    """INSERT INTO voucher_campaign (code, kind)
       SELECT 'c-' || i, CASE i WHEN 5 THEN 'gift' WHEN 6 THEN 'benefit' ELSE 'cash' END
       FROM generate_series(1, least(:n, 500)) i""",
    """INSERT INTO voucher_terms (campaign_id, effective_from, valid_from, valid_until, granted,
         amount_minor, minimum_minor, grace_days, funder_id, currency, by_value, repeats,
         transferable, alone, on_refund, name, name_zh, businesses, outlets, categories, times,
         benefit_id, benefit_uses)
       SELECT campaign_id, '2020-01-01',
         timestamptz '2026-01-01T00:00Z' + (campaign_id % 100) * interval '1 hour',
         timestamptz '2098-01-01T00:00Z' - (campaign_id % 100) * interval '1 hour', 1, 100, 0, 0,
         1 + campaign_id % 3, CASE WHEN campaign_id % 7 = 0 THEN 'USD' ELSE 'CNY' END, false,
         false, false, false, 'whole', v.code, v.code,
         CASE WHEN campaign_id % 2 = 0 THEN CAST('{1,2,3}' AS smallint[]) ELSE '{1,2}' END, '{}',
         '{}', '[]', b.benefit_id, b.uses
       FROM voucher_campaign v LEFT JOIN (SELECT benefit_id, 1 AS uses FROM benefit
         WHERE code = 'room-upgrade') b ON v.kind = 'benefit'
       ORDER BY campaign_id""",
    """INSERT INTO voucher_batch (terms_id, wanted, created_at, name)
       SELECT (SELECT min(terms_id) FROM voucher_terms) + i % 3, 1, now(), 'batch-' || i
       FROM generate_series(1, :n) i""",
    """INSERT INTO voucher (voucher_id, member_id, birth_id, granted, ends_at, assigned_at,
         terms_id, digest, used)
       SELECT i, CASE WHEN i <= :n THEN 1 ELSE i - :n END,
         CASE WHEN i <= :n THEN 1 ELSE i - :n END, 1,
         timestamptz '2026-01-01T00:00Z' + i * interval '1 hour', now(),
         (SELECT min(terms_id) FROM voucher_terms) + i % 3, decode(md5(i::text), 'hex'),
         CASE WHEN i % 5 = 0 THEN 1 ELSE 0 END
       FROM generate_series(1, 2 * :n) i""",
    """INSERT INTO referral_gift (referral_id, number, side, account_id, voucher_id, given_at)
       SELECT min(referral_id), 1, 'referrer', 1, 1, now() FROM referral""",
    """INSERT INTO reward (business_id, code)
       SELECT 1 + i % 3, 'r-' || i FROM generate_series(1, least(:n, 500)) i""",
    """INSERT INTO reward_terms (reward_id, effective_from, points, price_minor,
         pay_within_seconds, currency, limit_period, category, tier_id, counted, texts, pictures)
       SELECT reward_id, timestamptz '2020-01-01T00:00Z' + reward_id * interval '1 hour',
         100 + reward_id % 5, CASE WHEN reward_id % 4 = 0 THEN 500 ELSE 0 END, 900, 'CNY',
         'lifetime', CASE WHEN reward_id % 3 = 0 THEN 'stay' ELSE 'goods' END,
         CASE WHEN reward_id % 5 = 0 THEN (SELECT tier_id FROM tier WHERE code = 'gold') END,
         false, '[{"language": "en", "title": "Gift", "description": ""}]', '[]' FROM reward""",
    "INSERT INTO reward_stock (reward_id) SELECT reward_id FROM reward",
    """INSERT INTO reward_order (member_id, account_id, points, price_minor, ordered_at, reward_id,
         business_id, currency, outcome, state, idempotency_key)
       SELECT 1, 1, 100, 0, timestamptz '2026-01-01T00:00Z' + i * interval '1 hour', r.reward_id,
         r.business_id, 'CNY', 'ordered', CASE WHEN i % 4 = 0 THEN 'fulfilled' ELSE 'confirmed' END,
         'k' || i
       FROM generate_series(1, :n) i JOIN reward r ON r.code = 'r-' || 1 + i % 5""",
)  # fmt: skip


async def fill(
    db: AsyncConnection, n: int, *, of: Literal["all", "persons", "people", "work"] = "all"
) -> None:
    """Put so many rows into every list, most of them of member 1 and of the one closing period.

    `persons`: members with an account, and no more; `people`: only into the lists that are about
    whom there is; `work`: only into those of whoever runs the hub.
    """
    parts = {
        "all": (*_PEOPLE, *_WORK, *_REST),
        "persons": _PERSONS,
        "people": _PEOPLE,
        "work": (*_PERSONS, *_WORK),
    }
    for statement in parts[of]:
        await db.execute(text(statement.replace(":n", str(n))))
