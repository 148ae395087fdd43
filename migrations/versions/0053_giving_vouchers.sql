-- Vouchers that give uses of a benefit: they are used as they become a member's, for then the member
-- has the quota. No till takes them.

ALTER TABLE voucher_campaign
  DROP CONSTRAINT voucher_campaign_kind_check,
  ADD CONSTRAINT voucher_campaign_kind_check CHECK (kind IN ('cash', 'percentage', 'threshold',
    'gift', 'points', 'delivery', 'benefit'));
ALTER TABLE voucher_terms
  ADD COLUMN benefit_id smallint REFERENCES benefit,
  ADD COLUMN benefit_uses integer CHECK (benefit_uses > 0),
  ADD COLUMN benefit_days integer CHECK (benefit_days > 0),
  ADD CHECK ((benefit_id IS NULL) = (benefit_uses IS NULL)),
  ADD CHECK (benefit_days IS NULL OR benefit_id IS NOT NULL);
COMMENT ON COLUMN voucher_terms.benefit_days IS
  'how many days the quota lasts; NULL: as long as the voucher would have';

ALTER TABLE voucher_entry
  DROP CONSTRAINT voucher_entry_kind_check,
  ADD CONSTRAINT voucher_entry_kind_check CHECK (kind IN ('assigned', 'claimed', 'transferred',
    'reserved', 'released', 'lapsed', 'redeemed', 'cancelled', 'expired', 'reinstated', 'voided',
    'extended', 'granted'));
