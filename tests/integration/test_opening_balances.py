"""Opening balances: good rows are posted once, bad rows are named, and a killed import goes on."""

import asyncio
import csv
from pathlib import Path

import pytest
from click.testing import Result
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from typer.testing import CliRunner

from hub.crypto.keyring import ensure
from hub.entrypoints.cli import app
from hub.entrypoints.commands.opening import errors_of
from hub.ledger.verify import verify
from tests.support.settlement import make_group

HEADING = "business,external_id,points,expires_on,earned_on,cost_rate,unit,reference\n"
LOTS = """
SELECT a.external_id, l.remaining, l.cost_rate, nullif(l.expires_on, 'infinity')::text AS ends,
  l.issuer_id, (l.earned_at AT TIME ZONE 'Asia/Shanghai')::date::text AS earned
FROM lot l JOIN account a USING (account_id) ORDER BY l.lot_id"""


@pytest.fixture
async def ids(engine: AsyncEngine) -> dict[str, int]:
    async with engine.begin() as db:
        return await make_group(db, [])


@pytest.fixture
def environment(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    ensure(tmp_path / "keyring.json")
    for name, value in (
        ("DATABASE_URL", database_url),
        ("HUB_STATE_DIR", str(tmp_path)),
        ("HUB_KEYRING_FILE", str(tmp_path / "keyring.json")),
    ):
        monkeypatch.setenv(name, value)
    return tmp_path


async def imported(file: Path, *options: str) -> Result:
    return await asyncio.to_thread(
        CliRunner().invoke, app, ["ledger", "import", str(file), *options]
    )


def written(place: Path, *rows: str, heading: str = HEADING) -> Path:
    file = place / "opening.csv"
    file.write_text(heading + "".join(f"{row}\n" for row in rows))
    return file


async def sums(db: AsyncConnection) -> tuple[int, int, int]:
    row = await db.execute(
        text("""SELECT count(*), coalesce(sum(points), 0)::bigint,
          (SELECT count(*) FROM member) FROM entry WHERE debit = 70""")
    )
    return tuple(row.one())


async def test_members_come_with_what_they_had(
    engine: AsyncEngine, ids: dict[str, int], environment: Path
) -> None:
    file = written(
        environment,
        "retail,c-1,100,2099-12-31,2020-02-29,0.01,,",
        "hotel,g-1,7,,,0,points,",
        "retail,c-1,50,,,0.02,,",
        "hotel,g-1,900,,,0,qualifying,",
    )
    done = await imported(file)
    assert "posted: 4 rows, 1057 points; known already: 0; refused: 0" in done.output
    assert not errors_of(file).exists()
    async with engine.connect() as db:
        rows = [tuple(row) for row in await db.execute(text(LOTS))]
        assert [(one[0], one[1], str(one[2]), one[3], one[4]) for one in rows] == [
            ("c-1", 100, "0.01000000", "2099-12-31", ids["retail"]),
            ("c-1", 50, "0.02000000", None, ids["retail"]),
            ("g-1", 7, "0E-8", None, ids["hotel"]),
        ]
        assert rows[0][5] == "2020-02-29"
        assert await sums(db) == (4, 1057, 2)
        assert await verify(db) == []
    again = await imported(file)
    assert "posted: 4 rows, 1057 points" in again.output
    async with engine.connect() as db:
        assert await sums(db) == (4, 1057, 2)


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ("nowhere,c-1,5,,,0,,", "business"),
        ("retail,,5,,,0,,", "external_id"),
        ("retail,hub:1,5,,,0,,", "external_id"),
        ("retail,c-1,0,,,0,,", "points"),
        ("retail,c-1,-5,,,0,,", "points"),
        ("retail,c-1,1.5,,,0,,", "points"),
        ("retail,c-1,٣,,,0,,", "points"),
        (f"retail,c-1,{10**12 + 1},,,0,,", "points"),
        (f"retail,c-1,{'9' * 5000},,,0,,", "points"),
        ("retail,c-1,5,2001-01-01,,0,,", "expires_on"),
        ("retail,c-1,5,tomorrow,,0,,", "expires_on"),
        ("retail,c-1,5,,2099-01-01,0,,", "earned_on"),
        ("retail,c-1,5,,1999-12-31,0,,", "earned_on"),
        ("retail,c-1,5,,,,,", "cost_rate"),
        ("retail,c-1,5,,,NaN,,", "cost_rate"),
        ("retail,c-1,5,,,-1,,", "cost_rate"),
        ("retail,c-1,5,,,0.000000001,,", "cost_rate"),
        ("retail,c-1,5,,,0,miles,", "unit"),
        (f"retail,c-1,5,,,0,,{'r' * 193}", "reference"),
    ],
)
async def test_a_bad_row_is_named_and_the_others_are_posted(
    engine: AsyncEngine, ids: dict[str, int], environment: Path, row: str, field: str
) -> None:
    file = written(environment, row, "retail,c-2,20,,,0,,")
    done = await imported(file)
    assert "posted: 1 rows, 20 points; known already: 0; refused: 1" in done.output
    with errors_of(file).open(newline="") as errors:
        [bad] = csv.DictReader(errors)
    assert (bad["row"], bad["field"]) == ("1", field)
    assert bad["reason"]
    async with engine.connect() as db:
        assert await sums(db) == (1, 20, 1)


