"""Statements as files: whoever may see them downloads them, and can prove them without the hub."""

import asyncio
import base64
import csv
import hashlib
import json
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import fromstring
from zipfile import ZipFile

import pytest
from python_calamine import CalamineWorkbook

from hub.clock import business_date, now
from hub.crypto import tokens
from hub.crypto.signing import public_keys
from hub.entrypoints import web_statements
from hub.entrypoints.commands.verifying import verify
from hub.errors import Malformed, Rejected
from hub.settlement.close_period import close
from hub.settlement.documents import line_sheets
from hub.settlement.open_period import open_period
from hub.settlement.sign_statements import sign_statements
from tests.integration.api_kit import DINER, FINANCE, HOTEL, SHOP, ZONE, Api

REDEEM = "mutation ($input: RedeemInput!) { redeem(input: $input) { __typename } }"


@pytest.fixture
async def today(api: Api) -> str:
    """A closed day on which the diner and the hotel took the shop's points."""
    li = await api.join("shop", "c-1", phone="+8613910203040")
    await api.buy(li, "shop", 1000)
    for business, points in (("diner", 500), ("hotel", 125), ("diner", 7)):
        asked = {
            "member": {"phone": "+8613910203040"},
            "points": points,
            "idempotencyKey": f"{points}",
        }
        answer = await api.data(REDEEM, tokens.business(business), input=asked)
        assert answer["redeem"]["__typename"] == "Redeemed"
    code = f"{business_date(now(), ZONE)}"
    async with api.engine.begin() as db:
        period = await open_period(db, code=code, now=now())
        await close(db, period_id=period.period_id, now=now())
        signed = await sign_statements(
            db, period_id=period.period_id, keyring=api.keyring, now=now()
        )
        again = await sign_statements(
            db, period_id=period.period_id, keyring=api.keyring, now=now()
        )
        assert (signed, again) == (3, 0)
    return code


async def _get(api: Api, path: str, who: Any = FINANCE, **headers: str) -> Any:
    return await api.client.get(path, headers={**api.token(who), **headers})


def _key(api: Api) -> str:
    return base64.b64encode(public_keys(api.keyring)[1]).decode()


async def test_a_downloaded_statement_proves_itself_and_its_lines(
    api: Api, today: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {}
    for kind in ("json", "csv"):
        got = await _get(api, f"/statements/{today}/shop.{kind}", SHOP)
        assert got.status_code == 200
        files[kind] = tmp_path / f"shop.{kind}"
        files[kind].write_bytes(got.content)
    verify(files["json"], lines=files["csv"], key=_key(api))
    assert "3 lines, net CNY -5.06" in capsys.readouterr().out
    rows = list(csv.DictReader(StringIO(files["csv"].read_text(), newline="")))
    assert [row["amount"] for row in rows if row["record"] == "net"] == ["-5.06"]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ((b'"amount":"-5.06"', b'"amount":"-0.06"'), "another hash"),
        ((b'"key_version": 1', b'"key_version": "x"'), "cannot be read"),
        ((b'"signature":{', b'"signature":null,"x":{'), "not signed"),
        ((b"statement/1", b"statement/9"), "not known"),
    ],
)
async def test_a_changed_statement_is_found_out(
    api: Api, today: str, tmp_path: Path, change: tuple[bytes, bytes], what: str
) -> None:
    got = await _get(api, f"/statements/{today}/shop.json")
    assert change[0] in got.content
    file = tmp_path / "shop.json"
    file.write_bytes(got.content.replace(*change))
    with pytest.raises((Rejected, Malformed), match=what):
        verify(file, lines=None, key=_key(api))


