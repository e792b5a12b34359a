"""The routes below ``/client``. Pages of every origin may load these files, because the code is public."""

from __future__ import annotations

import hashlib
import io
from functools import cache
from pathlib import Path

from flask import Blueprint, Response, send_file

from api.browser_client.module_bundle import bundle
from api.browser_client.npm_archive import pack

ENTRIES = ("index.js", "simulate.js", "element.js")  # the modules without a framework


def blueprint() -> Blueprint:
    """Return the routes. The bundle and the archive are built when they are requested first."""
    package = _package()
    client = Blueprint("client", __name__, static_folder=str(package / "src"), static_url_path="/client")

    @client.after_request
    def _allow_all_origins(response: Response) -> Response:
        # Browsers import modules of another origin only with these headers.
        response.headers["Access-Control-Allow-Origin"] = "*"
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        return response

    @client.get("/client/cto-progress.js")
    def client_bundle() -> Response:
        return _send(_bundle(package), "text/javascript")

    @client.get("/client/cto-progress.tgz")
    def client_archive() -> Response:
        return _send(_archive(package), "application/gzip")

    return client


def _package() -> Path:
    """Return the folder of the npm package: in a wheel inside ``api/``, in a checkout beside it."""
    api = Path(__file__).parents[1]
    packaged = api / "client"
    return packaged if packaged.exists() else api.parent / "clients" / "js"


@cache
def _bundle(package: Path) -> bytes:
    return bundle(package / "src", ENTRIES).encode()


@cache
def _archive(package: Path) -> bytes:
    return pack(package)


def _send(content: bytes, media_type: str) -> Response:
    """Send content that browsers revalidate, like the static files."""
    etag = hashlib.sha256(content).hexdigest()
    return send_file(io.BytesIO(content), mimetype=media_type, etag=etag, conditional=True)
