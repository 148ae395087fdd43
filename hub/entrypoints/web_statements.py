"""`GET /statements/{period}/{business}.{json,csv,xlsx,pdf}`: statements to take away."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

from anyio import create_memory_object_stream
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from graphql_schema.access import SETTLEMENT_READERS, reader, require, visible_business
from hub.crypto.signing import Signature, sign
from hub.crypto.tokens import Scope
from hub.db.caller import reading
from hub.entrypoints.web_state import state_of
from hub.errors import Malformed, NotFound
from hub.programme.queries import business_by_code
from hub.settlement.documents.book import write_xlsx
from hub.settlement.documents.lines import Sink
from hub.settlement.documents.paper import write_pdf
from hub.settlement.documents.sheet import write_csv
from hub.settlement.documents.truth import signed_file
from hub.settlement.documents.words import WORDS, Language
from hub.settlement.queries import Statement, period_by_code, statement

MEDIA = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pdf": "application/pdf",
}
Reading = Callable[[], AbstractAsyncContextManager[AsyncConnection]]
"""Begins to read as who downloads."""
_BLOCK = 64 * 1024
_AHEAD = 8


async def statement_file(request: Request) -> Response:
    """Answer a statement in the form that is asked for, to whom settlement is shown.

    The ETag is the statement's hash with its form: what never changes is asked for once. Raises
    Unauthenticated, Forbidden, NotFound, and Malformed for a language there is not.
    """
    state, kind = state_of(request), request.path_params["kind"]
    if kind not in MEDIA:
        raise NotFound("statements are .json, .csv, .xlsx or .pdf", format=kind)
    caller = require(
        await state.callers.of(request), *SETTLEMENT_READERS, scope=Scope.SETTLEMENT_READ
    )
    code = visible_business(caller, asked=request.path_params["business"])
    language = language_of(request)
    opened = partial(reading, state.readers, reader(caller))
    async with opened() as db:
        period = await period_by_code(db, request.path_params["period"])
        business = await business_by_code(db, code)
        told = await statement(db, period_id=period.period_id, business_id=business.business_id)
    seal = told.signature or (None if told.body is None else sign(state.keyring, told.body))
    headers = {
        "etag": _etag(told, kind, language, seal),
        "cache-control": "private, no-cache",
        "vary": "authorization",
        "content-disposition": f'attachment; filename="{period.code}-{code}.{kind}"',
    }
    asked = [tag.strip() for tag in request.headers.get("if-none-match", "").split(",")]
    if headers["etag"] in asked or "*" in asked:
        return Response(status_code=304, headers=headers)
    if told.body is None and kind != "csv":
        raise NotFound("this statement was issued as CSV: download it as .csv", format=kind)
    if told.body is None or kind in ("csv", "xlsx"):
        return _streamed(opened, told, kind, headers)
    if kind == "json":
        content = signed_file(told.body, seal)
    else:
        content = await asyncio.to_thread(write_pdf, told.body, signature=seal, language=language)
    return Response(content, headers=headers, media_type=MEDIA[kind])


def _streamed(
    opened: Reading, told: Statement, kind: str, headers: dict[str, str]
) -> StreamingResponse:
    if kind == "xlsx":
        content = _book(opened, told)
    else:
        content = _flow(opened, lambda db, sink: write_csv(db, statement=told, sink=sink))
    return StreamingResponse(content, headers=headers, media_type=MEDIA[kind])


async def _flow(
    opened: Reading, work: Callable[[AsyncConnection, Sink], Awaitable[None]]
) -> AsyncIterator[bytes]:
    """Yield what `work` writes while it still writes, a few blocks ahead of who reads it."""
    written, read = create_memory_object_stream[bytes](_AHEAD)

    async def write() -> None:
        async with written, opened() as db:
            await work(db, written.send)

    writing = asyncio.create_task(write())
    try:
        async with read:
            async for block in read:
                yield block
        await writing
    finally:
        writing.cancel()  # who went away is written to no longer
        await asyncio.wait({writing})


async def _book(opened: Reading, told: Statement) -> AsyncIterator[bytes]:
    """Yield an XLSX file, which can be sent only once it is whole."""
    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / "statement.xlsx"
        async with opened() as db:
            await write_xlsx(db, statement=told, out=out)
        with out.open("rb") as file:
            while block := file.read(_BLOCK):
                yield block


def language_of(request: Request) -> Language:
    """Return the language that is asked for; raises Malformed for one there is not."""
    asked = request.query_params.get("lang", "en")
    if asked == "zh":
        return "zh"
    if asked == "en":
        return "en"
    raise Malformed(f"statements are written in {' and '.join(WORDS)}", field="lang")


def _etag(told: Statement, kind: str, language: Language, seal: Signature | None) -> str:
    """Name what is answered: the statement's hash, its form, and who signed it."""
    version = seal.key_version if seal else 0
    form = f"{kind}-{language}-{version}" if kind == "pdf" else f"{kind}-{version}"
    return f'"{told.sha256.hex()}-{form}"'
