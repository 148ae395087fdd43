"""What a Square connection is configured with."""

from collections.abc import Mapping

from hub.connector import DialectConfig, TenderKind

# Tender and payment source types, and the types of external payments, as Square lists them.
_SOURCES: Mapping[str, TenderKind] = {
    "CARD": TenderKind.CARD,
    "THIRD_PARTY_CARD": TenderKind.CARD,
    "CASH": TenderKind.CASH,
    "WALLET": TenderKind.WALLET,
    "SQUARE_GIFT_CARD": TenderKind.GIFTCARD,
    "SQUARE_ACCOUNT": TenderKind.HOUSE_ACCOUNT,
}
_EXTERNAL: Mapping[str, TenderKind] = {
    "CARD": TenderKind.CARD,
    "EMONEY": TenderKind.WALLET,
    "SQUARE_CASH": TenderKind.WALLET,
    "OTHER_GIFT_CARD": TenderKind.GIFTCARD,
    "STORED_BALANCE": TenderKind.STORED_VALUE,
    "FOOD_VOUCHER": TenderKind.VOUCHER,
}


class SquareConfig(DialectConfig):
    """`base_url` is https://connect.squareup.com; `access_token` the seller's.

    `notification_url` is the URL as subscribed, which Square signs; it is needed when a proxy
    shows the hub another one. External payments name their source in words that the seller
    chooses: `points_sources` are the group's own points, `room_charge_sources` a hotel bill.
    """

    api_version: str = "2025-01-23"
    notification_url: str | None = None
    points_sources: frozenset[str] = frozenset({"Group points"})
    room_charge_sources: frozenset[str] = frozenset({"Room charge"})

    def source_kind(self, source: str) -> TenderKind:
        """Say what a tender or payment source type is."""
        return _SOURCES.get(source, TenderKind.OTHER)

    def external_kind(self, kind: str | None, source: str | None) -> TenderKind:
        """Say what an external payment is, by the seller's words first, then by its type."""
        if source in self.points_sources:
            return TenderKind.POINTS
        if source in self.room_charge_sources:
            return TenderKind.ROOM_CHARGE
        return _EXTERNAL.get(kind or "", TenderKind.OTHER)
