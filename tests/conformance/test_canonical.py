"""The hub's own form through the kit: events that are sent, and files."""

import base64
import hmac
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from typing import Any
from zipfile import ZipFile

import pytest
from hypothesis import given
from standardwebhooks import Webhook

from connectors.conformance import NOW, Body, DialectConformance
from connectors.inhouse.canonical import connector
from connectors.inhouse.canonical.config import CanonicalConfig
from hub.connector import (
    CanonicalEvent,
    Connection,
    EventType,
    FactKey,
    FileRow,
    HintType,
    Inbound,
    LineKind,
    Outlet,
    SignatureInvalid,
    TenderKind,
)
from hub.errors import Malformed
from tests.support.mutate import FUZZ, mutant_bodies, read_calmly

NEW, OLD = (f"whsec_{base64.b64encode(bytes([n]) * 32).decode()}" for n in (3, 4))


def body(kind: str, **data: Any) -> Body:
    return Body(json.dumps({"type": kind, "timestamp": "2026-03-05", "data": data}).encode())


def many(*bodies: Body) -> Body:
    return Body(json.dumps({"events": [json.loads(one.raw) for one in bodies]}).encode())


CUSTOMER = {
    "id": "C-7",
    "phone": "+8613812345678",
    "name": "李静怡",
    "verified": ["phone"],
}


def sale(**changes: Any) -> Body:
    """118.00 for a cup of 100 with 13 % included and tea at 18 that was 20; 2.00 tip."""
    told = {
        "id": "S-1",
        "version": 1,
        "occurred_at": "2026-03-06T02:30:00",
        "outlet": "bund",
        "lines": [
            {"id": "1", "amount": "100.00", "taxes": [{"code": "vat", "amount": "11.50"}]},
            {"id": "2", "kind": "item", "amount": "20", "discount": "2", "category": "tea"},
        ],
        "tenders": [
            {"kind": "card", "amount": "98.00", "tip": "2.00"},
            {"kind": "points", "amount": "20.00", "reference": "till-9"},
        ],
        "total": "120.00",
        "customer": CUSTOMER,
        "payments": ["P-1"],
    }
    return body("sale.completed", **{**told, **changes})


REFUND = body(
    "refund.recorded", id="R-1", sale="S-1", occurred_at="2026-03-07T10:00:00+08:00", amount="18.00"
)
STAY = body(
    "stay.completed",
    id="H-1",
    occurred_at="2026-03-07T11:00:00+08:00",
    arrival="2026-03-05T15:00:00",
    departure="2026-03-07T11:00:00",
    lines=[{"id": "n1", "kind": "room", "amount": "900.00"}],
)
NO_SHOW = body(
    "stay.no_show",
    id="H-2",
    occurred_at="2026-03-07T11:00:00+08:00",
    arrival="2026-03-05T15:00:00",
    departure="2026-03-07T11:00:00",
)
PAYMENT = body(
    "payment.recorded",
    id="P-1",
    occurred_at="2026-03-05T18:30:00Z",
    tender={"kind": "card", "amount": "98.00", "tip": "2.00"},
)
PROFILE = body("profile.changed", id="C-7", occurred_at="2026-03-05T18:30:00Z", customer=CUSTOMER)
PLAN_PAID = body("membership.paid", id="M-1", occurred_at="2026-03-05T18:30:00Z", plan="gold-card",
                 amount="31.00", customer=CUSTOMER)  # fmt: skip
PLAN_REFUNDED = body("membership.refunded", id="MR-1", occurred_at="2026-03-06T18:30:00Z",
                     payment="M-1", amount="10")  # fmt: skip
CONNECTION = Connection(
    connection_id="inhouse",
    config=CanonicalConfig(
        outlets={"bund": Outlet(time_zone="Asia/Shanghai", day_starts_at_hour=4)}
    ),
    secrets=(NEW, OLD),
    time_zone="Asia/Shanghai",
    currency="CNY",
)


