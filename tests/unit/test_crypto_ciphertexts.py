import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.crypto import delivery, fields
from hub.crypto.blind_index import INDEX_BYTES, blind_index, blind_indexes
from hub.crypto.errors import KeyUnknown, Undecipherable
from hub.crypto.keyring import Keyring, Purpose

KEYRING = Keyring.generate()
PLACE = {"table": "account_profile", "column": "name", "row": "7"}


@given(st.text())
def test_a_field_comes_back_as_it_went_in(text: str) -> None:
    key, wrapped = fields.mint(KEYRING, account_id=7)
    sealed = key.encrypt(text, **PLACE)
    opened = fields.unwrap(KEYRING, wrapped.envelope, account_id=7)
    assert opened.decrypt(sealed, **PLACE) == text


def test_the_same_text_never_looks_the_same() -> None:
    key, _ = fields.mint(KEYRING, account_id=7)
    assert key.encrypt("李雷", **PLACE) != key.encrypt("李雷", **PLACE)


def test_no_byte_of_a_field_can_be_changed() -> None:
    key, _ = fields.mint(KEYRING, account_id=7)
    sealed = key.encrypt("李雷", **PLACE)
    for position in range(len(sealed)):
        forged = bytearray(sealed)
        forged[position] ^= 1
        with pytest.raises(Undecipherable):
            key.decrypt(bytes(forged), **PLACE)


@pytest.mark.parametrize("part", ["table", "column", "row"])
def test_a_field_opens_only_where_it_was_put(part: str) -> None:
    key, _ = fields.mint(KEYRING, account_id=7)
    sealed = key.encrypt("李雷", **PLACE)
    with pytest.raises(Undecipherable):
        key.decrypt(sealed, **{**PLACE, part: "other"})


def test_a_field_does_not_open_under_another_accounts_key() -> None:
    key, _ = fields.mint(KEYRING, account_id=7)
    other, _ = fields.mint(KEYRING, account_id=7)
    with pytest.raises(Undecipherable):
        other.decrypt(key.encrypt("李雷", **PLACE), **PLACE)


@pytest.mark.parametrize("length", [0, 3, 14, 30])
def test_what_is_too_short_is_refused(length: int) -> None:
    key, _ = fields.mint(KEYRING, account_id=7)
    with pytest.raises(Undecipherable, match="too few"):
        key.decrypt(b"\x01\x00\x01" + b"x" * (length - 3) if length > 2 else b"", **PLACE)


def test_a_data_key_belongs_to_its_account() -> None:
    _, wrapped = fields.mint(KEYRING, account_id=7)
    with pytest.raises(Undecipherable):
        fields.unwrap(KEYRING, wrapped.envelope, account_id=8)


def test_renewing_the_key_encryption_key_touches_no_field() -> None:
    key, wrapped = fields.mint(KEYRING, account_id=7)
    sealed = key.encrypt("李雷", **PLACE)
    renewed = KEYRING.renewed(Purpose.KEY_ENCRYPTION)
    assert fields.unwrap(renewed, wrapped.envelope, account_id=7) == key
    rewrapped = fields.rewrap(renewed, wrapped.envelope, account_id=7)
    assert (wrapped.kek_version, rewrapped.kek_version) == (1, 2)
    assert fields.unwrap(renewed, rewrapped.envelope, account_id=7).decrypt(sealed, **PLACE)
    with pytest.raises(KeyUnknown):
        fields.unwrap(KEYRING, rewrapped.envelope, account_id=7)


@given(st.binary(max_size=4096))
def test_a_delivery_comes_back_as_it_went_in(body: bytes) -> None:
    sealed = delivery.seal(KEYRING, body, context="raw_delivery|body|1")
    renewed = KEYRING.renewed(Purpose.KEY_ENCRYPTION)
    assert delivery.open_sealed(renewed, sealed, context="raw_delivery|body|1") == body


def test_no_byte_of_a_delivery_can_be_changed() -> None:
    sealed = delivery.seal(KEYRING, b"{}", context="raw_delivery|body|1")
    for position in range(len(sealed)):
        forged = bytearray(sealed)
        forged[position] ^= 1
        with pytest.raises((Undecipherable, KeyUnknown)):
            delivery.open_sealed(KEYRING, bytes(forged), context="raw_delivery|body|1")


def test_a_delivery_opens_only_where_it_was_put() -> None:
    sealed = delivery.seal(KEYRING, b"{}", context="raw_delivery|body|1")
    with pytest.raises(Undecipherable):
        delivery.open_sealed(KEYRING, sealed, context="raw_delivery|body|2")
    with pytest.raises(Undecipherable, match="too few"):
        delivery.open_sealed(KEYRING, sealed[:9], context="raw_delivery|body|1")


def test_an_index_is_stable_and_keeps_kinds_and_keyrings_apart() -> None:
    phone = blind_index(KEYRING, "phone", "+8613800138000")
    assert phone == blind_index(KEYRING, "phone", "+8613800138000")
    assert len(phone.digest) == INDEX_BYTES
    others = [
        blind_index(KEYRING, "loyalty_id", "+8613800138000"),
        blind_index(KEYRING, "phone", "+8613800138001"),
        blind_index(Keyring.generate(), "phone", "+8613800138000"),
    ]
    assert phone.digest not in {other.digest for other in others}


def test_lookups_know_every_version_while_an_index_moves_to_a_new_key() -> None:
    renewed = KEYRING.renewed(Purpose.BLIND_INDEX)
    active, old = blind_indexes(renewed, "phone", "+8613800138000")
    assert active == blind_index(renewed, "phone", "+8613800138000")
    assert old == blind_index(KEYRING, "phone", "+8613800138000")
    assert (active.key_version, old.key_version) == (2, 1)
