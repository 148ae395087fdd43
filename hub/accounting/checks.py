"""What accounting's verbs look at before anything else."""

from datetime import date

from hub.errors import Malformed


def first_of_month(day: date, *, field: str) -> None:
    """Raise Malformed for what is no month's first day: cohorts are months."""
    if day.day != 1:
        raise Malformed(f"{day} is not the first of a month: cohorts are months", field=field)
