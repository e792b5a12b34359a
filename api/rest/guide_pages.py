"""The documentation's site at ``/guide``. ``make docs`` builds it, and so does the image."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path

from flask import Blueprint, Response, abort, request, send_from_directory

PACKAGE = Path(__file__).parents[1]
SITE = PACKAGE / "guide"


def blueprint(site: Path = SITE) -> Blueprint:
    """Return the routes of the site. While it is not built, they answer 404."""
    guide = Blueprint("guide", __name__, static_folder=str(site), static_url_path="/guide")

    @guide.get("/guide")
    def start() -> Response:
        """Answer with a page that leads to the first page: links of the site are relative to its folder."""
        if not (site / "index.html").exists():
            return _not_built()
        return send_from_directory(PACKAGE / "static", "guide.html")

    return guide


def _not_built() -> Response:
    """Answer 404 with instructions: a page for browsers, and JSON for other clients."""
    if request.accept_mimetypes.best_match(["application/json", "text/html"]) != "text/html":
        abort(404, "the documentation is not built: run `make docs` in a checkout, or use the image")
    page = send_from_directory(PACKAGE / "static", "guide_not_built.html", conditional=False, etag=False)
    page.status_code = HTTPStatus.NOT_FOUND
    return page
