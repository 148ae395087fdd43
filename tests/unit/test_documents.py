"""Numbers of identity documents: the standards' own examples, and what a typist makes of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.crypto.keyring import Keyring, Purpose
from hub.errors import Malformed
from hub.members.documents import DocumentType, index_document, passport, resident_id
from hub.members.identifiers import Kind

KEYRING = Keyring.generate()
RESIDENT = "11010519491231002X"  # the example of GB 11643


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        (RESIDENT, "CN/11010519491231002X"),
        ("110105 19491231 002x", "CN/11010519491231002X"),
        ("１１０１０５１９４９１２３１００２Ｘ", "CN/11010519491231002X"),
        ("110105491231002", "CN/11010519491231002X"),  # as it was before 1999
        ("110105194912310021", None),
        ("11010519491231020X", None),  # two digits changed places
        ("110105194913310026", None),  # the check character fits, the month does not
        ("11010519491231002", None),
        ("010105194912310025", None),
        ("", None),
    ],
)
def test_a_residents_number_has_a_check_character(written: str, normal: str | None) -> None:
    assert resident_id(written) == normal


@given(place=st.integers(0, 16), other=st.integers(1, 9))
def test_no_single_mistyped_digit_passes(place: int, other: int) -> None:
    wrong = (int(RESIDENT[place]) + other) % 10
    assert resident_id(f"{RESIDENT[:place]}{wrong}{RESIDENT[place + 1 :]}") is None


@pytest.mark.parametrize(
    ("number", "country", "check_digit", "normal"),
    [
        ("L898902C3", "UTO", "6", "UTO/L898902C3"),  # the example of ICAO Doc 9303
        ("L898902C<", "UTO", "3", "UTO/L898902C"),
        ("l898902c3", "uto", None, "UTO/L898902C3"),
        ("L898902C3", "UTO", "5", None),
        ("L8989O2C3", "UTO", "6", None),  # the letter O for a nought
        ("E12", "CN", None, None),
        ("L898902C3", "Utopia", None, None),
    ],
)
def test_a_passports_check_digit_counts_where_it_is_given(
    number: str, country: str, check_digit: str | None, normal: str | None
) -> None:
    assert passport(number, country=country, check_digit=check_digit) == normal


def test_a_document_becomes_an_identifier_that_outlives_a_new_key() -> None:
    old = index_document(KEYRING, type=DocumentType.RESIDENT_ID, number=RESIDENT)
    new = index_document(
        KEYRING.renewed(Purpose.BLIND_INDEX),
        type=DocumentType.RESIDENT_ID,
        number="110105491231002",
    )
    assert old.kind is new.kind is Kind.ID_DOCUMENT
    assert old.digest in new.digests
    british, german = (
        index_document(KEYRING, type=DocumentType.PASSPORT, number="925665416", country=country)
        for country in ("GBR", "D")
    )
    assert british.digest != german.digest


def test_a_wrong_number_is_refused_without_being_quoted() -> None:
    with pytest.raises(Malformed) as refused:
        index_document(KEYRING, type=DocumentType.RESIDENT_ID, number="110105194912310021")
    assert refused.value.field == "number"
    assert "1101051949" not in str(refused.value)
