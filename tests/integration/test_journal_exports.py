"""The golden month as other books read it in: every format says the same cents."""

import csv
import io
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.accounting.exports.export_journals import FORMATS, export_journals
from hub.accounting.exports.files import File
from hub.accounting.journals.lines import Journal
from hub.errors import Malformed, NotFound
from tests.integration.test_golden_journals import november
from tests.support.journals import posted

BOOKS = {"retail-ltd": "100", "hotel-ltd": "101", "dining-ltd": "102"}
Sums = dict[tuple[str, str], Decimal]
"""Debits less credits by entity and account."""


@pytest.fixture
async def month(db: AsyncConnection) -> tuple[int, dict[str, Journal]]:
    _, period_id = await november(db)
    return period_id, await posted(db, period_id, datetime(2026, 12, 3, tzinfo=UTC))


Month = tuple[int, dict[str, Journal]]


def expected(month: Month) -> Sums:
    sums: Sums = defaultdict(Decimal)
    for entity, journal in month[1].items():
        for line in journal.lines:
            sums[entity, line.account_code] += Decimal(line.signed_minor) / 100
    return dict(sums)


def summed(rows: Iterable[tuple[str, str, str, str]]) -> Sums:
    """Sum entity, account, debit, credit."""
    sums: Sums = defaultdict(Decimal)
    for entity, account, debit, credit in rows:
        sums[entity, account] += Decimal(debit or 0) - Decimal(credit or 0)
    return dict(sums)


def rows(file: File, *, encoding: str = "utf-8-sig") -> list[list[str]]:
    return list(csv.reader(io.StringIO(file.content.decode(encoding))))


async def exported(db: AsyncConnection, month: Month, to: str) -> list[File]:
    files = await export_journals(db, period_id=month[0], to=to)
    assert files == await export_journals(db, period_id=month[0], to=to)
    assert len({file.name for file in files}) == len(files)
    return files


async def test_generic_csv(db: AsyncConnection, month: Month) -> None:
    (file,) = await exported(db, month, "csv")
    named = list(csv.DictReader(io.StringIO(file.content.decode())))
    assert summed(
        (r["legal_entity"], r["account_code"], r["debit"], r["credit"]) for r in named
    ) == expected(month)
    (deferred,) = [
        r for r in named
        if (r["event"], r["business"], r["purpose"]) == ("deferred", "retail", "goods_revenue")
    ]  # fmt: skip
    assert (deferred["debit"], deferred["points"]) == ("990.00", "125000")


async def test_beancount_finds_it_in_order(
    db: AsyncConnection, month: Month, tmp_path: Path
) -> None:
    (file,) = await exported(db, month, "beancount")
    good, bad = tmp_path / "good.beancount", tmp_path / "bad.beancount"
    good.write_bytes(file.content)
    bad.write_bytes(file.content.replace(b"990.00 CNY", b"990.01 CNY", 1))
    assert _bean_check(good) == (0, "")
    code, says = _bean_check(bad)
    assert code != 0
    assert "does not balance" in says


def _bean_check(file: Path) -> tuple[int, str]:
    ran = subprocess.run(
        [sys.executable, "-c", "from beancount.scripts.check import main; main()", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    return ran.returncode, ran.stdout + ran.stderr


async def test_xero(db: AsyncConnection, month: Month) -> None:
    references = {journal.reference: entity for entity, journal in month[1].items()}
    found, by_narration = [], defaultdict(Decimal)
    for file in await exported(db, month, "xero"):
        header, *lines = rows(file)
        assert header == [
            "*Narration", "*Date", "Description", "*AccountCode", "*TaxRate", "*Amount",
        ]  # fmt: skip
        assert len(lines) <= 300
        for narration, day, _, account, tax, amount in lines:
            assert (day, tax) == ("30/11/2026", "Tax Exempt")
            by_narration[narration] += Decimal(amount)
            found.append((references[narration.split()[0]], account, amount, "0"))
    assert set(by_narration.values()) == {0}
    assert summed(found) == expected(month)


async def test_sap(db: AsyncConnection, month: Month) -> None:
    (file,) = await exported(db, month, "sap")
    named = list(csv.DictReader(io.StringIO(file.content.decode())))
    entities = {number: entity for entity, number in BOOKS.items()}
    assert summed(
        (entities[r["COMP_CODE"]], r["GL_ACCOUNT"], r["AMT_DOCCUR"], "0") for r in named
    ) == expected(month)
    for row in named:
        assert row["PSTNG_DATE"] == "20261130"
        assert len(row["REF_DOC_NO"]) <= 16
        assert len(row["HEADER_TXT"]) <= 25
        assert len(row["ITEM_TEXT"]) <= 50


async def test_kingdee(db: AsyncConnection, month: Month) -> None:
    (file,) = await exported(db, month, "kingdee")
    assert file.content.startswith(b"\xef\xbb\xbf")
    keys, captions, *lines = rows(file)
    assert len(keys) == len(captions) == len(set(keys))
    entities = {number: entity for entity, number in BOOKS.items()}
    found, book, vouchers = [], "", 0
    for line in lines:
        entry = dict(zip(keys, line, strict=True))
        if entry["FAccountBookID"]:
            book, vouchers = entry["FAccountBookID"], vouchers + 1
            assert (entry["FEntity"], entry["FDate"]) == ("1", "2026-11-30")
            assert (entry["FYEAR"], entry["FPERIOD"]) == ("2026", "11")
        found.append((entities[book], entry["FACCOUNTID"], entry["FDEBIT"], entry["FCREDIT"]))
    assert vouchers == 3
    assert summed(found) == expected(month)


async def test_yonyou(db: AsyncConnection, month: Month) -> None:
    references = {journal.reference: entity for entity, journal in month[1].items()}
    found = []
    for file in await exported(db, month, "yonyou"):
        first, *lines = file.content.decode("gb18030").split("\r\n")[:-1]
        assert first == "填制凭证,V800"
        for line in lines:
            day, word, number, papers, summary, account, debit, credit = line.split(",")
            assert (day, word, papers) == ("2026-11-30", "记", "0")
            assert 0 < len(summary) <= 60
            found.append((references[number], account, debit, credit))
    assert summed(found) == expected(month)


async def test_an_entity_is_given_its_own_and_nothing_is_invented(
    db: AsyncConnection, month: Month
) -> None:
    hotel = month[1]["hotel-ltd"].legal_entity_id
    for to in FORMATS:
        files = await export_journals(db, period_id=month[0], to=to, legal_entity_id=hotel)
        assert files
        content = b"".join(file.content for file in files)
        assert month[1]["hotel-ltd"].reference.encode() in content
        assert month[1]["retail-ltd"].reference.encode() not in content
    with pytest.raises(Malformed, match="beancount"):
        await export_journals(db, period_id=month[0], to="abacus")
    before = await db.scalar(text("SELECT min(period_id) FROM settlement_period"))
    with pytest.raises(NotFound):
        await export_journals(db, period_id=before, to="csv")
    assert date(2026, 11, 30) == month[1]["hotel-ltd"].dated
