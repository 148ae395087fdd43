"""Attributes of a person as far as someone may see them who only has to tell people apart. Pure."""

import re

from hub.connector import HintType
from hub.members.names import surname


def masked(attribute: HintType, value: str) -> str:
    """Hide the telling part of a name, phone, email or birthday; all of anything else.

    李雷 → 李*, Lei Li → L*** L***, +8613910203040 → 139****3040 (China, as is usual there),
    +447911123456 → +44****3456, lei@example.com → l***@example.com, 1990-02-03 → ****-02-**.
    """
    match attribute:
        case HintType.NAME:
            return _name(value)
        case HintType.PHONE:
            return _phone(value)
        case HintType.EMAIL:
            local, _, domain = value.partition("@")
            return f"{local[:1]}***@{domain}"
        case HintType.BIRTHDAY:
            return f"****-{value[-5:-3]}-**"
        case _:
            return "***"


def _name(value: str) -> str:
    family = surname(value)
    if family:
        return f"{family}*" if len(value) <= len(family) + 1 else f"{family}**"
    return " ".join(f"{word[:1]}***" for word in value.split())


def _phone(value: str) -> str:
    chinese = re.fullmatch(r"\+86(1\d{2})\d{4}(\d{4})", value)
    if chinese:
        return f"{chinese[1]}****{chinese[2]}"
    return f"{value[:3]}****{value[-4:]}"