class TestCanonical(DialectConformance):
    connector = connector
    connection = CONNECTION
    pushed = (
        sale(), PAYMENT, REFUND, sale(version=2), STAY, NO_SHOW, PROFILE, PLAN_REFUNDED, PLAN_PAID
    )  # fmt: skip
    pulled = (
        many(REFUND, STAY, PROFILE, PLAN_PAID), many(PAYMENT, NO_SHOW), many(PLAN_REFUNDED),
        many(sale(version=2)),
    )  # fmt: skip
    expected = frozenset(
        {
            FactKey("sale", "S-1"),
            FactKey("payment_recorded", "P-1"),
            FactKey("refund", "R-1"),
            FactKey("stay", "H-1"),
            FactKey("stay_no_show", "H-2"),
            FactKey("membership_paid", "M-1"),
            FactKey("membership_refunded", "MR-1"),
        }
    )
    broken = (
        (Body(b"[]"), "body"),
        (Body(b"{}"), "type"),
        (Body(b'{"type": "sale.completed"}'), "data"),
        (Body(b'{"events": []}'), "events"),
        (Body(b'{"events": [{"type": "sale.completed", "data": {}}]}'), "events[0].data.id"),
        (sale(id=7), "data.id"),
        (sale(lines=[]), "lines"),
        (sale(totl="1"), "totl"),
        (sale(total="999"), "total"),
        (sale(lines=[{"id": "1", "amount": "ten"}]), "lines[0].amount"),
        (sale(lines=[{"id": "1", "amount": "1.001"}]), "lines[0].amount"),
        (sale(lines=[{"id": "1", "amount": "1", "kind": "gold"}]), "lines[0].kind"),
        (sale(occurred_at="yesterday"), "occurred_at"),
        (sale(currency="XXX"), "currency"),
        (body("refund.recorded", id="R", occurred_at="2026-03-07", amount="1"), "data.sale"),
        (
            body("refund.recorded", id="R", sale="S", stay="H", occurred_at="2026-03-07",
                 amount="1"),
            "sale",
        ),
    )  # fmt: skip
    refused = ((body("weather.changed", id="W"), "weather.changed says nothing"),)

    @FUZZ
    @given(changed=mutant_bodies((*pushed, *pulled)))
    async def test_whatever_comes_is_read_calmly(self, changed: Body) -> None:
        await read_calmly(self, changed)

    def sign(self, body: Body, secret: str | None) -> Inbound:
        stamp = str(int(NOW.timestamp()))
        headers = {"webhook-id": "msg_1", "webhook-timestamp": stamp}
        if secret is not None:
            headers["webhook-signature"] = f"v1a,xx v1,{signature(secret, body.raw)}"
        return Inbound(body=body.raw, headers=headers, url="https://hub.example/hooks/inhouse")

    def test_the_libraries_of_standard_webhooks_sign_what_is_accepted(self) -> None:
        raw = sale().raw
        signed = Webhook(NEW).sign(msg_id="msg_2", timestamp=NOW, data=raw.decode())
        headers = {
            "webhook-id": "msg_2",
            "webhook-timestamp": str(int(NOW.timestamp())),
            "webhook-signature": signed,
        }
        delivery = connector.verify(Inbound(body=raw, headers=headers, url=""), CONNECTION, NOW)
        assert (delivery.dedup_id, delivery.triggered_at) == ("msg_2", NOW)

    @pytest.mark.parametrize("minutes", [-6, 6])
    def test_an_old_call_played_again_is_refused(self, minutes: int) -> None:
        signed = self.sign(self.pushed[0], NEW)
        with pytest.raises(SignatureInvalid, match="five minutes"):
            connector.verify(signed, CONNECTION, NOW + timedelta(minutes=minutes))

    @pytest.mark.parametrize("stamp", ["", "now", "1e9", "99999999999999999999", "-1"])
    def test_a_time_that_is_none_is_refused(self, stamp: str) -> None:
        signed = self.sign(self.pushed[0], NEW)
        headers = {**signed.headers, "webhook-timestamp": stamp}
        with pytest.raises(SignatureInvalid):
            connector.verify(replace(signed, headers=headers), CONNECTION, NOW)

    async def test_a_bill_with_tax_within_discount_tip_and_points(self) -> None:
        (found,) = await self.events(sale())
        cup, tea = found.lines
        assert (cup.gross_minor, cup.net_minor, tea.net_minor, tea.category) == (
            10000, 8850, 1800, "tea",
        )  # fmt: skip
        assert found.totals is not None
        assert (found.totals.tip_minor, found.totals.total_minor) == (200, 12000)
        assert [one.kind for one in found.tenders] == [TenderKind.CARD, TenderKind.POINTS]
        assert found.tenders[1].reference == "till-9"
        assert found.references == (FactKey("payment", "P-1"),)

    async def test_local_times_and_nights(self) -> None:
        """02:30 at an outlet whose day begins at four belongs to the evening before."""
        (found,) = await self.events(sale())
        assert found.occurred_at.isoformat() == "2026-03-06T02:30:00+08:00"
        assert str(found.business_date) == "2026-03-05"

    async def test_only_what_was_proven_is_verified(self) -> None:
        (found,) = await self.events(sale())
        hints = {hint.type: hint.verified for hint in found.parties[0].hints}
        assert hints == {HintType.PHONE: True, HintType.NAME: False}

    async def test_currencies_without_and_with_three_decimals(self) -> None:
        for currency, amount, minor in (("JPY", "1200", 1200), ("KWD", "1.250", 1250)):
            line = {"id": "1", "amount": amount}
            (found,) = await self.events(
                sale(currency=currency, lines=[line], tenders=[], total=amount)
            )
            assert found.lines[0].net_minor == minor

    async def test_what_rounding_leaves_is_a_line(self) -> None:
        (found,) = await self.events(sale(total="118.01", tenders=[]))
        assert found.lines[-1].kind is LineKind.ROUNDING


