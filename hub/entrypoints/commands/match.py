"""`hub identity match | runs | explain`: who is one person, and why."""

import asyncio
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from hub.config import load_settings
from hub.crypto.keyring import load
from hub.db.engine import make_engine
from hub.entrypoints.commands.edge import only_read
from hub.intake.actors import match_all
from hub.members.batch import explain_match as explaining
from hub.members.batch import queries
from hub.members.batch.explain_match import Explained
from hub.members.batch.plan_matches import Kind
from hub.members.batch.queries import Run

_Member = Annotated[int, typer.Argument(min=1, max=2**63 - 1, help="a member's number")]


def match(
    full: Annotated[
        bool, typer.Option("--full", help="look at everybody, and learn the weights anew")
    ] = False,
) -> None:
    """Match members now, as is done every night. May be cut off: the next match goes on."""
    settings = load_settings()
    keyring = load(settings.keyring_path)

    async def work() -> Run:
        engine = make_engine(settings.require_database_url(), pool_size=2)
        try:
            run_id = await match_all(engine, kind=Kind.FULL if full else None, keyring=keyring)
            async with engine.connect() as db:
                return next(r for r in await queries.runs(db, limit=10) if r.run_id == run_id)
        finally:
            await engine.dispose()

    run = asyncio.run(work())
    typer.echo(
        f"run {run.run_id}, {run.kind}: {run.accounts} accounts looked at, {run.pairs} pairs "
        f"weighed; {run.merged} merged, {run.split} split, {run.asked} put to review"
    )


def runs(limit: Annotated[int, typer.Option(min=1, max=1000)] = 20) -> None:
    """List the latest runs, the last one first."""
    found = only_read(lambda db: queries.runs(db, limit=limit))
    columns = "run kind started finished accounts pairs merged split asked left"
    table = Table(*columns.split())
    for run in found:
        finished = "not yet" if run.finished_at is None else f"{run.finished_at:%Y-%m-%d %H:%M:%S}"
        counts = (run.accounts, run.pairs, run.merged, run.split, run.asked, run.left_over)
        started = f"{run.started_at:%Y-%m-%d %H:%M:%S}"
        table.add_row(str(run.run_id), run.kind, started, finished, *map(str, counts))
    Console().print(table)


def explain(member: _Member, other: _Member) -> None:
    """Show what speaks for and against two members being one person. Values are masked."""
    keyring = load(load_settings().keyring_path)
    found = only_read(
        lambda db: explaining.explain_match(db, member_id=member, other_id=other, keyring=keyring)
    )
    for pair in found:
        Console().print(_waterfall(pair))


def _waterfall(pair: Explained) -> Table:
    title = f"accounts {pair.account_id} and {pair.other_account_id}: {pair.band}"
    table = Table("", "one", "other", "level", "bits", "so far", title=title)
    so_far = pair.base
    table.add_row("any two accounts", "", "", "", f"{pair.base:+.1f}", f"{so_far:.1f}")
    for weight in pair.weights:
        so_far += weight.bits
        shown = (weight.one or "", weight.other or "", weight.level)
        table.add_row(weight.field, *shown, f"{weight.bits:+.1f}", f"{so_far:.1f}")
    told = [f"{veto} forbids it" for veto in pair.vetoes]
    told += [f"both have verified the {kind}" for kind in pair.verified_by_both]
    told += ["both are records of one business"] if pair.second_account else []
    table.caption = "; ".join(told) or None
    return table
