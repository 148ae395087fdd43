"""For whom a connection reads: the role that the database knows the caller by."""

from dataclasses import dataclass
from typing import Any, Final

NOBODY: Final = "hub_reader"
_KEY: Final = "caller"

# One round trip, which is done in full or not at all.
_ACT_AS = (
    "SELECT set_config('role', $1, false), act_as($2::bigint, $3::text, $4::bigint[],"
    " $5::smallint, $6::bytea[])"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A reader's role and whose rows it is let see (migrations: 0049_row_security.sql)."""

    role: str = NOBODY
    member_id: int | None = None
    business: str | None = None
    presented: tuple[int, ...] = ()
    """Members whom the business was shown an identifier of."""

    @property
    def lasts(self) -> bool:
        """Whether what the caller sees is told by the caller alone, and may be remembered."""
        return self.member_id is None and not self.presented


async def act_as(
    driver: Any,
    remembered: dict[str, Any],
    caller: Caller,
    *,
    kind: int | None = None,
    digests: list[bytes] | None = None,
) -> None:
    """Have a connection of the driver's read for `caller` from here on, outside a transaction.

    `remembered` is kept with the connection. `digests` are of an identifier that is presented now.
    """
    if caller.lasts and digests is None and remembered.get(_KEY) == caller:
        return
    remembered.pop(_KEY, None)
    await driver.fetchrow(
        _ACT_AS, caller.role, caller.member_id, caller.business, caller.presented, kind, digests
    )
    if caller.lasts and digests is None:
        remembered[_KEY] = caller
