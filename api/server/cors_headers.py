"""Cross-Origin Resource Sharing: the response headers that let pages of allowed origins read responses.

Flask-CORS covers only Flask's routes. Socket.IO's polling, and requests that are refused before they reach
Flask, need the same headers.
"""

from __future__ import annotations

from typing import Any

PREFLIGHT_S = 600  # for how long a browser may cache the answer to a preflight request
METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
EXPOSED = (
    "ETag, Location, Retry-After, WWW-Authenticate, "
    "X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset"
)

# Every page may read why it is refused. A refused preflight request stays refused: its status is not 2xx.
REFUSED = [("Access-Control-Allow-Origin", "*")]


def is_preflight(environ: dict[str, Any]) -> bool:
    """Return whether this is a preflight request."""
    return environ["REQUEST_METHOD"] == "OPTIONS" and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ


def headers(origin: str, *, credentials: bool) -> list[tuple[str, str]]:
    """Return the headers of a response to an allowed origin.

    ``credentials`` allows cookies, which load balancers use for sticky sessions.
    """
    found = [("Access-Control-Allow-Origin", origin), ("Access-Control-Expose-Headers", EXPOSED)]
    return [*found, ("Access-Control-Allow-Credentials", "true")] if credentials else found


def preflight_headers(environ: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the further headers of the answer to a preflight request. Any request header is allowed."""
    requested = environ.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS")
    return [
        ("Access-Control-Allow-Methods", METHODS),
        *([("Access-Control-Allow-Headers", requested)] if requested else []),
        ("Access-Control-Max-Age", str(PREFLIGHT_S)),
    ]
