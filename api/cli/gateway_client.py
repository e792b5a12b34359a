"""A REST client for the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests

from api.auth.policy import Role
from api.auth.tokens import issue
from api.cli.options import program
from cto_worker.errors import CtoError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cto_worker.config import Settings

TIMEOUT_S = 10.0
TOKEN_S = 60  # how long a token lives that is made for one request


class GatewayError(CtoError):
    """The gateway refused, or was not asked.

    ``code`` is that of its answer, ``unreachable`` when there is none, or ``invalid_request`` for what cannot
    be sent.
    """

    def __init__(self, code: str, message: str, fields: dict[str, list[str]] | None = None) -> None:
        lines = [f"  {name}: {' '.join(map(str, texts))}" for name, texts in (fields or {}).items()]
        super().__init__(
            "\n".join([f"{code}: {message}", *lines]) if not lines else "\n".join([code, *lines])
        )
        self.code = code


def gateway(settings: Settings, url: str | None = None) -> Gateway:
    """Return the gateway of these settings, or the one at ``url``, and be to it who these settings say.

    That is the bearer of ``CTO_TOKEN``; or else the service, for who can sign tokens. But only to the own
    gateway: another would learn a token that is good here.
    """
    own = url is None or url.rstrip("/") == settings.base_url
    if settings.token or not (own and settings.jwt_secret and settings.auth == "required"):
        return Gateway(url or settings.base_url, lambda: settings.token)
    return Gateway(settings.base_url, lambda: issue(settings, "cto", Role.SERVICE, TOKEN_S))


class Gateway:
    """A gateway at a base URL, e.g. ``http://127.0.0.1:3000``."""

    def __init__(self, url: str, token: Callable[[], str] = str) -> None:
        """``token`` is asked before each request, so that it need not be one that lives long."""
        self.url = url.rstrip("/")
        self.token = token
        self._session = requests.Session()
        self._session.auth = self._sign  # a header of the session's would give way to one from .netrc

    def get(self, path: str, **query: Any) -> Any:
        """Return the ``data`` of an answer. Raises :class:`GatewayError`."""
        return self._ask(
            "GET", path, params={name: value for name, value in query.items() if value is not None}
        )

    def post(self, path: str, document: Any = None, headers: dict[str, str] | None = None) -> Any:
        """Send a JSON document and return the ``data`` of the answer. Raises :class:`GatewayError`."""
        return self._ask("POST", path, json=document, headers=headers)

    def _sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if token := self.token():
            request.headers["Authorization"] = f"Bearer {token}"
        return request

    def _ask(self, method: str, path: str, **options: Any) -> Any:
        try:
            response = self._session.request(method, self.url + path, timeout=TIMEOUT_S, **options)
        except requests.ConnectionError as error:
            start = f"CTO_AUTH=off {program()} up"
            raise GatewayError(
                "unreachable", f"no gateway at {self.url}: start one with `{start}`"
            ) from error
        except UnicodeEncodeError as error:  # a header is Latin-1, for one
            text = f"{error.object!r} cannot be sent: {error.encoding} lacks some of its characters"
            raise GatewayError("invalid_request", text) from error
        except (requests.exceptions.InvalidJSONError, ValueError) as error:  # nan, or a URL that is none
            raise GatewayError("invalid_request", f"this cannot be sent: {error}") from error
        except requests.RequestException as error:
            raise self._no_gateway(str(error)) from error
        try:
            answer = response.json()
        except ValueError as error:
            raise self._no_gateway(str(error)) from error
        if not isinstance(answer, dict):
            raise self._no_gateway("it is not an object")
        if not answer.get("success"):
            refusal = answer["error"]
            fields = (refusal.get("details") or {}).get("fields")
            if refusal["code"] == "unauthorized":
                refusal["message"] = "set CTO_TOKEN, or CTO_JWT_SECRET to what the gateway has"
            raise GatewayError(refusal["code"], refusal["message"], fields)
        return answer["data"]

    def _no_gateway(self, why: str) -> GatewayError:
        return GatewayError("unreachable", f"{self.url} does not answer as a gateway: {why}")
