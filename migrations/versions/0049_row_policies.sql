-- Which table is whose: every table is named here once, and tests/integration/test_row_security.py
-- finds the one that is not.

-- How the programme is set up is no secret.
SELECT open_rows(t::regclass) FROM unnest(ARRAY[
  'programme', 'legal_entity', 'business', 'point_unit', 'tier', 'tier_terms', 'benefit',
  'benefit_terms', 'earning_rule', 'expiry_policy', 'activation_policy', 'clawback_policy',
  'acceptance_rule', 'points_policy', 'till_policy', 'exchange_rate', 'settlement_calendar', 'source_rank',
  'clearing_account', 'reward', 'reward_terms', 'reward_stock', 'ladder',
  'ladder_terms', 'membership_plan', 'membership_plan_terms', 'voucher_campaign', 'voucher_terms']) t;

-- Members and what they have.
SELECT protect_member_rows(t::regclass) FROM unnest(ARRAY[
  'member', 'account_link', 'balance', 'lot_extension', 'hold_moved', 'earn_basis', 'refund_basis', 'redemption_purpose',
  'redress_origin', 'moved_in_year', 'member_tier', 'entitlement', 'entitlement_use',
  'membership_fact', 'membership_term', 'consent',
  'expiry_notice', 'identifier_claim', 'tier_award', 'tier_notice', 'voucher_notice']) t;
SELECT protect_ledger_rows(t::regclass) FROM unnest(ARRAY[
  'ledger_transaction', 'hold', 'shortfall']) t;
-- Who settles reads what it issued and what moved with it, and finance all: these rows name nobody
-- but by number.
SELECT protect_rows(t::regclass,
  'member_id = ANY ((SELECT caller_members())::bigint[])'
  ' OR account_seen_by(account_id) = ANY ((SELECT caller_members())::bigint[])',
  format('(SELECT caller_business()) IN (%s) OR business_sees(member_id)', columns)
  || ' OR business_sees(account_seen_by(account_id))', 'true', 'true')
FROM (VALUES ('entry', 'business_id, issuer_id'), ('lot', 'issuer_id, funder_id')) s (t, columns);
SELECT protect_rows('member_edge',
  'ARRAY[low_member_id, high_member_id] && (SELECT caller_members())::bigint[]',
  'business_sees(low_member_id) OR business_sees(high_member_id)', 'true', NULL);
SELECT protect_account_rows(t::regclass) FROM unnest(ARRAY[
  'account', 'account_key', 'account_profile', 'pin', 'business_fact', 'qualifying_activity']) t;
SELECT protect_member_rows('pool_member', 'pool_id');
SELECT protect_member_rows('pool', 'pool_id');

-- What a member ordered is the member's and the business's that hands it out.
SELECT protect_rows('reward_order', 'member_id = ANY ((SELECT caller_members())::bigint[])',
  'business_id = (SELECT caller_business())', 'true', NULL);
SELECT protect_rows('reward_order_step', c, c, 'true', NULL) FROM (VALUES (
  'EXISTS (SELECT FROM reward_order o WHERE o.order_id = reward_order_step.order_id)')) s (c);
SELECT protect_rows('reward_stock_entry', NULL, 'EXISTS (SELECT FROM reward r
  WHERE r.reward_id = reward_stock_entry.reward_id AND r.business_id = (SELECT caller_business()))',
  'true', NULL);

-- A voucher is its member's, and a business that takes it is shown it by its code; what a till did
-- with it is the business's too. What codes are made of is sealed.
SELECT protect_rows('voucher', 'member_id = ANY ((SELECT caller_members())::bigint[])',
  '(SELECT caller_business()) = ANY ((SELECT t.businesses FROM voucher_terms t
      WHERE t.terms_id = voucher.terms_id)::smallint[]) OR business_sees(member_id)',
  'true', NULL);
-- Vouchers are made by COPY, which PostgreSQL refuses to whom policies hold: they hold the readers.
ALTER TABLE voucher NO FORCE ROW LEVEL SECURITY;
SELECT protect_rows('voucher_request', 'member_id = ANY ((SELECT caller_members())::bigint[])',
  'business_id = (SELECT caller_business())', 'true', NULL);
SELECT protect_rows('voucher_entry',
  'EXISTS (SELECT FROM voucher v WHERE v.voucher_id = voucher_entry.voucher_id)',
  'business_id = (SELECT caller_business())'
  ' OR EXISTS (SELECT FROM voucher v WHERE v.voucher_id = voucher_entry.voucher_id)', 'true', NULL);
SELECT protect_rows('voucher_hold',
  'EXISTS (SELECT FROM voucher v WHERE v.voucher_id = voucher_hold.voucher_id)',
  'EXISTS (SELECT FROM voucher_request q WHERE q.request_id = voucher_hold.request_id)',
  'true', NULL);
SELECT protect_rows('voucher_key', 'true', 'true', 'true', NULL);

-- What moved a quota, and what is held of it, is seen by whoever sees the quota, or the request.
SELECT protect_rows('entitlement_entry', c, c, 'true', NULL) FROM (VALUES (
  'EXISTS (SELECT FROM entitlement e WHERE e.entitlement_id = entitlement_entry.entitlement_id)'
  )) s (c);
SELECT protect_rows('entitlement_hold', c, c, 'true', NULL) FROM (VALUES (
  'EXISTS (SELECT FROM entitlement_use u WHERE u.use_id = entitlement_hold.hold_id)')) s (c);

-- Codes that prove a phone are the member's and the business's that asked for them.
SELECT protect_rows('verification', 'member_id = ANY ((SELECT caller_members())::bigint[])',
  'business_id = (SELECT caller_business())', NULL, NULL);

