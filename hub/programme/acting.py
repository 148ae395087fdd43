"""What a till's request needs of the group: who acts, whose day it is, how points are taken."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import Pool

from hub.db.relation import Relation
from hub.programme.acceptance import AcceptanceRule
from hub.programme.queries import BUSINESS, Business

_BUSINESS = tuple(one.name for one in fields(Business))
_PLAIN = tuple(one for one in _BUSINESS if one not in ("business_id", "stopped_issuers"))
_RULE = tuple(one.name for one in fields(AcceptanceRule))

# Of arrays within rows the driver reads those of text alone.
ACTING = Relation(
    f"""
SELECT s.business_id, (SELECT time_zone FROM programme) AS group_zone, a.business_id AS ruled,
  acting_edition(s.business_id, :now) AS edition,
  {", ".join(f"s.{name}" for name in _PLAIN)},
  CAST(s.stopped_issuers AS text[]) AS stopped_issuers,
  {", ".join(f"{'s' if name == 'currency' else 'a'}.{name} AS rule_{name}" for name in _RULE)}
FROM ({BUSINESS} WHERE code = :business) s
LEFT JOIN LATERAL (
  SELECT * FROM acceptance_rule r
  WHERE r.business_id = s.business_id AND r.effective_from <= :now
  ORDER BY r.effective_from DESC LIMIT 1
) a ON true
""",  # noqa: S608 - names of ours
    (
        "business_id",
        "group_zone",
        "ruled",
        "edition",
        *_PLAIN,
        "stopped_issuers",
        *(f"rule_{name}" for name in _RULE),
    ),
)
"""The business called `:business`, with its rule of acceptance in force at `:now`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acting:
    """A business at a moment. By the day in `group_zone` points end; None: there is no group."""

    business: Business
    group_zone: str | None
    acceptance: AcceptanceRule | None
    edition: str | None
    """What the database calls all this; None where it has to be looked up each time."""


def acting_of(row: Sequence[Any]) -> Acting:
    """Read a row of ACTING."""
    facts = dict(zip(ACTING.columns, row, strict=True))
    own = {name: facts[name] for name in _BUSINESS}
    rule = {name: facts[f"rule_{name}"] for name in _RULE}
    return Acting(
        business=Business(**{**own, "stopped_issuers": tuple(map(int, own["stopped_issuers"]))}),
        group_zone=facts["group_zone"],
        acceptance=None if facts["ruled"] is None else AcceptanceRule(**rule),
        edition=facts["edition"],
    )


_REMEMBERED: WeakKeyDictionary[Pool, dict[str, Acting]] = WeakKeyDictionary()


def remember_acting(engine: AsyncEngine, acting: Acting) -> None:
    """Have a business be known as it was read through an engine."""
    _REMEMBERED.setdefault(engine.sync_engine.pool, {})[acting.business.code] = acting


def remembered_acting(engine: AsyncEngine, code: str) -> Acting | None:
    """Return a business as it was when it was last read through an engine, if it was.

    Nothing is taken on trust: what is done by it names its edition, which the database compares.
    """
    return _REMEMBERED.get(engine.sync_engine.pool, {}).get(code)
