"""The documentation's site at ``/guide``. ``make docs`` builds it, and so does the image."""

from __future__ import annotations

from pathlib import Path

from flask import Blueprint, Response, abort, send_from_directory

PACKAGE = Path(__file__).parents[1]
SITE = PACKAGE / "guide"


def blueprint(site: Path = SITE) -> Blueprint:
    """Return the routes of the site. While it is not built, they answer 404."""
    guide = Blueprint("guide", __name__, static_folder=str(site), static_url_path="/guide")

    @guide.get("/guide")
    def start() -> Response:
        """Answer with a page that leads to the first page: links of the site are relative to its folder."""
        if not (site / "index.html").exists():
            abort(404, "the documentation is not built: run `make docs` in a checkout, or use the image")
        return send_from_directory(PACKAGE / "static", "guide.html")

    return guide
