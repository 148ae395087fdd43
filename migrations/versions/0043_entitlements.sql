-- A quota becomes a ledger. An entitlement is what one source granted a member of one benefit for
-- one period: a tier for the year, a plan for the month, staff by hand. Several add up. Its columns
-- are the balance; entitlement_entry explains it, and is the only thing that moves it (by trigger):
-- so granted, held, used and ended are sums of entries by construction, and hub verifies it.
--
--   entry      granted  held  used  ended
--   granted      +                           by the source
--   restored     +                           what merging had taken
--   merged       -                           two quotas of one person are one
--   held                 +
--   captured             -     +             a hold is used
--   released, lapsed     -
--   used, moved_in             +
--   returned, moved_out        -             a use is cancelled; a split says whose it was
--   expired, carried, lost, revoked      +

ALTER TABLE benefit
  DROP CONSTRAINT benefit_kind_check,
  ADD CONSTRAINT benefit_kind_check CHECK (kind IN ('discount', 'points_multiplier', 'upgrade',
    'late_checkout', 'delivery', 'priority_service', 'birthday_gift', 'event', 'exclusive_price',
    'free_item'));
ALTER TABLE benefit_terms
  ALTER COLUMN tier_id DROP NOT NULL,
  DROP CONSTRAINT benefit_terms_period_check,
  ADD CONSTRAINT benefit_terms_period_check CHECK (period IN ('year', 'quarter', 'month', 'week',
    'anniversary', 'lifetime')),
  ADD COLUMN on_loss text NOT NULL DEFAULT 'suspend'
    CHECK (on_loss IN ('suspend', 'end', 'keep_period')),
  ADD COLUMN carry_over integer NOT NULL DEFAULT 0 CHECK (carry_over >= 0),
  ADD COLUMN return_days integer NOT NULL DEFAULT 0 CHECK (return_days BETWEEN 0 AND 366),
  ADD COLUMN parameters jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(parameters) = 'object'),
  ADD COLUMN outlets jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(outlets) = 'object'),
  ADD COLUMN prices jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(prices) = 'object'),
  ADD CHECK (tier_id IS NOT NULL OR quota = 0);
COMMENT ON COLUMN benefit_terms.tier_id IS
  'the lowest tier that is entitled; null: no tier is, it is granted by other sources alone';
COMMENT ON COLUMN benefit_terms.on_loss IS 'what a tier granted, while that tier is lost: it '
  'cannot be used, it ends, or it may be used to the end of its period';
COMMENT ON COLUMN benefit_terms.carry_over IS 'how much that is unused goes on for one more period';
COMMENT ON COLUMN benefit_terms.return_days IS
  'days for which a use lives again that is cancelled after its period; 0: it is lost';
COMMENT ON COLUMN benefit_terms.outlets IS
  'by business_id, the only outlets that serve it; a business that is not named: all of its';
COMMENT ON COLUMN benefit_terms.prices IS
  'by business_id, what a use costs the funder there, in place of price_minor';

-- Requests of every kind, declines too. A use is one of these, and so has the number that lines
-- name; what it costs whom is fixed when it is taken or held, per unit of its quantity.
ALTER TABLE entitlement_use
  ADD COLUMN kind text NOT NULL DEFAULT 'use'
    CHECK (kind IN ('use', 'hold', 'capture', 'release', 'lapse', 'cancel')),
  ADD COLUMN quantity integer NOT NULL DEFAULT 1 CHECK (quantity > 0),
  ADD COLUMN reference_id bigint REFERENCES entitlement_use (use_id),
  ADD COLUMN outlet text,
  DROP CONSTRAINT entitlement_use_outcome_check,
  ADD CONSTRAINT entitlement_use_outcome_check CHECK (outcome IN ('used', 'held', 'released',
    'cancelled', 'not_offered_here', 'not_entitled', 'quota_used', 'hold_closed', 'hold_exceeded',
    'use_exceeded')),
  ADD CHECK ((reference_id IS NULL) = (kind IN ('use', 'hold')));
COMMENT ON COLUMN entitlement_use.reference_id IS
  'the hold that is captured, released or lapses; the use that is cancelled';
CREATE INDEX entitlement_use_reference ON entitlement_use (reference_id)
  WHERE reference_id IS NOT NULL;
CREATE INDEX entitlement_use_member ON entitlement_use (member_id, used_at);

CREATE TABLE entitlement_hold (
  hold_id bigint PRIMARY KEY REFERENCES entitlement_use (use_id),
  expires_at timestamptz NOT NULL,
  quantity integer NOT NULL CHECK (quantity > 0),
  captured integer NOT NULL DEFAULT 0 CHECK (captured >= 0),
  released integer NOT NULL DEFAULT 0 CHECK (released >= 0),
  business_id smallint NOT NULL REFERENCES business,
  open boolean GENERATED ALWAYS AS (captured + released < quantity) STORED,
  CHECK (captured + released <= quantity)
) WITH (fillfactor = 85);
CREATE INDEX entitlement_hold_due ON entitlement_hold (expires_at) WHERE open;

