"""The whole system on a local chain, with killed workers: the chain alone proves what was executed."""

from __future__ import annotations

import json
import uuid

import pytest
from support.canary import Canary
from support.solana import SOL
from support.solana_bench import EXPIRY_BLOCKS, SolanaServices
from support.waiting import wait_until

from cto_worker.markets.solana.chain_audit import audit_node
from cto_worker.markets.solana.local_chain.genesis import DEMO_TOKENS
from cto_worker.markets.solana.orders.memo import digest_of

NETWORK = {"drop": 0.3, "delay": 0.3, "delay_blocks": 60, "lag_blocks": 20}


@pytest.fixture
def services(opened):
    return opened(SolanaServices(slot_ms=25))


@pytest.fixture
def canary():
    return Canary()


@pytest.fixture
def system(services, build):
    return build(
        CTO_MARKET="solana",
        CTO_LOCAL_CHAIN_PORT=services.chain.env["CTO_LOCAL_CHAIN_PORT"],
        CTO_SIGNER_SOCKET=str(services.signer.directory / "signer.sock"),
    )


@pytest.fixture
def user_id(services, canary):
    """A user whose funding wallet is the canary."""
    user_id = uuid.uuid4().hex
    imported = services.signer.cto("import", "--user", user_id, secret=json.dumps([*canary.keypair]))
    assert imported.returncode == 0, imported.stderr
    services.chain.confirmed(services.chain.call("requestAirdrop", canary.address, 50 * SOL))
    return user_id


def test_the_chain_shows_one_execution_of_each_intent(services, system, user_id, canary):
    """One worker dies before its orders are sent, and they expire. Another dies after it has sent some.

    The third has a network that loses and delays orders, and a node that lags.
    """
    order = {"userId": user_id, "buyAmount": 1.2, "slippageBps": 1_000}
    gateway = system.gateway()
    first = system.worker(CTO_CRASH_AT="after_intent")
    jobs = [system.submit(**order, tokenAddress=str(DEMO_TOKENS[0].mint))]
    wait_until(lambda: not first.alive)
    services.chain.call("localAdvance", EXPIRY_BLOCKS)
    second = system.worker(CTO_CRASH_AT="after_submit")
    jobs.append(system.submit(**order, tokenAddress=str(DEMO_TOKENS[2].mint)))
    wait_until(lambda: not second.alive)
    services.chain.call("localSetFaults", NETWORK)
    third = system.worker()
    jobs += [system.submit(**order, tokenAddress=str(token.mint)) for token in DEMO_TOKENS[:2]]
    system.wait_for_end(jobs)
    services.chain.call("localSetFaults", {})
    assert canary.in_memory(third.process.pid, gateway.process.pid) == {}
    check_chain(services, system, jobs, user_id)
    assert canary.in_store(system.client) == {}, "with jobs, intents, events and Celery's messages"
    places = [system.directory, services.chain.directory, services.signer.directory]
    assert canary.in_files(*places) == {}, "logs, append-only file, and the databases"


def check_chain(services, system, jobs, user_id):
    records = {
        intent_id: record
        for job_id in jobs
        for intent_id, record in system.intent_log(job_id).records.items()
    }
    ended = {"confirmed", "failed"}
    assert {record.status for record in records.values()} <= ended, "the chain knows each outcome"
    assert any(record.order.replaced for record in records.values()), "orders that expired were replaced"
    confirmed = {intent_id for intent_id, record in records.items() if record.status == "confirmed"}
    assert len(confirmed) >= len(jobs)
    audit = audit_node(services.chain.url, services.signer.client.addresses(user_id))
    assert audit.discrepancies == []
    assert audit.executions == {
        digest_of(intent_id): [records[intent_id].order.signature] for intent_id in confirmed
    }
    services.chain.assert_conserved()
    shown = {signature for job_id in jobs for signature in signatures_of(system, job_id)}
    assert shown == {records[intent_id].order.signature for intent_id in confirmed}


def signatures_of(system, job_id):
    return system.events(job_id)[-1]["details"]["transactionSignatures"]
