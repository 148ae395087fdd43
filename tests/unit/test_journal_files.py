"""What single formats cannot say, and how a long journal is cut."""

import csv
import io
from collections import Counter
from dataclasses import replace

import pytest

from hub.accounting.exports.beancount import beancount
from hub.accounting.exports.files import File
from hub.accounting.exports.kingdee import kingdee
from hub.accounting.exports.words import in_chinese, in_english
from hub.accounting.exports.xero import MOST_LINES, xero
from hub.accounting.exports.yonyou import yonyou
from hub.accounting.journals.build import build
from hub.accounting.journals.lines import Journal
from hub.accounting.journals.queries import Books
from hub.accounting.movements import MovementKind
from hub.errors import Rejected
from hub.settlement.codes import LineKind
from tests.unit.test_journals import ENTITIES, R, built, moved, posted, total


def journal_of(*facts: object) -> Journal:
    return posted(built(of=list(facts))[ENTITIES[R]])


def with_codes(journal: Journal, *codes: str) -> Journal:
    coded = zip(journal.lines, codes, strict=True)
    return replace(journal, lines=tuple(replace(line, account_code=c) for line, c in coded))


def rows(file: File) -> list[list[str]]:
    return list(csv.reader(io.StringIO(file.content.decode("utf-8-sig"))))


def test_every_event_has_words_in_both_languages() -> None:
    facts = [moved(kind.value, -100, elsewhere=-40) for kind in MovementKind
             if kind not in (MovementKind.OPENING, MovementKind.CLOSING)]  # fmt: skip
    facts += [total(700, tax=42, kind=kind) for kind in set(LineKind) - {LineKind.CARRIED}]
    for draft in built(of=facts).values():
        for line in posted(draft).lines:
            assert in_english(line)
            assert not in_chinese(line).isascii()


def test_beancount_refuses_two_codes_that_it_cannot_tell_apart() -> None:
    journal = journal_of(moved("deferred", 100))
    same = [replace(line, purpose=journal.lines[0].purpose) for line in journal.lines]
    with pytest.raises(Rejected, match="one and the same"):
        beancount([with_codes(replace(journal, lines=tuple(same)), "22.1", "22-1")], {})
    quoted = replace(journal.lines[0], account_name='a "b" \\ c')
    (file,) = beancount([replace(journal, lines=(quoted, *journal.lines[1:]))], {})
    assert r'name: "a \"b\" \\ c"' in file.content.decode()


def test_xero_gets_a_long_journal_in_pieces_that_balance() -> None:
    partners = range(100, 100 + MOST_LINES // 2)
    totals = [
        replace(total(100, kind=kind), creditor_id=partner)
        for kind in (LineKind.REDEMPTION, LineKind.BENEFIT)
        for partner in partners
    ]
    entities = ENTITIES | {partner: partner for partner in partners}
    (draft,) = [
        one
        for one in build(moved=[], totals=totals, entities=entities, agents=())
        if one.legal_entity_id == ENTITIES[R]
    ]
    files = xero([posted(draft)], {})
    assert [len(rows(file)) - 1 for file in files] == [MOST_LINES, MOST_LINES]
    for file in files:
        sums: Counter[str] = Counter()
        for narration, _, _, _, _, amount in rows(file)[1:]:
            sums[narration] += int(amount.replace(".", ""))
        assert set(sums.values()) == {0}
    more = [replace(total(100), creditor_id=partner) for partner in [*partners, 99]]
    (draft, *_) = build(moved=[], totals=more, entities=entities | {99: 99}, agents=())
    with pytest.raises(Rejected, match="another format"):
        xero([posted(draft)], {})


def test_u8_takes_no_comma_in_a_text_and_no_long_code() -> None:
    journal = journal_of(moved("deferred", 100))
    comma = replace(journal, lines=tuple(replace(x, business="a,b") for x in journal.lines))
    (file,) = yonyou([comma], {})
    for line in file.content.decode("gb18030").splitlines()[1:]:
        assert len(line.split(",")) == 8
    with pytest.raises(Rejected, match="U8"):
        yonyou([with_codes(journal, "1" * 16, "2")], {})


def test_files_use_the_books_own_words() -> None:
    journal = journal_of(moved("deferred", 100), total(7))
    own = Books(
        company_code="009", voucher_group="转", currency_code="PRE001", untaxed="BAS Excluded"
    )
    known = {ENTITIES[R]: own}
    keys, _, first, *_ = rows(kingdee([journal], known)[0])
    sheet = dict(zip(keys, first, strict=True))
    assert (sheet["FAccountBookID"], sheet["FVOUCHERGROUPID"]) == ("009", "转")
    assert sheet["FCURRENCYID"] == "PRE001"
    assert {row[4] for row in rows(xero([journal], known)[0])[1:]} == {"BAS Excluded"}
    assert yonyou([journal], known)[0].content.decode("gb18030").splitlines()[1].split(",")[1] == (
        "转"
    )
