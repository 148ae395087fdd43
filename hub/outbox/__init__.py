"""Messages committed with the business transaction that causes them."""
