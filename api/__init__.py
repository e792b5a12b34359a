"""Everything a client touches.

Where to look:

* started by: ``cli``, ``up``, ``supervisor``, ``demo``, ``doctor``; ``wsgi`` puts a gateway together;
* connections: ``front`` and ``listeners`` (several gateways, one address), ``green`` (eventlet), ``head``,
  ``chunks``;
* who is asking: ``tokens``, ``auth``, ``policy``, ``revocations``, ``connections``;
* how much they may ask: ``limits`` (REST), ``floods``, ``session_guard`` and ``admission`` (sockets);
  ``refusals`` bounds what that writes to the log;
* REST: ``app``, ``jobs``, ``body``, ``errors``;
* the doors to events: ``sockets`` (Socket.IO, on ``engine``, ``transport``, ``incoming``, ``doorbell``),
  ``streams`` (SSE, with ``position``), ``websockets`` (``/ws``); behind them the ``lobby`` and the ``rooms``;
* the relay: ``relay``, ``subscription``, ``joining``, ``audience``, ``reader``, ``frames``, ``outbox``;
* ``metrics``; the command line's ``client``, ``watch``, ``options``, ``market_cli``.
"""
