"""The web application: GraphQL, hooks, calls, statements, probes. `hub serve` runs `app`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket

from hub import config
from hub.connector import Inbound
from hub.entrypoints import (
    till_openapi,
    web_auth,
    web_errors,
    web_graphql,
    web_health,
    web_oauth,
    web_passkeys,
)
from hub.entrypoints.collecting import spare_the_collector
from hub.entrypoints.logs import configure_logs
from hub.entrypoints.web_limits import CrossOrigin, Observed, SizeLimited
from hub.entrypoints.web_payments import payment_advice, payment_order
from hub.entrypoints.web_reconciliation import reconciliation_file
from hub.entrypoints.web_state import State, serving, state_of
from hub.entrypoints.web_statements import statement_file
from hub.entrypoints.web_straight import LEVEL, SMALLEST, Straight

STATIC = Path(__file__).parent / "static"
_LANDING_MAY = "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'"


async def landing(_: Request) -> Response:
    """Say where to look."""
    return FileResponse(STATIC / "index.html", headers={"content-security-policy": _LANDING_MAY})


async def socket(websocket: WebSocket) -> None:
    """Hold a socket for subscriptions."""
    state: State = websocket.app.state.hub
    await state.sockets.hold(websocket)


async def hook(request: Request) -> Response:
    """Receive a delivery, signed over its raw bytes and the address its sender was given."""
    return await state_of(request).door.receive(
        request.path_params["connection"], await _inbound(request)
    )


async def call(request: Request) -> Response:
    """Answer a system that asks while a guest waits."""
    return await state_of(request).desk.answer(
        request.path_params["connection"], await _inbound(request)
    )


async def till(request: Request) -> Response:
    """Answer a till about a cart."""
    return await state_of(request).tills.answer(
        request.path_params["connection"],
        request.path_params["operation"],
        await _inbound(request),
    )


async def tills_document(_: Request) -> Response:
    """Return the OpenAPI document of the tills' API."""
    return Response(till_openapi.text(), media_type="application/json")


async def _inbound(request: Request) -> Inbound:
    query = f"?{request.url.query}" if request.url.query else ""
    return Inbound(
        body=await request.body(),
        headers={name.lower(): value for name, value in request.headers.items()},
        url=f"{state_of(request).settings.base_url}{request.url.path}{query}",
    )


def create_app(settings: config.Settings | None = None) -> Observed:
    """Return the application. Settings are read when it starts, unless given.

    Where they are read, the process is a server and nothing else, and its memory is kept so.
    """

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        chosen = settings or config.settings()
        configure_logs(chosen.log_level)
        async with serving(chosen) as state:
            app.state.hub = state
            if settings is None:
                spare_the_collector()
            yield

    def most_bytes() -> int:
        state: State = inner.state.hub
        return state.settings.max_body_bytes

    def cors_origins() -> list[str]:
        state: State = inner.state.hub
        return state.settings.cors_origins.split()

    operations = Route("/graphql", web_graphql.Operations(), methods=["POST"])
    inner = Starlette(
        routes=[
            Route("/", landing),
            operations,
            Route("/graphql", web_graphql.get),
            WebSocketRoute("/graphql", socket),
            Route("/oauth/token", web_oauth.token, methods=["POST"]),
            Route("/auth/code", web_auth.code, methods=["POST"]),
            Route("/auth/token", web_auth.token, methods=["POST"]),
            Route("/auth/passkey/options", web_passkeys.get, methods=["POST"]),
            Route("/auth/passkeys/options", web_passkeys.create, methods=["POST"]),
            Route("/auth/passkeys", web_passkeys.add, methods=["POST"]),
            Route("/auth/logout", web_auth.logout, methods=["POST"]),
            Route("/.well-known/oauth-authorization-server", web_oauth.metadata),
            Route("/hooks/{connection}", hook, methods=["POST"]),
            Route("/serve/{connection}", call, methods=["POST"]),
            Route("/tills/openapi.json", tills_document),
            Route("/tills/{connection}/{operation}", till, methods=["POST"]),
            Route("/statements/{period}/{business}.{kind}", statement_file),
            Route("/payments/{period}.xml", payment_order),
            Route("/payments/{id}.pdf", payment_advice),
            Route("/reconciliation/{mapping}", reconciliation_file, methods=["POST"]),
            Route("/healthz", web_health.healthz),
            Route("/readyz", web_health.readyz),
            Route("/metrics", web_health.metrics),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[
            Middleware(CrossOrigin, origins=cors_origins),
            Middleware(SizeLimited, most_bytes=most_bytes),
            Middleware(Straight, to=operations),
            Middleware(GZipMiddleware, minimum_size=SMALLEST, compresslevel=LEVEL),
        ],
        exception_handlers={
            **web_errors.HANDLERS,
            Exception: web_errors.unexpected_error,
        },
        lifespan=lifespan,
    )
    # Outside of everything, so that what goes wrong inside is named and counted as well.
    return Observed(inner)


app = create_app()
