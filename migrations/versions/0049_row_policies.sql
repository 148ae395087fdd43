-- Which table is whose: every table is named here once, and tests/integration/test_row_security.py
-- finds the one that is not.

-- How the programme is set up is no secret.
SELECT open_rows(t::regclass) FROM unnest(ARRAY[
  'programme', 'legal_entity', 'business', 'point_unit', 'tier', 'tier_terms', 'benefit',
  'benefit_terms', 'earning_rule', 'expiry_policy', 'activation_policy', 'clawback_policy',
  'acceptance_rule', 'points_policy', 'exchange_rate', 'settlement_calendar', 'source_rank',
  'clearing_account']) t;

-- Members and what they have.
SELECT protect_member_rows(t::regclass) FROM unnest(ARRAY[
  'member', 'account_link', 'balance', 'lot_extension', 'hold_moved', 'earn_basis', 'refund_basis', 'redemption_purpose',
  'redress_origin', 'moved_in_year', 'member_tier', 'entitlement', 'entitlement_use', 'consent',
  'expiry_notice', 'identifier_claim']) t;
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
  'account', 'account_key', 'account_profile', 'pin', 'business_fact']) t;
SELECT protect_member_rows('pool_member', 'pool_id');
SELECT protect_member_rows('pool', 'pool_id');

-- Codes that prove a phone are the member's and the business's that asked for them.
SELECT protect_rows('verification', 'member_id = ANY ((SELECT caller_members())::bigint[])',
  'business_id = (SELECT caller_business())', NULL, NULL);

-- Doubts about who somebody is, and corrections of points, are put to staff.
SELECT protect_from_callers(t::regclass, p_staff => true) FROM unnest(ARRAY[
  'adjustment', 'non_match', 'review_item', 'review_step', 'shared_identifier',
  'match_run', 'match_step', 'match_model', 'match_change', 'erasure', 'retention']) t;
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
  'state = ''stopped'' OR (SELECT caller_business()) IN (issuer_id, acceptor_id)', 'true', 'true');
REVOKE SELECT ON credit_standing FROM hub_member;
GRANT SELECT (issuer_id, acceptor_id, state) ON credit_standing TO hub_member;
SELECT protect_business_rows(t::regclass, 'business_id') FROM unnest(ARRAY[
  'net_position', 'statement', 'statement_signature', 'payment_account', 'occupancy',
  'reconciliation_book']) t;
SELECT protect_business_rows(t::regclass, 'issuer_id') FROM unnest(ARRAY[
  'entry_daily', 'period_flow', 'opening_liability', 'redemption_estimate', 'liability_cohort',
  'liability_movement', 'price_allocation', 'accounting_policy']) t;

-- What belongs to one of these is seen by whoever sees that one. The policies of the table that is
-- asked in the condition hold too.
SELECT protect_rows(t::regclass, NULL, c, 'true', 'true') FROM (VALUES
  ('agreement_rate', 'agreement_id IN (SELECT agreement_id FROM agreement)'),
  ('agreement_tax', 'agreement_id IN (SELECT agreement_id FROM agreement)'),
  ('dispute_line', 'dispute_id IN (SELECT dispute_id FROM dispute)'),
  ('dispute_held', 'dispute_id IN (SELECT dispute_id FROM dispute)'),
  ('dispute_message', 'dispute_id IN (SELECT dispute_id FROM dispute)'),
  ('journal', 'legal_entity_id IN (SELECT legal_entity_id FROM business
     WHERE business_id = (SELECT caller_business()))'),
  ('journal_line', 'journal_id IN (SELECT journal_id FROM journal)'),
  ('reconciliation_mapping', 'book_id IN (SELECT book_id FROM reconciliation_book)'),
  ('reconciliation_file', 'book_id IN (SELECT book_id FROM reconciliation_book)'),
  ('reconciliation_partner_row', 'book_id IN (SELECT book_id FROM reconciliation_book)'),
  ('reconciliation_run', 'book_id IN (SELECT book_id FROM reconciliation_book)'),
  ('reconciliation_break', 'book_id IN (SELECT book_id FROM reconciliation_book)'),
  ('reconciliation_break_row', 'break_id IN (SELECT break_id FROM reconciliation_break)'),
  ('reconciliation_break_event', 'break_id IN (SELECT break_id FROM reconciliation_break)'),
  ('reconciliation_match', 'run_id IN (SELECT run_id FROM reconciliation_run)'),
  ('reconciliation_match_row', 'match_id IN (SELECT match_id FROM reconciliation_match)'),
  ('reconciliation_hub_row', '(SELECT caller_business()) IN (debtor_id, creditor_id)')) s (t, c);

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
