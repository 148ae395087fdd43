"""What promotions and reads both ask the database: the ladder in force, and who stands where on it.

Parameters: `:member_ids` (bigint[]), `:now`, and `:starts_on`, `:ends_on` of the year.
"""

LADDER = """
ladder AS (
  SELECT DISTINCT ON (tier_id) tier_id, code, rank, name, name_zh, threshold
  FROM tier JOIN tier_terms USING (tier_id) WHERE effective_from <= :now
  ORDER BY tier_id, effective_from DESC
)"""

# A refund counts in the year of the sale it undoes, whenever it comes: points are netted per earn.
# Of who was ever merged or split the accounts say whose they are, wherever they were posted.
QUALIFYING = """
mixed AS (
  SELECT m.member_id, ledger_kin(ARRAY[m.member_id]) AS kin
  FROM (SELECT DISTINCT unnest(CAST(:member_ids AS bigint[])) AS member_id) m
  WHERE EXISTS (SELECT 1 FROM member_edge e WHERE e.low_member_id = m.member_id)
    OR EXISTS (SELECT 1 FROM member_edge e WHERE e.high_member_id = m.member_id)
), qualifying AS (
  SELECT e.member_id, sum(CASE WHEN e.credit = 1 THEN e.points ELSE -e.points END)::bigint AS points
  FROM entry e
  JOIN entry earned ON earned.member_id = e.member_id AND earned.tx_id = e.lot_id
    AND earned.unit = 2 AND earned.debit = 10
  WHERE e.member_id = ANY(CAST(:member_ids AS bigint[])) AND e.unit = 2
    AND earned.business_date BETWEEN :starts_on AND :ends_on
    AND e.member_id NOT IN (SELECT member_id FROM mixed)
  GROUP BY e.member_id
  UNION ALL
  SELECT m.member_id, sum(CASE WHEN e.credit = 1 THEN e.points ELSE -e.points END)::bigint
  FROM mixed m
  JOIN entry e ON e.member_id = ANY (m.kin) AND e.unit = 2
  JOIN entry earned ON earned.member_id = ANY (m.kin) AND earned.tx_id = e.lot_id
    AND earned.unit = 2 AND earned.debit = 10
  WHERE earned.business_date BETWEEN :starts_on AND :ends_on
    AND coalesce(account_holder(e.account_id), e.member_id) = m.member_id
  GROUP BY m.member_id
)"""
