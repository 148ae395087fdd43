"""Files of a business's own: a table whose columns are mapped to the canonical form.

One row is one event; rows with the same type and id are the lines of one bill. Columns are called
like the fields below, or are mapped to them by the connection's `columns`.

    type id version occurred_at business_date outlet currency exchange_rate total tip
    sale stay payment plan amount confirmation arrival departure
    customer.{id phone email name birthday loyalty_id unionid openid
    referred_by}
    line.{id kind name quantity amount discount category tax reverses}
    tender.{kind amount tip reference}
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from connectors.inhouse.canonical.config import CanonicalConfig
from hub.connector import EventType, FileRow, parse_json, read_table
from hub.errors import HubError, Malformed

_SIMPLE = (
    *("id", "version", "occurred_at", "business_date", "outlet", "currency", "exchange_rate"),
    *("total", "tip", "sale", "stay", "payment", "amount", "confirmation", "arrival", "departure"),
    "plan",
)
_CUSTOMER = ("id", "phone", "email", "name", "birthday", "loyalty_id", "unionid", "openid",
             "referred_by")  # fmt: skip
_LINE = ("id", "kind", "name", "quantity", "amount", "discount", "category", "tax", "reverses")
_TENDER = ("kind", "amount", "tip", "reference")
FIELDS = frozenset(
    ["type", *_SIMPLE]
    + [f"customer.{name}" for name in _CUSTOMER]
    + [f"line.{name}" for name in _LINE]
    + [f"tender.{name}" for name in _TENDER]
)
_TIMES = ("occurred_at", "arrival", "departure")
_WITH_LINES = (EventType.SALE_COMPLETED, EventType.STAY_COMPLETED, EventType.REFUND_RECORDED)

Cells = Mapping[str, str]


def rows(name: str, body: bytes, config: CanonicalConfig) -> Iterator[FileRow]:
    """Yield the events of a file in the order in which they begin.

    Raises Malformed for what is neither CSV, XLSX nor JSON lines, and for columns that no event
    can do without.
    """
    kind = name.lower().rpartition(".")[2]
    if kind in ("jsonl", "ndjson"):
        yield from _json_lines(body)
        return
    heading, table = read_table(kind, body)
    fields = _fields(heading, config)
    groups: dict[tuple[str, str], list[tuple[int, list[str]]]] = {}
    for number, cells in enumerate(table, start=2):
        if not any(cells):
            continue
        said = {**config.defaults, **_said(fields, cells)}
        # Without an id a row is by itself, and will be told so.
        key = (said.get("type", ""), said.get("id") or f"\0{number}")
        groups.setdefault(key, []).append((number, cells))
    for group in groups.values():
        yield _row(group, heading, fields, config)


def _json_lines(body: bytes) -> Iterator[FileRow]:
    """Read a file that is in the canonical form already, an event a line."""
    for number, line in enumerate(body.split(b"\n"), start=1):
        if line.strip():
            cells = [{"event": line.decode(errors="replace")}]
            try:
                written = json.dumps(parse_json(line), default=str, ensure_ascii=False).encode()
            except Malformed as wrong:
                yield FileRow(numbers=[number], cells=cells, error=wrong)
            else:
                yield FileRow(numbers=[number], cells=cells, document=written)


def _fields(heading: Sequence[str], config: CanonicalConfig) -> dict[int, str]:
    """Say which field each column holds; columns that are none are left out."""
    unknown = [
        field for field in (*config.columns.values(), *config.defaults) if field not in FIELDS
    ]
    if unknown:
        raise Malformed(f"{unknown[0]!r} is no field: {', '.join(sorted(FIELDS))}", field="columns")
    lacking = [column for column in config.columns if column not in heading]
    if lacking:
        raise Malformed(f"the file has no column {lacking[0]!r}", field=lacking[0])
    fields: dict[int, str] = {}
    for place, column in enumerate(heading):
        field = config.columns.get(column) or (column if column in FIELDS else None)
        if field is not None and field in fields.values():
            raise Malformed(f"two columns hold {field}", field=column)
        if field is not None:
            fields[place] = field
    for needed in ("type", "id", "occurred_at"):
        if needed not in fields.values() and needed not in config.defaults:
            raise Malformed(
                f"no column holds {needed}; name one in the connection's columns", field=needed
            )
    return fields


def _said(fields: Mapping[int, str], cells: Sequence[str]) -> dict[str, str]:
    return {
        field: cells[place]
        for place, field in fields.items()
        if place < len(cells) and cells[place]
    }


def _row(
    group: Sequence[tuple[int, list[str]]],
    heading: Sequence[str],
    fields: Mapping[int, str],
    config: CanonicalConfig,
) -> FileRow:
    numbers = [number for number, _ in group]
    cells = [dict(zip(heading, found, strict=False)) for _, found in group]
    said = [{**config.defaults, **_said(fields, found)} for _, found in group]
    try:
        document = _document(said, config)
    except HubError as wrong:
        return FileRow(numbers=numbers, cells=cells, error=wrong)
    return FileRow(numbers=numbers, cells=cells, document=document)


def _document(said: Sequence[dict[str, str]], config: CanonicalConfig) -> bytes:
    """Write an event that one row, or several with the same id, tell of."""
    head = said[0]
    kind = head.get("type", "")
    data: dict[str, Any] = {name: head[name] for name in _SIMPLE if name in head}
    if "id" not in data:
        raise Malformed("an id was expected", field="id")
    for name in _TIMES:
        if name in data:
            data[name] = _time(data[name], config.time_format, name)
    if "version" in data:
        data["version"] = int(data["version"]) if data["version"].isdigit() else data["version"]
    for other in said[1:]:
        for name in _SIMPLE:
            if other.get(name, head.get(name)) != head.get(name):
                raise Malformed(f"rows of {head.get('id')} differ in {name}", field=name)
    customer = _part(head, "customer", _CUSTOMER)
    if customer:
        data["customer"] = customer
    if kind in tuple(_WITH_LINES):
        data |= _lines(said, kind)
    tenders = [tender for one in said if (tender := _part(one, "tender", _TENDER))]
    if len(tenders) == 1 and "total" in head:
        tenders[0].setdefault("amount", _less(head["total"], head.get("tip")))
    if tenders and kind.startswith("payment."):
        data["tender"] = tenders[0]
    elif tenders:
        data["tenders"] = _once(tenders)
    return json.dumps({"type": kind, "data": data}, ensure_ascii=False).encode()


def _lines(said: Sequence[dict[str, str]], kind: str) -> dict[str, Any]:
    """Return the lines; a bill that tells of none is one line of what was to be paid."""
    lines = []
    for number, one in enumerate(said, start=1):
        line = _part(one, "line", _LINE)
        tax = line.pop("tax", None)
        if tax is not None:
            line["taxes"] = [{"amount": tax}]
        if "amount" in line:
            lines.append({"id": str(number), **line})
        elif kind != EventType.REFUND_RECORDED and len(said) == 1 and "total" in one:
            lines.append({"id": "1", **line, "amount": _less(one["total"], one.get("tip"))})
    return {"lines": lines} if lines else {}


def _less(total: str, tip: str | None) -> str:
    try:
        return str(Decimal(total) - Decimal(tip or 0))
    except ArithmeticError as bad:
        raise Malformed(f"{total!r} is not a decimal amount", field="total") from bad


def _once(tenders: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """A bill's rows repeat how it was paid, where a file has no other way to say it."""
    return [one for place, one in enumerate(tenders) if one not in tenders[:place]]


def _part(said: Mapping[str, str], part: str, names: Sequence[str]) -> dict[str, Any]:
    return {name: said[key] for name in names if (key := f"{part}.{name}") in said}


def _time(written: str, time_format: str | None, field: str) -> str:
    try:
        if time_format is not None:
            return datetime.strptime(written, time_format).isoformat()  # noqa: DTZ007 - see documents
        return datetime.fromisoformat(written.replace("/", "-")).isoformat()
    except ValueError as bad:
        way = time_format or "ISO 8601, or set the connection's time_format"
        raise Malformed(f"{written[:40]!r} is no time as {way}", field=field) from bad
