"""A number that the hub gave to a till is read back there, and nowhere else."""

import pytest

from hub.crypto import served_numbers
from hub.crypto.keyring import Keyring
from hub.crypto.master_keys import Purpose

KEYRING = Keyring.generate()


def test_a_number_is_read_where_it_was_given() -> None:
    number = served_numbers.issue(KEYRING, member_id=2**40, connection="table")
    assert served_numbers.is_served(number)
    assert served_numbers.read(KEYRING, number, connection="table") == 2**40
    assert served_numbers.issue(KEYRING, member_id=2**40, connection="table") == number


def test_it_is_nobodys_anywhere_else() -> None:
    number = served_numbers.issue(KEYRING, member_id=7, connection="table")
    assert served_numbers.read(KEYRING, number, connection="bar") is None
    assert served_numbers.read(Keyring.generate(), number, connection="table") is None


def test_the_key_that_made_it_still_reads_it_after_a_rotation() -> None:
    number = served_numbers.issue(KEYRING, member_id=7, connection="table")
    renewed = KEYRING.renewed(Purpose.BLIND_INDEX)
    assert served_numbers.read(renewed, number, connection="table") == 7


@pytest.mark.parametrize("at", range(40))
def test_no_letter_of_it_can_be_changed(at: int) -> None:
    number = served_numbers.issue(KEYRING, member_id=7, connection="table")
    changed = number[:at] + ("B" if number[at] != "B" else "C") + number[at + 1 :]
    assert served_numbers.read(KEYRING, changed, connection="table") is None


@pytest.mark.parametrize(
    "text", ["", "hub-", "hub-AAAA", "6000101001599474", "hub-Ａ", "hub-" + "A" * 500]
)
def test_what_is_none_is_nobodys(text: str) -> None:
    assert served_numbers.read(KEYRING, text, connection="table") is None
