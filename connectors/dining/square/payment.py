"""Square payments and refunds as facts of their own; neither needs its order."""

from connectors.dining.square.config import SquareConfig
from connectors.dining.square.payload import Payment, PaymentRefund, currency_of, minor
from connectors.dining.square.people import purchaser
from hub.connector import (
    CanonicalEvent,
    Connection,
    EventType,
    FactKey,
    Refund,
    Refused,
    Tender,
    TenderKind,
    trading_day,
)


def payment_kind(payment: Payment, config: SquareConfig) -> TenderKind:
    """Say what a payment's money is. A Square gift card pays as a card of that brand."""
    if payment.source_type == "EXTERNAL":
        details = payment.external_details
        return config.external_kind(
            details.type if details else None, details.source if details else None
        )
    card = payment.card_details.card if payment.card_details else None
    if card is not None and card.card_brand == "SQUARE_GIFT_CARD":
        return TenderKind.GIFTCARD
    return config.source_kind(payment.source_type)


def map_payment(payment: Payment, connection: Connection) -> CanonicalEvent:
    """Map a payment that went through, or one that was cancelled or failed after all.

    Raises Refused while it is neither.
    """
    went_through = payment.status == "COMPLETED"
    if not went_through and payment.status not in ("CANCELED", "FAILED"):
        raise Refused(f"payment status is {payment.status}")
    currency = currency_of(payment.amount_money, "amount_money")
    amount = minor(payment.amount_money, currency, "amount_money")
    tender = Tender(
        id=payment.id,
        kind=payment_kind(payment, connection.config),
        amount_minor=amount,
        tip_minor=minor(payment.total_money, currency, "total_money") - amount,
    )
    occurred_at = payment.created_at if went_through else payment.updated_at or payment.created_at
    return CanonicalEvent(
        type=EventType.PAYMENT_RECORDED if went_through else EventType.PAYMENT_REVERSED,
        # Not ("payment", id): to that name the sale answers, for the refunds that know no other.
        fact=FactKey("payment_recorded" if went_through else "payment_reversed", payment.id),
        occurred_at=occurred_at,
        business_date=trading_day(connection, payment.location_id, occurred_at),
        outlet=payment.location_id,
        entity="payment",
        entity_id=payment.id,
        currency=currency,
        tenders=(tender,),
        parties=purchaser(payment.customer_id, None, connection.config),
    )


def refund_recorded(refund: PaymentRefund, connection: Connection) -> CanonicalEvent:
    """Map a completed refund. It knows its payment and no lines: all of it is unallocated.

    Raises Refused while it is not completed, and for one that belongs to no payment.
    """
    if refund.status != "COMPLETED":
        raise Refused(f"refund status is {refund.status}")
    if not refund.payment_id:
        raise Refused("the refund belongs to no payment")
    currency = currency_of(refund.amount_money, "amount_money")
    amount = minor(refund.amount_money, currency, "amount_money")
    return CanonicalEvent(
        type=EventType.REFUND_RECORDED,
        fact=FactKey("refund", refund.id),
        occurred_at=refund.created_at,
        business_date=trading_day(connection, refund.location_id, refund.created_at),
        outlet=refund.location_id,
        entity="refund",
        entity_id=refund.id,
        currency=currency,
        tenders=(
            Tender(
                id=refund.id,
                kind=_destination_kind(refund, connection.config),
                amount_minor=amount,
            ),
        ),
        refund=Refund(
            original=FactKey("payment", refund.payment_id),
            amount_minor=amount,
            unallocated_minor=amount,
        ),
    )


def _destination_kind(refund: PaymentRefund, config: SquareConfig) -> TenderKind:
    details = refund.destination_details.external_details if refund.destination_details else None
    if refund.destination_type == "EXTERNAL" and details is not None:
        return config.external_kind(details.type, details.source)
    return config.source_kind(refund.destination_type or "CARD")
