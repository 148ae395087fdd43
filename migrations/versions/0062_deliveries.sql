-- What a business's systems delivered, and what came of it, is shown to it, to staff and to admins.
--
-- It is read one connection at a time, newest first, as long as bodies are kept; dead letters, by an
-- index of their own, into which nothing comes that goes well.

CREATE INDEX delivery_dead ON delivery (connection_id, delivery_id)
  WHERE state = 'dead' AND shredded_at IS NULL;

-- Neither what a connection is set up with nor what was said is shown to a reader, nor words that may
-- quote it: a code and a place tell what was wrong.
SELECT protect_rows('connection', NULL, 'business_id = (SELECT caller_business())', 'true', NULL,
  'true');
REVOKE SELECT ON connection FROM hub_business, hub_staff, hub_admin;
GRANT SELECT (connection_id, code, business_id, connector, active)
  ON connection TO hub_business, hub_staff, hub_admin;
SELECT protect_rows('delivery', NULL, 'EXISTS (SELECT FROM connection c
  WHERE c.connection_id = delivery.connection_id)', 'true', NULL, 'true');
REVOKE SELECT ON delivery FROM hub_business, hub_staff, hub_admin;
GRANT SELECT (delivery_id, connection_id, state, topic, received_at, finished_at, reason_code,
  reason_field, shredded_at) ON delivery TO hub_business, hub_staff, hub_admin;
