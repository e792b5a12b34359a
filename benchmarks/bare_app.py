"""The server to compare the gateway with: ``python -m benchmarks.bare_app``. One view, one Redis GET.

It runs on the gateway's own server with the gateway's own settings; only what is behind it differs.
"""

from __future__ import annotations

import api.server.eventlet_server  # isort: skip - it patches the standard library, so it comes before everything else

from flask import Flask, Response

from api.realtime.socketio import make_socketio
from cto_worker.config import Settings
from cto_worker.store import keys
from cto_worker.store.connection import connect


def main() -> None:
    """Serve Celery's metadata of a job, as it lies in the store."""
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
        protocol=api.server.eventlet_server.Protocol,  # how it reads a request is not what is compared
        log_output=False,
    )


if __name__ == "__main__":
    main()
