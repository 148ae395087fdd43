-- What lists are ordered and filtered by.

-- Members by when they were first met, and those alike by number: many are, when a business brings
-- its customers. Written once per member; takes the place of the index on the time alone.
DROP INDEX member_created;
CREATE INDEX member_joined ON member (created_at, member_id);

-- Members by the day of their latest earn or redemption. A balance is changed by every posting, but
-- this column only by the first of a day: the others stay heap-only updates.
CREATE INDEX balance_active ON balance (last_active_on, member_id)
  WHERE unit = 1 AND last_active_on IS NOT NULL;

-- Who holds a tier, in the order of members. Written when a tier is given or ends.
CREATE INDEX member_tier_held ON member_tier (tier_id, member_id) WHERE until IS NULL;

-- What one caller was denied. A caller has few rows a minute, however often it asks.
CREATE INDEX denial_by_subject ON denial (subject, denial_id);
