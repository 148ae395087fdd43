"""`hub reconcile …`: from a mapping and a file to breaks that people account for."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.command import hub
from tests.support.docs import ROOT
from tests.support.reconciling import Line, closed_month
from tests.support.settlement import agreement, make_group

PAIRS = [agreement(issuer, "dining", "0.008") for issuer in ("retail", "hotel")]
# The mapping is that of the documentation, where the shop has another code.
_DOCS = (ROOT / "docs/reconciliation.md").read_text("utf-8")
MAPPING = _DOCS.split("```toml")[1].split("```")[0].replace('"shop"', '"retail"')
Run = Callable[..., Awaitable[str]]


@pytest.fixture
async def lines(engine: AsyncEngine) -> list[Line]:
    """A closed November with a hundred lines."""
    async with engine.begin() as db:
        ids = await make_group(db, PAIRS)
        return [line for line in await closed_month(db, ids, lines=100) if line.issuer_id]


@pytest.fixture
def run(database_url: str) -> Run:
    async def run(*words: object, code: int = 0) -> str:
        said = await hub("reconcile", *map(str, words), HUB_DATABASE_URL=database_url, COLUMNS=250)
        assert said.returncode == code, said.stderr + said.stdout
        return said.stdout + said.stderr

    return run


def _book(lines: list[Line], **instead: str) -> str:
    rows = ["Beleg;Nummer;Tag;Punkte;Betrag;Von"]
    for line in lines:
        major, minor = divmod(line.amount_minor, 100)
        amount = f"{major:,}".replace(",", ".") + f",{minor:02}"
        row = {
            "receipt": line.receipt,
            "number": f"R{line.n}",
            "day": f"{line.day:%d.%m.%Y}",
            "points": f"{line.points:,}".replace(",", "."),
            "amount": amount,
            "of": "Laden" if line.n % 2 == 0 else "Hotel",
        }
        rows.append(";".join((row | instead).values()) if line.n == 7 else ";".join(row.values()))
    return "\n".join(rows) + "\n"


async def test_a_book_is_taken_matched_and_its_breaks_are_accounted_for(
    run: Run, lines: list[Line], tmp_path: Path
) -> None:
    (tmp_path / "mapping.toml").write_text(MAPPING)
    book = tmp_path / "november.csv"
    who = ("--as", "ann")
    assert "version 1" in await run("map", tmp_path / "mapping.toml", *who)
    assert "version 1" in await run("map", tmp_path / "mapping.toml", *who)

    book.write_text(_book(lines, amount="12.50"))
    refused = await run("take", book, "--mapping", "dining-book", *who, code=1)
    assert "row 8, amount: '12.50' is no number" in refused
    assert "nothing was taken: 1 rows" in refused
    assert "'12.50' is no number" in (tmp_path / "november.csv.errors.csv").read_text("utf-8-sig")

    # One line is missing, one is too dear, one is unknown to the hub.
    wrong = [line for line in lines if line.n != 9]
    book.write_text(_book(wrong, amount="1.000,00") + "ghost;=1+1;05.11.2026;40;0,32;Laden\n")
    taken = await run("take", book, "--mapping", "dining-book", *who)
    assert "rows added: 100; unchanged: 0" in taken
    assert not (tmp_path / "november.csv.errors.csv").exists()
    assert "taken before" in await run("take", book, "--mapping", "dining-book", *who)
    done = await run("run", "--mapping", "dining-book", "--period", "2026-11", *who)
    assert "breaks" in done
    shown = await run("breaks", "--business", "dining")
    for kind in ("missing_at_partner", "amount", "missing_at_hub"):
        assert kind in shown
    again = await run(
        "run", "--mapping", "dining-book", "--from", "2026-11-01", "--to", "2026-11-30", *who
    )
    assert await run("breaks", "--business", "dining") == shown, again
    assert "nothing is suggested" in await run("matches")

    out = tmp_path / "breaks.csv"
    await run("breaks", "--out", out)
    told = out.read_text("utf-8-sig")
    assert ",'=1+1\n" in told.replace("\r", "")
    assert ",-" in told
    by_kind = {row.split(",")[2]: row.split(",")[0] for row in told.splitlines()[1:]}

    number = by_kind["missing_at_hub"]
    assert "investigating, with bo" in await run("investigate", number, "--owner", "bo", *who)
    asked = await run("write-off", number, "--reason", "a typing error", *who)
    assert "ann asks to write it off" in asked
    assert "investigating" in await run("write-off", number, "--reason", "again", *who)
    assert "is written_off" in await run("write-off", number, "--reason", "yes", "--as", "bo")
    assert "is reopened" in await run("reopen", number, "--reason", "no", *who)

    number = by_kind["amount"]
    proposed = await run("adjust", number, "--reason", "the till was right", *who)
    assert "is proposed" in proposed
    assert proposed == await run("adjust", number, "--reason", "the till was right", *who)
    early = await run("resolve", number, "--how", "adjusted", "--reason", "done", *who, code=1)
    assert "no approved adjustment" in early
    shown = await run("show", number)
    assert "opened by hub: amount" in shown
    assert "november.csv, row 8" in shown
    assert "missing_at_partner" in await run("ageing", "--business", "dining")


async def test_what_cannot_be_taken_says_why(run: Run, lines: list[Line], tmp_path: Path) -> None:
    (tmp_path / "mapping.toml").write_text(MAPPING)
    book = tmp_path / "book.csv"
    book.write_text(_book(lines))
    unknown = await run("take", book, "--mapping", "dining-book", "--as", "ann", code=1)
    assert "hub reconcile map" in unknown
    await run("map", tmp_path / "mapping.toml", "--as", "ann")
    book.write_bytes(_book(lines).replace("Laden", "Läden").encode("gb18030", "replace"))
    assert "is not utf-8" in await run(
        "take", book, "--mapping", "dining-book", "--as", "ann", code=1
    )
    book.write_text(_book([]))
    assert "has no rows" in await run(
        "take", book, "--mapping", "dining-book", "--as", "ann", code=1
    )
    (tmp_path / "mapping.toml").write_text(MAPPING.replace('"."', '","'))
    assert "are the same" in await run("map", tmp_path / "mapping.toml", "--as", "ann", code=1)
    assert "--from and --to" in await run("run", "--mapping", "dining-book", "--as", "ann", code=1)
