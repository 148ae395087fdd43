"""What Toast asks of its restaurant's loyalty provider while a guest waits."""

from collections.abc import Sequence
from typing import Any

from connectors.sandbox.second.accounts import RESTAURANT, TOAST_LOYALTY_KEY
from connectors.sandbox.signing import Signed
from connectors.sandbox.writing import number, to_json

Redemption = tuple[str, int]
"""An offer and what it takes off, in minor units."""


def search(url: str, *, guid: str, phone: str) -> Signed:
    """Ask who has this phone."""
    criteria = {"searchCriteria": {"phone": phone}}
    return _call(url, "LOYALTY_SEARCH", guid, searchTransactionInformation=criteria)


def on_check(
    url: str,
    kind: str,
    *,
    guid: str,
    loyalty_id: str,
    check_id: str,
    minor: int,
    used: Sequence[Redemption] = (),
) -> Signed:
    """Inquire about a check, redeem on it, or accrue for it: `kind` says which."""
    information = {
        "loyaltyIdentifier": loyalty_id,
        "check": {"guid": check_id, "amount": number(minor)},
        "redemptions": [
            {"identifier": name, "quantity": 1, "amount": number(worth)} for name, worth in used
        ],
    }
    return _call(url, f"LOYALTY_{kind}", guid, checkTransactionInformation=information)


def reverse(url: str, *, guid: str, loyalty_id: str, of: str) -> Signed:
    """Take a transaction back."""
    information = {"loyaltyIdentifier": loyalty_id, "transactionId": of, "redemptions": None}
    return _call(url, "LOYALTY_REVERSE", guid, reverseTransactionInformation=information)


def _call(url: str, kind: str, guid: str, **information: Any) -> Signed:
    headers = {
        "content-type": "application/json",
        "authorization": TOAST_LOYALTY_KEY,
        "toast-transaction-type": kind,
        "toast-transaction-guid": guid,
        "toast-restaurant-external-id": RESTAURANT,
    }
    return Signed(
        url=url, headers=headers, body=to_json({"toastTransactionType": kind, **information})
    )
