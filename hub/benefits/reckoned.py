"""What is made in this process, of rows that are read and of the set-up."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.benefits.setup import read_setup, remembered_setup
from hub.db.relation import Relation, parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class Reckoned:
    """Rows that are made in this process: of relations, and of the set-up.

    `reckon(setup, today, *rows)` makes them, in order, with `columns`, whose first says whose
    they are. All relations take the same parameters.
    """

    of: tuple[Relation, ...]
    columns: tuple[str, ...]
    reckon: Callable[..., Sequence[Sequence[Any]]]
    nobody: Sequence[Any] | None = None
    """The row of a member for whom none is made."""
    statement: TextClause = field(init=False, compare=False)
    """Reads the edition, and all that is reckoned with."""

    def __post_init__(self) -> None:
        rows = ", ".join(
            f"ARRAY(SELECT ROW({', '.join(one.columns)}) FROM ({one.sql}) r)"  # noqa: S608
            for one in self.of
        )
        whole = f"SELECT edition, {rows} FROM setup_edition"  # noqa: S608 - constants of ours
        object.__setattr__(self, "statement", text(whole))


async def reckoned(
    db: AsyncConnection, what: Reckoned, *, member_ids: Sequence[int], now: datetime
) -> Sequence[Sequence[Any]]:
    """Return what is made of rows of these members and of the set-up, as it is read here."""
    setup = remembered_setup(db.engine, now) or await read_setup(db, now=now)
    while True:
        facts = {"member_ids": list(member_ids), "today": setup.today(now)}
        used = parameters(what.statement.text)
        row = (await db.execute(what.statement, {name: facts[name] for name in used})).one()
        if row.edition == setup.edition:
            return what.reckon(setup, facts["today"], *row[1:])
        setup = await read_setup(db, now=now)
