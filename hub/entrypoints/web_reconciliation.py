"""`POST /reconciliation/{mapping}?name=FILE`: a business's own file, or a bank's statement."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from graphql_schema.access import CLOSERS, require
from hub.clock import now
from hub.crypto.tokens import Scope
from hub.entrypoints.web_state import state_of
from hub.errors import Malformed
from hub.reconciliation.take_file import take_file
from hub.reconciliation.take_in import TakenIn

MOST_TOLD = 100
"""How many of the rows that make no sense are told at once."""


async def reconciliation_file(request: Request) -> Response:
    """Take the body in as a file, whole or not at all, and answer what became of it. For finance.

    `name` is the file's, whose ending says what it is; `again=true` takes rows that a later file
    has corrected. 400 says which rows make no sense. Raises Unauthenticated, Forbidden, NotFound
    for a mapping there is not, Malformed for what is no such file.
    """
    state = state_of(request)
    caller = require(await state.callers.of(request), *CLOSERS, scope=Scope.RECONCILIATION_WRITE)
    again = request.query_params.get("again", "false")
    if again not in ("true", "false"):
        raise Malformed("again is true or false", field="again")
    body = await request.body()
    async with state.engine.begin() as db:
        taken = await take_file(
            db,
            code=request.path_params["mapping"],
            name=request.query_params.get("name", ""),
            body=body,
            actor=caller.subject,
            now=now(),
            again=again == "true",
        )
    if isinstance(taken, TakenIn):
        return JSONResponse(
            {
                "file": taken.file_id,
                "added": taken.added,
                "unchanged": taken.unchanged,
                "corrected": taken.superseded,
                "out_of_date": taken.stale,
                "replayed": taken.replayed,
            }
        )
    first = taken[0]
    told = [
        {"row": row.number, "field": row.field, "message": row.reason} for row in taken[:MOST_TOLD]
    ]
    error = {
        "code": Malformed.code,
        "message": f"nothing was taken: {len(taken)} rows have something wrong; "
        f"row {first.number}: {first.reason}",
        "field": first.field,
        "rows": told,
    }
    return JSONResponse({"error": error}, status_code=400)
