"""The reference server for the gateway: ``python -m benchmarks.bare_app``. One view with one Redis GET.

It uses the gateway's server and settings; only the application differs.
"""

from __future__ import annotations

from api.server import eventlet_server  # isort: skip - it patches the standard library, so it is imported first

from flask import Flask, Response

from api import library_patches
from api.server.connection_sources import PortListener, listen
from cto_worker.config import Settings
from cto_worker.store import keys
from cto_worker.store.store_connection import connect


def main() -> None:
    """Serve Celery's metadata of a job as stored."""
    settings = Settings.from_env()
    library_patches.check_store_connections_at_once(eventlet_server.BLOCKING_SELECT)
    store = connect(settings)
    app = Flask("bare")

    @app.get("/bare/<job_id>")
    def bare(job_id: str) -> Response:
        return Response(store.get(keys.meta(job_id)), mimetype="application/json")

    app.wsgi_app = eventlet_server.adapt_environ(app.wsgi_app)  # type: ignore[method-assign]
    listener = PortListener(listen(settings, "bare server"))
    pool = eventlet_server.Pool(settings.max_sockets)
    eventlet_server.serve(listener, app, pool, keep_alive=True).wait()


if __name__ == "__main__":
    main()
