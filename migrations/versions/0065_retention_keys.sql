-- Retentions are placed over the API too: sent twice under one key, they are placed once.
--
-- What the command line places has no key, nor has what a split carries over: both are placed anew
-- each time.

ALTER TABLE retention ADD COLUMN idempotency_key text COLLATE "C" UNIQUE;
COMMENT ON COLUMN retention.idempotency_key IS 'under which it was asked for; NULL: under none';
CREATE INDEX retention_member ON retention (member_id, retention_id);