-- Doubts about who somebody is, and corrections of points, are put to staff.
SELECT protect_from_callers(t::regclass, p_staff => true) FROM unnest(ARRAY[
  'adjustment', 'non_match', 'review_item', 'review_step', 'shared_identifier',
  'match_run', 'match_step', 'match_model', 'match_change', 'erasure', 'retention', 'voucher_batch', 'voucher_block']) t;
-- These are filled by COPY, which PostgreSQL refuses where policies hold: nobody is granted them.
-- match_pair, match_feature

-- What is settled and accounted between businesses.
SELECT protect_business_rows(t::regclass, 'debtor_id', 'creditor_id') FROM unnest(ARRAY[
  'obligation', 'bilateral', 'settlement_gross', 'settlement_due', 'settlement_fund', 'dispute',
  'correction', 'payment']) t;
SELECT protect_business_rows('period_sale', 'issuer_id', 'company_id');
SELECT protect_business_rows('agreement', 'issuer_id', 'acceptor_id');
-- Whose points a business takes no more is for everybody who may come to pay with them.
SELECT protect_rows('credit_standing', 'state = ''stopped''',
  'state = ''stopped'' OR (SELECT caller_business()) IN (issuer_id, acceptor_id)', 'true', 'true',
  'state = ''stopped''');
REVOKE SELECT ON credit_standing FROM hub_member, hub_admin;
GRANT SELECT (issuer_id, acceptor_id, state) ON credit_standing TO hub_member, hub_admin;
SELECT protect_business_rows(t::regclass, 'business_id') FROM unnest(ARRAY[
  'net_position', 'statement', 'statement_signature', 'payment_account', 'occupancy',
  'reconciliation_book']) t;
SELECT protect_business_rows(t::regclass, 'issuer_id') FROM unnest(ARRAY[
  'entry_daily', 'period_flow', 'opening_liability', 'redemption_estimate', 'liability_cohort',
  'liability_movement', 'price_allocation', 'accounting_policy']) t;

-- What belongs to one of these is seen by whoever sees that one: the policies of the table that is
-- asked hold too.
SELECT protect_rows(t::regclass, NULL,
  format('EXISTS (SELECT FROM %1$I p WHERE p.%2$I = %3$I.%2$I)', parent, key, t), 'true', 'true')
FROM (VALUES
  ('agreement_rate', 'agreement', 'agreement_id'),
  ('agreement_tax', 'agreement', 'agreement_id'),
  ('dispute_line', 'dispute', 'dispute_id'),
  ('dispute_held', 'dispute', 'dispute_id'),
  ('dispute_message', 'dispute', 'dispute_id'),
  ('journal_line', 'journal', 'journal_id'),
  ('reconciliation_mapping', 'reconciliation_book', 'book_id'),
  ('reconciliation_file', 'reconciliation_book', 'book_id'),
  ('reconciliation_partner_row', 'reconciliation_book', 'book_id'),
  ('reconciliation_run', 'reconciliation_book', 'book_id'),
  ('reconciliation_break', 'reconciliation_book', 'book_id'),
  ('reconciliation_break_row', 'reconciliation_break', 'break_id'),
  ('reconciliation_break_event', 'reconciliation_break', 'break_id')) s (t, parent, key);
SELECT protect_rows('journal', NULL, 'legal_entity_id IN (SELECT legal_entity_id FROM business
  WHERE business_id = (SELECT caller_business()))', 'true', 'true');
SELECT protect_business_rows('reconciliation_hub_row', 'debtor_id', 'creditor_id');
-- A match is its book's, which its rows on that side name. Each row of a match is one of the book
-- or one of the hub, and numbers of both are of one sequence.
SELECT protect_rows('reconciliation_match_row', NULL, 'EXISTS (SELECT FROM reconciliation_partner_row p
    WHERE p.row_id = reconciliation_match_row.row_id)
  OR EXISTS (SELECT FROM reconciliation_hub_row h WHERE h.row_id = reconciliation_match_row.row_id)',
  'true', 'true');
SELECT protect_rows('reconciliation_match', NULL, 'EXISTS (SELECT FROM reconciliation_match_row r
  JOIN reconciliation_partner_row p USING (row_id) WHERE r.match_id = reconciliation_match.match_id)',
  'true', 'true');

-- A view is read with the rights of who asks.
ALTER VIEW point_sale SET (security_invoker = true);
ALTER VIEW ruled_pair SET (security_invoker = true);
GRANT SELECT ON point_sale, ruled_pair TO hub_business, hub_staff, hub_finance;

-- Dates, states and counts of the whole group, without anybody's rows.
SELECT protect_rows(t::regclass, NULL, 'true', 'true', 'true') FROM unnest(ARRAY[
  'settlement_period', 'settlement_step', 'period_frozen', 'recognition', 'entry_daily_seen',
  'journal_posting']) t;

-- Who did what in closing, and the group's own books.
SELECT protect_from_callers(t::regclass, p_staff => true, p_finance => true) FROM unnest(ARRAY[
  'settlement_event', 'settlement_check', 'settlement_waiver', 'settlement_close_request',
  'chart_account', 'chart_books', 'reconciliation_apart']) t;

-- Who may call, and how members sign in. What a secret or a token is proven by is for no reader.
SELECT protect_rows('api_client', NULL, NULL, NULL, NULL, 'true');
SELECT protect_rows('api_client_secret', NULL, NULL, NULL, NULL, 'true');
REVOKE SELECT ON api_client_secret FROM hub_admin;
GRANT SELECT (secret_id, created_at, expires_at, last_used_at, client_id, created_by)
  ON api_client_secret TO hub_admin;
SELECT protect_rows(t, 'member_id = ANY ((SELECT caller_members())::bigint[])', NULL, NULL, NULL)
FROM unnest(ARRAY['member_session', 'passkey']::regclass[]) t;
