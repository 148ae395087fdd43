"""The tables of migration 0002_members, for statements composed in Python."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import TSTZRANGE

_INSTANT = DateTime(timezone=True)

metadata = MetaData()

member = Table(
    "member",
    metadata,
    Column("member_id", BigInteger, primary_key=True),
    Column("status", Text, nullable=False),
    Column("merged_into", BigInteger),
    Column("created_at", _INSTANT, nullable=False),
)

account = Table(
    "account",
    metadata,
    Column("account_id", BigInteger, primary_key=True),
    Column("business_id", SmallInteger, nullable=False),
    Column("walk_in", Boolean, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("created_at", _INSTANT, nullable=False),
)

account_key = Table(
    "account_key",
    metadata,
    Column("account_id", BigInteger, primary_key=True),
    Column("kek_version", Integer, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
)

account_link = Table(
    "account_link",
    metadata,
    Column("account_id", BigInteger, primary_key=True),
    Column("member_id", BigInteger, nullable=False),
    Column("method", Text, nullable=False),
    Column("valid", TSTZRANGE, primary_key=True),
)

identifier_claim = Table(
    "identifier_claim",
    metadata,
    Column("claim_id", BigInteger, primary_key=True),
    Column("member_id", BigInteger, nullable=False),
    Column("account_id", BigInteger, nullable=False),
    Column("opened_at", _INSTANT, nullable=False),
    Column("closed_at", _INSTANT),
    Column("last_seen_at", _INSTANT, nullable=False),
    Column("index_key_version", Integer, nullable=False),
    Column("kind", SmallInteger, nullable=False),
    Column("verified", Boolean, nullable=False),
    Column("blind_index", LargeBinary, nullable=False),
)

account_profile = Table(
    "account_profile",
    metadata,
    Column("account_id", BigInteger, primary_key=True),
    Column("observed_at", _INSTANT, nullable=False),
    Column("verified", Boolean, nullable=False),
    Column("attribute", Text, primary_key=True),
    Column("ciphertext", LargeBinary, nullable=False),
)

review_item = Table(
    "review_item",
    metadata,
    Column("review_id", BigInteger, primary_key=True),
    Column("account_id", BigInteger, nullable=False),
    Column("opened_at", _INSTANT, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("candidates", ARRAY(BigInteger), nullable=False),
)
