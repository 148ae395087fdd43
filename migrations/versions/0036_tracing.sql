-- A line of a settlement is traced back to what was posted and to the delivery that told of it. Numbers
-- rise with time (ADR 6) and so do rows, so that a few bytes for every few pages find them; an index
-- entry for each row would be paid for by every posting and asked for by very few.

CREATE INDEX ledger_transaction_tx ON ledger_transaction
  USING brin (tx_id) WITH (pages_per_range = 16, autosummarize = on);
CREATE INDEX business_fact_tx ON business_fact
  USING brin (tx_id) WITH (pages_per_range = 16, autosummarize = on);
