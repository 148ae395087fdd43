"""Explain a match: what speaks for and against two members being one person, field by field."""

import asyncio
from dataclasses import dataclass
from itertools import product

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.connector import HintType
from hub.crypto.keyring import Keyring
from hub.errors import NotFound, Unavailable
from hub.members.batch import models
from hub.members.batch.judging import REVIEW_BITS, Judge, base_bits, veto_names
from hub.members.batch.reading import COLUMNS, read_some, secret
from hub.members.masking import masked
from hub.members.matching.columns import Field
from hub.members.matching.population import Marker, PopulationScorer
from hub.members.matching.weights import Level
from hub.members.queries import accounts_of

_HINTS = {
    **{field: hint for hint, field in COLUMNS.items()},
    Field.GIVEN_NAME: HintType.NAME,
    Field.SURNAME: HintType.NAME,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """What a field adds. The values are masked; None: the account does not say."""

    field: str
    level: str
    bits: float
    one: str | None
    other: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """Two accounts, weighed: `bits` is `base` and the weights of the fields.

    `band` is automatic, review or reject. `vetoes` say what forbids that the hub makes them one by
    itself, `verified_by_both` what identifiers both have shown.
    """

    account_id: int
    other_account_id: int
    bits: float
    base: float
    weights: tuple[Weight, ...]
    vetoes: tuple[str, ...]
    verified_by_both: tuple[str, ...]
    second_account: bool
    band: str


async def explain_match(
    db: AsyncConnection, *, member_id: int, other_id: int, keyring: Keyring
) -> list[Explained]:
    """Weigh each account of one member with each of another's by the latest model; best first.

    It is weighed as things stand now, whether or not a run ever compared the two. Raises NotFound
    for a member who is not there or has nothing left, and Unavailable before the first run.
    """
    learnt = await models.latest(db, key_version=keyring.blind_index.active)
    if learnt is None:
        raise Unavailable("there is no model yet: run `hub identity match` once")
    found = await accounts_of(db, member_ids=[member_id, other_id])
    sides = [[one.account_id for one in found.get(whose, [])] for whose in (member_id, other_id)]
    sheet = await read_some(db, account_ids=[a for side in sides for a in side], keyring=keyring)
    marker = Marker(secret(keyring))
    scorer = PopulationScorer(sheet.table(), learnt.model, learnt.population, marker)
    judge = Judge(sheet, scorer, marker)
    places = {account: place for place, account in enumerate(sheet.accounts)}
    ones, others = ([places[a] for a in side if a in places] for side in sides)
    for whose, there in ((member_id, ones), (other_id, others)):
        if not there:
            raise NotFound(f"nothing is known of member {whose}", field="member_id")
    pairs = [(a, b) for a, b in product(ones, others) if a != b]
    explained = await asyncio.to_thread(lambda: [_explain(judge, a, b) for a, b in pairs])
    return sorted(explained, key=lambda one: (-one.bits, one.account_id, one.other_account_id))


def _explain(judge: Judge, one: int, other: int) -> Explained:
    sheet, scorer = judge.sheet, judge.scorer
    pair = judge.weigh(one, other)
    weights = [
        Weight(
            field=field.value,
            level=Level(level).name.lower(),
            bits=share,
            one=_masked(sheet.said[_HINTS[field]][one], _HINTS[field]),
            other=_masked(sheet.said[_HINTS[field]][other], _HINTS[field]),
        )
        for field, level, share in zip(scorer.model.fields, pair.levels, pair.shares, strict=True)
        if level != Level.MISSING
    ]
    band = "review" if pair.bits >= REVIEW_BITS else "reject"
    return Explained(
        account_id=sheet.accounts[one],
        other_account_id=sheet.accounts[other],
        bits=round(pair.bits, 3),
        base=base_bits(pair),
        weights=tuple(sorted(weights, key=lambda weight: -weight.bits)),
        vetoes=veto_names(pair.vetoes),
        verified_by_both=tuple(hint.value for hint in pair.shown),
        second_account=judge.second_account(one, other),
        band="automatic" if pair.automatic else band,
    )


def _masked(value: str | None, hint: HintType) -> str | None:
    return None if value is None else masked(hint, value)