async def test_the_corrected_errors_are_imported_as_they_are(
    engine: AsyncEngine, ids: dict[str, int], environment: Path
) -> None:
    file = written(environment, "retail,c-1,x,,,0,,", "retail,c-2,20,,,0,,")
    await imported(file)
    errors = errors_of(file)
    errors.write_text(errors.read_text().replace(",x,", ",30,"))
    assert "posted: 1 rows, 30 points" in (await imported(errors)).output
    async with engine.connect() as db:
        assert await sums(db) == (2, 50, 2)


async def test_a_reference_is_used_once_whatever_file_it_is_in(
    engine: AsyncEngine, ids: dict[str, int], environment: Path
) -> None:
    await imported(written(environment, "retail,c-1,10,,,0,,r-1"))
    file = written(
        environment,
        "retail,c-1,10,,,0,,r-1",
        "retail,c-1,11,,,0,,r-1",
        "retail,c-2,10,,,0,,r-1",
        "hotel,c-1,10,,,0,,r-1",
        "retail,c-3,10,,,0,,r-2",
        "retail,c-3,12,,,0,,r-2",
    )
    done = await imported(file)
    assert "posted: 2 rows, 20 points; known already: 1; refused: 3" in done.output
    with errors_of(file).open(newline="") as errors:
        assert [(bad["row"], bad["field"]) for bad in csv.DictReader(errors)] == [
            ("2", "points"),
            ("3", "external_id"),
            ("6", "points"),
        ]
    async with engine.connect() as db:
        assert (await sums(db))[:2] == (3, 30)


async def test_a_dry_run_says_what_is_wrong_and_stores_nothing(
    engine: AsyncEngine, ids: dict[str, int], environment: Path
) -> None:
    file = written(environment, "retail,c-1,x,,,0,,", "retail,c-2,20,,,0,,")
    done = await imported(file, "--dry-run")
    assert "would be posted: 1 rows, 20 points; known already: 0; refused: 1" in done.output
    assert errors_of(file).exists()
    async with engine.connect() as db:
        assert await sums(db) == (0, 0, 0)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"business,points\nretail,5\n", "external_id"),
        (b"business,external_id,points,colour\nretail,c-1,5,red\n", "colour"),
        (b"business,external_id,points\nretail,c-1,5\n\xff\xfe,c,5\n", "no CSV"),
        (b'business,external_id,points\nretail,"c-1,5\n', "no CSV"),
    ],
)
async def test_a_file_that_will_not_do_is_refused(
    engine: AsyncEngine, ids: dict[str, int], environment: Path, content: bytes, says: str
) -> None:
    file = environment / "opening.csv"
    file.write_bytes(content)
    refused = await imported(file)
    assert refused.exit_code == 1
    assert says in str(refused.exception)
    async with engine.connect() as db:
        assert (await sums(db))[0] == 0
