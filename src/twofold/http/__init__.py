"""The edge over HTTP: commands and queries by name, live queries, OpenAPI, problem documents, health, the feed.

Headers of a request:

- ``Idempotency-Key`` with a command: sent again with the same key, it takes effect once and gets the first receipt.
- ``Twofold-Receipt`` with a query: the answer includes what the receipts stand for, ``sales@7, stock@3``.
- ``Prefer: wait=10`` with a query: for how many seconds to wait for that; 5 unless said, 30 at most.
- ``Accept: text/event-stream`` with a query: the answer and then each change of it, as events; ``Last-Event-ID`` goes on
  after one of them.
- ``If-None-Match`` with a query by ``GET``: what it names is not sent again.
- ``X-Correlation-ID``: goes with everything that the request sets off. ``traceparent`` is recorded, and its trace's id is
  the correlation where none is given.

Headers of a response:

- ``Twofold-Receipt`` of a command: how far the log was when it had taken effect.
- ``ETag`` of an answer by ``GET``: another one whenever the answer is.
- ``X-Correlation-ID``, always; ``Retry-After`` where trying again may help; ``Allow`` where the method was wrong.
"""

from twofold.http.app import Served, asgi, check_settings
from twofold.http.server import serve
from twofold.http.sockets import listen_for, url_of

__all__ = ["Served", "asgi", "check_settings", "listen_for", "serve", "url_of"]
