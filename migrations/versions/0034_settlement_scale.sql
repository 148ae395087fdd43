-- What makes a close cost what its period has, and not what all periods before it had.

-- A line's key as before, but in the order in which lines are written: a transaction's number grows
-- with time, so that a close writes at the end of the index instead of all over it. No one asks for
-- a member's lines: they belong to businesses.
ALTER TABLE obligation
  DROP CONSTRAINT obligation_pkey,
  ADD PRIMARY KEY (tx_id, seq, kind, source, member_id);

-- Days are settled one by one. Entries are written nearly in the order of their days, so that this
-- finds a day's without reading the others, and costs who posts nothing.
CREATE INDEX entry_days ON entry USING brin (business_date) WITH (autosummarize = on);
