"""The REST client of the ``cto`` command."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import msgspec
import requests

from api.auth.caller import Role
from api.auth.token_issuer import issue
from api.cli import profiles
from api.cli.program_name import program
from cto_worker.config import Settings
from cto_worker.errors import ConfigError, CtoError, flat_messages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TIMEOUT_S = 10.0
TOKEN_S = 60  # lifetime of a token that is issued for one request


class GatewayError(CtoError):
    """A request to the gateway failed.

    ``code`` is the error code of the response. Without one it is ``unreachable``, ``timeout``, or
    ``invalid_request`` if the request could not be sent.
    """

    def __init__(self, code: str, message: str, fields: dict[str, Any] | None = None) -> None:
        lines = [f"  {name}: {flat_messages(texts)}" for name, texts in (fields or {}).items()]
        super().__init__("\n".join([code, *lines]) if lines else f"{code}: {message}")
        self.code = code


def client_for(settings: Settings, url: str | None = None, profile_name: str | None = None) -> RestClient:
    """Return a client for a gateway. Raises :class:`ConfigError`.

    The URL is the first that is given of:

    1. ``url``
    2. the profile's URL
    3. ``CTO_HOST`` and ``CTO_PORT``
    4. the default profile's URL

    The client sends ``CTO_TOKEN``, or the profile's token. Without a token, but with a signing key, it issues
    tokens of the service role. It does so only for the gateway of these settings: another gateway could
    reuse such a token at this gateway.
    """
    if url and profile_name:
        raise ConfigError("--url and --profile both name a gateway: give one of them")
    client = _client(settings, url, None if url else _profile(settings, profile_name))
    if url or profile_name:
        client.options = f" --url {shlex.quote(url)}" if url else f" --profile {profile_name}"
    return client


def _client(settings: Settings, url: str | None, profile: profiles.Profile | None) -> RestClient:
    if profile:
        client = RestClient(profile.url, lambda: settings.token or profile.current_token())
        client.access_advice = _advice_without_signing("a saved profile selects the gateway", settings)
        return client
    own = url is None or url.rstrip("/") == settings.base_url
    if settings.token or not (own and settings.jwt_secret and settings.auth == "required"):
        client = RestClient(url or settings.base_url, lambda: settings.token)
        if not own:
            client.access_advice = _advice_without_signing("--url selects another gateway", settings)
        return client
    return RestClient(settings.base_url, lambda: issue(settings, "cto", Role.SERVICE, TOKEN_S))


def _advice_without_signing(reason: str, settings: Settings) -> str:
    """Return the advice for a gateway that gets no token signed by this program."""
    advice = f"Run `{program()} login`, or set CTO_TOKEN"
    if not settings.jwt_secret:
        return advice
    return f"{advice}. CTO_JWT_SECRET is ignored, because {reason}. To use it, pass --url {settings.base_url}"


def _profile(settings: Settings, name: str | None) -> profiles.Profile | None:
    """Return the profile of this name, or the default profile if the settings name no gateway."""
    if name is None and settings.base_url != Settings().base_url:
        return None
    saved = profiles.load()
    name = name or saved.default
    return saved.get(name) if name else None


class _Details(msgspec.Struct):
    fields: dict[str, Any] | None = None  # messages, which may be nested


class _Error(msgspec.Struct):
    code: str
    message: str
    details: _Details | None = None


class _Body(msgspec.Struct):
    """The JSON of a gateway's response: with ``data``, or with ``error``."""

    success: bool
    data: Any = msgspec.UNSET
    error: _Error | None = None


