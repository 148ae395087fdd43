"""The golden month's figures: settlement at redemption, three businesses, one period.

R is retail, H the hotel, D dining; yuan net of tax as decimal text. They were checked by hand and
by a program of its own. They stand here so that the tests run without the file that they come
from; where that is at hand, the two are proven to be the same.
"""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

SHARED = Path(__file__).resolve().parents[3] / "shared" / "golden" / "settlement_at_redemption.json"
PARAMETERS = {
    "face_value_per_point": "0.01",
    "expected_redemption": "0.80",
    "issuer_to_acceptor_rate_per_point": "0.008",
    "rounding": "none needed: every figure below is exact",
}
INPUT: dict[str, Any] = {
    "sales": {"R": "99000", "H": "49500", "D": "19800"},
    "issued_points": {"R": 125000, "H": 62500, "D": 25000},
    "opening_points": {"R": 50000, "H": 25000, "D": 0},
    "redemptions_issuer_acceptor_points": {
        "R>R": 20000,
        "R>H": 30000,
        "R>D": 10000,
        "H>R": 12000,
        "H>H": 5000,
        "H>D": 8000,
        "D>R": 4000,
        "D>H": 2000,
        "D>D": 1000,
    },
    "reinstated_points": {"R>H": 1000},
    "expired_points": {"R": 10000, "H": 5000, "D": 0},
    "refunds": {
        "R": {"sale": "990", "clawback_points": 1250},
        "D": {"sale": "198", "clawback_points": 250},
    },
}
EXPECTED: dict[str, Any] = {
    "allocated_to_points": {"R": "990", "H": "495", "D": "198"},
    "goods_revenue_before_refunds": {"R": "98010", "H": "49005", "D": "19602"},
    "liability_per_expected_point": "0.0099",
    "closing_points": {"R": 104750, "H": 57500, "D": 17750, "group": 180000},
    "liability_rollforward": {
        "R": {
            "opening": "396.00",
            "deferred": "990.00",
            "redeemed": "-594.00",
            "reinstated": "9.90",
            "expired": "0",
            "clawback": "-9.90",
            "closing": "792.00",
            "proof_expected_points": 80000,
        },
        "H": {
            "opening": "198.00",
            "deferred": "495.00",
            "redeemed": "-247.50",
            "reinstated": "0",
            "expired": "0",
            "clawback": "0",
            "closing": "445.50",
            "proof_expected_points": 45000,
        },
        "D": {
            "opening": "0",
            "deferred": "198.00",
            "redeemed": "-69.30",
            "reinstated": "0",
            "expired": "0",
            "clawback": "-1.98",
            "closing": "126.72",
            "proof_expected_points": 12800,
        },
        "group_closing": "1364.22",
    },
    "obligations": {
        "R>H": "232.00",
        "R>D": "80.00",
        "H>R": "96.00",
        "H>D": "64.00",
        "D>R": "32.00",
        "D>H": "16.00",
        "gross": "520.00",
    },
    "bilateral": {"R>H": "136.00", "R>D": "48.00", "H>D": "48.00"},
    "multilateral_net": {"R": "-184.00", "H": "88.00", "D": "96.00"},
    "clawback_revenue": {
        "R": {"revenue": "980.10", "liability": "9.90"},
        "D": {"revenue": "196.02", "liability": "1.98"},
    },
    "elimination": {
        "partner_revenue": {"R": "128.00", "H": "248.00", "D": "144.00", "total": "520.00"},
        "redemption_cost": {"R": "312.00", "H": "160.00", "D": "48.00", "total": "520.00"},
    },
    "group_points_revenue": "900.90",
}
LATE_EVENT = {
    "given": "2,000 points issued by R are accepted by D, business date in the closed period, "
    "received after its close",
    "expected": {"next_period_line": "16.00", "closed_statement_hash": "unchanged"},
}


def shared() -> dict[str, Any] | None:
    """Return the figures of the file itself, but for what it says about them; None without it."""
    if not SHARED.exists():
        return None
    golden: dict[str, Any] = json.loads(SHARED.read_text())
    del golden["about"]
    return golden


def cents(yuan: str) -> int:
    """Return yuan as fen."""
    return int(Decimal(yuan) * 100)
