"""The rules by which rows of a book and rows of the hub belong together, in their order.

Each is one statement over all open rows. The first six consume what they find; what has more than
one candidate, and what is only near, is suggested for a person to decide.
"""

from hub.reconciliation.codes import Rule
from hub.reconciliation.sides import (
    AMOUNT_WITHIN,
    CONFIRM,
    CONFIRM_PAIRS,
    DAYS_WITHIN,
    HUB,
    PAIRED,
    PARTNER,
    PLAIN,
    SAME,
    SAME_CURRENCY,
    SAME_PARTY,
    SHORTEST,
    SUGGEST,
    UNNAMED,
    WITHIN,
)

# Says the same, under the same name. Of several rows that say so, the first takes it.
REFERENCE = f"""
WITH {PARTNER}, {HUB}, alike AS (
  SELECT p.row_id AS partner, h.row_id AS hub, p.copy, p.reference,
    count(*) OVER (PARTITION BY p.row_id) AS hubs
  FROM p JOIN h ON h.names = p.names WHERE {SAME} AND {PAIRED}
), ranked AS (
  SELECT partner, hub,
    row_number() OVER (PARTITION BY hub ORDER BY copy, reference, partner) AS nth
  FROM alike WHERE hubs = 1
), chosen AS (SELECT partner, hub FROM ranked WHERE nth = 1)
{CONFIRM_PAIRS}"""  # noqa: S608 - constants of ours

# Nearly the same, and nothing else bears the name.
REFERENCE_WITHIN = f"""
WITH {PARTNER}, {HUB}, alike AS (
  SELECT p.row_id AS partner, h.row_id AS hub, {WITHIN} AND {PAIRED} AS fits,
    count(*) OVER (PARTITION BY p.row_id) AS hubs,
    count(*) OVER (PARTITION BY h.row_id) AS partners
  FROM p JOIN h ON h.names = p.names WHERE {SAME_PARTY}
), chosen AS (SELECT partner, hub FROM alike WHERE fits AND hubs = 1 AND partners = 1)
{CONFIRM_PAIRS}"""  # noqa: S608 - constants of ours

# Rows of either side summed under what they share; `{{key}}` is shared. Amounts of a book are
# rounded row by row.
_SUMS = """
ps AS (
  SELECT {key}, array_agg(p.row_id) AS partners, count(*) AS n, count(p.points) AS with_points,
    sum(p.points) AS points, count(p.amount_minor) AS with_amount, sum(p.amount_minor) AS amount,
    min(p.currency) AS low, max(p.currency) AS high, min(p.day) AS first, max(p.day) AS last
  FROM {partner} p WHERE {asked} GROUP BY {key}
), hs AS (
  SELECT {key}, array_agg(h.row_id) AS hubs, count(*) AS n, sum(h.points) AS points,
    sum(h.exact) AS amount, bool_or(h.remainder <> 0) AS rounded, min(h.currency) AS low,
    max(h.currency) AS high, min(h.day) AS first, max(h.day) AS last
  FROM {hub} h GROUP BY {key}
), summed AS (
  SELECT ps.partners, hs.hubs, ps.n AS of_partner, hs.n AS of_hub,
    ps.with_points IN (0, ps.n) AND ps.with_amount IN (0, ps.n)
      AND (ps.with_points = 0
        OR abs(ps.points - hs.points) <= CAST(:points_tolerance AS bigint))
      AND (ps.with_amount = 0 OR (ps.low = ps.high AND hs.low = hs.high AND ps.low = hs.low
        AND abs(ps.amount - hs.amount) <= CAST(:amount_tolerance AS bigint)
          + CASE WHEN hs.rounded THEN 0.5 * ps.n ELSE 0 END))
      AND greatest(ps.last - hs.first, hs.last - ps.first) <= CAST(:window_days AS integer)
      AND (ps.first <= CAST(:to_date AS date) AND ps.last >= CAST(:from_date AS date)
        OR hs.first <= CAST(:to_date AS date) AND hs.last >= CAST(:from_date AS date))
      AND NOT EXISTS (SELECT FROM reconciliation_apart a WHERE a.leg = {leg}
        AND a.partner_row_id = ANY (ps.partners) AND a.hub_row_id = ANY (hs.hubs)) AS fits
  FROM ps JOIN hs USING ({key})
)"""


