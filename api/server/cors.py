"""Cross-Origin Resource Sharing: the response headers by which a browser lets pages of allowed origins read.

Flask-CORS would serve Flask's routes only; Socket.IO's polling, and what is refused before Flask is reached,
need the same headers.
"""

from __future__ import annotations

from typing import Any

PREFLIGHT_S = 600  # for how long a browser may keep the answer to a preflight request
METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
EXPOSED = (
    "ETag, Location, Retry-After, WWW-Authenticate, "
    "X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset"
)


def is_preflight(environ: dict[str, Any]) -> bool:
    """Whether a browser asks what a page may send."""
    return environ["REQUEST_METHOD"] == "OPTIONS" and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ


def headers(origin: str, *, credentials: bool) -> list[tuple[str, str]]:
    """Return the headers of a response to an allowed origin.

    ``credentials``: a client may send cookies, by which balancers find a session's gateway again.
    """
    found = [("Access-Control-Allow-Origin", origin), ("Access-Control-Expose-Headers", EXPOSED)]
    return [*found, ("Access-Control-Allow-Credentials", "true")] if credentials else found


def preflight_headers(environ: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what else the answer to a preflight request has. An allowed origin may send any header."""
    asked = environ.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS")
    return [
        ("Access-Control-Allow-Methods", METHODS),
        *([("Access-Control-Allow-Headers", asked)] if asked else []),
        ("Access-Control-Max-Age", str(PREFLIGHT_S)),
    ]
