"""Who bought, and what a shop knows of its customers.

Youzan sends phones and names as ciphertext unless the app may read them. Ciphertext differs from
shop to shop and finds nobody: it is left out, and the buyer is known by `yz_open_id`.
"""

from datetime import UTC, datetime

from connectors.retail.youzan.payload import BuyerInfo, Customer, FullOrder
from hub.connector import (
    CanonicalEvent,
    Connection,
    HintType,
    Party,
    Role,
    full_birthday,
    hints,
    profile_fact,
)
from hub.errors import Malformed

# The last second that has ten digits: `version` is in seconds up to here, else in milliseconds.
_LAST_SECOND = 9_999_999_999


def readable(text: str | None) -> str | None:
    """Return a personal value that is neither ciphertext ($…$1$) nor masked (138****8000)."""
    if text is None or text.startswith("$") or "*" in text:
        return None
    return text


def order_parties(order: FullOrder, connection: Connection) -> tuple[Party, ...]:
    """Return the buyer. Who receives the goods may be somebody else, and is not read."""
    buyer = order.buyer_info or BuyerInfo()
    known = buyer.yz_open_id or (buyer.buyer_id if buyer.buyer_id != "0" else None)
    source = order.source_info.source if order.source_info else None
    from_wechat = source is not None and source.platform == "wx"
    found = hints(
        connection.config,
        {
            HintType.PHONE: readable(buyer.buyer_phone),
            HintType.OPENID: buyer.outer_user_id if from_wechat else None,
        },
    )
    if known is None and not found:
        return ()
    return (Party(role=Role.PURCHASER, external_id=known, hints=found),)


def profile_changed(customer: Customer, connection: Connection) -> CanonicalEvent:
    """Return the customer's state; each state is a fact of its own, named by its version."""
    found = hints(
        connection.config,
        {
            HintType.PHONE: readable(customer.mobile),
            HintType.NAME: readable(customer.name),
            HintType.BIRTHDAY: full_birthday(customer.birthday),
        },
    )
    return profile_fact(
        Party(role=Role.PURCHASER, external_id=customer.yz_open_id, hints=found),
        connection,
        changed_at=_instant(customer.version),
    )


def _instant(version: int) -> datetime:
    seconds, milliseconds = (version, 0) if version <= _LAST_SECOND else divmod(version, 1000)
    try:
        return datetime.fromtimestamp(seconds, UTC).replace(microsecond=milliseconds * 1000)
    except (OverflowError, ValueError, OSError) as bad:
        raise Malformed("a version is a time", field="version") from bad
