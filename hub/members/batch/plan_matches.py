"""Plan matches: decide for one run who is one person, and write down what is to be done."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import numpy as np
import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.crypto.keyring import Keyring
from hub.errors import Unavailable
from hub.members.batch import features, models, pairs
from hub.members.batch.deciding import Decided, Step, decide
from hub.members.batch.judging import Judge, Pair
from hub.members.batch.links import company, read_links
from hub.members.batch.models import Learnt
from hub.members.batch.reading import Sheet, read_all, read_some, secret
from hub.members.matching import keys
from hub.members.matching.population import Marker, PopulationScorer, count
from hub.members.matching.scoring import Scorer
from hub.members.matching.training import train

LEARN_AFTER = timedelta(days=7)
_GROWTH = 1.2
"""So much larger than when the model was made, the hub is another one."""
_CHUNK_STEPS = 10_000
_LOCK = 0x6D61746368  # "match": one plan at a time

_RUN = text("""
INSERT INTO match_run (kind, model_id, started_at, accounts, pairs, automatic, review)
VALUES (:kind, :model_id, :now, :accounts, :pairs, :automatic, :review) RETURNING run_id
""")
_STEPS = text("""
INSERT INTO match_step (run_id, step, kind, account_ids, score, evidence)
SELECT :run_id, s.step, s.kind, CAST(s.accounts AS bigint[]), s.score, CAST(s.evidence AS jsonb)
FROM unnest(CAST(:steps AS integer[]), CAST(:kinds AS text[]), CAST(:accounts AS text[]),
  CAST(:scores AS double precision[]), CAST(:evidence AS text[]))
  AS s (step, kind, accounts, score, evidence)
