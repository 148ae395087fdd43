from datetime import date

import pytest

from hub.errors import Malformed
from hub.settlement.calendar import span


@pytest.mark.parametrize(
    ("code", "first", "last"),
    [
        ("2026-11", date(2026, 11, 1), date(2026, 11, 30)),
        ("2026-12", date(2026, 12, 1), date(2026, 12, 31)),
        ("2028-02", date(2028, 2, 1), date(2028, 2, 29)),
        ("2026-11-03", date(2026, 11, 3), date(2026, 11, 3)),
    ],
)
def test_a_code_names_a_month_or_a_day(code: str, first: date, last: date) -> None:
    assert span(code) == (first, last)


@pytest.mark.parametrize(
    "code", ["2026", "2026-13", "2026-02-30", "2026-W12", "202611", "", "２０２６-11"]
)
def test_anything_else_is_refused_by_name(code: str) -> None:
    with pytest.raises(Malformed) as refused:
        span(code)
    assert refused.value.field == "code"
