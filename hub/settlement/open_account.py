"""Open account: a business's payment account becomes a dated row, its number sealed."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.crypto.delivery import open_sealed, seal, version_sql
from hub.crypto.keyring import Keyring
from hub.errors import Conflict
from hub.programme.queries import business_by_code
from hub.programme.versions import add_version
from hub.settlement.accounts import ClearingAccountConfig, PaymentAccountConfig, number_place

_NUMBER = version_sql("number")


async def open_account(
    db: AsyncConnection, *, config: PaymentAccountConfig, keyring: Keyring
) -> None:
    """Add a version of an account; one that is there must say the same.

    Raises NotFound for an unknown business, Conflict naming the field that would be edited.
    """
    business_id = (await business_by_code(db, config.business)).business_id
    place = number_place(business_id, config.currency, config.effective_from)
    number = config.iban or config.account_number or ""
    key = {
        "business_id": business_id,
        "currency": config.currency,
        "effective_from": config.effective_from,
    }
    facts: dict[str, object] = {
        "holder": config.holder,
        "scheme": "iban" if config.iban else "domestic",
        "agent_scheme": "bic" if config.bic else config.clearing_system,
        "agent": config.bic or config.clearing_member_id,
        "ending": number[-4:],
    }
    sealed = await db.scalar(
        text("""
          SELECT number FROM payment_account WHERE business_id = :business_id
            AND currency = :currency AND effective_from = :effective_from"""),
        key,
    )
    if sealed is not None and open_sealed(keyring, sealed, context=place).decode() != number:
        raise Conflict(
            f"the {config.currency} account of {config.business} of {config.effective_from} is in "
            "force and cannot be edited: give the new one its own effective_from",
            field="iban" if config.iban else "account_number",
        )
    facts["number"] = sealed or seal(keyring, number.encode(), context=place)
    await add_version(db, "payment_account", key, facts)


async def pay_through(db: AsyncConnection, *, config: ClearingAccountConfig) -> None:
    """Say through whose account all is paid from a day on; raises NotFound and Conflict."""
    business_id = None
    if config.business is not None:
        business_id = (await business_by_code(db, config.business)).business_id
    key = {"effective_from": config.effective_from}
    await add_version(db, "clearing_account", key, {"business_id": business_id})


async def reseal_accounts(db: AsyncConnection, *, keyring: Keyring) -> int:
    """Seal anew the numbers that are under another key-encryption key; returns how many."""
    rows = await db.execute(
        text(f"""
          SELECT payment_account_id, business_id, currency, effective_from, number
          FROM payment_account WHERE {_NUMBER} <> :active
          ORDER BY payment_account_id FOR UPDATE"""),  # noqa: S608 - a constant of ours
        {"active": keyring.key_encryption.active},
    )
    found = rows.all()
    for row in found:
        place = number_place(row.business_id, row.currency, row.effective_from)
        plain = open_sealed(keyring, row.number, context=place)
        await db.execute(
            text("UPDATE payment_account SET number = :number WHERE payment_account_id = :id"),
            {"id": row.payment_account_id, "number": seal(keyring, plain, context=place)},
        )
    return len(found)


async def numbers_under(db: AsyncConnection) -> dict[int, int]:
    """Return how many accounts' numbers are sealed under each version."""
    rows = await db.execute(
        text(f"SELECT {_NUMBER} AS version, count(*) FROM payment_account GROUP BY 1")  # noqa: S608
    )
    return {row.version: row[1] for row in rows}
