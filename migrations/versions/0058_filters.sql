-- What the lists of finance, staff and admins are filtered and ordered by.
--
-- Of most lists what is still open is asked for, and it stays small while what is over grows: that
-- has indexes of its own. Of the rest, each order has one, and so has what picks few of many.

-- Breaks: those that are open by number, as they are shown unasked; all by age, day and size.
CREATE INDEX reconciliation_break_waiting ON reconciliation_break (break_id)
  WHERE closed_at IS NULL;
CREATE INDEX reconciliation_break_opened ON reconciliation_break (opened_at, break_id);
CREATE INDEX reconciliation_break_by_day ON reconciliation_break (day, break_id);
CREATE INDEX reconciliation_break_size
  ON reconciliation_break (currency, abs(amount_minor), break_id) WHERE amount_minor IS NOT NULL;
CREATE INDEX reconciliation_break_owner ON reconciliation_break (owner, break_id)
  WHERE owner IS NOT NULL;

-- Suggestions are few among the matches, and stop to be such once somebody decides.
CREATE INDEX reconciliation_match_waiting ON reconciliation_match (match_id)
  WHERE state = 'suggested';
CREATE INDEX reconciliation_match_made ON reconciliation_match (made_at, match_id)
  WHERE state = 'suggested';

CREATE INDEX reconciliation_run_book ON reconciliation_run (book_id, run_id);
CREATE INDEX reconciliation_run_asked ON reconciliation_run (asked_at, run_id);
CREATE INDEX reconciliation_run_days ON reconciliation_run (from_date, run_id);
