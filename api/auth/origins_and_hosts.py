"""The origins and hosts that requests may name: one policy for REST, Socket.IO, SSE and ``/ws``.

An origin is the gateway's own if its host equals the request's ``Host``, with http or https: behind a proxy
that terminates TLS, the gateway cannot detect which of the two the page uses. ``X-Forwarded-Proto`` and
``X-Forwarded-Host`` are never read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.errors import ForbiddenError
from cto_worker.addresses import LOOPBACK_NAMES, as_host_name, host_name

if TYPE_CHECKING:
    from cto_worker.config import Settings

MAX_SHOWN = 200  # characters of an origin or host in an error message


class OriginAndHostPolicy:
    """The origins whose pages may use the gateway, and the host names that the gateway accepts."""

    def __init__(self, settings: Settings) -> None:
        self._listed = frozenset(settings.cors_origins)
        # With CTO_AUTH=off this is the only protection against DNS rebinding.
        self._names = LOOPBACK_NAMES | {as_host_name(settings.host)} if settings.auth == "off" else None

    def allows(self, host: str, origin: str) -> bool:
        """Return whether pages of this origin may use the gateway. ``null`` is never allowed."""
        own = host.lower()
        return origin in self._listed or (bool(own) and origin in {f"https://{own}", f"http://{own}"})

    def check_host(self, host: str) -> None:
        """Raise :class:`ForbiddenError` ``host_not_allowed`` unless the gateway accepts this host name.

        A request without ``Host`` passes: browsers always send one.
        """
        if host and self._names is not None and host_name(host) not in self._names:
            raise ForbiddenError(
                "host_not_allowed",
                f"with CTO_AUTH=off the gateway accepts loopback host names only, not {host[:MAX_SHOWN]!r}: "
                "use http://127.0.0.1 or http://localhost, or set CTO_AUTH=required",
            )

    def check_origin(self, host: str, origin: str | None) -> None:
        """Raise :class:`ForbiddenError` ``origin_not_allowed`` unless :meth:`allows` accepts the origin.

        A request without ``Origin`` passes.
        """
        if origin and not self.allows(host, origin):
            raise ForbiddenError("origin_not_allowed", self._refusal(origin[:MAX_SHOWN]))

    def _refusal(self, origin: str) -> str:
        """Return a message for the page's developer. It does not contain the listed origins."""
        if origin == "null":
            return "the gateway refuses pages of the origin 'null', such as local files: serve them over HTTP"
        change = (
            f"add {origin} to its CTO_CORS_ORIGINS, after a comma, and restart it"
            if self._listed
            else f"restart it with CTO_CORS_ORIGINS={origin}"
        )
        return f"the gateway refuses pages of the origin {origin!r}: to allow them, {change}"
