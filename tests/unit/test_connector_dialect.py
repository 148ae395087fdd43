from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from hub.connector import (
    Connection,
    DialectConfig,
    HintType,
    LineKind,
    Outlet,
    Read,
    SignatureInvalid,
    full_birthday,
    hints,
    parse_json,
    parse_object,
    person_name,
    read_as,
    require_match,
    require_object,
    rounding_line,
    trading_day,
    version_at,
)
from hub.errors import Malformed


def connection(**config: Any) -> Connection:
    return Connection(
        connection_id="c",
        config=DialectConfig(**config),
        secrets=(),
        time_zone="Asia/Shanghai",
        currency="CNY",
        day_starts_at_hour=4,
    )


def test_decimals_are_exact() -> None:
    assert parse_json(b'{"a": 0.10, "b": [93.46]}') == {
        "a": Decimal("0.10"),
        "b": [Decimal("93.46")],
    }


@pytest.mark.parametrize("body", [b"{", b"\xff", b'{"a": Infinity}', b"[" * 100_000])
def test_what_is_not_json_names_the_body(body: bytes) -> None:
    with pytest.raises(Malformed) as caught:
        parse_json(body)
    assert caught.value.field == "body"


def test_an_object_is_told_from_a_list() -> None:
    assert parse_object(b"{}") == {}
    with pytest.raises(Malformed):
        parse_object(b"[]")


@pytest.mark.parametrize("answer", [None, [], {}, {"order": None}, {"order": []}])
def test_an_answer_without_its_object_names_it(answer: object) -> None:
    with pytest.raises(Malformed) as caught:
        require_object(answer, "order")
    assert caught.value.field == "order"


def test_any_of_the_expected_signatures_matches() -> None:
    require_match("b", ["a", "b"], what="signature")
    for given in (None, "", "c", "é"):
        with pytest.raises(SignatureInvalid):
            require_match(given, ["a", "b"], what="signature")
    with pytest.raises(SignatureInvalid):
        require_match("a", [], what="signature")


@pytest.mark.parametrize(
    ("given", "family", "written"),
    [
        ("静怡", "李", "李静怡"),
        ("Jingyi", "Li", "Jingyi Li"),
        (" Ana ", None, "Ana"),
        ("静怡", "Li", "静怡 Li"),
        (None, "", None),
    ],
)
def test_names_are_written_as_they_are_read(
    given: str | None, family: str | None, written: str | None
) -> None:
    assert person_name(given, family) == written


@pytest.mark.parametrize("text", [None, "", "birthday", "05-17", "0000-05-17", "1990-02-30"])
def test_half_a_birthday_is_none(text: str | None) -> None:
    assert full_birthday(text) is None
    assert full_birthday("1990-05-17") == "1990-05-17"


def test_an_outlet_has_its_own_day() -> None:
    late = datetime(2026, 3, 5, 19, 30, tzinfo=UTC)  # half past three in Shanghai
    here = connection(
        outlets={"club": Outlet(time_zone="Asia/Shanghai"), "x": Outlet(time_zone="UTC")}
    )
    assert str(trading_day(here, None, late)) == "2026-03-05"
    assert str(trading_day(here, "unknown", late)) == "2026-03-05"
    assert str(trading_day(here, "club", late)) == "2026-03-06"


def test_versions_are_whole_milliseconds() -> None:
    assert version_at(datetime(1970, 1, 1, 0, 0, 1, 234_999, tzinfo=UTC)) == 1234
    assert version_at(None) is None


def test_hints_are_proven_by_what_the_business_verifies() -> None:
    config = DialectConfig(verifies={HintType.PHONE})
    found = hints(config, {HintType.PHONE: " 138 ", HintType.EMAIL: "a@b", HintType.NAME: " "})
    assert [(hint.type, hint.value, hint.verified) for hint in found] == [
        (HintType.PHONE, "138", True),
        (HintType.EMAIL, "a@b", False),
    ]


def test_a_small_residual_is_a_line_and_a_large_one_an_error() -> None:
    assert rounding_line(0, allowed_minor=0, currency="CNY", field="total") == ()
    (line,) = rounding_line(-2, allowed_minor=2, currency="CNY", field="total")
    assert (line.kind, line.net_minor) == (LineKind.ROUNDING, -2)
    with pytest.raises(Malformed) as caught:
        rounding_line(3, allowed_minor=2, currency="CNY", field="total")
    assert caught.value.field == "total"


class _Lines(Read):
    lines: tuple[Outlet, ...]


def test_errors_name_the_path_of_the_field() -> None:
    with pytest.raises(Malformed) as caught:
        read_as(_Lines, {"lines": [{"time_zone": "UTC"}, {"time_zone": 7}]})
    assert caught.value.field == "lines[1].time_zone"


def test_configuration_refuses_what_it_does_not_know() -> None:
    with pytest.raises(Malformed) as caught:
        read_as(DialectConfig, {"verifies": ["phone"], "verfies": []})
    assert caught.value.field == "verfies"


class _Charge(Read):
    amount: Decimal
    tip: Decimal = Decimal(0)
    taxes: tuple[str, ...] = ()
    note: str | None = None


def test_a_null_is_taken_for_absent_where_something_else_is_the_default() -> None:
    nulls = {"amount": "5", "tip": None, "taxes": None, "note": None}
    assert read_as(_Charge, nulls) == read_as(_Charge, {"amount": "5"})
    assert "note" in read_as(_Charge, nulls).model_fields_set
    with pytest.raises(Malformed) as caught:
        read_as(_Charge, {"amount": None})
    assert caught.value.field == "amount"
