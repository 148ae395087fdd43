"""Money as clients get it: to count with, and to show."""

import strawberry

from graphql_schema.fields import count, resolved
from hub import units


@strawberry.type(description="An amount of money, exact.")
class Money:
    """An amount in a currency's minor units."""

    amount_minor: int = count(
        "Amount in the currency's minor units: 1234 of CNY is 12.34 yuan, of JPY 1234 yen."
    )
    currency: str = strawberry.field(description="ISO 4217 currency code.")

    @resolved("Amount in major units, with the currency's decimals and no symbol: 12.34.")
    def formatted(self) -> str:
        """Write the amount in major units."""
        return str(units.Money(self.amount_minor, self.currency))
