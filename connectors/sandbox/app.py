"""The sandbox's server: the upstream APIs, and a few controls of its own."""

from datetime import date

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.sandbox.accounts import connections
from connectors.sandbox.play import Play, play
from connectors.sandbox.upstream import Upstream
from connectors.sandbox.world import build


class Trouble(BaseModel):
    """How the APIs misbehave: so many calls are answered with 429 and this Retry-After."""

    model_config = ConfigDict(extra="forbid")

    reject_next: int = Field(ge=0)
    retry_after_seconds: int = Field(default=1, ge=0)


def create_app(seed: int, today: date) -> Starlette:
    """Build the world and the server that plays it."""
    world = build(seed, today)
    upstream = Upstream(world)

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
        return JSONResponse(await play(world.deliveries, how))

    async def make_trouble(request: Request) -> Response:
        try:
            trouble = Trouble.model_validate_json(await request.body())
        except ValidationError as bad:
            return JSONResponse({"errors": bad.errors(include_url=False)}, status_code=422)
        upstream.reject_next = trouble.reject_next
        upstream.retry_after_seconds = trouble.retry_after_seconds
        return JSONResponse(trouble.model_dump())

    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/world", show_world),
            Route("/people", show_people),
            Route("/connections", show_connections),
            Route("/play", play_world, methods=["POST"]),
            Route("/trouble", make_trouble, methods=["POST"]),
            *upstream.routes(),
        ]
    )
