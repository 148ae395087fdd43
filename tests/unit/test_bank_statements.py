"""Bank statements as files: what an entry says, and what is refused as a whole."""

from datetime import date

import pytest

from hub.errors import Malformed
from hub.reconciliation.camt053 import read_camt053
from hub.reconciliation.codes import Leg
from hub.reconciliation.mt940 import read_mt940
from hub.reconciliation.payment_names import payment_named

MT940 = """{1:F01AAAABBCCAXXX0000000000}{2:I940AAAABBCCXXXXN}{4:
:20:STMT-1
:25:AAAABBCC/6222000011112222
:28C:5/1
:60F:C261130CNY1000,00
:61:2612011201C250,50NTRFS202611-1-2-CNY//B-77
:86:020?00TRANSFER?20EREF+S2026
?2111-1-2-CNY?22KREF+5?32OTHER HOUSE
:61:261201D100,NTRFNONREF//B-78
:86:salaries
:61:261202RC50,50NTRFNONREF//B-79
supplement
:86:/EREF/S202611-1-2-CNY/REMI/returned
:62F:C261202CNY1100,00
-}
"""
CAMT = """<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt><Stmt>
<Id>1</Id><Acct><Id><IBAN>DE02</IBAN></Id></Acct>
<Bal><Tp><CdOrPrtry><Cd>OPBD</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">10.00</Amt>
<CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>2026-12-01</Dt></Dt></Bal>
<Bal><Tp><CdOrPrtry><Cd>CLBD</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">15.00</Amt>
<CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>2026-12-01</Dt></Dt></Bal>
<Ntry><Amt Ccy="EUR">7.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>
<BookgDt><Dt>2026-12-01</Dt></BookgDt><AcctSvcrRef>X1</AcctSvcrRef><NtryDtls>
<TxDtls><Refs><EndToEndId>S202611-1-2-EUR</EndToEndId></Refs><Amt Ccy="EUR">3.00</Amt></TxDtls>
<TxDtls><Refs><EndToEndId>NOTPROVIDED</EndToEndId></Refs><Amt Ccy="EUR">4.00</Amt></TxDtls>
</NtryDtls></Ntry>
<Ntry><Amt Ccy="EUR">2.00</Amt><CdtDbtInd>DBIT</CdtDbtInd><RvslInd>true</RvslInd>
<Sts>BOOK</Sts><BookgDt><DtTm>2026-12-02T10:00:00</DtTm></BookgDt><AcctSvcrRef>X2</AcctSvcrRef>
</Ntry>
<Ntry><Amt Ccy="EUR">9.00</Amt><CdtDbtInd>DBIT</CdtDbtInd><Sts>PDNG</Sts></Ntry>
</Stmt></BkToCstmrStmt></Document>"""


def test_mt940_says_what_came_what_went_and_what_was_taken_back() -> None:
    rows = list(read_mt940(MT940.encode(), account="6222000011112222"))
    assert [(r.leg, r.day, r.amount_minor, r.currency, r.reference, r.names) for r in rows] == [
        (Leg.RECEIVED, date(2026, 12, 1), 25050, "CNY", "B-77", "S202611-1-2-CNY"),
        (Leg.PAID, date(2026, 12, 1), 10000, "CNY", "B-78", None),
        (Leg.RECEIVED, date(2026, 12, 2), -5050, "CNY", "B-79", "S202611-1-2-CNY"),
    ]
    assert [row.number for row in rows] == [1, 2, 3]


def test_camt_says_each_transaction_of_a_batch_and_leaves_out_what_is_pending() -> None:
    rows = list(read_camt053(CAMT.encode(), account="DE02"))
    assert [(r.leg, r.amount_minor, r.reference, r.names) for r in rows] == [
        (Leg.RECEIVED, 300, "X1/1", "S202611-1-2-EUR"),
        (Leg.RECEIVED, 400, "X1/2", None),
        (Leg.RECEIVED, -200, "X2", None),
    ]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (MT940.replace("250,50", "250,51"), "62F"),
        (MT940.replace("1100,00", "1100,0x"), "62F"),
        (MT940.replace(":60F:", ":64:"), "60F"),
        (MT940.replace("261201D100,N", "261341D100,N"), "61"),
        (MT940.replace("261201D100,N", "1201D100,N"), "61"),
        (MT940.replace("6222000011112222", "1"), "25"),
        ("nothing", "file"),
        ("", "file"),
    ],
)
def test_mt940_that_makes_no_sense_is_refused_whole(body: str, field: str) -> None:
    with pytest.raises(Malformed) as refused:
        list(read_mt940(body.encode(), account="6222000011112222"))
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (CAMT.replace("15.00", "15.01"), "Bal"),
        (CAMT.replace("DE02", "DE03"), "Acct"),
        (CAMT.replace(">2.00<", ">two<"), "Amt"),
        (CAMT.replace(">2.00<", ">NaN<"), "Amt"),
        (CAMT.replace("2026-12-02T10:00:00", "soon"), "BookgDt"),
        (CAMT.replace("</Document>", ""), "file"),
        (CAMT.replace("<Stmt>", "<Rpt>").replace("</Stmt>", "</Rpt>"), "file"),
        ("", "file"),
    ],
)
def test_camt_that_makes_no_sense_is_refused_whole(body: str, field: str) -> None:
    with pytest.raises(Malformed) as refused:
        list(read_camt053(body.encode(), account="DE02"))
    assert refused.value.field == field


def test_a_statement_reads_nothing_but_itself(tmp_path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("7.00")
    bomb = f'<!DOCTYPE x [<!ENTITY own SYSTEM "file://{secret}">]>'
    body = CAMT.replace("<Document", f"{bomb}<Document", 1).replace(">7.00<", ">&own;<")
    with pytest.raises(Malformed, match="document type"):
        list(read_camt053(body.encode(), account=None))


@pytest.mark.parametrize(
    ("said", "elsewhere", "found"),
    [
        ("S202611-1-2-CNY", "", ("S202611-1-2-CNY", None)),
        ("s202611 -1-2 -cny", "", ("S202611-1-2-CNY", None)),
        ("S202611-1-2", "", (None, "S202611-1-2")),
        ("NOTPROVIDED", "for S20261110-1-2-CNY, thanks", ("S20261110-1-2-CNY", None)),
        ("", "S202611-1-2-CNY and S202611-1-3-CNY", (None, None)),
        ("INV 77", "", (None, "INV 77")),
    ],
)
def test_a_payment_is_named_in_full_or_not_at_all(
    said: str, elsewhere: str, found: tuple[str | None, str | None]
) -> None:
    assert payment_named(said, elsewhere) == found
