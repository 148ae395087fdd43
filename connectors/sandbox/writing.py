"""How the played systems write money: as JSON numbers or as text, digit by digit."""

import json
import re

from hub.units import Money

_MARK = "¤"


def number(minor: int, currency: str = "CNY") -> str:
    """Write an amount so that `to_json` makes a JSON number of it; none was ever a float."""
    return f"{_MARK}{text(minor, currency)}"


def text(minor: int, currency: str = "CNY") -> str:
    """Write an amount as decimal text."""
    return str(Money(minor, currency))


def read_number(written: str, currency: str = "CNY") -> int:
    """Return the minor units that `number` wrote."""
    return Money.parse(written.removeprefix(_MARK), currency).minor


def to_json(document: object) -> bytes:
    """Encode a document, its marked amounts as numbers."""
    written = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return re.sub(f'"{_MARK}([-0-9.]+)"', r"\1", written).encode()
