"""Dated terms: what a tier or a benefit is never changes, and what it says only from a date on."""

import json
from typing import Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import Conflict

Kind = Literal["ladder", "tier", "benefit"]
_FIELDS = {"reach": "threshold"}


async def identity(db: AsyncConnection, kind: Kind, code: str, facts: dict[str, object]) -> int:
    """Insert what never changes of a ladder, tier or benefit; returns its id."""
    names, marks = ", ".join(facts), ", ".join(f":{name}" for name in facts)
    await db.execute(
        text(f"""
          INSERT INTO {kind} (code, {names}) VALUES (:code, {marks})
          ON CONFLICT (code) DO NOTHING"""),  # noqa: S608
        {"code": code, **facts},
    )
    stored = (
        await db.execute(
            text(f"SELECT {kind}_id AS id, {names} FROM {kind} WHERE code = :code"),  # noqa: S608
            {"code": code},
        )
    ).one()
    for name, value in facts.items():
        was = getattr(stored, name)
        if was != value:
            raise Conflict(
                f"{kind} {code} has the {name} {was} and keeps it: give the new one its own code",
                field=name.removesuffix("_id"),
            )
    found: int = stored.id
    return found


async def add_terms(db: AsyncConnection, kind: Kind, of: int, terms: dict[str, object]) -> None:
    """Insert dated terms; when there are terms of that date, they must say the same."""
    names = ", ".join(f'"{name}"' for name in terms)
    documents = {
        name: json.dumps(value) for name, value in terms.items() if isinstance(value, dict)
    }
    marks = ", ".join(
        f"CAST(:{name} AS jsonb)" if name in documents else f":{name}" for name in terms
    )
    await db.execute(
        text(f"""
          INSERT INTO {kind}_terms ({kind}_id, {names}) VALUES (:of, {marks})
          ON CONFLICT ({kind}_id, effective_from) DO NOTHING"""),  # noqa: S608
        {"of": of, **terms, **documents},
    )
    stored = (
        await db.execute(
            text(f"""
              SELECT {names} FROM {kind}_terms
              WHERE {kind}_id = :of AND effective_from = :effective_from"""),  # noqa: S608
            {"of": of, "effective_from": terms["effective_from"]},
        )
    ).one()
    for name, value in terms.items():
        if getattr(stored, name) != value:
            raise Conflict(
                f"the terms of {terms['effective_from']} are in force and cannot be edited: give "
                "the new ones their own effective_from",
                field=_FIELDS.get(name, name).removesuffix("_id"),
            )
