"""Remittance advice: a payment as PDF, with the statements and lines that it settles."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from hub.settlement.accounts import Ending
from hub.settlement.documents.paper import days_between, grouped, set_paper
from hub.settlement.documents.party import Party
from hub.settlement.documents.words import Language
from hub.settlement.payments import Payment, Settled
from hub.settlement.queries import Period
from hub.units import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """All that an advice says; of the accounts only the ends."""

    group: str
    time_zone: str
    period: Period
    payment: Payment
    parties: Mapping[int, Party]
    endings: Mapping[int, Ending]
    settled: Sequence[Settled]


def write_advice(advice: Advice, *, language: Language) -> bytes:
    """Return the advice as PDF: the same payment in the same state gives the same bytes."""
    payment, parties = advice.payment, advice.parties
    sides = (
        ("payer", payment.debtor_id, payment.debtor_account_id),
        ("payee", payment.creditor_id, payment.creditor_account_id),
    )
    data = {
        "group": advice.group,
        "period": advice.period.code,
        "days": days_between(advice.period.starts_on, advice.period.ends_on, language),
        "end_to_end_id": payment.end_to_end_id,
        "state": payment.state,
        "currency": payment.currency,
        "amount": grouped(str(Money(payment.amount_minor, payment.currency))),
        "sides": [
            {
                "role": role,
                "name": parties[business_id].name,
                "legal_name": parties[business_id].legal_name,
                "country": parties[business_id].country,
                "agent": advice.endings[account_id].agent,
                "ending": advice.endings[account_id].ending,
            }
            for role, business_id, account_id in sides
        ],
        "settled": [
            {
                "code": parties[one.business_id].code,
                "name": parties[one.business_id].name,
                "amounts": [
                    grouped(str(Money(minor, payment.currency)))
                    for minor in (
                        one.stated_minor,
                        -one.disputed_minor,
                        one.due_minor,
                        one.carried_in_minor,
                    )
                ],
                "sha256": one.sha256.hex(),
                "lines": grouped(str(one.lines)),
                "lines_sha256": one.lines_sha256.hex(),
            }
            for one in advice.settled
        ],
        "released": _at(payment.released_at, advice.time_zone),
        "paid": " · ".join(
            part
            for part in (_at(payment.paid_at, advice.time_zone), payment.paid_reference)
            if part
        ),
    }
    return set_paper("advice.typ", data, language)


def _at(moment: datetime | None, time_zone: str) -> str:
    if moment is None:
        return "–"
    return f"{moment.astimezone(ZoneInfo(time_zone)):%Y-%m-%d %H:%M %z}"
