"""The CPU of an operation in the worker: on the local Solana chain, and on the paper market."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import requests

from benchmarks.local_chain import SLOT_MS
from benchmarks.operations import LATENCY_S, body
from benchmarks.system import cpu_s, embedded_store, free_port, listens, process, wait_until
from benchmarks.worker import operations_per_s, worker_on
from cto_worker.config import Settings
from cto_worker.markets.solana.local_system import DEMO_USER
from cto_worker.signer.protocol import socket_path

if TYPE_CHECKING:
    from collections.abc import Iterator

COUNT = 30
BUY_SOL = 0.5  # of an operation of ten wallets


def cpu_on_chain_and_on_paper() -> tuple[float, float]:
    """Return the CPU ms of the worker for an operation of ten wallets, on each market.

    The CPU is that of the worker process, archiving included, without the signer and the chain.
    """
    request = body() | {"buyAmount": BUY_SOL, "userId": DEMO_USER}
    with embedded_store() as environment:
        paper = {"CTO_PAPER_LATENCY_MS": f"{LATENCY_S * 1_000:.0f}"}
        on_paper = _cpu_ms(environment | paper, request)
    with embedded_store() as environment, _local_market(environment) as (settings, token):
        on_chain = _cpu_ms(environment | settings, request | {"tokenAddress": token})
    return on_chain, on_paper


def _cpu_ms(environment: dict[str, str], request: dict[str, Any]) -> float:
    with worker_on(environment) as worker:
        operations_per_s(worker, COUNT // 3, request)  # the first operations load modules, and open accounts
        before_s = cpu_s(worker.pid)
        operations_per_s(worker, COUNT, request)
        return (cpu_s(worker.pid) - before_s) * 1_000 / COUNT


@contextmanager
def _local_market(environment: dict[str, str]) -> Iterator[tuple[dict[str, str], str]]:
    """Run a local chain and its signer while the block runs. Yields their settings, and a token's address."""
    port = free_port()
    settings = {
        "CTO_MARKET": "solana",
        "CTO_LOCAL_CHAIN_PORT": str(port),
        "CTO_LOCAL_CHAIN_SLOT_MS": str(SLOT_MS),
    }
    with ExitStack() as stack:
        stack.enter_context(process(["-m", "api.cli.main", "local-chain"], environment | settings))
        wait_until(lambda: listens(port))
        call = {"jsonrpc": "2.0", "id": 1, "method": "localDemoTokens", "params": []}
        tokens = requests.post(f"http://127.0.0.1:{port}/", json=call, timeout=10).json()["result"]
        signer = ["-m", "cto_worker.markets.solana.local_system"]
        stack.enter_context(process(signer, environment | settings))
        wait_until(socket_path(Settings.from_env(environment | settings)).exists)
        yield settings, tokens[0]["mint"]
