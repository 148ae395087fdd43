"""How a business's files are read: a saved mapping, of which the newest version is in force."""

from collections.abc import Mapping as ReadOnly
from datetime import datetime
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from hub.connector import field_path
from hub.errors import Malformed
from hub.reconciliation.codes import Role

FIELDS = (
    *("reference", "transaction", "receipt", "counterparty", "day", "points", "amount", "currency"),
)
"""What a row may say. It needs a day, and points or an amount; an amount needs a currency."""


class Tolerance(BaseModel):
    """How far two rows may differ and still be the same."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    amount_minor: int = Field(default=0, ge=0, le=1_000_000)
    points: int = Field(default=0, ge=0, le=1_000_000)
    days: int = Field(default=0, ge=0, le=31)


class MappingConfig(BaseModel):
    """A mapping as it is written down.

    `columns` says which of FIELDS a column of a file holds, `defaults` what a field holds where the
    file says nothing; `counterparties` how the file calls the businesses, by their codes.
    `negate` is for books that write what is owed as negative. `day_totals` is for books with a
    row per day and counterparty. `account` is the account that a bank's statement must be of.

    How a file is written is said here and never guessed: a day that two of `date_formats` read as
    two days is refused, and so is a thousands mark that is not this one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")
    business: str
    role: Role
    format: Literal["table", "mt940", "camt053"] = Field(default="table", validate_default=True)
    columns: ReadOnly[str, str] = Field(default_factory=dict)
    defaults: ReadOnly[str, str] = Field(default_factory=dict)
    counterparties: ReadOnly[str, str] = Field(default_factory=dict)
    encoding: Literal["utf-8", "gb18030", "utf-16"] = "utf-8"
    separator: Literal[",", ";", "\t", "|"] = ","
    date_formats: tuple[str, ...] = ("%Y-%m-%d",)
    decimal_mark: Literal[".", ","] = "."
    thousands_mark: Literal["", ",", ".", " ", "'"] = ""
    negate: bool = False
    day_totals: bool = False
    account: str | None = None
    tolerance: Tolerance = Tolerance()

    @field_validator("columns", "defaults")
    @classmethod
    def _name_fields(cls, said: ReadOnly[str, str], info: ValidationInfo) -> ReadOnly[str, str]:
        fields = list(said.values() if info.field_name == "columns" else said)
        for field in fields:
            if field not in FIELDS:
                raise ValueError(f"{field!r} is no field: there are {', '.join(FIELDS)}")
        if len({*fields}) < len(fields):
            raise ValueError("two columns hold the same field")
        return said

    @field_validator("date_formats")
    @classmethod
    def _write_days(cls, said: tuple[str, ...]) -> tuple[str, ...]:
        for way in said:
            _refuse_half_a_day(way)
        return said

    @field_validator("thousands_mark")
    @classmethod
    def _differs(cls, said: str, info: ValidationInfo) -> str:
        if said == info.data.get("decimal_mark"):
            raise ValueError("decimal_mark and thousands_mark are the same")
        return said

    @field_validator("format")
    @classmethod
    def _fits(cls, said: str, info: ValidationInfo) -> str:
        if (said == "table") == (info.data.get("role") is Role.BANK):
            raise ValueError("a bank's statement is mt940 or camt053, any other book a table")
        return said


def encoding_of(config: MappingConfig) -> str:
    """Return the codec that reads the mapping's files, with or without a byte order mark."""
    return "utf-8-sig" if config.encoding == "utf-8" else config.encoding


def _refuse_half_a_day(way: str) -> None:
    """Raise ValueError unless a day can be written and read in this way."""
    day = datetime(2026, 12, 31)  # noqa: DTZ001
    try:
        back = datetime.strptime(day.strftime(way), way)  # noqa: DTZ007
    except ValueError:
        back = None
    if back is None or back.date() != day.date():
        raise ValueError(f"{way!r} is no way to write a day; %d.%m.%Y is one")


def read_mapping(said: ReadOnly[str, Any]) -> MappingConfig:
    """Read a mapping; raises Malformed naming the first field that is wrong."""
    try:
        return MappingConfig.model_validate(said)
    except ValidationError as bad:
        first = bad.errors(include_url=False)[0]
        raise Malformed(f"a mapping: {first['msg']}", field=field_path(first["loc"])) from bad
