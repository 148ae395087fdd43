"""What `hub doctor` looks at: small checks, each a plain sentence and the way out."""

import os
import stat
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from redis.exceptions import RedisError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.clock import now
from hub.config import Settings
from hub.crypto.errors import KeyringForeign, KeyringMissing
from hub.crypto.keyring import load
from hub.db.bound import RowsUnprotected, refuse_bypass
from hub.db.migrate import current, head
from hub.entrypoints.embedded.account import server_account
from hub.entrypoints.embedded.binaries import postgres_programs, valkey_program
from hub.errors import HubError
from hub.intake.unopened import unopened
from hub.jobs.client import make_client
from hub.ledger.partitions import missing_partitions
from hub.members.queries import check_keyring

OLDEST_POSTGRES = 18
OLDEST_PYTHON = (3, 11)
_BACKLOG_SECONDS = 60
_FAILS_OFTEN = 3
_UNRESOLVED_DAYS = 30
_UNRESOLVED_SHOWN = 5


class Verdict(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check saw and, unless all is well, what to do."""

    verdict: Verdict
    says: str
    way_out: str = ""


def _ok(says: str) -> Finding:
    return Finding(Verdict.OK, says)


def _warning(says: str, way_out: str) -> Finding:
    return Finding(Verdict.WARNING, says, way_out)


def _problem(says: str, way_out: str) -> Finding:
    return Finding(Verdict.PROBLEM, says, way_out)


async def python_version(settings: Settings) -> Finding:
    """Is this Python new enough?"""
    running = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < OLDEST_PYTHON:
        return _problem(f"Python {running} is too old", "install 3.11 or newer, then `make run`")
    return _ok(f"Python {running}")


async def state_directory(settings: Settings) -> Finding:
    """Can we keep state, and is it ours?"""
    path = settings.state_dir
    if not path.exists():
        return _warning(f"{path} does not exist yet", "`hub up` creates it")
    if not path.is_dir():
        return _problem(f"{path} is no directory", "choose another HUB_STATE_DIR")
    if path.stat().st_uid != os.geteuid():
        return _problem(
            f"{path} belongs to user {path.stat().st_uid}, we are {os.geteuid()}",
            "run the hub as its owner, or choose another HUB_STATE_DIR",
        )
    if not os.access(path, os.W_OK | os.X_OK):
        return _problem(f"{path} is not writable", f"`chmod u+rwx {path}`")
    return _ok(f"state is kept in {path}")


async def own_servers(settings: Settings) -> Finding:
    """Do the programs run that `hub up` would start?"""
    try:
        account = server_account()
        copies = settings.state_dir / "programs"
        if not account:
            postgres_programs(None, copies)
            valkey_program(None, copies)
    except HubError as failure:
        return _warning(f"our own servers do not run here: {failure.message}", "see the message")
    name = account.name if account else "this user"
    return _ok(f"our own PostgreSQL and Valkey can run as {name}")


async def keyring(settings: Settings) -> Finding:
    """Are the master keys there, whole, and nobody else's to read?"""
    try:
        load(settings.keyring_path)
    except KeyringMissing as failure:
        fresh = not settings.state_dir.exists()
        found = _warning if fresh else _problem
        return found(failure.message, "`hub up` makes one on a new installation")
    except HubError as failure:
        return _problem(failure.message, "personal data cannot be read until this is settled")
    mode = stat.S_IMODE(settings.keyring_path.stat().st_mode)
    return _ok(f"keyring {settings.keyring_path} ({mode:04o}); keep a backup apart from the data")


async def broker(settings: Settings) -> Finding:
    """Does the broker answer, and will it keep what it is given?"""
    if not settings.redis_url:
        return _warning("no broker is known", "`hub up` starts one; or set REDIS_URL")
    client = make_client(settings.redis_url, socket_connect_timeout=3, socket_timeout=3)
    try:
        policy = (await client.config_get("maxmemory-policy")).get("maxmemory-policy")
    except (RedisError, OSError) as failure:
        return _problem(
            f"the broker does not answer: {failure}", "check REDIS_URL and that it runs"
        )
    finally:
        await client.aclose()
    if policy != "noeviction":
        return _problem(
            f"the broker may drop work when full (maxmemory-policy {policy})",
            "`valkey-cli config set maxmemory-policy noeviction`, and in its configuration",
        )
    return _ok("the broker answers and never evicts")


async def postgres_version(db: AsyncConnection) -> Finding:
    """Is PostgreSQL new enough?"""
    number = int(await db.scalar(text("SHOW server_version_num"))) // 10000
    if number < OLDEST_POSTGRES:
        return _problem(f"PostgreSQL {number} is too old", "the hub needs 18 or newer")
    return _ok(f"PostgreSQL {number}")


async def rows_protected(db: AsyncConnection) -> Finding:
    """Does row-level security hold the role that we log in as?"""
    try:
        await refuse_bypass(db)
    except RowsUnprotected as refusal:
        return _problem(refusal.message, "docs/operations.md, Whom the hub logs in as")
    return _ok("row-level security holds the database's role")


async def extensions(db: AsyncConnection) -> Finding:
    """Is what the migrations install available?"""
    available = await db.scalar(
        text("SELECT count(*) FROM pg_available_extensions WHERE name = 'btree_gist'")
    )
    if not available:
        return _problem(
            "the extension btree_gist is not available", "install PostgreSQL's contrib modules"
        )
    return _ok("the extension btree_gist is available")


async def revision(db: AsyncConnection) -> Finding:
    """Is the schema the one this code was written for?"""
    found, wanted = await current(db), head()
    if found != wanted:
        return _problem(f"the schema is at {found or 'nothing'}, not at {wanted}", "`hub migrate`")
    return _ok(f"the schema is at {wanted}")


async def keyring_fits(settings: Settings, db: AsyncConnection) -> Finding:
    """Are the master keys those that this database was written with, and do they open bodies?"""
    if not await _exists(db, "account_key"):
        return _ok("the keyring fits: there is no schema yet")
    try:
        held = load(settings.keyring_path)
        await check_keyring(db, keyring=held)
        closed = await unopened(db, keyring=held)
    except KeyringForeign as failure:
        return _problem(failure.message, "put back the keyring file that belongs to this database")
    except HubError:
        return _warning("whether the keyring fits was not checked", "see what is said of it above")
    if closed:
        return _problem(
            f"kept deliveries cannot be opened (of {', '.join(closed)})",
            "put back the keyring file that holds their keys: `hub keys status` says which are "
            "missing, and how much is under each",
        )
    return _ok("the keyring is the database's own")


async def backlog(db: AsyncConnection) -> Finding:
    """Is work being done? What has waited a minute had a scheduler and a worker too few."""
    if not await _exists(db, "outbox_message"):
        return _ok("no work is waiting: there is no schema yet")
    waiting = await db.scalar(
        text("""SELECT count(*) FROM outbox_message WHERE dead_at IS NULL
          AND available_at < statement_timestamp() - make_interval(secs => :seconds)"""),
        {"seconds": _BACKLOG_SECONDS},
    )
    if waiting:
        return _problem(
            f"messages that have waited for more than a minute: {waiting}",
            "check that `hub scheduler` and `hub worker` run, and read their logs",
        )
    return _ok("no work has waited for more than a minute")


async def dead_letters(db: AsyncConnection) -> Finding:
    """Is there a delivery that nobody could work on?"""
    if not await _exists(db, "delivery"):
        return _ok("no dead letters: there is no schema yet")
    dead = await db.scalar(text("SELECT count(*) FROM delivery WHERE state = 'dead'"))
    if dead:
        return _warning(
            f"dead letters: {dead}",
            "`hub intake list --state dead` says why; then `hub intake replay`",
        )
    return _ok("no dead letters")


async def points_to_give_back(db: AsyncConnection) -> Finding:
    """Was something refunded lately that points paid for, and we do not know which points?"""
    if not await _exists(db, "points_paid_refund"):
        return _ok("no refund waits for its points: there is no schema yet")
    rows = await db.execute(
        text("""SELECT format('%s, %s %s', c.code, r.refund_kind, r.refund_id), r.unresolved
          FROM points_paid_refund r JOIN connection c USING (connection_id)
          WHERE r.unresolved IS NOT NULL
            AND r.noted_at > statement_timestamp() - make_interval(days => :days)
          ORDER BY r.noted_at DESC LIMIT :shown"""),
        {"days": _UNRESOLVED_DAYS, "shown": _UNRESOLVED_SHOWN},
    )
    said = "; ".join(f"{refund}: {reason}" for refund, reason in rows)
    if said:
        return _warning(
            f"refunds whose points did not come back ({said})",
            "the business gives them back itself: docs/points.md, Refunds",
        )
    return _ok("every refund of what points paid for gave them back")


async def failed_work(db: AsyncConnection) -> Finding:
    """Did work of the hub's own fail for good, or fail again and again?

    What failed for good is done anew when it is next due or asked for.
    """
    if not await _exists(db, "outbox_message"):
        return _ok("no work has failed: there is no schema yet")
    rows = await db.execute(
        text("""SELECT DISTINCT ON (actor) actor, last_error FROM outbox_message
          WHERE dead_at IS NOT NULL OR attempts >= :often ORDER BY actor, message_id DESC"""),
        {"often": _FAILS_OFTEN},
    )
    said = "; ".join(f"{row.actor}: {row.last_error}" for row in rows)
    if said:
        return _warning(
            f"work that failed ({said})", "mend it; it is tried again, or done anew when next due"
        )
    return _ok("no work has failed")


async def agreements(db: AsyncConnection) -> Finding:
    """Does every business know what another's points are worth to it?

    Of an issuer whose points are sold at issue, the company says; for points from before, the close
    tells what is missing.
    """
    if not await _exists(db, "point_sale"):
        return _ok("no agreement is missing: there is no schema yet")
    rows = await db.scalars(
        text("""SELECT i.code || ' → ' || a.code FROM business i CROSS JOIN business a
          WHERE i.business_id <> a.business_id AND a.kind <> 'programme' AND NOT EXISTS (
            SELECT FROM agreement g WHERE g.issuer_id = i.business_id
              AND g.acceptor_id = a.business_id)
            AND CASE i.kind
              WHEN 'programme' THEN i.business_id IN (SELECT company_id FROM point_sale)
              ELSE i.business_id NOT IN (SELECT issuer_id FROM point_sale) END
          ORDER BY i.code, a.code""")
    )
    missing = list(rows)
    if missing:
        return _warning(
            f"no agreement (issuer → acceptor): {', '.join(missing)}",
            "points of the one cannot be settled when spent at the other: "
            "`hub programme apply FILE` with the agreement",
        )
    return _ok("every pair of businesses has an agreement")


async def months_ahead(db: AsyncConnection) -> Finding:
    """Is there a place for the entries of this month and the next?"""
    if not await _exists(db, "entry"):
        return _ok("no month of entries is missing: there is no schema yet")
    missing = await missing_partitions(db, now=now())
    if missing:
        return _problem(
            f"no partition for the entries of {', '.join(missing)}",
            "`hub migrate` makes it; then check that `hub scheduler` and `hub worker` run",
        )
    return _ok("the entries of next month have their partition")


async def _exists(db: AsyncConnection, table: str) -> bool:
    return await db.scalar(text("SELECT to_regclass(:table)"), {"table": table}) is not None


INSTALLATION: tuple[Callable[[Settings], Awaitable[Finding]], ...] = (
    python_version,
    state_directory,
    own_servers,
    keyring,
    broker,
)
DATABASE: tuple[Callable[[AsyncConnection], Awaitable[Finding]], ...] = (
    postgres_version,
    rows_protected,
    extensions,
    revision,
    backlog,
    dead_letters,
    points_to_give_back,
    failed_work,
    agreements,
    months_ahead,
)
