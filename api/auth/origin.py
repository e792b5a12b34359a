"""Which hosts and origins a request may name. One decision, for REST, Socket.IO, SSE and ``/ws``.

An origin is the gateway's own when its host is the ``Host`` of the request, by http or https alike: a proxy
that terminates TLS hides from the gateway which of the two the page used. ``X-Forwarded-Proto`` and
``X-Forwarded-Host`` are never read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.errors import ForbiddenError
from cto_worker.hosts import LOOPBACK_NAMES, as_host_name, host_name

if TYPE_CHECKING:
    from cto_worker.config import Settings

MAX_SHOWN = 200  # characters of an origin or host in an error message


class OriginPolicy:
    """The origins whose pages may use the gateway, and the host names that it answers to."""

    def __init__(self, settings: Settings) -> None:
        self._listed = frozenset(settings.cors_origins)
        # Without authorization nothing else would keep out a page whose name was rebound to this machine.
        self._names = LOOPBACK_NAMES | {as_host_name(settings.host)} if settings.auth == "off" else None

    def allows(self, host: str, origin: str) -> bool:
        """Whether pages of this origin may use the gateway. ``null`` is the origin of nobody."""
        own = host.lower()
        return origin in self._listed or (bool(own) and origin in {f"https://{own}", f"http://{own}"})

    def check_host(self, host: str) -> None:
        """Raise :class:`ForbiddenError` ``host_not_allowed`` unless the gateway answers to this name.

        Browsers always send a ``Host``; a request without one is let pass.
        """
        if host and self._names is not None and host_name(host) not in self._names:
            raise ForbiddenError(
                "host_not_allowed",
                f"with CTO_AUTH=off the gateway answers to loopback names only, not to {host[:MAX_SHOWN]!r}: "
                "use http://127.0.0.1 or http://localhost, or set CTO_AUTH=required",
            )

    def check_origin(self, host: str, origin: str | None) -> None:
        """Raise :class:`ForbiddenError` ``origin_not_allowed`` for a page that may not use the gateway."""
        if origin and not self.allows(host, origin):
            raise ForbiddenError(
                "origin_not_allowed",
                f"the origin {origin[:MAX_SHOWN]!r} is neither the gateway's own nor in CTO_CORS_ORIGINS: "
                "add it there if its pages may use this gateway",
            )