async def test_a_statement_with_a_made_up_hash_is_found_out_by_its_signature(
    api: Api, today: str, tmp_path: Path
) -> None:
    found = json.loads((await _get(api, f"/statements/{today}/shop.json")).content)
    found["statement"]["nets"][0]["amount"] = "9.00"
    body = json.dumps(found["statement"], sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    found["sha256"] = hashlib.sha256(body.encode()).hexdigest()
    file = tmp_path / "shop.json"
    file.write_text(json.dumps(found))
    with pytest.raises(Rejected, match="not that of this statement"):
        verify(file, lines=None, key=_key(api))


async def test_a_line_that_was_changed_is_found_out(api: Api, today: str, tmp_path: Path) -> None:
    told, lines = tmp_path / "shop.json", tmp_path / "shop.csv"
    told.write_bytes((await _get(api, f"/statements/{today}/shop.json")).content)
    lines.write_bytes(
        (await _get(api, f"/statements/{today}/shop.csv")).content.replace(b",500,", b",501,")
    )
    with pytest.raises(Rejected, match="not the statement's"):
        verify(told, lines=lines, key=_key(api))


@pytest.mark.parametrize("kind", ["json", "csv", "xlsx", "pdf"])
async def test_a_statement_is_the_same_bytes_for_ever_and_asked_for_once(
    api: Api, today: str, kind: str
) -> None:
    path = f"/statements/{today}/shop.{kind}"
    one, two = await _get(api, path), await _get(api, path)
    assert one.status_code == 200
    assert one.content == two.content
    assert one.headers["etag"] == two.headers["etag"]
    known = await _get(api, path, **{"if-none-match": one.headers["etag"]})
    assert (known.status_code, known.content) == (304, b"")


@pytest.mark.parametrize(
    ("who", "path", "status"),
    [
        (HOTEL, "{}/shop.json", 403),
        (tokens.member(1), "{}/shop.pdf", 403),
        (FINANCE, "{}/nobody.json", 404),
        (FINANCE, "1999-01/shop.json", 404),
        (FINANCE, "{}/shop.docx", 404),
        (FINANCE, "{}/shop.pdf?lang=fr", 400),
        (DINER, "{}/diner.csv", 200),
    ],
)
async def test_who_may_download_what(
    api: Api, today: str, who: Any, path: str, status: int
) -> None:
    got = await _get(api, f"/statements/{path.format(today)}", who)
    assert got.status_code == status


@pytest.mark.parametrize("kind", ["json", "csv", "xlsx"])
async def test_a_condition_that_is_forgotten_lets_nobody_download_what_is_foreign(
    api: Api, today: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_statements, "visible_business", lambda caller, *, asked: asked)
    path = f"/statements/{today}/shop.{kind}"
    assert [(await _get(api, path, who)).status_code for who in (HOTEL, SHOP)] == [404, 200]


async def test_nobody_downloads_without_a_token(api: Api, today: str) -> None:
    got = await api.client.get(f"/statements/{today}/shop.json")
    assert got.status_code == 401


async def test_both_languages_are_set(api: Api, today: str) -> None:
    english, chinese = [
        await _get(api, f"/statements/{today}/shop.pdf?lang={language}")
        for language in ("en", "zh")
    ]
    assert english.content.startswith(b"%PDF-")
    assert english.content != chinese.content
    assert english.headers["etag"] != chinese.headers["etag"]


async def test_the_workbook_holds_lines_and_totals_that_follow_from_them(
    api: Api, today: str
) -> None:
    got = await _get(api, f"/statements/{today}/shop.xlsx")
    book = CalamineWorkbook.from_filelike(BytesIO(got.content))
    assert book.sheet_names == ["Statement", "Tax", "Lines"]
    lines = book.get_sheet_by_name("Lines").to_python()
    assert sorted(row[4] for row in lines[1:]) == [7, 125, 500]
    front = book.get_sheet_by_name("Statement").to_python()
    assert [row[11] for row in front if row[0] == "net amount"] == [pytest.approx(-5.06)]


async def test_lines_go_on_in_further_sheets(
    api: Api, today: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_sheets, "LINES_A_SHEET", 2)
    got = await _get(api, f"/statements/{today}/shop.xlsx")
    book = CalamineWorkbook.from_filelike(BytesIO(got.content))
    assert book.sheet_names == ["Statement", "Tax", "Lines", "Lines 2"]
    sheets = [book.get_sheet_by_name(name).to_python() for name in ("Lines", "Lines 2")]
    assert [len(rows) for rows in sheets] == [3, 2]
    assert sheets[0][0] == sheets[1][0]
    assert sorted(row[4] for rows in sheets for row in rows[1:]) == [7, 125, 500]
    with ZipFile(BytesIO(got.content)) as parts:
        front = parts.read("xl/worksheets/sheet1.xml").decode()
        assert "SUMIFS('Lines'!E$2:E$3," in front
        assert "SUMIFS('Lines 2'!E$2:E$2," in front
        for name in parts.namelist():
            if name.endswith(".xml"):
                fromstring(parts.read(name))  # well-formed


async def test_who_leaves_a_download_is_written_to_no_longer(api: Api) -> None:
    ended = asyncio.Event()

    async def endless(_: Any, sink: Any) -> None:
        try:
            while True:
                await sink(b"line")
        finally:
            ended.set()

    download = web_statements._flow(api.readers.connect, endless)
    async with asyncio.timeout(20) as limit:
        assert await anext(download) == b"line"
        for _ in range(100):  # as far ahead as it may
            await asyncio.sleep(0)
        await download.aclose()
    assert ended.is_set()
    assert not limit.expired()
