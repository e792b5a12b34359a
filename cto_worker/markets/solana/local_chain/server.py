"""The process of the local chain: one HTTP server on a loopback address, and a block per slot."""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import os
import signal
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from tornado.httpserver import HTTPServer
from tornado.web import Application, RequestHandler

from cto_worker.addresses import LOOPBACK_NAMES, host_name
from cto_worker.errors import ConfigError
from cto_worker.markets.solana.local_chain.exchange.aggregator import build
from cto_worker.markets.solana.local_chain.exchange.local_exchange import NoQuoteError
from cto_worker.markets.solana.local_chain.genesis import DEMO_TOKENS
from cto_worker.markets.solana.local_chain.local_chain import NODE_PATHS, LocalChain
from cto_worker.markets.solana.local_chain.rpc.block_methods import SOFTWARE
from cto_worker.markets.solana.local_chain.rpc.dispatcher import answer, is_control

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cto_worker.markets.solana.local_chain.rpc.request import Node

HOST = "127.0.0.1"  # never another address: the chain has a faucet
BUILD_PATH = "/swap/v2/build"  # as that of Jupiter's interface
NOTICE = "a local chain for development: its SOL and tokens are worth nothing"
_MAX_BODY_BYTES = 1_000_000
logger = logging.getLogger(__name__)


def serve(path: Path, port: int, *, slot_ms: int) -> None:
    """Run the local chain until SIGINT or SIGTERM. With slots of 0 ms only ``localAdvance`` produces blocks.

    Raises :class:`ConfigError`.
    """
    with _only_process(path):
        asyncio.run(_serve(LocalChain(path), port, slot_ms / 1000))


async def _serve(local: LocalChain, port: int, slot_s: float) -> None:
    server = _listen(local, port)
    identity, height = local.chain.genesis.hash, local.chain.tip.height
    logger.info("%s: http://%s:%d, genesis hash %s, height %d", NOTICE, HOST, port, identity, height)
    blocks = asyncio.ensure_future(_produce_blocks(local, slot_s))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, blocks.cancel)
    with suppress(asyncio.CancelledError):
        await blocks
    server.stop()
    local.close()


def _listen(local: LocalChain, port: int) -> HTTPServer:
    handlers: list[Any] = [(path, _RpcHandler, {"node": node}) for path, node in local.nodes.items()]
    handlers.append((BUILD_PATH, _BuildHandler, {"local": local}))
    server = HTTPServer(Application(handlers, log_function=lambda _: None), max_body_size=_MAX_BODY_BYTES)
    try:
        server.listen(port, HOST)
    except OSError as error:
        raise ConfigError(
            f"the local chain cannot listen on {HOST}:{port} ({error.strerror}): "
            "stop the process that uses the port, or choose another one with CTO_LOCAL_CHAIN_PORT"
        ) from error
    return server


async def _produce_blocks(local: LocalChain, slot_s: float) -> None:
    """Produce a block per slot until cancelled."""
    loop = asyncio.get_running_loop()
    due = loop.time()
    while slot_s:
        due = max(due + slot_s, loop.time())
        await asyncio.sleep(due - loop.time())
        local.mempool.produce_block()
    await asyncio.Event().wait()


@contextmanager
def _only_process(path: Path) -> Iterator[None]:
    """Hold a lock on the chain's file. Raises :class:`ConfigError` if another process has it."""
    descriptor = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise ConfigError(
            f"another process runs the local chain in {path}: stop it, or set CTO_DATA_DIR"
        ) from error
    try:
        yield
    finally:
        os.close(descriptor)


class _Handler(RequestHandler):
    """Refuses requests of other sites' pages, and says what this is."""

    def set_default_headers(self) -> None:
        self.set_header("Server", SOFTWARE)
        self.set_header("Content-Type", "application/json")

    def prepare(self) -> None:
        # A page of another site can send requests to a loopback address, and can give it a name.
        if host_name(self.request.host) not in LOOPBACK_NAMES or self.request.headers.get("Origin"):
            self.send_error(403)

    def write_error(self, status_code: int, **_details: Any) -> None:
        self.finish(json.dumps({"error": f"{status_code}", "notice": NOTICE}))


class _RpcHandler(_Handler):
    """JSON-RPC of one node."""

    def initialize(self, node: Node) -> None:
        self._node = node

    def get(self) -> None:
        """Say what this is."""
        chain = self._node.chain
        document = {
            "notice": NOTICE,
            "software": SOFTWARE,
            "genesisHash": str(chain.genesis.hash),
            "blockHeight": chain.tip.height,
            "nodes": NODE_PATHS,
            "aggregator": BUILD_PATH,
            "exchange": str(chain.genesis.exchange.pubkey()),
            "demoTokens": {token.label: str(token.mint) for token in DEMO_TOKENS},
        }
        self.finish(json.dumps(document, indent=2) + "\n")

    def post(self) -> None:
        """Answer a JSON-RPC request."""
        body, faults = self.request.body, self._node.faults
        control = is_control(body)
        if not control and faults.is_overloaded():
            self.send_error(429)
            return
        document = json.dumps(answer(self._node, body))
        if not control and faults.loses_reply():
            self.detach().close()
        else:
            self.finish(document)


class _BuildHandler(_Handler):
    """The interface of the aggregator."""

    def initialize(self, local: LocalChain) -> None:
        self._local = local

    async def get(self) -> None:
        """Return the instructions of a swap."""
        query = {name: values[-1].decode(errors="replace") for name, values in self.request.arguments.items()}
        try:
            document = await build(self._local.exchange, self._local.chain.genesis, query)
        except NoQuoteError as error:
            self.set_status(400)
            document = {"error": str(error), "errorCode": error.code}
        self.finish(json.dumps(document))
