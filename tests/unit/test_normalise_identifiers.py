from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.connector import HintType
from hub.members import normalise
from hub.members.masking import masked


@pytest.mark.parametrize(
    ("written", "region", "normal"),
    [
        ("139 1020 3040", "CN", "+8613910203040"),
        ("139-1020-3040", "CN", "+8613910203040"),
        ("１３９１０２０３０４０", "CN", "+8613910203040"),
        ("0086 13910203040", "CN", "+8613910203040"),
        ("+86 139 1020 3040", None, "+8613910203040"),
        ("(650) 354-7217", "US", "+16503547217"),
        ("07911 123456", "GB", "+447911123456"),
        ("+852 9123 4567", "CN", "+85291234567"),
    ],
)
def test_a_phone_is_one_number_however_written(
    written: str, region: str | None, normal: str
) -> None:
    assert normalise.phone(written, region) == normal
    assert normalise.phone(normal) == normal


@pytest.mark.parametrize(
    ("written", "region"),
    [
        ("13910203040", None),  # whose country?
        ("1391020304", "CN"),  # a digit short
        ("1111111111", "US"),
        ("13800138000", "CN"),  # the operator's top-up line
        ("13900000000", "CN"),
        ("13912345678", "CN"),
        ("021-6666 8888", "CN"),  # a front desk
        ("400 812 3123", "CN"),  # a hotline
        ("+1 800 356 9377", None),
        ("139****3040", "CN"),
        ("$encrypted$aGVsbG8=", "CN"),
        ("", "CN"),
    ],
)
def test_a_number_that_reaches_nobody_in_particular_is_none(
    written: str, region: str | None
) -> None:
    assert normalise.phone(written, region) is None


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        (" Li.Lei@Example.COM ", "li.lei@example.com"),
        ("Li.Lei+shop@GoogleMail.com", "lilei@gmail.com"),
        ("lei+a@outlook.com", "lei@outlook.com"),
        ("lei+a@example.com", "lei+a@example.com"),
        ("l.e.i@qq.com", "l.e.i@qq.com"),
        ("lei@例子.中国", "lei@xn--fsqu00a.xn--fiqs8s"),
    ],
)
def test_an_email_is_what_its_provider_delivers_to(written: str, normal: str) -> None:
    assert normalise.email(written) == normal
    assert normalise.email(normal) == normal


@pytest.mark.parametrize(
    "written",
    ["", "li lei", "lei@", "lei@localhost", "jsmith.123456@guest.booking.com", "info@example.com",
     "noreply@example.com", "+tag@gmail.com", "string"],
)  # fmt: skip
def test_an_email_that_reaches_nobody_in_particular_is_none(written: str) -> None:
    assert normalise.email(written) is None


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("1990-02-03", "1990-02-03"),
        ("19900203", "1990-02-03"),
        ("1990/2/3", "1990-02-03"),
        ("1990年2月3日", "1990-02-03"),
        ("1990-12-13T00:00:00Z", "1990-12-13"),
        ("0000-02-29", "--02-29"),
        ("--02-29", "--02-29"),
        ("1900-01-01", None),
        ("1991-02-29", None),
        ("1990-13-01", None),
        ("03.02.1990", None),
        ("", None),
    ],
)
def test_a_birthday_is_a_date_or_nothing(written: str, normal: str | None) -> None:
    assert normalise.birthday(written) == normal


@pytest.mark.parametrize(
    ("written", "possible"),
    [("2026-03-01", True), ("2026-03-02", False), ("1906-01-02", True), ("1905-12-31", False),
     ("--12-31", True)],
)  # fmt: skip
def test_nobody_is_born_after_they_were_seen_or_too_long_before(
    written: str, possible: bool
) -> None:
    born = normalise.birthday(written, on=date(2026, 3, 1))
    assert born == (written if possible else None)


def test_card_numbers_and_ids() -> None:
    assert normalise.loyalty_id(" gold-0042 7 ") == "GOLD00427"
    assert normalise.loyalty_id("0000") is normalise.loyalty_id("A1") is None
    assert normalise.opaque_id(" oUnionX ") == "oUnionX"
    assert normalise.opaque_id("oUnionX") != normalise.opaque_id("ounionx")
    assert normalise.id_document_hash("AB" * 32) == "ab" * 32
    assert normalise.id_document_hash("11010519491231002X") is None


@pytest.mark.parametrize("written", ["  ", "null", "Undefined", "0000000000", "o1", "None"])
def test_what_programs_write_for_a_missing_id_is_none(written: str) -> None:
    assert normalise.opaque_id(written) is None


@pytest.mark.parametrize(
    ("number", "passes"),
    [
        ("7992 7398 713", True),
        ("79927398710", False),
        ("79927398731", False),  # two digits changed places
        ("GH-4111 1111 1111 1111", True),  # what is printed before the number is not counted
        ("GOLD", False),
    ],
)
def test_a_loyalty_number_has_a_check_digit_only_where_its_issuer_says_so(
    number: str, passes: bool
) -> None:
    assert normalise.loyalty_id(number) is not None
    assert (normalise.loyalty_id(number, luhn=True) is not None) is passes


@given(st.text(max_size=40))
def test_whatever_a_till_sends_is_normal_or_none_and_normal_forms_stay(text: str) -> None:
    for function in (
        normalise.email,
        normalise.loyalty_id,
        normalise.opaque_id,
        normalise.id_document_hash,
        normalise.birthday,
    ):
        normal = function(text)
        assert normal is None or function(normal) == normal
    phone = normalise.phone(text, "CN")
    assert phone is None or normalise.phone(phone) == phone


@pytest.mark.parametrize(
    ("attribute", "value", "shown"),
    [
        (HintType.NAME, "李雷", "李*"),
        (HintType.NAME, "韩梅梅", "韩**"),
        (HintType.NAME, "欧阳修", "欧阳*"),
        (HintType.NAME, "歐陽修", "歐陽*"),
        (HintType.NAME, "Lei Li", "L*** L***"),
        (HintType.PHONE, "+8613910203040", "139****3040"),
        (HintType.PHONE, "+447911123456", "+44****3456"),
        (HintType.EMAIL, "lei@example.com", "l***@example.com"),
        (HintType.BIRTHDAY, "1990-02-03", "****-02-**"),
        (HintType.BIRTHDAY, "--02-03", "****-02-**"),
        (HintType.UNIONID, "oUnionX", "***"),
    ],
)
def test_masks(attribute: HintType, value: str, shown: str) -> None:
    assert masked(attribute, value) == shown
