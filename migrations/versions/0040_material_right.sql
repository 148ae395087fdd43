-- A price is shared by what goods and points would cost alone (IFRS 15, 76-82). Goods that are sold
-- below their own price share the discount with the points. Points that come to less than some part
-- of the price are no material right (B40): nothing is deferred for them. What was said before means
-- neither: no discount, and every point counts. And points alike may be recognised together (4), all
-- that a policy is for, rather than by the month in which they were earned.
ALTER TABLE accounting_policy
  ADD COLUMN goods_discount numeric(9,8) NOT NULL DEFAULT 0
    CHECK (goods_discount >= 0 AND goods_discount < 1),
  ADD COLUMN portfolio text NOT NULL DEFAULT 'month' CHECK (portfolio IN ('month', 'all')),
  ADD COLUMN least_share numeric(9,8) NOT NULL DEFAULT 0
    CHECK (least_share >= 0 AND least_share < 1);
COMMENT ON COLUMN accounting_policy.goods_discount IS
  'by which fraction goods are sold below what they cost alone';
COMMENT ON COLUMN accounting_policy.least_share IS
  'what fraction of the price must be for points, so that they are a material right';
