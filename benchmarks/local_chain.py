"""The local Solana chain: transfers per second over HTTP, start and memory."""

from __future__ import annotations

import base64
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import requests
from solders.hash import Hash
from solders.keypair import Keypair
from solders.litesvm import LiteSVM
from solders.message import MessageV0
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction

from benchmarks.system import free_port, listens, process, resident_mb, wait_until
from cto_worker.markets.solana.swap_offer import offer_of, swap_message
from cto_worker.markets.solana.token_program import WRAPPED_SOL

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TRANSFERS, BATCH = 3_000, 50
SWAPS, BUYERS = 500, 25
SLOT_MS = 100
SOL = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Figures:
    """The measured chain."""

    start_s: float  # until it answers
    per_s: float  # transfers, from the first send until the last is in a block
    memory_mb: float  # after them


def local_chain(*, preflight: bool) -> Figures:
    """Send transfers in JSON-RPC batches on one connection, and wait for the last."""
    with _chain() as (pid, url, start_s), requests.Session() as session:
        chain = _Chain(session, url)
        key, blockhash = chain.funded(), chain.blockhash()
        transfers = [_transfer(key, Keypair().pubkey(), SOL // 100 + n, blockhash) for n in range(TRANSFERS)]
        began_s = time.perf_counter()
        for start in range(0, TRANSFERS, BATCH):
            chain.send(transfers[start : start + BATCH], preflight=preflight)
        chain.wait_for(str(transfers[-1].signatures[0]))
        per_s = TRANSFERS / (time.perf_counter() - began_s)
        return Figures(start_s, per_s, resident_mb(pid))


def swaps() -> Figures:
    """Quote and buy a demo token with many wallets, ``BUYERS`` at a time."""
    with _chain() as (pid, url, start_s), requests.Session() as session:
        chain = _Chain(session, url)
        keys = [Keypair() for _ in range(SWAPS)]
        for start in range(0, SWAPS, BATCH):
            part = keys[start : start + BATCH]
            chain.call(*(("requestAirdrop", [str(key.pubkey()), SOL]) for key in part))
        (token, *_) = chain.call(("localDemoTokens", []))[0]
        began_s = time.perf_counter()
        with ThreadPoolExecutor(BUYERS) as pool:
            signatures = list(pool.map(lambda key: _buy(url, key, token["mint"]), keys))
        for signature in signatures:
            chain.wait_for(signature)
        return Figures(start_s, SWAPS / (time.perf_counter() - began_s), resident_mb(pid))


def _buy(url: str, key: Keypair, mint: str) -> str:
    query = {
        "inputMint": str(WRAPPED_SOL),
        "outputMint": mint,
        "amount": str(SOL // 100),
        "taker": str(key.pubkey()),
        "slippageBps": "1000",
    }
    with requests.Session() as session:
        offer = offer_of(session.get(f"{url}swap/v2/build", params=query, timeout=60).json())
        message = swap_message(str(key.pubkey()), offer, compute_units=200_000, priority_fee_lamports=10_000)
        transaction = VersionedTransaction(message, [key])
        _Chain(session, url).send([transaction], preflight=True)
        return str(transaction.signatures[0])


def runtime_alone() -> float:
    """Return the transfers per second of LiteSVM, without checks and without a disk."""
    svm = LiteSVM().with_sigverify(False).with_blockhash_check(False).with_transaction_history(0)
    key = Keypair()
    svm.airdrop(key.pubkey(), 1_000 * SOL)
    transfers = [_transfer(key, Keypair().pubkey(), SOL // 100 + n, Hash.default()) for n in range(TRANSFERS)]
    began_s = time.perf_counter()
    for each in transfers:
        svm.send_transaction(each)
    return TRANSFERS / (time.perf_counter() - began_s)


class _Chain:
    def __init__(self, session: requests.Session, url: str) -> None:
        self._session, self._url = session, url

    def call(self, *calls: tuple[str, list[Any]]) -> list[Any]:
        body = [
            {"jsonrpc": "2.0", "id": n, "method": method, "params": params}
            for n, (method, params) in enumerate(calls)
        ]
        return [each["result"] for each in self._session.post(self._url, json=body, timeout=60).json()]

    def blockhash(self) -> Hash:
        (latest,) = self.call(("getLatestBlockhash", [{"commitment": "processed"}]))
        return Hash.from_string(latest["value"]["blockhash"])

    def funded(self) -> Keypair:
        key = Keypair()
        (signature,) = self.call(("requestAirdrop", [str(key.pubkey()), 1_000 * SOL]))
        self.wait_for(signature)
        return key

    def send(self, transactions: Sequence[VersionedTransaction], *, preflight: bool) -> None:
        config = {"encoding": "base64", "skipPreflight": not preflight}
        self.call(
            *(("sendTransaction", [base64.b64encode(bytes(each)).decode(), config]) for each in transactions)
        )

    def wait_for(self, signature: str) -> None:
        wait_until(lambda: self.call(("getSignatureStatuses", [[signature]]))[0]["value"][0], interval_s=0.01)


def _transfer(key: Keypair, destination: Any, lamports: int, blockhash: Hash) -> VersionedTransaction:
    instruction = transfer(TransferParams(from_pubkey=key.pubkey(), to_pubkey=destination, lamports=lamports))
    return VersionedTransaction(MessageV0.try_compile(key.pubkey(), [instruction], [], blockhash), [key])


@contextmanager
def _chain() -> Iterator[tuple[int, str, float]]:
    """Run a chain while the block runs. Yields its process id, its URL, and the seconds until it answered."""
    with tempfile.TemporaryDirectory(prefix="cto-bench-") as directory:
        port = free_port()
        environment = {
            **os.environ,
            "CTO_DATA_DIR": directory,
            "CTO_LOCAL_CHAIN_PORT": str(port),
            "CTO_LOCAL_CHAIN_SLOT_MS": str(SLOT_MS),
        }
        began_s = time.perf_counter()
        with process(["-m", "api.cli.main", "local-chain"], environment) as child:
            wait_until(lambda: listens(port), interval_s=0.005)
            yield child.pid, f"http://127.0.0.1:{port}/", time.perf_counter() - began_s