def signature(secret: str, raw: bytes) -> str:
    """Sign any bytes, as a sender does who does not look at them."""
    text = secret.removeprefix("whsec_") if secret.startswith("whsec_") else ""
    key = base64.b64decode(text) if text else secret.encode()
    message = f"msg_1.{int(NOW.timestamp())}.".encode() + raw
    return base64.b64encode(hmac.digest(key, message, "sha256")).decode()


# Files.

CSV = """\
单号,时间,金额,手机,类别,付款
A-1,2026/03/05 12:30:00,118.00,13812345678,tea,cash
A-2,2026/03/05 12:40:00,abc,,,card
,2026/03/05 12:50:00,5.00,,,card
A-4,never,5.00,,,card
"""
MAPPED = CanonicalConfig(
    columns={
        "单号": "id",
        "时间": "occurred_at",
        "金额": "total",
        "手机": "customer.phone",
        "类别": "line.category",
        "付款": "tender.kind",
    },
    defaults={"type": "sale.completed"},
)


def read(name: str, raw: bytes, config: CanonicalConfig = MAPPED) -> list[FileRow]:
    return list(connector.read_file(name, raw, replace(CONNECTION, config=config)))


def wrong(rows: list[FileRow]) -> list[tuple[list[int], str]]:
    return [(list(row.numbers), row.error.facts["field"]) for row in rows if row.error is not None]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_a_file_says_what_is_wrong_by_row_and_field(encoding: str) -> None:
    rows = read("day.csv", CSV.encode(encoding))
    assert wrong(rows) == [([3], "total"), ([4], "id"), ([5], "occurred_at")]
    (good,) = (row.document for row in rows if row.document is not None)
    (event,) = connector.decode(good, "file")
    (found,) = connector.map(event, (), CONNECTION)
    assert (found.fact, found.lines[0].net_minor) == (FactKey("sale", "A-1"), 11800)
    assert found.occurred_at.isoformat() == "2026-03-05T12:30:00+08:00"
    assert found.lines[0].category == "tea"


def test_rows_of_one_bill_are_its_lines() -> None:
    raw = (
        b"type,id,occurred_at,currency,line.amount,line.category,line.tax,tender.kind,tender.amount\n"
        b"sale.completed,B-1,2026-03-05T12:00:00Z,CNY,10.00,tea,1.15,card,30.00\n"
        b"sale.completed,B-2,2026-03-05T12:01:00Z,CNY,5.00,,,,\n"
        b"sale.completed,B-1,2026-03-05T12:00:00Z,CNY,20.00,cup,,card,30.00\n"
    )
    rows = read("lines.csv", raw, CanonicalConfig())
    assert [list(row.numbers) for row in rows] == [[2, 4], [3]]
    found = mapped(rows[0])
    assert [(one.net_minor, one.category) for one in found.lines] == [(885, "tea"), (2000, "cup")]
    assert [one.amount_minor for one in found.tenders] == [3000]


