"""What a connection that speaks OpenTravel XML is configured with."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated

from pydantic import Field

from hub.connector import DialectConfig, LineKind


class OpenTravelConfig(DialectConfig):
    """A delivery is proven by the value of `token_parameter` in its URL, the last part of the URL's
    path, or the password of basic authentication.

    `revenue_kinds` says what the revenue of a stay is: keys are the hotel's own codes
    (`PMSRevenueCode`) or OpenTravel's categories (`category:9` is room revenue). `tax_rate` is the
    rate within prices that are stated after tax alone (`0.07`); without it such a price is not
    guessed at. `programs` are the group's own programmes among a guest's loyalty cards.
    """

    token_parameter: str = "token"  # noqa: S105  (the parameter's name)
    revenue_kinds: Mapping[str, LineKind] = {"category:9": LineKind.ROOM}
    tax_rate: Annotated[Decimal, Field(ge=0, lt=1)] | None = None
    programs: frozenset[str] = frozenset()
