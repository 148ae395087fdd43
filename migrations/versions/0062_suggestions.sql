-- A suggestion says whose it is, so that those of one business's books are found among all that wait.
--
-- Its rows say so too, and go on to: what is matched without a person is never asked for by book, and
-- there may be millions of that.

ALTER TABLE reconciliation_match ADD COLUMN book_id smallint REFERENCES reconciliation_book;
COMMENT ON COLUMN reconciliation_match.book_id IS 'of what is or was suggested: whose rows are in it';
UPDATE reconciliation_match m SET book_id = (
  SELECT min(p.book_id) FROM reconciliation_match_row r JOIN reconciliation_partner_row p USING (row_id)
  WHERE r.match_id = m.match_id)
WHERE state = 'suggested';
ALTER TABLE reconciliation_match
  ADD CONSTRAINT reconciliation_match_of_book CHECK (state <> 'suggested' OR book_id IS NOT NULL);

DROP INDEX reconciliation_match_waiting;
DROP INDEX reconciliation_match_made;
CREATE INDEX reconciliation_match_waiting ON reconciliation_match (book_id, match_id)
  WHERE state = 'suggested';
CREATE INDEX reconciliation_match_made ON reconciliation_match (book_id, made_at, match_id)
  WHERE state = 'suggested';