class RestClient:
    """A client for the gateway at a base URL, e.g. ``http://127.0.0.1:3000``."""

    def __init__(self, url: str, token: Callable[[], str] = str) -> None:
        """``token`` is called before each request, so its tokens may have a short lifetime."""
        self.url = url.rstrip("/")
        self.token = token
        # The advice if the gateway refuses the credentials.
        self.access_advice = (
            f"Run `{program()} login`, set CTO_TOKEN, or set CTO_JWT_SECRET to the gateway's value"
        )
        self.options = ""  # options for hints: with these, another command uses the same gateway
        self._session = requests.Session()
        self._session.auth = self._sign  # credentials from .netrc would replace a session header

    def get(self, path: str, **query: Any) -> Any:
        """Send a GET request and return the ``data`` of the response. Raises :class:`GatewayError`."""
        return self._request(
            "GET", path, params={name: value for name, value in query.items() if value is not None}
        )

    def post(self, path: str, document: Any = None, headers: dict[str, str] | None = None) -> Any:
        """Send a JSON document and return the ``data`` of the response. Raises :class:`GatewayError`."""
        return self._request("POST", path, json=document, headers=headers)

    def lines(self, path: str, **query: Any) -> Iterator[str]:
        """Yield the lines of a text as they arrive. Raises :class:`GatewayError`, also between two lines."""
        given = {name: value for name, value in query.items() if value is not None}
        with self._respond("GET", path, params=given, stream=True) as response:
            if not response.ok:
                self._data(response)  # raises
            try:
                # Without the delimiter, an end of line that is divided between two chunks would be two.
                yield from (line.decode() for line in response.iter_lines(delimiter=b"\r\n") if line)
            except requests.RequestException as error:
                raise GatewayError(
                    "interrupted", f"the response ended early: run the command again ({error})"
                ) from error

    def _sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if token := self.token():
            request.headers["Authorization"] = f"Bearer {token}"
        return request

    def _request(self, method: str, path: str, **options: Any) -> Any:
        return self._data(self._respond(method, path, **options))

    def _respond(self, method: str, path: str, **options: Any) -> requests.Response:
        try:
            return self._session.request(method, self.url + path, timeout=TIMEOUT_S, **options)
        except requests.exceptions.SSLError as error:  # a subclass of the next
            raise self._not_a_gateway(f"{error}. Does it use http://?") from error
        except requests.ConnectionError as error:
            start = f"CTO_AUTH=off {program()} up"
            raise GatewayError(
                "unreachable", f"no gateway at {self.url}: start one with `{start}`"
            ) from error
        except UnicodeEncodeError as error:  # for example a header, which is Latin-1
            text = f"cannot send {error.object!r}: {error.encoding} cannot encode all of its characters"
            raise GatewayError("invalid_request", text) from error
        except (requests.exceptions.InvalidJSONError, ValueError) as error:  # NaN, or an invalid URL
            raise GatewayError("invalid_request", f"cannot send the request: {error}") from error
        except requests.Timeout as error:
            raise GatewayError("timeout", _no_response(self.url, method)) from error
        except requests.RequestException as error:
            raise self._not_a_gateway(str(error)) from error

    def _data(self, response: requests.Response) -> Any:
        try:
            document = response.json()
        except ValueError as error:
            raise self._not_a_gateway(str(error)) from error
        try:
            body = msgspec.convert(document, _Body)
        except msgspec.ValidationError as error:
            raise self._not_a_gateway(f"unexpected JSON: {error}") from error
        if body.error:
            raise self._refusal(body.error)
        if not body.success or body.data is msgspec.UNSET:
            raise self._not_a_gateway("the JSON has neither data nor an error")
        return body.data

    def _refusal(self, error: _Error) -> GatewayError:
        advice = f". {self.access_advice}" if error.code == "unauthorized" else ""
        fields = error.details.fields if error.details else None
        return GatewayError(error.code, error.message + advice, fields)

    def _not_a_gateway(self, reason: str) -> GatewayError:
        return GatewayError(
            "unreachable", f"{self.url} does not respond like a gateway; check the URL: {reason}"
        )


def _no_response(url: str, method: str) -> str:
    text = f"no response from {url} within {TIMEOUT_S:g} s: "
    if method == "GET":
        return f"{text}try again later, or check the gateway with `{program()} doctor`"
    return f"{text}the request may have been executed. Check with `{program()} jobs` before you repeat it"
