"""Local chains of tests: one in this process, without a server, or one in a process of its own."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path

import requests
from solders.hash import Hash
from solders.keypair import Keypair

from cto_worker.markets.solana.local_chain.exchange.aggregator import build
from cto_worker.markets.solana.local_chain.genesis import DEMO_TOKENS
from cto_worker.markets.solana.local_chain.local_chain import LocalChain
from cto_worker.markets.solana.local_chain.rpc.dispatcher import answer
from cto_worker.markets.solana.rpc_client import RefusedError
from support.processes import BIN, Process, environment, free_port
from support.solana import SOL, in_base64, transfer_of
from support.waiting import wait_until

MINT = DEMO_TOKENS[0].mint


class RpcAnswerError(Exception):
    """An answer with an error."""


class _Client:
    """Calls of a chain. A subclass has ``answer``, which returns the answer to a call."""

    def call(self, method, *params, node="/"):
        document = self.answer({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}, node)
        if "error" in document:
            raise RpcAnswerError(document["error"])
        return document["result"]

    def blockhash(self):
        latest = self.call("getLatestBlockhash", {"commitment": "confirmed"})
        return Hash.from_string(latest["value"]["blockhash"])

    def balance(self, address):
        return self.call("getBalance", str(address))["value"]

    def send(self, transaction, *, node="/", preflight=False):
        config = {"encoding": "base64", "skipPreflight": not preflight}
        return self.call("sendTransaction", in_base64(transaction), config, node=node)

    def status(self, signature, *, node="/", history=True):
        config = {"searchTransactionHistory": history}
        return self.call("getSignatureStatuses", [str(signature)], config, node=node)["value"][0]

    def receipt(self, signature, **config):
        config = {"commitment": "confirmed", "maxSupportedTransactionVersion": 0, **config}
        return self.call("getTransaction", str(signature), config)

    def transfer(self, key, destination, lamports):
        """Send a transfer. Return its transaction."""
        transaction = transfer_of(key, destination, lamports, self.blockhash())
        self.send(transaction)
        return transaction

    def assert_conserved(self):
        books = self.call("localConservation")
        assert books["issued"] == books["held"] + books["burned"], books


class ChainInProcess(_Client):
    """A chain whose blocks are produced by the test. Its prices move only if the test moves them."""

    def __init__(self, path):
        self.path = path
        self.local = LocalChain(path, step_ppm=0)

    @property
    def height(self):
        return self.local.chain.tip.height

    def answer(self, call, node):
        return json.loads(json.dumps(answer(self.local.nodes[node], json.dumps(call).encode())))

    def produce(self, count=1):
        for _ in range(count):
            self.local.mempool.produce_block()

    def funded(self, sol=10):
        """Return the key of a new wallet with SOL."""
        key = Keypair()
        self.call("requestAirdrop", str(key.pubkey()), sol * SOL)
        self.produce()
        return key

    def build(self, query):
        """Return the aggregator's answer, after the block that funds the quote."""

        async def asked():
            request = asyncio.ensure_future(build(self.local.exchange, self.local.chain.genesis, query))
            await asyncio.sleep(0)
            if not request.done():
                self.produce()
            return await request

        return asyncio.run(asked())

    def restart(self):
        """Open the chain again from the disk."""
        self.local.close()
        self.local = LocalChain(self.path, step_ppm=0)


class NodeOf:
    """A provider that is a node of a chain in this process."""

    def __init__(self, chain, path):
        self.chain, self.path = chain, path

    def call(self, method, *params):
        try:
            return self.chain.call(method, *params, node=self.path)
        except RpcAnswerError as error:
            raise RefusedError(
                self.path, method, error.args[0]["code"], error.args[0]["message"], None
            ) from error


class ChainProcess(_Client):
    """``cto local-chain``, with a block every ``slot_ms``."""

    def __init__(self, slot_ms=50):
        self.env = environment(CTO_LOCAL_CHAIN_PORT=str(free_port()), CTO_LOCAL_CHAIN_SLOT_MS=str(slot_ms))
        self.directory = Path(self.env["CTO_DATA_DIR"])
        self.path = self.directory / "local-chain.db"
        self.url = f"http://127.0.0.1:{self.env['CTO_LOCAL_CHAIN_PORT']}"
        self.process = None

    def start(self):
        self.process = Process([BIN / "cto", "local-chain"], self.env, self.directory / "local-chain.log")
        wait_until(lambda: self.answers() or not self.process.alive)
        assert self.process.alive, self.output()
        return self

    def page(self):
        """Return the page that says what the chain is."""
        with requests.get(f"{self.url}/", timeout=30) as response:
            return response.json()

    def output(self):
        return self.process.log.read_text()

    def answers(self):
        try:
            return self.call("getHealth") == "ok"
        except requests.RequestException:
            return False

    def answer(self, call, node):
        with requests.post(self.url + node, json=call, timeout=30) as response:
            return response.json()

    def confirmed(self, signature):
        """Wait until a transaction is confirmed. Return its status."""
        levels = {"confirmed", "finalized"}
        return wait_until(
            lambda: (found := self.status(signature)) and found["confirmationStatus"] in levels and found
        )

    def funded(self, sol=10):
        """Return the key of a new wallet with SOL."""
        key = Keypair()
        self.confirmed(self.call("requestAirdrop", str(key.pubkey()), sol * SOL))
        return key

    def build(self, query):
        with requests.get(f"{self.url}/swap/v2/build", params=query, timeout=30) as response:
            return response.json()

    def close(self):
        if self.process:
            self.process.kill()


class BlockProducer:
    """Produces the blocks of a chain whose slots take 0 ms. While it is paused, the chain's time stands."""

    def __init__(self, chain, block_s=0.025):
        self._chain, self._block_s = chain, block_s
        self._running, self._ended = threading.Event(), threading.Event()
        self._running.set()
        self._lock = threading.Lock()  # held while a block is produced
        self._thread = threading.Thread(target=self._produce, daemon=True)
        self._thread.start()

    def _produce(self):
        while not self._ended.wait(self._block_s):
            with self._lock:
                if self._running.is_set():
                    self._chain.call("localAdvance", 1)

    def pause(self):
        with self._lock:
            self._running.clear()

    def resume(self):
        self._running.set()

    def close(self):
        self._ended.set()
        self._thread.join()
