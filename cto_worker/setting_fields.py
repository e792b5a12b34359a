"""Field types of settings: origins, host names, and the URL of a store."""

from __future__ import annotations

import re
from typing import Any

from marshmallow import ValidationError, fields

from cto_worker.hosts import host_name
from cto_worker.store_url import SCHEME, parse


class Words(fields.String):
    """A tuple, read from comma-separated words."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, attr, data, **kwargs)
        return tuple(word.strip() for word in text.split(",") if word.strip())


_ORIGIN = re.compile(
    r"https?://[a-z0-9.:\[\]-]+\Z"
)  # the form that browsers send: lower case, no path, no `*`


class Origins(Words):
    """Origins in the form that browsers send. Any other would never match, so it is refused."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        origins = super()._deserialize(value, attr, data, **kwargs)
        for origin in origins:
            if not _ORIGIN.match(origin):
                raise ValidationError(
                    f"{origin!r} is not an origin: write it as browsers do, like http://localhost:5173, "
                    "in lower case, without a final slash and without *."
                )
        return origins


class HostNames(Words):
    """Host names in the form of a ``Host`` header, without a port."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        names = super()._deserialize(value, attr, data, **kwargs)
        for name in names:
            if host_name(name) != name:
                raise ValidationError(
                    f"{name!r} is not a host name: write it like flower.example.org, "
                    "in lower case, without scheme and port."
                )
        return names


class StoreAddress(fields.String):
    """The URL of a store, or of its Sentinels."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        url = super()._deserialize(value, attr, data, **kwargs)
        try:
            valid = parse(url) or re.match(r"rediss?://.+", url)
        except ValueError:
            valid = None
        if not valid:
            raise ValidationError(
                "Must be empty, or like redis://127.0.0.1:6379/0, or "
                f"{SCHEME}://user:password@host1:26379,host2:26379,host3:26379/mymaster/0, "
                "with user and password percent-encoded."
            )
        return url
