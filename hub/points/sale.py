"""A sale: a member's bill at the business that issues the points."""

from dataclasses import dataclass
from datetime import date

from hub.programme.bill import Bill


@dataclass(frozen=True, slots=True, kw_only=True)
class Sale(Bill):
    """A completed sale or stay of a member at the business that issues the points.

    `checked_out` says that it was settled at the check-out: its points need not wait for one.
    """

    business_id: int
    idempotency_key: str
    member_id: int
    account_id: int
    business_date: date
    checked_out: bool = False

    @property
    def key(self) -> tuple[int, str]:
        """What makes the request one."""
        return self.business_id, self.idempotency_key
