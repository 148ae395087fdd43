"""A statement as PDF, set by typst: the same statement gives the same bytes."""

import base64
import hashlib
import json
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import typst

from hub.crypto.signing import Signature
from hub.settlement.documents.truth import Body
from hub.settlement.documents.words import WORDS, Language

_TEMPLATES = Path(__file__).parent / "templates"
MINUS = "−"
_FUND = ("opening", "paid", "drawn", "closing")


def write_pdf(body: bytes, *, signature: Signature | None, language: Language) -> bytes:
    """Return the statement `body`, canonical JSON, as a PDF in one of two languages."""
    return set_paper("statement.typ", shown(body, signature=signature, language=language), language)


def set_paper(template: str, data: Body, language: Language) -> bytes:
    """Return a template's PDF, of texts that are ready to be set."""
    made = typst.compile(
        str(_TEMPLATES / template),
        root=str(_TEMPLATES),
        font_paths=_fonts(),
        format="pdf",
        timestamp=0,
        sys_inputs={"data": json.dumps(data), "words": json.dumps(WORDS[language])},
    )
    if not isinstance(made, bytes):
        raise TypeError("a PDF is one file")
    return made


@cache
def _fonts() -> typst.Fonts:
    """Load the fonts once: what is installed on the machine must not change a statement."""
    return typst.Fonts(include_system_fonts=False, font_paths=[str(files("manimgx_fonts_cjk"))])


def shown(body: bytes, *, signature: Signature | None, language: Language) -> Body:
    """Return what the template shows: texts, ready to be set."""
    statement: Body = json.loads(body)
    words, parties, own = WORDS[language], statement["parties"], statement["business"]
    period = statement["period"]
    first, last = (date.fromisoformat(period[name]) for name in ("starts_on", "ends_on"))
    name = {code: party["name"] for code, party in parties.items()}
    return {
        "group": statement["group"],
        "period": period["code"],
        "days": days_between(first, last, language),
        "business": {"code": own, **parties[own]},
        "others": [party for code, party in sorted(parties.items()) if code != own],
        "nets": [_net(row) for row in statement["nets"]],
        "totals": [
            {
                **{field: grouped(row[field]) for field in ("net", "tax", "gross")},
                "counterparty": name[row["counterparty"]],
                "role": words[_role(row, own)],
                "kind": words[f"kind_{row['kind']}"],
                "tax_name": row["tax_name"],
                "lines": grouped(str(row["lines"])),
                "points": grouped(str(row["points"])),
            }
            for row in statement["totals"]
        ],
        "sums": list(_sums(statement["totals"])),
        "pairs": [_pair(row, name) for row in statement["pairs"]],
        "late": [
            {
                "counterparty": name[row["counterparty"]],
                "kind": words[f"kind_{row['kind']}"],
                "currency": row["currency"],
                "days": f"{row['first_on']} – {row['last_on']}"
                if row["first_on"] != row["last_on"]
                else row["first_on"],
                "lines": grouped(str(row["lines"])),
                "points": grouped(str(row["points"])),
                "exact": grouped(row["exact"]),
            }
            for row in statement["late"]
        ],
        "funds": [
            {
                "counterparty": name[row["counterparty"]],
                "currency": row["currency"],
                **{field: grouped(row[field]) for field in _FUND},
            }
            for row in statement.get("funds", ())
        ],
        "lines": {
            "count": grouped(str(statement["lines"]["count"])),
            "late": grouped(str(statement["lines"]["late"])),
            "sha256": statement["lines"]["sha256"],
        },
        "seal": _seal(body, signature),
    }


def grouped(amount: str) -> str:
    """Write a decimal text with thousands apart and a real minus sign."""
    return f"{Decimal(amount):,f}".replace("-", MINUS)


def days_between(first: date, last: date, language: Language) -> str:
    """Write from which day to which, as the language has it."""
    if language == "zh":
        return " 至 ".join(
            f"{day.year} 年 {day.month} 月 {day.day} 日" for day in dict.fromkeys((first, last))
        )
    return " – ".join(f"{day.day} {day:%B %Y}" for day in dict.fromkeys((first, last)))


def _net(row: dict[str, Any]) -> dict[str, Any]:
    amount = Decimal(row["amount"])
    direction = "receives" if amount > 0 else "pays" if amount < 0 else "even"
    return {
        "currency": row["currency"],
        "amount": grouped(str(abs(amount))),
        "direction": direction,
    }


def _role(total: dict[str, Any], own: str) -> str:
    """Return the word for what the other one is: of a consumed lot more than debtor or creditor."""
    owes_us = total["creditor"] == own
    if total["kind"] == "redemption":
        return "issuer" if owes_us else "acceptor"
    return "debtor" if owes_us else "creditor"


def _pair(row: dict[str, Any], name: dict[str, str]) -> dict[str, Any]:
    amounts = {field: grouped(row[field]) for field in ("receivable", "payable", "net")}
    return {"counterparty": name[row["counterparty"]], "currency": row["currency"], **amounts}


def _sums(totals: list[dict[str, Any]]) -> Iterable[dict[str, str]]:
    for currency in sorted({row["currency"] for row in totals}):
        of = [row for row in totals if row["currency"] == currency]
        yield {
            "currency": currency,
            **{
                field: grouped(str(sum(Decimal(row[field]) for row in of)))
                for field in ("net", "tax", "gross")
            },
        }


def _seal(body: bytes, signature: Signature | None) -> dict[str, Any]:
    seal: dict[str, Any] = {"sha256": hashlib.sha256(body).hexdigest(), "signature": None}
    if signature is not None:
        seal |= {
            "signature": base64.b64encode(signature.signature).decode(),
            "key_version": signature.key_version,
            "public_key": base64.b64encode(signature.public_key).decode(),
        }
    return seal
