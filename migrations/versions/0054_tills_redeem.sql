-- Baskets of one business have one key each, whichever way its tills ask. Until now what came by
-- GraphQL was kept as `api:` and the key, so that the two ways never met. Those rows stay as they
-- are, what hangs on them is keyed by it; the mark tells them from a key that begins so by itself.
ALTER TABLE till_basket ADD COLUMN prefixed boolean NOT NULL DEFAULT false;
UPDATE till_basket SET prefixed = true WHERE starts_with(idempotency_key, 'api:');
COMMENT ON COLUMN till_basket.prefixed IS
  'it came by GraphQL when that had keys of its own: its key is kept with `api:` before it';
