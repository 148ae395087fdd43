"""Card numbers are cut wherever they stand; other numbers are left alone."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.intake.scrub import scrub

# Numbers that the schemes publish for tests.
CARDS = {
    "visa": "4111111111111111",
    "visa of 13": "4222222222222",
    "mastercard": "5555555555554444",
    "mastercard, second range": "2223003122003222",
    "american express": "378282246310005",
    "diners": "30569309025904",
    "discover": "6011111111111117",
    "jcb": "3530111333300000",
    "unionpay": "6200000000000005",
    "unionpay of 19": "6205500000000000004",
}


@pytest.mark.parametrize("number", CARDS.values(), ids=CARDS)
def test_a_card_number_is_cut_to_what_may_be_shown(number: str) -> None:
    body, found = scrub(json.dumps({"card": number}).encode())
    assert found == 1
    assert json.loads(body)["card"] == f"{number[:6]}{'*' * (len(number) - 10)}{number[-4:]}"


@pytest.mark.parametrize(
    "wrapped",
    [
        '<PaymentCard CardNumber="{}"/>',
        "<CardNumber>{}</CardNumber>",
        '{{"note": "paid with {} today"}}',
        '{{"note": "card:\\n{}"}}',
        "card={}&amount=3",
        ";{}=25121011",
        "%B{}^LI/JINGYI^2512",
        '{{"track": "\\u00a0{}\\u00a0"}}',
    ],
)
def test_wherever_it_stands(wrapped: str) -> None:
    body, found = scrub(wrapped.format("4111111111111111").encode())
    assert (found, body) == (1, wrapped.format("411111******1111").encode())


@pytest.mark.parametrize(
    ("written", "left"),
    [
        ("4111 1111 1111 1111", "4111 11** **** 1111"),
        ("4111-1111-1111-1111", "4111-11**-****-1111"),
        ("3782%20822463%2010005", "3782%2082****%20*0005"),
        ("\\u0034111111111111111", "\\u003411111******1111"),
        ("&#52;111111&#x31;11111111", "&#52;11111******1111"),
        ("4111\u00a01111\u00a01111\u00a01111", "4111\u00a011**\u00a0****\u00a01111"),
        ("4111.1111.1111.1111", "4111.11**.****.1111"),
        ("card=4111+1111+1111+1111", "card=4111+11**+****+1111"),
        ("4111\n  1111\n 1111 1111", "4111\n  11**\n **** 1111"),
        ('{"n": "4111 1111\\n1111 1111"}', '{"n": "4111 11**\\n**** 1111"}'),
        ("3782 - 822463 - 10005", "3782 - 82**** - *0005"),
        ("４１１１１１１１１１１１１１１１", "４１１１１１******１１１１"),
        ("\\uff14111111111111111", "\\uff1411111******1111"),
        ('{"n": 4111111111111111.0}', '{"n": 4111110000001111.0}'),
        ("4111\\u002D1111\\u002D1111\\u002D1111", "4111\\u002D11**\\u002D****\\u002D1111"),
        ("4111%2D1111%2D1111%2D1111", "4111%2D11**%2D****%2D1111"),
        ("4111&#45;1111&#x2D;1111&#x2d;1111", "4111&#45;11**&#x2D;****&#x2d;1111"),
        ("4111\u20131111\u20131111\u20131111", "4111\u201311**\u2013****\u20131111"),
        ("4111\u202f1111\u202f1111\u202f1111", "4111\u202f11**\u202f****\u202f1111"),
        ("4111\\u20091111\\u20091111\\u20091111", "4111\\u200911**\\u2009****\\u20091111"),
        ("4111\u30001111\u30001111\u30001111", "4111\u300011**\u3000****\u30001111"),
        # What people write beside it.
        ("4111 1111 1111 1111 12/26", "4111 11** **** 1111 12/26"),
        ("4111111111111111 1226 123", "411111******1111 1226 123"),
        ("1 4111-1111-1111-1111", "1 4111-11**-****-1111"),
        ("3782 822463 10005 1226", "3782 82**** *0005 1226"),
    ],
)
def test_however_it_is_written(written: str, left: str) -> None:
    body, found = scrub(f'"{written}"'.encode())
    assert (found, body.decode()) == (1, f'"{left}"')


def test_one_beside_the_other() -> None:
    body, found = scrub(b"4111111111111111 5555 5555 5555 4444 4222222222222")
    assert (found, body) == (3, b"411111******1111 5555 55** **** 4444 422222***2222")


def test_a_number_stays_a_number() -> None:
    body, found = scrub(b'{"number": 4111111111111111, "all": [5555555555554444]}')
    assert found == 2
    assert json.loads(body) == {"number": 4111110000001111, "all": [5555550000004444]}


@pytest.mark.parametrize("mark", ["\ufeff", ""])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_in_two_or_four_bytes_a_letter_too(encoding: str, mark: str) -> None:
    text = f'{mark}{{"李": "4111111111111111"}}'
    body, found = scrub(text.encode(encoding))
    assert (found, body.decode(encoding)) == (1, text.replace("111111111111", "11111******1", 1))
    cut_off, found = scrub(text.encode(encoding) + b"\x00")
    assert (found, cut_off) == (1, body + b"\x00")


@pytest.mark.parametrize(
    "start", [b"\x00", b"a\x00", b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff"]
)
def test_what_only_looks_wide_is_read_both_ways(start: bytes) -> None:
    assert scrub(start + b" 4111111111111111") == (start + b" 411111******1111", 1)


@pytest.mark.parametrize(
    "part",
    [
        b"1",
        b"1 ",
        b"4 ",
        b"44-",
        b"4444 ",
        b"4111 1111 1111 111",
        b"\\u0034",
        b'"4111111111111111",',
    ],
)
def test_a_large_body_takes_seconds_at_most(part: bytes) -> None:
    body = part * (500_000 // len(part))
    started = time.process_time()
    scrub(body)
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    "innocent",
    [
        b'{"id": 5324830114101, "phone": "+8613812345678"}',  # an order and a mobile
        b'{"at": 1772600400000, "until": "2026-03-04 10:11:12"}',  # instants
        b'{"card": "4111111111111112"}',  # a wrong last digit
        b'{"transaction": "4200001234202603041234567895"}',  # longer than any card number
        b'{"tid": "E20260304111111111111111"}',  # an order of a shop
        b'{"loyalty": "6337123456789015"}',  # a scheme of loyalty cards
        b'{"lat": 39.9042000000000001, "big": 4000.000000000000}',
        b'{"share": 0.4111111111111111}',
        b"",
    ],
)
def test_other_numbers_are_left_alone(innocent: bytes) -> None:
    assert scrub(innocent) == (innocent, 0)


@given(st.binary(max_size=200), st.sampled_from(sorted(CARDS.values())), st.binary(max_size=200))
def test_nothing_else_is_touched(before: bytes, number: str, after: bytes) -> None:
    clean_before, clean_after = (part.translate(None, b"0123456789") for part in (before, after))
    body, found = scrub(clean_before + b"|" + number.encode() + b"|" + clean_after)
    hidden = f"{number[:6]}{'*' * (len(number) - 10)}{number[-4:]}".encode()
    assert (found, body) == (1, clean_before + b"|" + hidden + b"|" + clean_after)
