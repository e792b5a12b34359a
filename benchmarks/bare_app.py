"""The reference server for the gateway: ``python -m benchmarks.bare_app``. One view with one Redis GET.

It uses the gateway's server and settings; only the application differs.
"""

from __future__ import annotations

import api.server.eventlet_server  # isort: skip - it patches the standard library, so it is imported first

from flask import Flask, Response

from api.realtime.socketio import make_socketio
from cto_worker.config import Settings
from cto_worker.store import keys
from cto_worker.store.connection import connect


def main() -> None:
    """Serve Celery's metadata of a job as stored."""
    settings = Settings.from_env()
    store = connect(settings)
    app = Flask("bare")

    @app.get("/bare/<job_id>")
    def bare(job_id: str) -> Response:
        return Response(store.get(keys.meta(job_id)), mimetype="application/json")

    make_socketio(app, async_mode="eventlet").run(
        app,
        host=settings.host,
        port=settings.port,
        max_size=settings.max_sockets,
        url_length_limit=api.server.eventlet_server.MAX_URL_BYTES,
        protocol=api.server.eventlet_server.Protocol,  # the same request parser, which is not compared
        log_output=False,
    )


if __name__ == "__main__":
    main()
