"""A name says who acts: nobody becomes a second person by a blank."""

import pytest

from hub.errors import Malformed
from hub.points.checks import named


@pytest.mark.parametrize("wrong", ["", " ", "li ", " li", "li\n", "l\0i", "x" * 201])
def test_what_is_no_name_is_refused(wrong: str) -> None:
    with pytest.raises(Malformed) as refused:
        named(wrong, field="checker")
    assert refused.value.field == "checker"


def test_a_name_is_a_name() -> None:
    for right in ("li", "Li Lei", "李雷", "x" * 200):
        named(right, field="maker")
