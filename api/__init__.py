"""The gateway and the ``cto`` command: everything that a client connects to.

docs/explanation/architecture.md shows the layers, and the path of a request and of an event. The packages:

* ``wsgi`` builds the gateway from its parts; ``flask_app`` is the Flask app;
* ``engines``: the event loops (eventlet, gevent), and the HTTP server;
* ``cli``: the ``cto`` command, with the supervisor, the doctor and the demo;
* ``spec``: the published OpenAPI and AsyncAPI documents;
* ``realtime``: Socket.IO, Server-Sent Events and ``/ws``: sessions, connections, rooms;
* ``rest``: request parsing, views, error responses, rate limits;
* ``server``: the HTTP parser, WebSocket handshakes and frames, Engine.IO;
* ``relay``: events from the store's pub/sub to the send queue of each subscriber;
* ``auth``: tokens, callers, permissions, origins, revocations;
* ``limits``: token buckets, semaphores, the request counter, client networks, limits on log lines;
* ``metric_definitions`` and ``errors``;
* ``library_patches``: every private or replaced part of a library.
"""
