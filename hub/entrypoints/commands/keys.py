"""`hub keys status | rotate | activate | rewrap | reindex | retire`: master keys, in versions."""

import asyncio
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.pool import NullPool

from hub.audit.queries import signed_under
from hub.benefits.vouchers.key import keys_under, reseal_key
from hub.config import load_settings
from hub.crypto.keyring import Keyring, Purpose, change, load
from hub.db.engine import make_engine
from hub.egress.reseal import reseal_subscriptions, secrets_under
from hub.entrypoints.commands.edge import only_read
from hub.errors import Rejected
from hub.intake.reseal import reseal, reseal_connections, sealed_under
from hub.jobs.actors import Step, chunk_by_chunk
from hub.members.reindex import indexed_under
from hub.members.reindex import reindex as reindex_claims
from hub.members.rewrap import rewrap as rewrap_keys
from hub.members.rewrap import wrapped_under
from hub.settlement.open_account import numbers_under, reseal_accounts

_Purpose = Annotated[Purpose, typer.Argument(help="what the key is for")]


class KeyInUse(Rejected):
    """Something still needs this version of a key."""

    code = "key_in_use"


def status() -> None:
    """Show the versions of every key, and how much is under each."""
    keyring = load(load_settings().keyring_path)
    used = only_read(_used)
    table = Table("key", "version", "state", "in use")
    for purpose in Purpose:
        keys = keyring.keys(purpose)
        for version in sorted({*keys.versions, *used.get(purpose, {})}):
            state = "old" if version < keys.active else "waits"
            if version == keys.active:
                state = "active"
            if version not in keys.versions:
                state = "MISSING"
            uses = str(used[purpose].get(version, 0)) if purpose in used else "not counted"
            table.add_row(purpose.value, str(version), state, uses)
    Console().print(table)


def rotate(purpose: _Purpose) -> None:
    """Add a version of a key. It waits until every process knows it, and is then activated."""
    keyring = change(_path(), lambda ring: ring.with_keys(_one_more(ring, purpose)))
    newest = max(keyring.keys(purpose).versions)
    typer.echo(
        f"version {newest} of the {purpose} key waits: back up the keyring, give it to every "
        f"process and restart them, then run `hub keys activate {purpose}`"
    )


def activate(purpose: _Purpose) -> None:
    """Make new things under the newest version. Every process must have been restarted with it."""
    keyring = change(_path(), lambda ring: ring.with_keys(ring.keys(purpose).activated()))
    active = keyring.keys(purpose).active
    typer.echo(f"version {active} of the {purpose} key is active; restart every process once more")


def rewrap() -> None:
    """Put data keys, bodies and settings under the active key-encryption key. May be cut off."""
    keyring = load(_path())

    async def keys(db: AsyncConnection, after: int) -> tuple[int, int | None]:
        done = await rewrap_keys(db, after_account_id=after, keyring=keyring)
        return done.keys, done.last_account_id

    async def bodies(db: AsyncConnection, after: int) -> tuple[int, int | None]:
        done = await reseal(db, after_delivery_id=after, keyring=keyring)
        return done.deliveries, done.last_delivery_id

    async def settings(db: AsyncConnection, _after: int) -> tuple[int, int | None]:
        return await reseal_connections(db, keyring=keyring), None

    async def secrets(db: AsyncConnection, _after: int) -> tuple[int, int | None]:
        return await reseal_subscriptions(db, keyring=keyring), None

    async def numbers(db: AsyncConnection, _after: int) -> tuple[int, int | None]:
        return await reseal_accounts(db, keyring=keyring), None

    async def vouchers(db: AsyncConnection, _after: int) -> tuple[int, int | None]:
        return await reseal_key(db, keyring=keyring), None

    moved = {
        "data keys": keys,
        "deliveries": bodies,
        "connections": settings,
        "subscriptions": secrets,
        "payment accounts": numbers,
        "voucher key": vouchers,
    }
    for what, step in moved.items():
        typer.echo(f"{what} moved: {_through(step)}")
    _echo_left(Purpose.KEY_ENCRYPTION, keyring)


def reindex() -> None:
    """Move identifiers to the active blind-index key, as far as their values are known."""
    keyring = load(_path())

    async def claims(db: AsyncConnection, after: int) -> tuple[int, int | None]:
        done = await reindex_claims(db, after_claim_id=after, keyring=keyring)
        return done.claims, done.last_claim_id

    typer.echo(f"identifiers moved: {_through(claims)}")
    _echo_left(Purpose.BLIND_INDEX, keyring)


def retire(
    purpose: _Purpose,
    version: Annotated[int, typer.Argument(min=1, max=0xFFFF, help="the old version")],
) -> None:
    """Throw an old version of a key away, if nothing is under it any more."""
    uses = only_read(_used).get(purpose, {}).get(version, 0)
    if uses:
        raise KeyInUse(
            f"{uses} things are under version {version} of the {purpose} key: "
            f"{_MOVED_BY.get(purpose, 'it must stay, or they could not be proven any more')}",
            version=version,
            uses=uses,
        )
    change(_path(), lambda ring: ring.with_keys(ring.keys(purpose).without(version)))
    typer.echo(f"version {version} of the {purpose} key is gone; backups from before still need it")


_MOVED_BY = {
    Purpose.KEY_ENCRYPTION: "`hub keys rewrap` moves them",
    Purpose.BLIND_INDEX: "`hub keys reindex` moves those whose values are known, the others move "
    "when they are seen again",
}


def _path() -> Path:
    return load_settings().keyring_path


def _one_more(keyring: Keyring, purpose: Purpose) -> Any:
    """Return the keys with a version more; one that waits is made use of first."""
    keys = keyring.keys(purpose)
    newest = max(keys.versions)
    if newest > keys.active:
        raise Rejected(
            f"version {newest} of the {purpose} key waits already: activate it", field="purpose"
        )
    return keys.added()


async def _used(db: AsyncConnection) -> dict[Purpose, dict[int, int]]:
    """Count what is under each version. Tokens end within a day by themselves."""
    uses = [
        await wrapped_under(db),
        await sealed_under(db),
        await secrets_under(db),
        await numbers_under(db),
        await keys_under(db),
    ]
    return {
        Purpose.KEY_ENCRYPTION: {
            version: sum(use.get(version, 0) for use in uses) for version in {*chain(*uses)}
        },
        Purpose.BLIND_INDEX: await indexed_under(db),
        Purpose.AUDIT: await signed_under(db),
    }


def _echo_left(purpose: Purpose, keyring: Keyring) -> None:
    active = keyring.keys(purpose).active
    used = only_read(_used)[purpose]
    left = {version: uses for version, uses in sorted(used.items()) if version != active}
    said = ", ".join(f"{uses} under version {version}" for version, uses in left.items())
    typer.echo(f"left: {said or 'nothing'}")


def _through(step: Step) -> int:
    """Take steps from row to row, each in a transaction of its own, until a pass moves nothing."""

    async def run() -> int:
        engine = make_engine(load_settings().require_database_url(), poolclass=NullPool)
        try:
            total = 0
            while moved := await chunk_by_chunk(engine, step):
                total += moved
            return total
        finally:
            await engine.dispose()

    return asyncio.run(run())
