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
  'member', 'account_link', 'balance', 'lot', 'lot_extension', 'hold', 'hold_moved', 'shortfall',
  'ledger_transaction', 'entry', 'earn_basis', 'refund_basis', 'redemption_purpose',
  'redress_origin', 'moved_in_year', 'member_tier', 'entitlement', 'entitlement_use', 'consent',
  'expiry_notice', 'identifier_claim']) t;
SELECT protect_account_rows(t::regclass) FROM unnest(ARRAY[
  'account', 'account_key', 'account_profile', 'pin', 'business_fact']) t;
SELECT protect_member_rows('pool_member', 'pool_id');
SELECT protect_member_rows('pool', 'pool_id');

-- Codes that prove a phone are the member's and the business's that asked for them.
SELECT protect_rows('verification', 'member_id = ANY ((SELECT caller_members())::bigint[])',
  'business_id = (SELECT caller_business())', NULL, NULL);

-- Doubts about who somebody is, and corrections of points, are put to staff.
SELECT protect_from_callers(t::regclass, p_staff => true) FROM unnest(ARRAY[
  'adjustment', 'member_edge', 'non_match', 'review_item', 'review_step', 'shared_identifier',
  'match_run', 'match_step', 'match_model', 'match_change', 'erasure', 'retention']) t;
-- These are filled by COPY, which PostgreSQL refuses where policies hold: nobody is granted them.
-- match_pair, match_feature

-- What is settled and accounted between businesses.
SELECT protect_business_rows(t::regclass, 'debtor_id', 'creditor_id') FROM unnest(ARRAY[
  'obligation', 'bilateral', 'settlement_gross', 'settlement_due', 'settlement_fund', 'dispute',
  'correction', 'payment']) t;
SELECT protect_business_rows(t::regclass, 'issuer_id', 'acceptor_id') FROM unnest(ARRAY[
  'agreement', 'credit_standing']) t;
SELECT protect_business_rows(t::regclass, 'business_id') FROM unnest(ARRAY[
  'net_position', 'statement', 'statement_signature', 'payment_account', 'occupancy',
  'reconciliation_book']) t;
SELECT protect_business_rows(t::regclass, 'issuer_id') FROM unnest(ARRAY[
  'entry_daily', 'period_flow', 'opening_liability', 'redemption_estimate', 'liability_cohort',
  'liability_movement', 'price_allocation']) t;
