-- What was told to a subsidiary, and what it answered, is shown to it, to staff and to admins.
--
-- The log is read one subscription at a time, newest first; the little that was not delivered, by an
-- index of its own, which the counts of what waits and what was given up take too.

DROP INDEX event_delivery_log;
DROP INDEX event_delivery_dead;
CREATE INDEX event_delivery_log
  ON event_delivery (subscription_id, asked_at, event_delivery_id);
CREATE INDEX event_delivery_undelivered
  ON event_delivery (subscription_id, asked_at, event_delivery_id) WHERE state <> 'delivered';

-- What signs the calls is shown to no reader, nor whom an event is about: that is in the call alone.
SELECT protect_rows('subscription', NULL, 'business_id = (SELECT caller_business())', 'true', NULL,
  'true');
REVOKE SELECT ON subscription FROM hub_business, hub_staff, hub_admin;
GRANT SELECT (subscription_id, business_id, active, stopped_because, code, url, types)
  ON subscription TO hub_business, hub_staff, hub_admin;
SELECT protect_rows('hub_event', NULL, 'business_id = (SELECT caller_business())', 'true', NULL,
  'true');
REVOKE SELECT ON hub_event FROM hub_business, hub_staff, hub_admin;
GRANT SELECT (event_id, business_id, occurred_at, noted_at, type)
  ON hub_event TO hub_business, hub_staff, hub_admin;
SELECT protect_rows('event_delivery', NULL, 'EXISTS (SELECT FROM subscription s
  WHERE s.subscription_id = event_delivery.subscription_id)', 'true', NULL, 'true');
