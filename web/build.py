"""Build the application: the guard, and every room's routes behind it."""

from __future__ import annotations

from quart import Quart

from web import api, export, figures, live, pages
from web.app import Door, new_app, protect
from web.contract import QUERIES
from web.services import Access, Limits, Services


def build(services: Services, access: Access, limits: Limits, backend: str) -> Quart:
    """Return the whole web application for one incarnation of the server."""
    app = new_app(backend)
    door = Door(access, limits, services)
    protect(app, door, QUERIES)
    for routes in (
        api.events(door, services),
        api.reading(door, services),
        figures.figures(door, services),
        export.exporting(door, services),
        api.operating(door, services),
        api.silencing(door, services),
        live.live(door, services),
        pages.pages(),
        pages.probes(door, services),
    ):
        app.register_blueprint(routes)
    return app
