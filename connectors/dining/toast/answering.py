"""Toast's loyalty protocol, the answering half: what came of a call, in Toast's words."""

import json
from typing import Any

from connectors.dining.toast.config import Offer
from connectors.dining.toast.serving import (
    RESTAURANT,
    TYPE,
    Asked,
    asked_of,
    read_transaction,
    worth_of,
)
from hub.connector import (
    Call,
    Connection,
    Found,
    Inbound,
    Known,
    NobodyKnown,
    NothingSpent,
    Quoted,
    Reply,
    Result,
    SignatureInvalid,
    Spent,
)
from hub.errors import Conflict, HubError, Malformed
from hub.units import Money

_HEADERS = {"content-type": "application/json"}


def answer_call(
    inbound: Inbound, call: Call | None, result: Result | HubError, connection: Connection
) -> Reply:
    """Word the answer; see Serving.answer."""
    if isinstance(result, HubError):
        return _error(result)
    if isinstance(result, Found):
        return _found(result)
    if isinstance(result, Quoted | Spent):
        return _on_check(inbound, result, connection)
    return _reply(200, {"transactionStatus": "ACCEPT"})


def _found(result: Found) -> Reply:
    if not result.people:
        return _reply(404, {"transactionStatus": "ERROR_ACCOUNT_INVALID"})
    accounts = [_account(person) for person in result.people]
    return _reply(200, {"transactionStatus": "ACCEPT", "searchResponse": {"accounts": accounts}})


def _on_check(inbound: Inbound, result: Quoted | Spent, connection: Connection) -> Reply:
    """Say which offers there are, and of the redemptions on the check which stand.

    A REDEEM that cannot be had as a whole has nothing of it, so that all of it is rejected.
    """
    transaction = read_transaction(inbound, connection)
    on = transaction.check_transaction_information
    if on is None:
        raise AssertionError("only a call on a check is answered with a check")
    asked = asked_of(on, connection)
    redeems = transaction.toast_transaction_type == "LOYALTY_REDEEM"
    overall = _overall(asked, result, redeems=redeems)
    # As they came: the numbers of the redemptions are Toast's own.
    given = json.loads(inbound.body)["checkTransactionInformation"].get("redemptions") or []
    applied, rejected = [], []
    for redemption, refusal in zip(given, asked.refusals, strict=True):
        why = refusal or overall
        if why is None:
            applied.append(redemption)
        else:
            rejected.append({"redemption": redemption, "message": why})
    refusals = result.refusals[1:] if isinstance(result, Quoted) else ()
    offers = connection.config.loyalty.offers
    return _reply(
        200,
        {
            "transactionStatus": "ACCEPT",
            "checkResponse": {
                "accountInfo": _account(result.person),
                "offers": [
                    _offer(
                        identifier,
                        offer,
                        result.person,
                        applicable=i < len(refusals)
                        and refusals[i] is None
                        and _fits(offer, asked, connection.currency),
                        currency=connection.currency,
                    )
                    for i, (identifier, offer) in enumerate(offers.items())
                ],
                "appliedRedemptions": applied,
                "rejectedRedemptions": rejected,
            },
        },
    )


def _overall(asked: Asked, result: Quoted | Spent, *, redeems: bool) -> str | None:
    """Return why none of the redemptions stands, or None where each stands for itself."""
    if isinstance(result, Spent):
        return result.refusal
    if redeems and not asked.is_sound:
        return "nothing was redeemed: another reward on the check is not valid"
    return result.refusals[0] if asked.points else None


def _fits(offer: Offer, asked: Asked, currency: str) -> bool:
    worth = worth_of(offer, currency)
    return 0 < worth <= asked.bill_minor - asked.worth_minor


def _account(person: Known) -> dict[str, Any]:
    """Masked, as a business sees members; Toast prints the name on the tab."""
    return {
        "identifier": person.loyalty_id,
        "firstName": person.name or "Member",
        "lastName": "",
        "phone": person.phone or "",
        "email": person.email or "",
        "pointsBalance": str(person.points),
    }


def _offer(
    identifier: str, offer: Offer, person: Known, *, applicable: bool, currency: str
) -> dict[str, Any]:
    return {
        "identifier": identifier,
        "name": offer.name,
        "selectionType": "CHECK",
        "amount": str(Money(worth_of(offer, currency), currency)),
        "quantity": max(person.points, 0) // offer.points,
        "applicable": applicable,
    }


def _error(said: HubError) -> Reply:
    status = 400
    if isinstance(said, SignatureInvalid):
        code = "ERROR_INVALID_TOKEN"
    elif isinstance(said, NobodyKnown):
        status, code = 404, "ERROR_ACCOUNT_INVALID"
    elif isinstance(said, NothingSpent):
        code = "ERROR_TRANSACTION_DOES_NOT_EXIST"
    elif isinstance(said, Malformed):
        code = {
            TYPE: "ERROR_INVALID_TOAST_TRANSACTION_TYPE",
            RESTAURANT: "ERROR_INVALID_RESTAURANT",
        }.get(said.field, "ERROR_INVALID_INPUT_PROPERTIES")
    elif isinstance(said, Conflict):
        code = "ERROR_INVALID_INPUT_PROPERTIES"
    else:
        status, code = 500, "ERROR"
    return _reply(status, {"transactionStatus": code, "message": said.message})


def _reply(status: int, answer: dict[str, Any]) -> Reply:
    return Reply(status=status, body=json.dumps(answer).encode(), headers=_HEADERS)
