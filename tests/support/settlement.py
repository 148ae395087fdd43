"""A small group with a ledger to settle: what the settlement tests share."""

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.ledger.codes import Outcome
from hub.ledger.post import EarnRequest, post_clawback, post_earns
from hub.points.purpose import Purpose
from hub.points.redeem import redeem
from hub.points.restore import restore
from hub.programme.agree import AgreementConfig, AgreementTaxConfig
from hub.programme.apply import (
    BusinessConfig,
    EarningRuleConfig,
    GroupConfig,
    ProgrammeConfig,
    apply,
)
from hub.programme.policy_config import ExpiryPolicyConfig
from hub.programme.queries import businesses
from hub.settlement.documents.sheet import write_csv
from hub.settlement.queries import statement

KINDS = {"retail": "retail", "hotel": "hotel", "dining": "dining"}
COMPANY = "club"


def noon(day: date) -> datetime:
    return datetime.combine(day, time(12), UTC)


def agreement(
    issuer: str,
    acceptor: str,
    rate: str | None,
    *,
    since: date = date(2026, 1, 1),
    currency: str = "CNY",
) -> AgreementConfig:
    return AgreementConfig(
        issuer=issuer,
        acceptor=acceptor,
        effective_from=since,
        rate_per_point=None if rate is None else Decimal(rate),
        currency=currency,
    )


def sale(
    issuer: str,
    price: str,
    *,
    since: date = date(2026, 1, 1),
    breakage_owner: Literal["issuer", "programme"] = "programme",
    taxes: tuple[AgreementTaxConfig, ...] = (),
) -> AgreementConfig:
    """Let the programme company sell an issuer its points, at a price per point issued."""
    return AgreementConfig(
        issuer=issuer,
        acceptor=COMPANY,
        effective_from=since,
        basis="at_issue",
        rate_per_point=Decimal(price),
        breakage_owner=breakage_owner,
        currency="CNY",
        taxes=taxes,
    )


def taxed_agreement(
    issuer: str, acceptor: str, rate: str, *, included: bool | None = False
) -> AgreementConfig:
    """Return an agreement whose redemptions bear 6%, on top or included; None: no tax."""
    facts = agreement(issuer, acceptor, rate).model_dump()
    if included is not None:
        facts["taxes"] = [
            {"kind": "redemption", "code": "VAT6", "rate": "0.06", "included": included}
        ]
    return AgreementConfig.model_validate(facts)


async def make_group(
    db: AsyncConnection,
    agreements: list[AgreementConfig],
    *,
    currency: str = "CNY",
    rules: Sequence[EarningRuleConfig] = (),
    expiry: Sequence[ExpiryPolicyConfig] = (),
) -> dict[str, int]:
    """Configure three businesses and return their ids by code."""
    config = ProgrammeConfig(
        group=GroupConfig(name="Three Rivers", time_zone="Asia/Shanghai", currency="CNY"),
        businesses=[
            BusinessConfig(
                code=code,
                name=code.title(),
                kind=kind,
                legal_entity=f"{code}-ltd",
                legal_name=f"{code} Ltd",
                currency=currency,
                country="CN",
                time_zone="Asia/Shanghai",
            )
            for code, kind in KINDS.items()
        ],
        agreements=agreements,
        earning_rules=list(rules),
        expiry_policies=list(expiry),
    )
    await apply(db, config=config)
    return {business.code: business.business_id for business in await businesses(db)}


async def statement_csv(db: AsyncConnection, *, period_id: int, business_id: int) -> bytes:
    """Return a statement as CSV, having proven its hash and that of its lines."""
    found = await statement(db, period_id=period_id, business_id=business_id)
    assert found.body is not None
    assert hashlib.sha256(found.body).digest() == found.sha256
    body = json.loads(found.body)
    out = bytearray()

    async def sink(rows: bytes) -> None:
        out.extend(rows)

    await write_csv(db, statement=found, sink=sink)
    lines = [line for line in bytes(out).splitlines(keepends=True) if b",line," in line]
    assert len(lines) == body["lines"]["count"]
    assert hashlib.sha256(b"".join(lines)).hexdigest() == body["lines"]["sha256"]
    return bytes(out)


class Tills:
    """Posts what happens in the shops; every request gets a key of its own."""

    def __init__(self, db: AsyncConnection, ids: dict[str, int]) -> None:
        self.db = db
        self.ids = ids
        self._keys = 0

    def _key(self) -> str:
        self._keys += 1
        return f"receipt-{self._keys}"

    async def issue(
        self,
        issuer: str,
        member_id: int,
        points: int,
        day: date,
        *,
        cost: str = "0.008",
        expires_on: date | None = None,
    ) -> int:
        request = EarnRequest(
            business_id=self.ids[issuer],
            idempotency_key=self._key(),
            member_id=member_id,
            account_id=member_id * 10,
            points=points,
            qualifying=0,
            rule_id=None,
            cost_rate=Decimal(cost),
            expires_on=expires_on,
            occurred_at=noon(day),
            business_date=day,
        )
        (tx_id,) = (await post_earns(self.db, [request])).values()
        return tx_id

    async def redeem(
        self, acceptor: str, member_id: int, points: int, day: date, **purpose: str
    ) -> int:
        answer = await redeem(
            self.db,
            business_id=self.ids[acceptor],
            member_id=member_id,
            points=points,
            idempotency_key=self._key(),
            occurred_at=noon(day),
            business_date=day,
            today=day,
            now=noon(day),
            purpose=Purpose(**purpose),
        )
        assert answer.outcome is Outcome.POSTED
        return answer.tx_id

    async def restore(
        self, acceptor: str, member_id: int, redemption_tx: int, points: int, day: date
    ) -> int:
        answer = await restore(
            self.db,
            business_id=self.ids[acceptor],
            member_id=member_id,
            redemption_tx=redemption_tx,
            points=points,
            idempotency_key=self._key(),
            occurred_at=noon(day),
            business_date=day,
            today=day,
            now=noon(day),
        )
        assert answer.outcome is Outcome.POSTED
        return answer.tx_id

    async def claw_back(
        self, issuer: str, member_id: int, earn_tx: int, points: int, day: date
    ) -> None:
        answer = await post_clawback(
            self.db,
            business_id=self.ids[issuer],
            idempotency_key=self._key(),
            member_id=member_id,
            account_id=member_id * 10,
            earn_tx=earn_tx,
            points=points,
            qualifying=0,
            occurred_at=noon(day),
            business_date=day,
            now=noon(day),
        )
        assert (answer.outcome, answer.shortfall) == (Outcome.POSTED, 0)
