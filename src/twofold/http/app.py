"""The ASGI application of a service or a system, to be served alone or mounted in another one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import TypeAlias

import msgspec
from starlette.routing import BaseRoute, Match, Mount, Route, Router
from starlette.types import Receive, Scope, Send

from twofold.clock import SystemClock
from twofold.errors import NotRunning
from twofold.http.access import Access, read_access
from twofold.http.docs import page
from twofold.http.endpoints import Endpoints
from twofold.http.exchange import Endpoint, Exchange, Response, Stream, json_response
from twofold.http.health import readiness
from twofold.http.openapi import openapi
from twofold.http.problems import Problem
from twofold.limits import HttpLimits, read_limits
from twofold.service import Declaration, Running, Service, System

Served: TypeAlias = Service | System | Running | Mapping[str, Running]
_Answer: TypeAlias = Callable[[Exchange], Awaitable[Response | Stream]]
_Route: TypeAlias = Callable[[str, _Answer], Route]
_Lifespan: TypeAlias = Callable[[object], AbstractAsyncContextManager[None]]

_CLOCK = SystemClock()


def asgi(
    served: Served,
    *,
    max_body_bytes: int | None = None,
    allowed_hosts: Iterable[str] | None = None,
    allowed_origins: Iterable[str] | None = None,
) -> Router:
    """Return the application of a service, or of several with each under its name.

    Its lifespan starts what does not run yet, by the settings in the environment; where another application's lifespan
    does that (``FastAPI(lifespan=bank.lifespan)``), it is just mounted: ``app.mount("/bank", asgi(bank))``.

    What is not given is read from the environment: ``TWOFOLD_ALLOWED_HOSTS`` (names that it answers to besides local ones) and
    ``TWOFOLD_ALLOWED_ORIGINS`` (sites whose pages may use it). What a request may have is among the limits of what runs; those
    of what does not run yet are in the environment.

    It is a router without Starlette's middleware: every endpoint turns what goes wrong into a problem document by itself.

    >>> from examples.bank import bank
    >>> sorted(route.path for route in asgi(bank).routes)[:3]
    ['/commands/{name}', '/docs', '/feed']

    Raises:
        SettingsError: one of them is not written as it should be.
    """
    limits = _limits_of(served)
    if max_body_bytes:
        limits = msgspec.structs.replace(limits, max_body_bytes=max_body_bytes)
    route = partial(_route, read_access(hosts=allowed_hosts, origins=allowed_origins), limits)
    if isinstance(served, Service):
        return _service_app(served, route)
    if isinstance(served, Running):
        return _router(_routes(Endpoints(served.declaration, lambda: served), served.declaration, route), route)
    if isinstance(served, System):
        return _system_app(served, route)
    running = dict(served)
    declarations = {name: each.declaration for name, each in running.items()}
    return _router(_several(declarations, running.__getitem__, route), route)


def check_settings() -> None:
    """Check what the environment says of the edge, before anything is started for it.

    Raises:
        SettingsError: one of them is not written as it should be.
    """
    read_limits()
    read_access()


def _limits_of(served: Served) -> HttpLimits:
    if isinstance(served, Service | System):
        return read_limits().http
    running = served if isinstance(served, Running) else next(iter(served.values()))
    return running.limits.http


def _service_app(service: Service, route: _Route) -> Router:
    @asynccontextmanager
    async def lifespan(app: object) -> AsyncIterator[None]:
        if service.is_running:
            yield
        else:
            async with service:
                yield

    endpoints = Endpoints(service.declaration, lambda: service.running)
    return _router(_routes(endpoints, service.declaration, route), route, lifespan)


def _system_app(system: System, route: _Route) -> Router:
    running: dict[str, Running] = {}

    @asynccontextmanager
    async def lifespan(app: object) -> AsyncIterator[None]:
        async with system.run() as services:
            running.update(services)
            yield
        running.clear()

    def find(name: str) -> Running:
        if name not in running:
            raise NotRunning(f"{name} is not running: serve this application with its lifespan, as `twofold run` does.")
        return running[name]

    declarations = {name: service.declaration for name, service in system.services.items()}
    return _router(_several(declarations, find, route), route, lifespan)


def _router(routes: list[BaseRoute], route: _Route, lifespan: _Lifespan | None = None) -> Router:
    router = Router(routes=routes, lifespan=lifespan)
    nothing, elsewhere = route("/", _nothing_here).endpoint, router.default

    async def default(scope: Scope, receive: Receive, send: Send) -> None:
        # A request without a path, such as OPTIONS *, is on none of the routes.
        await (nothing if scope["type"] == "http" else elsewhere)(scope, receive, send)

    router.default = default
    return router


def _routes(endpoints: Endpoints, declaration: Declaration, route: _Route) -> list[BaseRoute]:
    document = openapi(declaration)

    async def described(exchange: Exchange) -> Response:
        exchange.require("GET", "HEAD")
        # Where the service is mounted, or behind a proxy, only the request knows.
        return json_response({**document, "servers": [{"url": exchange.scope.get("root_path") or "/"}]})

    return [
        route("/commands/{name}", endpoints.command),
        route("/queries/{name}", endpoints.query),
        route("/feed", endpoints.feed),
        route("/openapi.json", described),
        route("/docs", _constant(page())),
        route("/health/live", endpoints.live),
        route("/health/ready", endpoints.ready),
        route("/{path:path}", _nothing_here),
    ]


def _several(declarations: dict[str, Declaration], find: Callable[[str], Running], route: _Route) -> list[BaseRoute]:
    each = {name: Endpoints(declaration, _finder(find, name)) for name, declaration in declarations.items()}

    async def ready(exchange: Exchange) -> Response:
        return readiness([await endpoints.state() for endpoints in each.values()])

    index = json_response({"services": {name: f"{name}/docs" for name in each}})
    return [
        route("/health/live", next(iter(each.values())).live),
        route("/health/ready", ready),
        *[Mount(f"/{name}", routes=_routes(endpoints, declarations[name], route)) for name, endpoints in each.items()],
        route("/", _constant(index)),
        route("/{path:path}", _nothing_here),
    ]


def _finder(find: Callable[[str], Running], name: str) -> Callable[[], Running]:
    return lambda: find(name)


def _route(access: Access, limits: HttpLimits, path: str, answer: _Answer) -> Route:
    return _Path(path, Endpoint(answer, _CLOCK.new_id, access, limits))


class _Path(Route):
    """A path whose endpoint looks at the method itself, and whose parameters are text: so there is less to be matched."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] != "http" or scope.get("root_path"):
            return super().matches(scope)
        found = self.path_regex.match(scope["path"])
        if found is None:
            return Match.NONE, {}
        return Match.FULL, {
            "endpoint": self.endpoint,
            "path_params": {**scope.get("path_params", {}), **found.groupdict()},
        }

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.endpoint(scope, receive, send)


def _constant(response: Response) -> _Answer:
    async def answer(exchange: Exchange) -> Response:
        exchange.require("GET", "HEAD")
        status, headers, body = response
        return status, list(headers), body

    return answer


async def _nothing_here(exchange: Exchange) -> Response:
    raise Problem(
        404,
        "not-found",
        "There is nothing at this path",
        f"{exchange.scope['path']}: there are commands/{{Name}}, queries/{{Name}}, openapi.json, docs, feed, health/live and "
        "health/ready; of a system, under each service's name.",
    )