def _summed(*, key: str, asked: str, partner: str = "p", hub: str = "h") -> str:
    words = {"{key}": key, "{asked}": asked, "{partner}": partner, "{hub}": hub}
    sql = _SUMS
    for word, stands_for in words.items():
        sql = sql.replace(word, stands_for)
    return sql


# One to many, many to one: all rows of a name together say the same.
_TOGETHER = f""", chosen AS (
  SELECT partners, hubs FROM summed WHERE fits AND of_partner + of_hub > 2)
{CONFIRM}"""  # noqa: S608 - constants of ours
_OF_ONE = _summed(key="names, counterparty_id", asked="p.counterparty_id IS NOT NULL")
_OF_ANY = _summed(key="names", asked="p.names IS NOT NULL")
REFERENCE_PARTS = f"WITH {PARTNER}, {HUB}, {_OF_ONE}{_TOGETHER}"
REFERENCE_PARTS_OF_ANY = f"WITH {PARTNER}, {HUB}, {_OF_ANY}{_TOGETHER}"

# By figures alone, where they are nobody else's.
FIGURES = f"""
WITH {UNNAMED}, alike AS (
  SELECT p.row_id AS partner, h.row_id AS hub
  FROM pu p JOIN hu h ON h.day = p.day AND h.points = p.points WHERE {SAME} AND {PAIRED}
  UNION ALL
  SELECT p.row_id, h.row_id
  FROM pu p JOIN hu h ON h.day = p.day AND h.amount_minor = p.amount_minor
  WHERE p.points IS NULL AND {SAME} AND {PAIRED}
), counted AS (
  SELECT partner, hub, count(*) OVER (PARTITION BY partner) AS hubs,
    count(*) OVER (PARTITION BY hub) AS partners FROM alike
), chosen AS (SELECT partner, hub FROM counted WHERE hubs = 1 AND partners = 1)
{CONFIRM_PAIRS}"""  # noqa: S608 - constants of ours

# Days and figures are cut into bins as wide as the tolerance, so that a row meets only those of its
# own bin and of the two beside it: a join by equality, however many rows there are.
_NEIGHBOURS = """
generate_series(-(CAST(:window_days AS integer) > 0)::integer,
    (CAST(:window_days AS integer) > 0)::integer) AS dd,
  generate_series(-({width} > 0)::integer, ({width} > 0)::integer) AS df"""
_DAY_BIN = "(({side}.day - date '2000-01-01') / (CAST(:window_days AS integer) + 1))"
_BIN = "floor({side}.{figure}::numeric / ({width} + 1))::bigint"


def _binned(figure: str, width: str, asked: str) -> str:
    day, bin_ = _DAY_BIN, _BIN.replace("{figure}", figure).replace("{width}", width)
    return f"""
  SELECT p.row_id AS partner, h.row_id AS hub, abs(p.day - h.day) AS days,
    coalesce(abs(p.points - h.points), 0) AS points,
    coalesce(abs(p.amount_minor - h.exact), 0) AS amount
  FROM (SELECT p.*, {day.replace("{side}", "p")} + dd AS day_bin,
      {bin_.replace("{side}", "p")} + df AS figure_bin
    FROM pu p, {_NEIGHBOURS.replace("{width}", width)} WHERE {asked}) p
  JOIN (SELECT h.*, {day.replace("{side}", "h")} AS day_bin,
      {bin_.replace("{side}", "h")} AS figure_bin FROM hu h) h USING (day_bin, figure_bin)
  WHERE {WITHIN} AND {PAIRED}"""  # noqa: S608 - constants of ours


# A line that is not rounded may be half a minor unit off: the bin is one wider than the tolerance.
_UNSAID = "p.points IS NULL AND NOT {cut_short}"
_CANDIDATES = f"""candidates AS MATERIALIZED (
  {_binned("points", "CAST(:points_tolerance AS bigint)", "p.points IS NOT NULL")}
  UNION ALL
  {_binned("amount_minor", "(CAST(:amount_tolerance AS bigint) + 1)", _UNSAID)}
)"""
FIGURES_WITHIN = f"""
WITH {UNNAMED}, {_CANDIDATES}, counted AS (
  SELECT partner, hub, count(*) OVER (PARTITION BY partner) AS hubs,
    count(*) OVER (PARTITION BY hub) AS partners FROM candidates
), chosen AS (SELECT partner, hub FROM counted WHERE hubs = 1 AND partners = 1)
{CONFIRM_PAIRS}"""  # noqa: S608 - constants of ours