def test_rows_of_one_bill_that_contradict_each_other_are_told() -> None:
    raw = (
        b"type,id,occurred_at,line.amount\n"
        b"sale.completed,B-1,2026-03-05T12:00:00Z,10.00\n"
        b"sale.completed,B-1,2026-03-06T12:00:00Z,20.00\n"
    )
    assert wrong(read("lines.csv", raw, CanonicalConfig())) == [([2, 3], "occurred_at")]


def test_refunds_and_customers_come_in_files_too() -> None:
    raw = (
        "type;id;occurred_at;sale;amount;customer.name\n"
        "refund.recorded;R-1;2026-03-05T12:00:00Z;B-1;5.00;\n"
        "profile.changed;C-1;2026-03-05T12:00:00Z;;;李静怡\n"
    ).encode()
    refund, profile = map(mapped, read("day.csv", raw, CanonicalConfig()))
    assert refund.refund is not None
    assert (refund.refund.original, refund.refund.amount_minor) == (FactKey("sale", "B-1"), 500)
    assert profile.type is EventType.PROFILE_CHANGED


def test_lines_of_json_are_read_as_they_are() -> None:
    raw = sale().raw + b"\n\n{oops\n" + json.dumps({"type": "sale.completed"}).encode()
    assert wrong(read("day.jsonl", raw)) == [([3], "body"), ([4], "data")]


def test_a_workbook_is_read_by_what_its_cells_show() -> None:
    raw = workbook(
        ["type", "id", "occurred_at", "total"],
        ["sale.completed", "X-1", "2026-03-05 12:00:00", 12.3],
        ["sale.completed", "X-2", "2026-03-05 12:00:00", 1200.0],
    )
    assert [mapped(row).lines[0].net_minor for row in read("day.xlsx", raw, CanonicalConfig())] == [
        1230,
        120000,
    ]


@pytest.mark.parametrize(
    ("name", "raw", "config", "field"),
    [
        ("day.pdf", b"%PDF", CanonicalConfig(), "file"),
        ("day.csv", b"", CanonicalConfig(), "file"),
        ("day.xlsx", b"PK no", CanonicalConfig(), "file"),
        ("day.csv", b"\xff\xff\xff", CanonicalConfig(), "file"),
        ("day.csv", b"type,id\n", CanonicalConfig(), "occurred_at"),
        ("day.csv", b"a,b\n", CanonicalConfig(columns={"c": "id"}), "c"),
        ("day.csv", b"a,b\n", CanonicalConfig(columns={"a": "ident"}), "columns"),
        ("day.csv", b"id,n\n", CanonicalConfig(columns={"n": "id"}), "n"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(
    name: str, raw: bytes, config: CanonicalConfig, field: str
) -> None:
    with pytest.raises(Malformed) as said:
        read(name, raw, config)
    assert said.value.field == field


def mapped(row: FileRow) -> CanonicalEvent:
    assert row.error is None, row.error
    assert row.document is not None
    (event,) = connector.decode(row.document, "file")
    (found,) = connector.map(event, (), CONNECTION)
    return found


def workbook(*rows: list[str | float]) -> bytes:
    """Write the smallest workbook there is (ECMA-376), with texts in their cells."""
    sheet = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    sheets = f'<sheets><sheet name="a" sheetId="1" xmlns:r="{office}" r:id="r1"/></sheets>'
    parts: Mapping[str, str] = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types"/>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" '
        f'Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}">{sheets}</workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships">'
        f'<Relationship Id="r1" Type="{office}/worksheet" Target="worksheets/sheet1.xml"/>'
        "</Relationships>",
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}"><sheetData>{sheet}</sheetData>'
        "</worksheet>",
    }
    out = BytesIO()
    with ZipFile(out, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return out.getvalue()


def cell(value: str | float) -> str:
    if isinstance(value, str):
        return f'<c t="inlineStr"><is><t>{value}</t></is></c>'
    return f"<c><v>{value}</v></c>"
