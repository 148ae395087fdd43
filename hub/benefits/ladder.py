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
QUALIFYING = """
qualifying AS (
  SELECT e.member_id, sum(CASE WHEN e.credit = 1 THEN e.points ELSE -e.points END)::bigint AS points
  FROM entry e
  JOIN entry earned ON earned.member_id = e.member_id AND earned.tx_id = e.lot_id
    AND earned.unit = 2 AND earned.debit = 10
  WHERE e.member_id = ANY(CAST(:member_ids AS bigint[])) AND e.unit = 2
    AND earned.business_date BETWEEN :starts_on AND :ends_on
  GROUP BY e.member_id
)"""
