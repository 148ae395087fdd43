"""What a connection of a system of the group's own is configured with."""

from collections.abc import Mapping

from pydantic import Field

from hub.connector import DialectConfig


class CanonicalConfig(DialectConfig):
    """How the business's files are read; events that are sent need none of it.

    `columns` says which field a column of a file holds, for columns that are not called like a
    field already; `defaults` what a field holds where the file says nothing. `time_format` is how
    times are written (Python's strptime) where it is not ISO 8601.
    """

    columns: Mapping[str, str] = Field(default_factory=dict)
    defaults: Mapping[str, str] = Field(default_factory=dict)
    time_format: str | None = None
