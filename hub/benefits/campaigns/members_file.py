"""A file of members: each by the hub's number, or by a business and its own number for them."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from typing import TextIO

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Malformed
from hub.points.opening_file import BadRow

IGNORED = ("error_row", "error_field", "error")
"""Columns of a file of errors: once it is corrected, it can be used as it is."""
_COLUMNS = ("member", "business", "external_id")
_DIGITS = 18


def records(file: TextIO) -> Iterator[dict[str, str]]:
    """Yield a file's rows by column; raises Malformed for a heading or a file that will not do."""
    rows = csv.reader(file, strict=True)
    try:
        heading = [name.strip() for name in next(rows, ())]
        for name in heading:
            if name not in (*_COLUMNS, *IGNORED) or heading.count(name) > 1:
                raise Malformed(
                    f"a column {name!r} is unknown or twice; there are {', '.join(_COLUMNS)}",
                    field="file",
                )
        if "member" not in heading and not {"business", "external_id"} <= set(heading):
            raise Malformed(
                "the heading has no column 'member', nor 'business' and 'external_id'",
                field="file",
            )
        for row in rows:
            yield dict(zip(heading, (cell.strip() for cell in row), strict=False))
    except (csv.Error, UnicodeDecodeError) as bad:
        raise Malformed(f"after line {rows.line_num} it is no CSV: {bad}", field="file") from bad


async def members_of(
    db: AsyncConnection, rows: Mapping[int, Mapping[str, str]]
) -> tuple[list[int], list[BadRow]]:
    """Return the members that rows lead to, as they are numbered now, and the rows that lead
    nowhere."""
    found: list[int] = []
    bad: list[BadRow] = []
    asked: dict[int, tuple[str, str]] = {}
    for number, cells in rows.items():
        said = cells.get("member", "")
        if said.isascii() and said.isdigit() and len(said) <= _DIGITS:
            found.append(int(said))
        elif said:
            bad.append(BadRow(number=number, field="member", reason="this is no number of ours"))
        elif cells.get("business") and cells.get("external_id"):
            asked[number] = (cells["business"], cells["external_id"])
        else:
            bad.append(BadRow(number=number, field="member", reason="the row names nobody"))
    holders = await _holders(db, list(asked.values()))
    for number, account in asked.items():
        holder = holders.get(account)
        if holder is None:
            bad.append(
                BadRow(
                    number=number,
                    field="external_id",
                    reason=f"{account[0]} has no such customer, or the hub does not know whose",
                )
            )
        else:
            found.append(holder)
    known = set(await _known(db, found))
    for number, cells in rows.items():
        said = cells.get("member", "")
        if said.isascii() and said.isdigit() and len(said) <= _DIGITS and int(said) not in known:
            bad.append(BadRow(number=number, field="member", reason="there is no such member"))
    return [one for one in found if one in known], sorted(bad, key=lambda one: one.number)


async def _holders(
    db: AsyncConnection, accounts: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], int]:
    rows = await db.execute(
        text("""
          SELECT b.code, a.external_id, account_holder(a.account_id) AS member_id
          FROM unnest(CAST(:codes AS text[]), CAST(:externals AS text[])) AS u (code, external_id)
          JOIN business b ON b.code = u.code
          JOIN account a ON a.business_id = b.business_id AND a.external_id = u.external_id"""),
        {"codes": [one[0] for one in accounts], "externals": [one[1] for one in accounts]},
    )
    return {(row.code, row.external_id): row.member_id for row in rows if row.member_id}


async def _known(db: AsyncConnection, ids: Sequence[int]) -> list[int]:
    rows = await db.scalars(
        text("""
          SELECT m.member_id FROM member m JOIN member w
            ON w.member_id = coalesce(m.merged_into, m.member_id) AND w.erased_at IS NULL
          WHERE m.member_id = ANY (CAST(:ids AS bigint[]))"""),
        {"ids": list(ids)},
    )
    return list(rows)
