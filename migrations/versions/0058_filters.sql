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

CREATE INDEX reconciliation_run_asked ON reconciliation_run (asked_at, run_id);
CREATE INDEX reconciliation_run_days ON reconciliation_run (from_date, run_id);

-- Disputes: by either side of them, what became of them, and when.
DROP INDEX dispute_by_period;
CREATE INDEX dispute_by_period ON dispute (period_id, dispute_id);
CREATE INDEX dispute_by_state ON dispute (state, dispute_id);
CREATE INDEX dispute_by_debtor ON dispute (debtor_id, dispute_id);
CREATE INDEX dispute_by_creditor ON dispute (creditor_id, dispute_id);
CREATE INDEX dispute_opened ON dispute (opened_at, dispute_id);
CREATE INDEX dispute_ended ON dispute (resolved_at, dispute_id) WHERE resolved_at IS NOT NULL;

-- Denials: by reason. Of a caller there is an index already, and the key begins with the minute: few
-- are alike in it, and are sorted as they are read.
CREATE INDEX denial_by_reason ON denial (reason, denial_id);

-- Reviews: the queue by score and age, as it is worked off, and all of them.
CREATE INDEX review_item_opened ON review_item (opened_at, review_id);
CREATE INDEX review_item_likely ON review_item (score, review_id)
  WHERE state = 'open' AND score IS NOT NULL;
CREATE INDEX review_item_score ON review_item (score, review_id) WHERE score IS NOT NULL;
CREATE INDEX review_item_assigned ON review_item (assigned_to, review_id)
  WHERE assigned_to IS NOT NULL;

-- Corrections of what was settled: those that wait, and by either side, age and size.
CREATE INDEX correction_waiting ON correction (correction_id) WHERE state = 'proposed';
CREATE INDEX correction_by_debtor ON correction (debtor_id, correction_id);
CREATE INDEX correction_by_creditor ON correction (creditor_id, correction_id);
CREATE INDEX correction_by_maker ON correction (maker, correction_id);
CREATE INDEX correction_proposed ON correction (proposed_at, correction_id);
CREATE INDEX correction_size ON correction (currency, abs(amount), correction_id);

-- Adjustments that wait for a second person, of all businesses: by number, age and size.
CREATE INDEX adjustment_waiting ON adjustment (adjustment_id) WHERE state = 'proposed';
CREATE INDEX adjustment_proposed ON adjustment (proposed_at, adjustment_id)
  WHERE state = 'proposed';
CREATE INDEX adjustment_size ON adjustment (abs(points), adjustment_id) WHERE state = 'proposed';

-- Settlement periods by their first day, as they have always been shown.
CREATE INDEX settlement_period_starts ON settlement_period (starts_on);
