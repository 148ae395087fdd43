"""Does a table hold families, or only one person's records with slips of the pen? Pure.

Rows that share a household and a birthday but no given name may be twins, and rows that share all
but the birthday a father and his son. Or somebody wrote the wrong name, or the wrong day. Where
families are recorded, there are also their other members, who share the household and neither: if
there are hardly any of these, while names and days alone differ often, it is slips. Only then, and
only where enough rows say so, the vetoes that keep families apart are lifted.
"""

import numpy as np

from hub.members.matching.columns import Field
from hub.members.matching.comparing import Levels
from hub.members.matching.scoring import Flags
from hub.members.matching.weights import PLACES, Level

_BELIEVED_FAMILIES, _ONE_IN = 10, 100
"""So many pairs of relatives are thought to be in any table; in a large one, one for each so many
rows.
"""
_AGREEING_PLACES = 2


def only_slips(fields: list[Field], levels: Levels, weighty: Flags, *, rows: int) -> bool:
    """Say whether differing names and days are slips, from the pairs that were compared.

    `weighty` are those that would be one person if nothing were forbidden. Without given names or
    birthdays nobody can tell; in a table of `rows` it takes one such pair in a hundred rows.
    """
    level = dict(zip(fields, levels.T, strict=True))
    given, born = level.get(Field.GIVEN_NAME), level.get(Field.BIRTHDAY)
    if given is None or born is None:
        return False
    together = np.zeros(len(levels), np.int8)
    for one in (set(PLACES) - {Field.STATE}) & set(level):
        together += level[one] >= Level.NEAR
    home = together >= _AGREEING_PLACES
    for one in (Field.PHONE, Field.EMAIL):
        if one in level:
            home |= level[one] == Level.EQUAL
    named, dated = given >= Level.NEAR, born >= Level.NEAR
    misnamed = (given == Level.DIFFERENT) & (born == Level.EQUAL) & weighty
    misdated = (born == Level.DIFFERENT) & (given == Level.EQUAL) & weighty
    alike, names, days = (int(x.sum()) for x in (named & dated & weighty, misnamed, misdated))
    relatives = int(((given == Level.DIFFERENT) & (born == Level.DIFFERENT) & home).sum())
    # Slips in both at once look like relatives, too.
    both = names * days / max(alike, 1)
    believed = max(_BELIEVED_FAMILIES, rows / _ONE_IN) + max(0.0, relatives - 2 * both)
    return min(names, days) >= believed and max(names, days) <= 10 * min(names, days)
