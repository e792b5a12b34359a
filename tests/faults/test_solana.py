"""The whole system on a local chain, with every fault that concerns money.

The chain alone proves what was executed. Workers die at each side of each record, one is frozen past its
lease, one is stopped, and the network drops orders, delays them, and loses replies.
"""

from __future__ import annotations

import json
import signal
import uuid

import pytest
from support.canary import Canary
from support.criteria import check_journal
from support.local_chain import BlockProducer
from support.solana import SOL
from support.solana_bench import EXPIRY_BLOCKS, SolanaServices
from support.waiting import wait_until

from cto_worker.domain.lamports import to_sol
from cto_worker.markets.solana.chain_audit import audit_node
from cto_worker.markets.solana.local_chain.genesis import DEMO_TOKENS
from cto_worker.markets.solana.orders.memo import digest_of

CRASHES = ("before_intent", "after_intent", "after_submit", "before_outcome", "after_outcome")
NOTHING_ARRIVES = {"drop": 1.0}
NETWORK = {"drop": 0.2, "delay": 0.3, "delay_blocks": 40, "lag_blocks": 20, "lost_reply": 0.1}
JOBS, FUNDS = 9, 5 * SOL  # each job has a user of its own, with these funds


class Trial:
    """Operations on one chain, each of a user of its own. The first user's funding wallet is the canary."""

    def __init__(self, services, system, canary):
        self.services, self.system, self.chain = services, system, services.chain
        self.chain.call("localSetPriceStep", 0)  # no buy fails by slippage, however long it takes
        self.users = {}  # by job
        self._others = [services.new_user(1, sol=FUNDS // SOL) for _ in range(JOBS - 1)]
        self._canary = uuid.uuid4().hex
        key = json.dumps([*canary.keypair])
        imported = services.signer.cto("import", "--user", self._canary, secret=key)
        assert imported.returncode == 0, imported.stderr
        self.chain.confirmed(self.chain.call("requestAirdrop", canary.address, FUNDS))

    @property
    def jobs(self):
        return list(self.users)

    def submit(self):
        """Submit an operation with three transfers and three buys."""
        user_id = self._others.pop() if self.users else self._canary
        token = DEMO_TOKENS[len(self.users) % len(DEMO_TOKENS)]
        order = {"userId": user_id, "tokenAddress": str(token.mint), "buyAmount": 0.6, "slippageBps": 1_000}
        job_id = self.system.submit(**order)
        self.users[job_id] = user_id
        return job_id

    def faults(self, faults):
        self.chain.call("localSetFaults", faults)

    def records(self, job_id):
        log = self.system.intent_log(job_id)
        return log.records if log else {}

    def in_flight(self, job_id):
        return any(record.unsettled for record in self.records(job_id).values())

    def attempt(self, job_id):
        return self.system.events(job_id)[-1]["attempt"]


@pytest.fixture
def services(opened):
    return opened(SolanaServices(slot_ms=0))


@pytest.fixture
def blocks(services, opened):
    return opened(BlockProducer(services.chain))


@pytest.fixture
def canary():
    return Canary()


@pytest.fixture
def system(services, build):
    return build(
        CTO_MARKET="solana",
        CTO_LOCAL_CHAIN_PORT=services.chain.env["CTO_LOCAL_CHAIN_PORT"],
        CTO_SIGNER_SOCKET=str(services.signer.directory / "signer.sock"),
        CTO_OPERATION_PARALLELISM="10",
    )


def test_the_chain_shows_one_execution_of_each_intent(services, blocks, system, canary):
    trial = Trial(services, system, canary)
    kill_workers_at_crash_points(trial)
    frozen, jobs = worker_with_orders_in_flight(trial)
    blocks.pause()  # orders neither execute nor expire, however long the next steps take
    freeze_it_past_its_lease(trial, frozen, jobs)
    gateway = system.gateway()
    stopped = system.workers[-1]
    stopped.signal(signal.SIGTERM)
    wait_until(lambda: "Warm shutdown" in stopped.log.read_text())
    trial.faults(NETWORK)
    blocks.resume()
    assert stopped.process.wait(60) == 0, "it follows its orders in flight, and hands its jobs over"
    system.wait_for_end(trial.jobs, timeout_s=120)
    trial.faults({})
    assert system.get("/api/cto/market") == {"money": "local_chain"}
    assert all(trial.attempt(job_id) >= 3 for job_id in jobs), "two takeovers"
    assert canary.in_memory(frozen.process.pid, gateway.process.pid) == {}
    check_jobs_and_chain(trial)
    assert canary.in_store(system.client) == {}, "with jobs, intents, events and Celery's messages"
    places = [system.directory, services.chain.directory, services.signer.directory]
    assert canary.in_files(*places) == {}, "logs, append-only file, and the databases"


def kill_workers_at_crash_points(trial):
    """Each worker runs one job, and dies. Orders that were not sent, or did not arrive, expire afterwards."""
    dying = [
        trial.system.worker(wait=False, CTO_CRASH_AT=point, CTO_WORKER_CONCURRENCY="1") for point in CRASHES
    ]
    for _ in CRASHES:
        trial.submit()
    wait_until(lambda: not any(worker.alive for worker in dying))
    trial.faults(NOTHING_ARRIVES)  # no outcome, so the submission is recorded
    trial.submit()
    last = trial.system.worker(wait=False, CTO_CRASH_AT="after_submitted:always", CTO_WORKER_CONCURRENCY="1")
    wait_until(lambda: not last.alive)
    trial.chain.call("localAdvance", EXPIRY_BLOCKS)


def worker_with_orders_in_flight(trial):
    """Return a worker, and jobs of it whose orders do not arrive. It has taken over the other jobs, too."""
    worker = trial.system.worker(wait=False)
    jobs = [trial.submit() for _ in range(JOBS - len(trial.jobs))]
    wait_until(lambda: all(trial.in_flight(job_id) for job_id in jobs))
    return worker, jobs


def freeze_it_past_its_lease(trial, worker, jobs):
    """Freeze a worker, and continue it when another has taken its jobs over."""
    worker.signal(signal.SIGSTOP)
    trial.system.worker(wait=False)
    wait_until(lambda: all(trial.attempt(job_id) >= 2 for job_id in jobs))
    worker.signal(signal.SIGCONT)
    wait_until(lambda: worker.log.read_text().count("stopped, another run takes over") >= len(jobs))


def check_jobs_and_chain(trial):
    records = {job_id: trial.records(job_id) for job_id in trial.jobs}
    for job_id, own in records.items():
        view = trial.system.history.job_details(job_id)
        assert check_journal(view)[-1].status == "completed", view.result
        spent = sum(record.outcome.spent_lamports for record in own.values())
        assert view.result["totalSpent"] == to_sol(spent)
    every = {intent_id: record for own in records.values() for intent_id, record in own.items()}
    assert {record.status for record in every.values()} <= {"confirmed", "failed"}, (
        "the chain knows each outcome"
    )
    assert any(record.order.replaced for record in every.values()), "orders that expired were replaced"
    confirmed = {id_: record.order.signature for id_, record in every.items() if record.status == "confirmed"}
    audit = audit_node(trial.chain.url, wallets_of(trial))
    assert audit.discrepancies == []
    assert audit.executions == {digest_of(id_): [signature] for id_, signature in confirmed.items()}
    spent = sum(record.outcome.spent_lamports for record in every.values())
    assert sum(audit.balances.values()) == FUNDS * len(trial.jobs) - spent
    trial.chain.assert_conserved()
    shown = {signature for job_id in trial.jobs for signature in signatures_of(trial.system, job_id)}
    assert shown == set(confirmed.values())


def wallets_of(trial):
    addresses = trial.services.signer.client.addresses
    return [wallet for user_id in trial.users.values() for wallet in addresses(user_id)]


def signatures_of(system, job_id):
    return system.events(job_id)[-1]["details"]["transactionSignatures"]