# A book with a row per day: it is all that the hub has of the day.
_OF_DAY = _summed(
    key="day, counterparty_id", asked="p.counterparty_id IS NOT NULL", partner="pu", hub="hu"
)
_OF_DAY_ANY = _summed(key="day", asked="true", partner="pu", hub="hu")
_DAY = f""", chosen AS (
  SELECT partners, hubs FROM summed
  WHERE fits AND of_partner = 1 AND of_hub > 1 AND CAST(:day_totals AS boolean))
{CONFIRM}"""  # noqa: S608 - constants of ours
DAY_TOTAL = f"WITH {UNNAMED}, {_OF_DAY}{_DAY}"
DAY_TOTAL_OF_ANY = f"WITH {UNNAMED}, {_OF_DAY_ANY}{_DAY}"

# A bank that cuts a payment's name short says less than the name: a person is asked.
CUT_SHORT = f"""
WITH {UNNAMED}, alike AS (
  SELECT p.row_id AS partner, h.row_id AS hub
  FROM pu p JOIN hu h ON starts_with(h.names, {PLAIN})
  WHERE length({PLAIN}) >= {SHORTEST} AND {SAME_CURRENCY} AND {AMOUNT_WITHIN} AND {DAYS_WITHIN}
    AND {PAIRED}
), chosen AS (SELECT ARRAY[partner] AS partners, ARRAY[hub] AS hubs FROM alike)
{SUGGEST}"""  # noqa: S608 - constants of ours

# More than one candidate: the nearest of them are for a person to choose from.
MOST_CANDIDATES = 5
TWINS = f"""
WITH {UNNAMED}, {_CANDIDATES}, ranked AS (
  SELECT partner, hub, row_number() OVER (PARTITION BY partner
    ORDER BY days, points, amount, hub) AS nth FROM candidates
), chosen AS (SELECT ARRAY[partner] AS partners, ARRAY[hub] AS hubs FROM ranked
  WHERE nth <= {MOST_CANDIDATES})
{SUGGEST}"""  # noqa: S608 - constants of ours

# What no suggestion is about yet.
_FREE = """, pf AS (
  SELECT p.* FROM pu p WHERE NOT EXISTS (SELECT FROM reconciliation_match_row r
    JOIN reconciliation_match m USING (match_id)
    WHERE r.row_id = p.row_id AND r.leg = {leg} AND NOT r.live AND m.state = 'suggested')
), hf AS (
  SELECT h.* FROM hu h WHERE NOT EXISTS (SELECT FROM reconciliation_match_row r
    JOIN reconciliation_match m USING (match_id)
    WHERE r.row_id = h.row_id AND r.leg = {leg} AND NOT r.live AND m.state = 'suggested')
)"""
# Two rows of a day that come to one of the other side, on days with few rows left.
MOST_OF_A_DAY = 50
_FEW = """few AS (
  SELECT day FROM (SELECT day FROM pf UNION ALL SELECT day FROM hf) d
  WHERE day BETWEEN CAST(:from_date AS date) AND CAST(:to_date AS date)
  GROUP BY day HAVING count(*) <= {most}
)""".replace("{most}", str(MOST_OF_A_DAY))
_APART_2 = """NOT EXISTS (SELECT FROM reconciliation_apart x WHERE x.leg = {leg}
  AND x.partner_row_id IN ({partners}) AND x.hub_row_id IN ({hubs}))"""
