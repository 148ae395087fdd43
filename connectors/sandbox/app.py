"""The sandbox's server: the upstream APIs, and a few controls of its own."""

from collections.abc import Callable, Iterable
from datetime import date

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.sandbox.accounts import connections
from connectors.sandbox.play import Play, play
from connectors.sandbox.second.accounts import connections as second_connections
from connectors.sandbox.second.world import SIZE, Second
from connectors.sandbox.trouble import Trouble, Troubles
from connectors.sandbox.upstream import Upstream
from connectors.sandbox.world import build


def create_app(seed: int, today: date, *, size: int = SIZE) -> Starlette:
    """Build both worlds and the server that plays them; `size`: so many bills of each system of
    the second world.
    """
    world = build(seed, today)
    upstream = Upstream(world)
    second = Second(seed, today, size)
    troubles = Troubles()

    async def healthz(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def show_world(request: Request) -> Response:
        return JSONResponse(world.summary())

    async def show_people(request: Request) -> Response:
        """The invented people, as they would say who they are at a till."""
        return JSONResponse(
            [{"name": one.family + one.given, "phone": one.phone} for one in world.people]
        )

    async def show_connections(request: Request) -> Response:
        return JSONResponse(connections(str(request.base_url).rstrip("/")))

    async def play_world(request: Request) -> Response:
        try:
            how = Play.model_validate_json(await request.body())
        except ValidationError as bad:
            return JSONResponse({"errors": bad.errors(include_url=False)}, status_code=422)
        return JSONResponse(await play([*world.deliveries, *second.deliveries], how))

    async def show_second(request: Request) -> Response:
        return JSONResponse(second.summary())

    async def show_second_connections(request: Request) -> Response:
        return JSONResponse(second_connections(str(request.base_url).rstrip("/")))

    async def make_trouble(request: Request) -> Response:
        try:
            troubles.left = Trouble.model_validate_json(await request.body())
        except ValidationError as bad:
            return JSONResponse({"errors": bad.errors(include_url=False)}, status_code=422)
        return JSONResponse(troubles.left.model_dump())

    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/world", show_world),
            Route("/people", show_people),
            Route("/connections", show_connections),
            Route("/play", play_world, methods=["POST"]),
            Route("/trouble", make_trouble, methods=["POST"]),
            Route("/second/world", show_second),
            Route("/second/connections", show_second_connections),
            *_guarded(upstream.routes(), troubles, upstream.touch),
            *(
                route
                for teller in second.tellers.values()
                for route in _guarded(teller.routes(), troubles, teller.touch)
            ),
            *(socket for teller in second.tellers.values() for socket in teller.sockets(troubles)),
        ]
    )


def _guarded(
    routes: Iterable[Route], troubles: Troubles, touch: Callable[[], None] | None = None
) -> list[Route]:
    return [
        Route(one.path, troubles.guard(one.endpoint, touch), methods=list(one.methods or ()))
        for one in routes
    ]
