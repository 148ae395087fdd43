-- Opening balances: how far each file has been imported. A chunk of rows and its progress commit
-- together, so that an import that was killed goes on where it stopped. A file is known by what is
-- in it, not by its name.

CREATE TABLE opening_import (
  sha256 bytea PRIMARY KEY CHECK (length(sha256) = 32),
  started_at timestamptz NOT NULL,
  finished_at timestamptz,
  rows_done bigint NOT NULL DEFAULT 0,
  posted bigint NOT NULL DEFAULT 0,
  known bigint NOT NULL DEFAULT 0,
  refused bigint NOT NULL DEFAULT 0,
  points bigint NOT NULL DEFAULT 0,
  CHECK (least(posted, known, refused, points) >= 0 AND posted + known + refused = rows_done)
);
COMMENT ON COLUMN opening_import.rows_done IS 'rows after the heading that need not be read again';
COMMENT ON COLUMN opening_import.known IS 'rows that an earlier import had posted, by their reference';
