"""`hub member export | erase | retain | release`: what a person may ask, and what forbids it."""

import getpass
import os
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.audit.chain import Read
from hub.audit.record_reads import record_reads
from hub.clock import business_date, now
from hub.config import load_settings
from hub.crypto.keyring import load
from hub.entrypoints.commands.edge import committed, only_read
from hub.errors import Malformed
from hub.privacy import release_retention as releasing
from hub.privacy import retain as retaining
from hub.programme.queries import programme
from hub.rights import erase as erasing
from hub.rights import export as exporting
from hub.rights.erase import Erased

_Member = Annotated[int, typer.Argument(min=1, max=2**63 - 1, help="the member's number")]
_Reason = Annotated[str, typer.Option(help="why, in words that can be shown to an auditor")]


def export(
    member: _Member, out: Annotated[Path, typer.Option(help="the file to write; it must be new")]
) -> None:
    """Write everything held about a member to a JSON file that its owner alone can read."""
    keyring, at, who = load(load_settings().keyring_path), now(), _who()

    async def note(db: AsyncConnection) -> None:
        read = Read(
            member_id=member,
            attribute=exporting.EVERYTHING,
            subject=who,
            role="operator",
            read_at=at,
        )
        await record_reads(db, reads=[read], keyring=keyring)

    document = only_read(lambda db: exporting.export(db, member_id=member, now=at, keyring=keyring))
    committed(note)
    _write_new(out, exporting.write(document))
    typer.echo(f"written: {out}")
    for business, count in exporting.unopened_in(document).items():
        said = f"not whole: deliveries of {business} that cannot be opened: {count}"
        typer.echo(said, err=True)


def erase(
    member: _Member,
    reason: _Reason,
    forfeit_points: Annotated[
        bool, typer.Option("--forfeit-points", help="points that are left end with it")
    ] = False,
) -> None:
    """Forget who a member is, for ever. The ledger stays, and names nobody."""
    keyring, at = load(load_settings().keyring_path), now()

    async def work(db: AsyncConnection) -> Erased:
        zone = (await programme(db)).time_zone
        return await erasing.erase(
            db,
            member_id=member,
            reason=reason,
            erased_by=_who(),
            forfeit_points=forfeit_points,
            today=business_date(at, zone),
            now=at,
            keyring=keyring,
        )

    done = committed(work)
    typer.echo(
        f"member {done.member_id} is erased: {done.accounts} accounts, {done.deliveries} bodies of "
        f"deliveries, {done.points} points that ended"
    )


def retain(
    member: _Member,
    reason: _Reason,
    days: Annotated[
        int | None, typer.Option(min=1, max=36_500, help="for how long; unsaid: until released")
    ] = None,
) -> None:
    """Forbid that a member is erased."""
    at = now()
    ends_at = None if days is None else at + timedelta(days=days)

    placed = committed(
        lambda db: retaining.retain(
            db, member_id=member, reason=reason, placed_by=_who(), ends_at=ends_at, now=at
        )
    )
    typer.echo(f"retention {placed.retention_id} holds for member {placed.member_id}")


def release(
    retention: Annotated[int, typer.Argument(min=1, max=2**63 - 1, help="its number")],
    reason: _Reason,
) -> None:
    """Lift what forbids that a member is erased."""
    lifted = committed(
        lambda db: releasing.release_retention(
            db, retention_id=retention, released_by=_who(), reason=reason, now=now()
        )
    )
    why = "" if lifted.released_because is None else f": {lifted.released_because}"
    typer.echo(f"retention {lifted.retention_id} of member {lifted.member_id} is lifted{why}")


def _who() -> str:
    """Return who runs the command, as the operating system says."""
    return f"operator:{getpass.getuser()}"


def _write_new(path: Path, content: bytes) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as bad:
        raise Malformed(f"{path} cannot be made: {bad.strerror}", field="out") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
