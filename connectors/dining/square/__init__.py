"""Square: a restaurant's orders, payments, refunds and customers."""

from connectors.dining.square.dialect import Square

connector = Square()
