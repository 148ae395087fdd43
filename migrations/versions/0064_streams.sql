-- Staff and admins see how far the pulls of each connection are.
--
-- Not the cursor, which is the upstream system's own and may hold what only it should be told; nor the
-- words of what stopped a pull, which may quote what was answered: whether it is stopped is enough.

ALTER TABLE pull_stream ADD COLUMN failing boolean NOT NULL
  GENERATED ALWAYS AS (last_error IS NOT NULL) STORED;
SELECT protect_rows('pull_stream', NULL, NULL, 'true', NULL, 'true');
REVOKE SELECT ON pull_stream FROM hub_staff, hub_admin;
GRANT SELECT (stream_id, connection_id, backfilling, since, next_at, began_at, ended_at, pages, stream,
  failing) ON pull_stream TO hub_staff, hub_admin;
