"""Names in the characters that every bank can carry."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.settlement.documents.bank_text import bank_text


@pytest.mark.parametrize(
    ("words", "written"),
    [
        ("Jade Kitchen Ltd", "Jade Kitchen Ltd"),
        ("翠玉轩餐饮（上海）有限公司", "Cui Yu Xuan Can Yin (Shang Hai) You Xian Gong Si"),
        ("Müller & Søn Straße", "Muller + Son Strasse"),
        ("//A//B//", "A/B"),
        ("☃", "NOTPROVIDED"),
    ],
)
def test_names_are_written_in_the_banks_characters(words: str, written: str) -> None:
    assert bank_text(words, longest=70) == written


@given(st.text(max_size=200), st.integers(12, 140))
def test_whatever_is_written_is_allowed(words: str, longest: int) -> None:
    written = bank_text(words, longest=longest)
    assert re.fullmatch(r"[A-Za-z0-9/\-?:().,'+ ]+", written)
    assert 0 < len(written) <= longest
    assert "//" not in written
    assert not written.startswith("/")
    assert not written.endswith("/")
