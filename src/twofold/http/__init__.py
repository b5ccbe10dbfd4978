"""The edge over HTTP: commands and queries by name, OpenAPI, problem documents, health, the feed."""

from twofold.http.app import Served, asgi, read_max_body_bytes
from twofold.http.server import DRAIN_SECONDS, serve

__all__ = ["DRAIN_SECONDS", "Served", "asgi", "read_max_body_bytes", "serve"]