PARTS = f"""
WITH {UNNAMED}{_FREE}, {_FEW}, sums AS (
  SELECT ARRAY[p.row_id] AS partners, ARRAY[a.row_id, b.row_id] AS hubs
  FROM few JOIN hf a USING (day) JOIN hf b USING (day)
  JOIN pf p ON p.day BETWEEN a.day - {{parts_days}} AND a.day + {{parts_days}}
  WHERE a.row_id < b.row_id AND a.counterparty_id = b.counterparty_id
    AND a.currency = b.currency AND (p.currency IS NULL OR p.currency = a.currency)
    AND (p.counterparty_id IS NULL OR p.counterparty_id = a.counterparty_id)
    AND (p.points IS NULL OR p.points = a.points + b.points)
    AND (p.amount_minor IS NULL OR abs(p.amount_minor - a.exact - b.exact) <= 0.5)
    AND {_APART_2.replace("{partners}", "p.row_id").replace("{hubs}", "a.row_id, b.row_id")}
  UNION ALL
  SELECT ARRAY[a.row_id, b.row_id], ARRAY[h.row_id]
  FROM few JOIN pf a USING (day) JOIN pf b USING (day)
  JOIN hf h ON h.day BETWEEN a.day - {{parts_days}} AND a.day + {{parts_days}}
  WHERE a.row_id < b.row_id AND a.currency IS NOT DISTINCT FROM b.currency
    AND (a.currency IS NULL OR a.currency = h.currency)
    AND coalesce(a.counterparty_id, h.counterparty_id) = h.counterparty_id
    AND coalesce(b.counterparty_id, h.counterparty_id) = h.counterparty_id
    AND (a.points IS NULL) = (b.points IS NULL)
    AND (a.points IS NULL OR a.points + b.points = h.points)
    AND (a.amount_minor IS NULL) = (b.amount_minor IS NULL)
    AND (a.amount_minor IS NULL OR abs(a.amount_minor + b.amount_minor - h.exact) <= 1)
    AND {_APART_2.replace("{partners}", "a.row_id, b.row_id").replace("{hubs}", "h.row_id")}
), chosen AS (SELECT partners, hubs FROM sums)
{SUGGEST}"""  # noqa: S608 - constants of ours

# Alike but for one thing, and like nothing else: a day outside the window, another amount, other
# points, another currency.
NEAR = f"""
WITH {UNNAMED}{_FREE}, alike AS (
  SELECT p.row_id AS partner, h.row_id AS hub
  FROM pf p JOIN hf h ON h.points = p.points AND h.amount_minor = p.amount_minor
  WHERE {SAME_PARTY} AND {SAME_CURRENCY} AND {PAIRED}
  UNION
  SELECT p.row_id, h.row_id FROM pf p JOIN hf h ON h.day = p.day AND h.points = p.points
  WHERE {SAME_PARTY} AND {PAIRED}
  UNION
  SELECT p.row_id, h.row_id
  FROM pf p JOIN hf h ON h.day = p.day AND h.amount_minor = p.amount_minor
  WHERE {SAME_PARTY} AND {SAME_CURRENCY} AND {PAIRED}
  UNION
  SELECT p.row_id, h.row_id FROM pf p JOIN hf h ON h.points = p.points
  WHERE p.amount_minor IS NULL AND {SAME_PARTY} AND {PAIRED}
  UNION
  SELECT p.row_id, h.row_id FROM pf p JOIN hf h ON h.amount_minor = p.amount_minor
  WHERE p.points IS NULL AND {SAME_PARTY} AND {SAME_CURRENCY} AND {PAIRED}
), counted AS (
  SELECT partner, hub, count(*) OVER (PARTITION BY partner) AS hubs,
    count(*) OVER (PARTITION BY hub) AS partners FROM alike
), chosen AS (
  SELECT ARRAY[partner] AS partners, ARRAY[hub] AS hubs FROM counted
  WHERE hubs = 1 AND partners = 1)
{SUGGEST}"""  # noqa: S608 - constants of ours

BY_BANK = frozenset({Rule.REFERENCE, Rule.REFERENCE_WITHIN, Rule.REFERENCE_PARTS, Rule.CUT_SHORT,
                     Rule.TWINS, Rule.PARTS})  # fmt: skip
"""What is asked of a bank's statement: money of the same amount may be for anything, so that by its
amount alone a payment is only suggested."""
RULES: tuple[tuple[str, Rule, str], ...] = (
    ("reference", Rule.REFERENCE, REFERENCE),
    ("reference_within", Rule.REFERENCE_WITHIN, REFERENCE_WITHIN),
    ("reference_parts", Rule.REFERENCE_PARTS, REFERENCE_PARTS),
    ("reference_parts_of_any", Rule.REFERENCE_PARTS, REFERENCE_PARTS_OF_ANY),
    ("figures", Rule.FIGURES, FIGURES),
    ("figures_within", Rule.FIGURES_WITHIN, FIGURES_WITHIN),
    ("day_total", Rule.DAY_TOTAL, DAY_TOTAL),
    ("day_total_of_any", Rule.DAY_TOTAL, DAY_TOTAL_OF_ANY),
    ("cut_short", Rule.CUT_SHORT, CUT_SHORT),
    ("twins", Rule.TWINS, TWINS),
    ("parts", Rule.PARTS, PARTS),
    ("near", Rule.NEAR, NEAR),
)