ALTER TABLE entitlement
  DROP CONSTRAINT entitlement_pkey,
  ADD COLUMN entitlement_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  ADD COLUMN birth_member_id bigint REFERENCES member,
  ADD COLUMN source text NOT NULL DEFAULT 'tier' CHECK (source IN ('tier', 'plan', 'voucher',
    'campaign', 'staff', 'business', 'occasion', 'reward', 'carried')),
  ADD COLUMN source_id text COLLATE "C",
  ADD COLUMN ended integer NOT NULL DEFAULT 0 CHECK (ended >= 0),
  ADD COLUMN free integer GENERATED ALWAYS AS (granted - held - used - ended) STORED,
  ALTER COLUMN granted SET DEFAULT 0,
  ADD CHECK (held + used + ended <= granted);
UPDATE entitlement SET birth_member_id = member_id,
  source_id = format('%s:%s:%s', member_id, benefit_id, starts_on);
ALTER TABLE entitlement
  ALTER COLUMN birth_member_id SET NOT NULL,
  ALTER COLUMN source_id SET NOT NULL,
  ALTER COLUMN source DROP DEFAULT,
  ADD CHECK (length(source_id) BETWEEN 1 AND 200),
  ADD UNIQUE (source, source_id);
CREATE INDEX entitlement_of_member ON entitlement (member_id, benefit_id, ends_on);
CREATE INDEX entitlement_born ON entitlement (birth_member_id);
-- What is left beyond its last day is found by the sweep without reading what is not.
CREATE INDEX entitlement_left ON entitlement (ends_on, entitlement_id) WHERE free > 0;
COMMENT ON COLUMN entitlement.birth_member_id IS
  'to whom it was granted: a merge moves it to the survivor, a split gives it back';
COMMENT ON COLUMN entitlement.source_id IS 'what granted it, once: the same again grants nothing';

CREATE TABLE entitlement_entry (
  entry_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  entitlement_id bigint NOT NULL REFERENCES entitlement,
  request_id bigint REFERENCES entitlement_use (use_id),
  reference_id bigint REFERENCES entitlement_use (use_id),
  occurred_at timestamptz NOT NULL,
  quantity integer NOT NULL CHECK (quantity > 0),
  kind text NOT NULL CHECK (kind IN ('granted', 'restored', 'merged', 'held', 'captured',
    'released', 'lapsed', 'used', 'moved_in', 'returned', 'moved_out', 'expired', 'carried', 'lost',
    'revoked')),
  reason text CHECK (length(reason) BETWEEN 1 AND 500),
  actor text CHECK (length(actor) BETWEEN 1 AND 200)
);
COMMENT ON COLUMN entitlement_entry.request_id IS 'the request that did it; null: no till did';
COMMENT ON COLUMN entitlement_entry.reference_id IS 'the hold or the use that it is a part of';
CREATE INDEX entitlement_entry_of ON entitlement_entry (entitlement_id, entry_id);
CREATE INDEX entitlement_entry_part ON entitlement_entry (reference_id)
  WHERE reference_id IS NOT NULL;

-- What there is becomes entries. Where a quota was used as often as its member's uses say, each is
-- an entry that can be cancelled; else (members had been merged) the uses are one sum.
WITH zone AS (SELECT time_zone FROM programme LIMIT 1), uses AS (
  SELECT e.entitlement_id, u.use_id, u.used_at, count(*) OVER (PARTITION BY e.entitlement_id) AS n,
    e.used
  FROM entitlement e CROSS JOIN zone JOIN entitlement_use u ON u.member_id = e.member_id
    AND u.benefit_id = e.benefit_id AND u.outcome = 'used'
    AND (u.used_at AT TIME ZONE zone.time_zone)::date BETWEEN e.starts_on AND e.ends_on
), each AS (
  SELECT * FROM uses WHERE n = used
)
INSERT INTO entitlement_entry (entitlement_id, kind, quantity, request_id, reference_id,
  occurred_at, reason)
SELECT entitlement_id, 'granted', granted, NULL, NULL, starts_on::timestamptz, 'opening'
FROM entitlement WHERE granted > 0
UNION ALL
SELECT entitlement_id, 'used', 1, use_id, use_id, used_at, NULL FROM each
UNION ALL
SELECT entitlement_id, 'used', used, NULL, NULL, starts_on::timestamptz, 'opening'
FROM entitlement e
WHERE used > 0 AND NOT EXISTS (SELECT 1 FROM each WHERE each.entitlement_id = e.entitlement_id)
UNION ALL
SELECT entitlement_id, 'held', held, NULL, NULL, starts_on::timestamptz, 'opening'
FROM entitlement WHERE held > 0;

CREATE TRIGGER entitlement_entry_append_only BEFORE UPDATE OR DELETE OR TRUNCATE
  ON entitlement_entry FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();
CREATE TRIGGER entitlement_kept BEFORE DELETE OR TRUNCATE ON entitlement
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();
CREATE TRIGGER entitlement_hold_kept BEFORE DELETE OR TRUNCATE ON entitlement_hold
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();
