from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hub.crypto import join_codes
from hub.crypto.keyring import Keyring, Purpose
from hub.errors import Malformed, Rejected

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEYRING = Keyring.generate()
CODE, ENDS_AT = join_codes.issue(KEYRING, member_id=4711, now=NOW)


def test_a_code_says_whose_it_is_until_it_ends() -> None:
    assert NOW + join_codes.TTL == ENDS_AT
    assert join_codes.read(KEYRING, f" {CODE}\n", now=NOW) == 4711
    assert join_codes.read(KEYRING.renewed(Purpose.TOKEN), CODE, now=NOW) == 4711
    with pytest.raises(Rejected, match="over"):
        join_codes.read(KEYRING, CODE, now=ENDS_AT)
    assert len(CODE) == 47


def test_another_groups_code_is_none_here() -> None:
    with pytest.raises(Malformed):
        join_codes.read(Keyring.generate(), CODE, now=NOW)


@example(place=len(CODE) - 1, other=chr(ord(CODE[-1]) + 1))
@given(place=st.integers(0, len(CODE) - 1), other=st.characters(codec="ascii"))
def test_a_code_that_was_altered_is_none(place: int, other: str) -> None:
    altered = f"{CODE[:place]}{other}{CODE[place + 1 :]}"
    if altered.strip() != CODE:
        with pytest.raises(Malformed):
            join_codes.read(KEYRING, altered, now=NOW)


@given(st.text(max_size=200))
def test_whatever_else_is_scanned_is_none(scanned: str) -> None:
    with pytest.raises(Malformed):
        join_codes.read(KEYRING, scanned, now=NOW)