""")


Tell = Callable[[str], None]


class Kind(StrEnum):
    """Whether a run learns and looks at everybody, or at those that changed."""

    FULL = "full"
    INCREMENTAL = "incremental"


@dataclass(frozen=True, slots=True)
class _Findings:
    kind: Kind
    model_id: int
    looked_at: int
    weighed: int
    judge: Judge
    found: list[Pair]
    before: pairs.Stored | None
    decided: Decided


async def plan_matches(
    db: AsyncConnection,
    *,
    kind: Kind | None,
    now: datetime,
    keyring: Keyring,
    learn: bool = True,
    tell: Tell = lambda phase: None,
) -> int:
    """Decide on all accounts, or on those that changed and whoever that concerns; returns the run.

    None leaves the kind open: all, if there is no model yet, or it is a week old, or the hub has
    grown by a fifth since, or its values are marked under a key that was renewed. A full run learns
    a new model, unless `learn` says that the latest one is to be kept; it is, too, where changes
    concern everybody, as when an identifier turned out to be many people's. Nothing is changed for
    any member yet: `hub.intake.match_members` takes the steps. `tell` hears of each phase that is
    over.

    Raises Unavailable while another plan is made, or a run's steps are not all taken.
    """
    free = await db.scalar(text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    if not free or await unfinished(db) is not None:
        raise Unavailable("a match is under way: ask again when it is done")
    learnt = await models.latest(db, key_version=keyring.blind_index.active)
    if kind is not Kind.FULL and (learnt is None or await _is_old(db, learnt, kind, now)):
        kind = Kind.FULL
    changed = await features.take_changes(db)
    if kind is Kind.FULL or learnt is None:
        findings = await _full(db, None if learn else learnt, now, keyring, tell)
    elif features.EVERYBODY in changed:
        findings = await _full(db, learnt, now, keyring, tell)
    else:
        findings = await _incremental(db, learnt, changed, keyring, tell)
    return await _write(db, findings, now)


async def unfinished(db: AsyncConnection) -> int | None:
    """Return the run whose steps are not all taken, if there is one."""
    run_id: int | None = await db.scalar(
        text("SELECT run_id FROM match_run WHERE finished_at IS NULL")
    )
    return run_id


async def _is_old(db: AsyncConnection, learnt: Learnt, kind: Kind | None, now: datetime) -> bool:
    if kind is None and learnt.made_at is not None and now - learnt.made_at > LEARN_AFTER:
        return True
    accounts = await db.scalar(text("SELECT count(*) FROM account_key"))
    return int(accounts or 0) > learnt.accounts * _GROWTH + learnt.model.size


async def _full(
    db: AsyncConnection, pinned: Learnt | None, now: datetime, keyring: Keyring, tell: Tell
) -> _Findings:
    sheet = await read_all(db, keyring=keyring)
    tell("read")
    marker = Marker(secret(keyring))
    version = keyring.blind_index.active
    learnt, judge, found_keys = await asyncio.to_thread(_learn, sheet, marker, pinned, version)
    tell("learn")
    model_id = learnt.model_id
    if model_id is None:
        model_id = await models.store(db, learnt=learnt, now=now)
    await features.replace(db, sheet=sheet, found=found_keys, gone=None)
    before = await pairs.stored(db, account_ids=None)
    links = await read_links(db, account_ids=None)
    tell("store")

    def work() -> tuple[int, list[Pair], Decided]:
        # What was found before is looked at again, even if so many share its keys by now.
        wanted = np.unique(
            np.concatenate([keys.pairs(found_keys, learnt.limits), features.places(sheet, before)]),
            axis=0,
        )
        found = list(judge.pairs(wanted))
        tell("weigh")
        return len(wanted), found, decide(judge, found, links, known=_proposed(before))

    weighed, found, decided = await asyncio.to_thread(work)
    tell("settle")
    return _Findings(Kind.FULL, model_id, len(sheet), weighed, judge, found, None, decided)


def _learn(
    sheet: Sheet, marker: Marker, pinned: Learnt | None, key_version: int
) -> tuple[Learnt, Judge, keys.Keys]:
    table = sheet.table()
    found_keys = features.keys_of(sheet, table, marker)
    learnt = pinned
    if learnt is None:
        model = train(table)
        population = count(Scorer(table, model), marker)
        limits = keys.limits(found_keys)
        learnt = Learnt(model, population, limits, key_version, accounts=len(sheet))
    scorer = PopulationScorer(table, learnt.model, learnt.population, marker)
    return learnt, Judge(sheet, scorer, marker), found_keys


async def _incremental(
    db: AsyncConnection, learnt: Learnt, changed: Iterable[int], keyring: Keyring, tell: Tell
) -> _Findings:
    touched, wanted = await _renew(db, learnt, changed, keyring)
    tell("find")
    before = await pairs.stored(db, account_ids=touched)
    before |= await pairs.those_of(db, wanted=wanted)
    wanted |= before.keys()
    judge = await _judge(db, learnt, _accounts(wanted) | touched, keyring)
    tell("read")
    fresh = await _judged(judge, wanted)
    tell("weigh")
    # Whom it concerns: everybody who is, was or would be together with one of those.
    near = _accounts(judge.accounts_of(pair) for pair in fresh if pair.automatic)
    concerned = await company(db, account_ids=touched | near | _accounts(before))
    before |= await pairs.among(db, account_ids=concerned)
    beyond = _accounts(judge.accounts_of(pair) for pair in fresh)
    judge = await _judge(db, learnt, concerned | beyond, keyring)
    links = await read_links(db, account_ids=judge.sheet.accounts)
    wanted |= before.keys()
    tell("read")
    found = await _judged(judge, wanted)
    tell("weigh")
    decided = await asyncio.to_thread(
        decide, judge, found, links, known=_proposed(before), within=concerned
    )
    tell("settle")
    return _Findings(
        Kind.INCREMENTAL, learnt.model_id or 0, len(touched), len(wanted), judge, found, before,
        decided,
    )  # fmt: skip


async def _renew(
    db: AsyncConnection, learnt: Learnt, changed: Iterable[int], keyring: Keyring
) -> tuple[set[int], set[tuple[int, int]]]:
    """Store what changed accounts have in common with others now.

    Returns those that say something else than they did, or nothing any more, and the pairs of
    accounts that are to be compared because of it.
    """
    sheet = await read_some(db, account_ids=changed, keyring=keyring)
    old = await features.stored(db, account_ids=changed)
    gone = [account for account in old if account not in set(sheet.accounts)]
    sheet = sheet.of(
        place
        for place, account in enumerate(sheet.accounts)
        if account not in old or old[account].mark != sheet.changed_marks[place]
    )
    marker = Marker(secret(keyring))
    found = await asyncio.to_thread(lambda: features.keys_of(sheet, sheet.table(), marker))
    await features.replace(db, sheet=sheet, found=found, gone=gone)
    touched = {*sheet.accounts, *gone}
    wanted = await features.partners(
        db,
        now=features.as_lists(sheet, found),
        before={account: old[account].keys for account in touched if account in old},
        limits=learnt.limits,
    )
    return touched, wanted


async def _judge(
    db: AsyncConnection, learnt: Learnt, account_ids: Iterable[int], keyring: Keyring
) -> Judge:
    sheet = await read_some(db, account_ids=account_ids, keyring=keyring)
    marker = Marker(secret(keyring))

    def make() -> Judge:
        scorer = PopulationScorer(sheet.table(), learnt.model, learnt.population, marker)
        return Judge(sheet, scorer, marker)

    return await asyncio.to_thread(make)


async def _judged(judge: Judge, wanted: Iterable[tuple[int, int]]) -> list[Pair]:
    places = features.places(judge.sheet, wanted)
    return await asyncio.to_thread(lambda: list(judge.pairs(places)))


def _accounts(some: Iterable[tuple[int, int]]) -> set[int]:
    return {account for pair in some for account in pair}


def _proposed(before: pairs.Stored) -> set[tuple[int, int]]:
    return {pair for pair, proposed in before.items() if proposed}


async def _write(db: AsyncConnection, findings: _Findings, now: datetime) -> int:
    automatic = sum(pair.automatic for pair in findings.found)
    run_id = await db.scalar(
        _RUN,
        {
            "kind": findings.kind.value,
            "model_id": findings.model_id,
            "now": now,
            "accounts": findings.looked_at,
            "pairs": findings.weighed,
            "automatic": automatic,
            "review": len(findings.found) - automatic,
        },
    )
    run_id = int(run_id or 0)
    await pairs.replace(
        db,
        judge=findings.judge,
        found=findings.found,
        proposed=findings.decided.proposed,
        before=findings.before,
        run_id=run_id,
    )
    await db.execute(text("DELETE FROM match_step"))
    await _write_steps(db, findings.decided.steps, run_id)
    return run_id


async def _write_steps(db: AsyncConnection, steps: Sequence[Step], run_id: int) -> None:
    for start in range(0, len(steps), _CHUNK_STEPS):
        part = steps[start : start + _CHUNK_STEPS]
        await db.execute(
            _STEPS,
            {
                "run_id": run_id,
                "steps": list(range(start, start + len(part))),
                "kinds": [step.kind for step in part],
                "accounts": ["{" + ",".join(map(str, step.accounts)) + "}" for step in part],
                "scores": [step.score for step in part],
                "evidence": [orjson.dumps(step.evidence).decode() for step in part],
            },
        )
