-- Vouchers. What a campaign gives is dated terms; a voucher keeps those that it was issued under,
-- for it is a promise. Its code is nowhere in the database: it follows from the voucher's number and
-- a key that is stored sealed, and is found by its keyed hash (docs/vouchers.md). What a voucher has
-- is counted in uses, or in minor units where the rest of its value is kept; `held` and `used` are
-- the sums of its entries, which are never changed.

CREATE TABLE voucher_key (
  singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  sealed bytea NOT NULL
);
COMMENT ON TABLE voucher_key IS 'what codes are made of, sealed under the key-encryption key';

CREATE TABLE voucher_campaign (
  campaign_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  code text NOT NULL UNIQUE CHECK (code ~ '^[a-z][a-z0-9-]{0,62}$'),
  kind text NOT NULL CHECK (kind IN ('cash', 'percentage', 'threshold', 'gift', 'points',
    'delivery'))
);

CREATE TABLE voucher_terms (
  terms_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  campaign_id integer NOT NULL REFERENCES voucher_campaign,
  effective_from timestamptz NOT NULL,
  valid_from timestamptz NOT NULL,
  valid_until timestamptz NOT NULL,
  granted bigint NOT NULL CHECK (granted > 0),
  amount_minor bigint CHECK (amount_minor > 0),
  cap_minor bigint CHECK (cap_minor > 0),
  threshold_minor bigint CHECK (threshold_minor > 0),
  minimum_minor bigint NOT NULL CHECK (minimum_minor >= 0),
  price_minor bigint CHECK (price_minor >= 0),
  points bigint CHECK (points > 0),
  valid_days integer CHECK (valid_days > 0),
  grace_days integer NOT NULL CHECK (grace_days >= 0),
  per_member integer CHECK (per_member > 0),
  funder_id smallint NOT NULL REFERENCES business,
  currency char(3) NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
  by_value boolean NOT NULL,
  repeats boolean NOT NULL,
  transferable boolean NOT NULL,
  alone boolean NOT NULL,
  percent numeric(5, 2) CHECK (percent > 0 AND percent <= 100),
  stacking_group text,
  on_refund text NOT NULL CHECK (on_refund IN ('proportion', 'whole', 'lost')),
  name text NOT NULL,
  name_zh text NOT NULL,
  item text,
  businesses smallint[] NOT NULL CHECK (cardinality(businesses) > 0),
  outlets text[] NOT NULL,
  categories text[] NOT NULL,
  times jsonb NOT NULL,
  CHECK (valid_from < valid_until),
  CHECK (NOT by_value OR price_minor IS NULL),
  UNIQUE (campaign_id, effective_from)
);
COMMENT ON COLUMN voucher_terms.granted IS
  'what a voucher has at first: uses, or with by_value minor units';
COMMENT ON COLUMN voucher_terms.price_minor IS
  'what the funder pays per use; NULL: what the voucher took off the bill';
COMMENT ON COLUMN voucher_terms.valid_days IS
  'a voucher ends with so many days after it was assigned, if valid_until does not come first';

-- A batch of codes that belong to nobody yet. Its vouchers have the numbers of its blocks.
CREATE TABLE voucher_batch (
  batch_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  terms_id integer NOT NULL REFERENCES voucher_terms,
  wanted bigint NOT NULL CHECK (wanted > 0),
  created_at timestamptz NOT NULL,
  name text NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 100)
);
CREATE TABLE voucher_block (
  block_id bigint PRIMARY KEY,
  batch_id integer NOT NULL REFERENCES voucher_batch,
  codes integer NOT NULL CHECK (codes >= 0)
);
CREATE INDEX voucher_block_of_batch ON voucher_block (batch_id, block_id);
CREATE SEQUENCE voucher_block_id;
-- Vouchers that are issued one by one are numbered below 2^40, those of block n from
-- 2^40 + n * 2^16 on: a block is written without asking for numbers one by one.
CREATE SEQUENCE voucher_id MAXVALUE 1099511627775;

CREATE TABLE voucher (
  voucher_id bigint PRIMARY KEY,
  member_id bigint REFERENCES member,
  birth_id bigint,
  granted bigint NOT NULL,
  held bigint NOT NULL DEFAULT 0 CHECK (held >= 0),
  used bigint NOT NULL DEFAULT 0 CHECK (used >= 0),
  ends_at timestamptz NOT NULL,
  assigned_at timestamptz,
  terms_id integer NOT NULL REFERENCES voucher_terms,
  state smallint NOT NULL DEFAULT 0 CHECK (state BETWEEN 0 AND 2),
  digest bytea NOT NULL CHECK (length(digest) = 16),
  source text,
  source_id text,
  CHECK (held + used <= granted),
  CHECK ((member_id IS NULL) = (birth_id IS NULL) AND (member_id IS NULL) = (assigned_at IS NULL)),
  CHECK ((source IS NULL) = (source_id IS NULL))
) WITH (fillfactor = 90);
COMMENT ON COLUMN voucher.birth_id IS 'whom it was given to, whatever that member was merged into since';
COMMENT ON COLUMN voucher.ends_at IS 'the first instant at which it is no longer valid';
COMMENT ON COLUMN voucher.state IS '0 live, 1 expired, 2 voided';
CREATE UNIQUE INDEX voucher_digest ON voucher (digest);
CREATE UNIQUE INDEX voucher_source ON voucher (source, source_id) WHERE source IS NOT NULL;
CREATE INDEX voucher_of_member ON voucher (member_id, voucher_id) WHERE member_id IS NOT NULL;
CREATE INDEX voucher_by_birth ON voucher (birth_id) WHERE birth_id IS NOT NULL;
CREATE INDEX voucher_ending ON voucher (ends_at, voucher_id) WHERE state = 0;

