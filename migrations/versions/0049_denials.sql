-- What was denied to whom. Equal denials of a minute are one row with a count, and a caller has so
-- many rows a minute at most: what is beyond is counted in a row of its own. So whoever probes fills
-- no disk. Nothing here names a person: callers and what they asked for are numbers and codes.
CREATE TABLE denial (
  denial_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  minute timestamptz NOT NULL CHECK (date_trunc('minute', minute) = minute),
  times integer NOT NULL CHECK (times > 0),
  role text NOT NULL,
  subject text NOT NULL CHECK (length(subject) <= 100),
  operation text NOT NULL CHECK (length(operation) <= 100),
  path text NOT NULL CHECK (length(path) <= 200),
  reason text NOT NULL CHECK (length(reason) <= 100),
  asked text NOT NULL CHECK (length(asked) <= 100),
  UNIQUE (minute, subject, role, operation, path, reason, asked)
);
COMMENT ON COLUMN denial.path IS 'the fields down to the one that was denied, without positions';
COMMENT ON COLUMN denial.asked IS 'the node that was asked for, or the argument; empty: neither';
SELECT protect_from_callers('denial', p_staff => true);
