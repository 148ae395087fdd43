-- A remittance advice says of both accounts at which bank they are and how they end. It is read as
-- the business that downloads it: so each side of a payment reads the other's account, but for its
-- number. Sealed numbers are for finance alone, who order payments.
SELECT protect_rows('payment_account', NULL,
  'business_id = (SELECT caller_business()) OR EXISTS (SELECT FROM payment p
    WHERE payment_account.payment_account_id IN (p.debtor_account_id, p.creditor_account_id))',
  'true', 'true');
REVOKE SELECT ON payment_account FROM hub_business, hub_staff;
GRANT SELECT (payment_account_id, business_id, effective_from, currency, holder, scheme,
  agent_scheme, agent, ending) ON payment_account TO hub_business, hub_staff;

-- Codes of vouchers were made by COPY, which PostgreSQL refuses where policies hold who copies. They
-- are made by an INSERT from an array now, so that the owner is held as with every other table.
ALTER TABLE voucher FORCE ROW LEVEL SECURITY;