-- One row per request, declines too: what was asked and what was answered.
CREATE TABLE voucher_request (
  request_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  member_id bigint,
  reference_id bigint,
  at timestamptz NOT NULL,
  expires_at timestamptz,
  business_id smallint NOT NULL REFERENCES business,
  kind text NOT NULL CHECK (kind IN ('reserve', 'redeem', 'release', 'cancel')),
  outcome text NOT NULL,
  idempotency_key text COLLATE "C" NOT NULL CHECK (length(idempotency_key) BETWEEN 1 AND 200),
  asked jsonb NOT NULL,
  parts jsonb NOT NULL,
  UNIQUE (business_id, idempotency_key)
);
COMMENT ON COLUMN voucher_request.reference_id IS
  'of a redeem or release the reservation, of a cancel the entry that redeemed';

CREATE TABLE voucher_hold (
  request_id bigint NOT NULL REFERENCES voucher_request,
  voucher_id bigint NOT NULL REFERENCES voucher,
  quantity bigint NOT NULL CHECK (quantity > 0),
  amount_minor bigint NOT NULL CHECK (amount_minor >= 0),
  price_minor bigint NOT NULL CHECK (price_minor >= 0),
  expires_at timestamptz NOT NULL,
  open boolean NOT NULL DEFAULT true,
  PRIMARY KEY (request_id, voucher_id)
);
CREATE INDEX voucher_hold_open ON voucher_hold (voucher_id) WHERE open;
CREATE INDEX voucher_hold_lapsing ON voucher_hold (expires_at) WHERE open;

-- What happened to a voucher. `held` and `used` are by how much these changed; amount and price of
-- what was redeemed, negative where it was cancelled, are what settlement reads.
CREATE SEQUENCE voucher_entry_id;
CREATE TABLE voucher_entry (
  entry_id bigint PRIMARY KEY DEFAULT nextval('voucher_entry_id'),
  voucher_id bigint NOT NULL REFERENCES voucher,
  request_id bigint,
  undoes bigint,
  member_id bigint,
  receiver_id bigint,
  held bigint NOT NULL DEFAULT 0,
  used bigint NOT NULL DEFAULT 0,
  amount_minor bigint NOT NULL DEFAULT 0,
  price_minor bigint NOT NULL DEFAULT 0,
  occurred_at timestamptz NOT NULL,
  business_date date,
  business_id smallint,
  funder_id smallint,
  currency char(3),
  kind text NOT NULL CHECK (kind IN ('assigned', 'claimed', 'transferred', 'reserved', 'released',
    'lapsed', 'redeemed', 'cancelled', 'expired', 'reinstated', 'voided', 'extended')),
  actor text,
  reason text,
  CHECK (kind NOT IN ('redeemed', 'cancelled') OR (business_id IS NOT NULL
    AND business_date IS NOT NULL AND funder_id IS NOT NULL AND currency IS NOT NULL)),
  CHECK ((kind = 'cancelled') = (undoes IS NOT NULL))
);
CREATE INDEX voucher_entry_of_voucher ON voucher_entry (voucher_id, entry_id);
CREATE INDEX voucher_entry_undoes ON voucher_entry (undoes) WHERE undoes IS NOT NULL;
CREATE INDEX voucher_entry_given ON voucher_entry (member_id) WHERE kind = 'transferred';
CREATE INDEX voucher_entry_due ON voucher_entry (business_date) WHERE price_minor <> 0;

CREATE TABLE voucher_notice (
  voucher_id bigint NOT NULL REFERENCES voucher,
  member_id bigint NOT NULL,
  given_at timestamptz NOT NULL,
  ends_at timestamptz NOT NULL,
  days_ahead smallint NOT NULL,
  PRIMARY KEY (voucher_id, ends_at, days_ahead)
);

CREATE TRIGGER voucher_terms_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON voucher_terms
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();
CREATE TRIGGER voucher_request_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON voucher_request
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();
CREATE TRIGGER voucher_entry_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON voucher_entry
  FOR EACH STATEMENT EXECUTE FUNCTION forbid_change();

COMMENT ON COLUMN obligation.source IS 'what tx_id and seq number: 1 an entry, 2 a use of a benefit, '
  '3 a correction, 4 a dispute, 5 an agreement''s terms, 8 an entry of a voucher';
