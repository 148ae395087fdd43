"""The house is tidy, and each check would notice if it were not."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.support import tidy
from tests.support.tidy import PACKAGES, ROOT, complaints, sources

MONEY = (
    *("hub/ledger", "hub/points", "hub/settlement", "hub/programme", "hub/reconciliation"),
    "connectors",
)
PLUG = {"hub.connector", "hub.units", "hub.errors", "hub.clock"}


def is_edge(path: Path) -> bool:
    """Say whether a file is where transactions begin and end."""
    return (
        path.is_relative_to("hub/entrypoints")
        or path.is_relative_to("graphql_schema")
        or path.name.endswith("actors.py")
        or path == Path("migrations/env.py")
    )


def near_money(path: Path) -> bool:
    if path.is_relative_to("connectors/sandbox"):
        return False  # it plays the outside world: its chances and pauses are not money
    return path == Path("hub/units.py") or any(path.is_relative_to(folder) for folder in MONEY)


def contracts() -> dict[str, dict[str, Any]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return {one["name"]: one for one in project["tool"]["importlinter"]["contracts"]}


def rooms() -> set[str]:
    """Return the packages and modules directly below hub/ that hold any code."""
    return {
        f"hub.{path.stem}"
        for path in (ROOT / "hub").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    } - {"hub.__init__"}


def test_every_room_is_on_a_floor() -> None:
    floors = " ".join(contracts()["Floors"]["layers"])
    assert rooms() - set(re.findall(r"[\w.]+", floors)) == set()


def test_every_room_but_the_plug_is_closed_to_dialects() -> None:
    closed = contracts()["A dialect sees only the plug, units, errors and the clock"]
    assert rooms() - PLUG - set(closed["forbidden_modules"]) == set()


def test_transactions_begin_and_end_at_the_edges() -> None:
    files = [path for path in sources(*PACKAGES) if not is_edge(path)]
    assert complaints(tidy.transaction_ends, files) == []


def test_only_the_clock_reads_the_wall_clock() -> None:
    files = [path for path in sources(*PACKAGES) if path != Path("hub/clock.py")]
    assert complaints(tidy.wall_clock_reads, files) == []


def test_there_is_no_float_near_money() -> None:
    assert complaints(tidy.floats, [path for path in sources(*PACKAGES) if near_money(path)]) == []


def test_modules_and_functions_fit_in_a_head() -> None:
    files = sources(*PACKAGES)
    assert complaints(tidy.long_functions, files) == []
    assert complaints(tidy.long_file(tidy.MODULE_LINES), files) == []
    assert complaints(tidy.long_file(tidy.TEST_LINES), sources("tests")) == []


def test_the_hub_speaks_its_glossary() -> None:
    own = ("hub", "graphql_schema", "migrations")
    files = sources(*own) + sources(*own, suffix=".sql")
    assert complaints(tidy.banned_words, files) == []


@pytest.mark.parametrize(
    ("rule", "untidy", "tidy_twin"),
    [
        (tidy.transaction_ends, "await db.commit()", "async with db.begin_nested(): ..."),
        (tidy.transaction_ends, "async def f():\n async with engine.begin(): ...", "begin = 1"),
        (tidy.wall_clock_reads, "x = datetime.now(UTC)", "x = clock.now()"),
        (tidy.wall_clock_reads, "x = datetime.date.today()", "x = date(2026, 1, 1)"),
        (tidy.wall_clock_reads, "x = time.time()", "x = time.monotonic()"),
        (tidy.wall_clock_reads, "x = sa.func.now()", "x = sa.func.sum()"),
        (tidy.floats, "def f(rate: float) -> None: ...", "def f(rate: Decimal) -> None: ..."),
        (tidy.floats, "x = float(y)", "x = Decimal(y)"),
        (tidy.floats, "x = y * 0.5", "x = y // 2"),
        (tidy.floats, "f(x, float)", "isinstance(x, float)"),
        (tidy.long_functions, "def f():\n" + " x = 1\n" * 70, "def f():\n" + " x = 1\n" * 69),
        (tidy.long_file(2), "1\n2\n3\n", "1\n2\n"),
        (tidy.banned_words, "customer_id = 1", "member_id = 1"),
        (tidy.banned_words, "SELECT last_txn FROM x", "SELECT last_posting FROM x"),
        (tidy.banned_words, "# burns points", "# the burner is off"),
    ],
)
def test_each_rule_notices(rule: tidy.Rule, untidy: str, tidy_twin: str) -> None:
    assert list(rule(untidy)) != []
    assert list(rule(tidy_twin)) == []
