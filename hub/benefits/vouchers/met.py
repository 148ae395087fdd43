"""What a process has met of a database's vouchers: the key of codes, and terms; neither changes.

Nothing is taken on trust: the database compares the key as it is sealed, and terms by their number
and the transaction that wrote them (`voucher_redeem_one`). What was not met, or differs, is read.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.pool import Pool

from hub.benefits.vouchers.codes import CodeKey
from hub.benefits.vouchers.terms import VoucherTerms

# A bill is judged by each of them: as many as campaigns that a group's tills take at once, nearly.
MOST_TERMS = 8


@dataclass(slots=True)
class Met:
    """The key, as it is sealed and opened, and the terms last met, the latest last."""

    sealed: bytes | None = None
    key: CodeKey | None = None
    terms: OrderedDict[str, VoucherTerms] = field(default_factory=OrderedDict)

    def meet(self, terms: Iterable[VoucherTerms]) -> None:
        """Remember terms; those that were not met for longest are forgotten."""
        for one in terms:
            self.terms[one.version] = one
            self.terms.move_to_end(one.version)
        while len(self.terms) > MOST_TERMS:
            self.terms.popitem(last=False)


_MET: WeakKeyDictionary[Pool, Met] = WeakKeyDictionary()


def met(db: AsyncConnection) -> Met:
    """Return what was met through the connections that `db` is one of."""
    return _MET.setdefault(db.engine.sync_engine.pool, Met())
