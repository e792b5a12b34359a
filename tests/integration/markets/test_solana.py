"""The market `solana` on a local chain, with a signer: the contract of markets, and what is its own."""

from __future__ import annotations

import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import msgspec
import pytest
from click.testing import CliRunner
from solders.keypair import Keypair
from support.documents import block
from support.hostile_aggregator import HostileAggregator, instruction_document
from support.solana import SOL
from support.solana_bench import SolanaBench, SolanaServices

from api.cli.main import main
from cto_worker.domain.market_port import OutcomeStatus
from cto_worker.errors import ConfigError, MarketError, OrderRejectedError
from cto_worker.markets.solana.cluster import MAINNET
from cto_worker.markets.solana.factory import make_solana_market
from cto_worker.markets.solana.local_chain.genesis import DEMO_TOKENS
from cto_worker.markets.solana.orders.memo import digest_of
from cto_worker.markets.solana.orders.shared_fates import INTERVAL_S
from cto_worker.markets.solana.token_program import TOKEN_PROGRAM
from cto_worker.signer.protocol import Signature, Signatures
from cto_worker.testing.market_bench import Fault
from cto_worker.testing.market_contract import MarketContract
from cto_worker.testing.market_orders import (
    WALLETS,
    buys_of,
    orders_of,
    outcomes_of,
    rejection_of,
    transfer_of,
)


@pytest.fixture(scope="module")
def services():
    services = SolanaServices()
    yield services
    services.close()


@pytest.fixture
def bench(services, opened):
    return opened(SolanaBench(services))


class TestSolanaMarket(MarketContract):
    """The fixture ``bench`` is that of this module."""


def test_the_market_says_that_the_chain_is_local(bench):
    assert "a local chain, whose SOL is worth nothing" in bench.open().check()


def test_each_demo_token_has_its_platform(bench):
    found = [bench.open().detect(str(token.mint)).platform for token in DEMO_TOKENS]
    assert found == ["pumpfun", "bonk", "raydium"]


def test_an_address_without_a_token_is_not_tradable(bench):
    market = bench.open()
    account = market.account(bench.user_id, WALLETS)
    for address in (account.funding_wallet, str(Keypair().pubkey()), str(TOKEN_PROGRAM)):
        with pytest.raises(OrderRejectedError) as rejected:
            market.detect(address)
        assert rejected.value.code == "token_not_tradable"
        buy = replace(buys_of(bench)[0], token_address=address)
        assert rejection_of(market, buy) == "token_not_tradable"


def test_the_signer_knows_users_and_limits(bench):
    market = bench.open()
    with pytest.raises(OrderRejectedError) as rejected:
        market.account("nobody", 1)
    assert rejected.value.code == "user_not_found"
    buy = replace(buys_of(bench)[0], lamports=SOL + 1)
    assert rejection_of(market, buy) == "order_limit_exceeded"


def test_a_service_that_does_not_answer_is_no_rejection(bench):
    nowhere = "http://127.0.0.1:1"
    genesis = bench.chain.page()["genesisHash"]
    cluster = {"solana_rpc_url": (nowhere,), "solana_genesis": genesis, "solana_swap_url": nowhere}
    cases = [cluster, {"solana_swap_url": nowhere}, {"signer_socket": "/tmp/no-such.sock"}]
    buy = buys_of(bench)[0]
    for changes in cases:
        market = make_solana_market(replace(bench.settings, **changes), None)
        with pytest.raises(MarketError) as failed:
            market.prepare([buy])
        assert not isinstance(failed.value, OrderRejectedError), changes


def test_nodes_of_another_cluster_are_not_used(bench):
    settings = replace(bench.settings, solana_rpc_url=(bench.chain.url,), solana_swap_url=bench.chain.url)
    with pytest.raises(ConfigError, match="set CTO_SOLANA_GENESIS"):
        make_solana_market(settings, None)
    other = make_solana_market(replace(settings, solana_genesis=str(Keypair().pubkey())), None)
    for call in (other.check, lambda: other.prepare([transfer_of(bench)])):
        with pytest.raises(MarketError, match="genesis hash is LocaLChain"):
            call()
    with pytest.raises(ConfigError, match="mainnet"):
        make_solana_market(replace(settings, solana_genesis=MAINNET), None)
    allowed = make_solana_market(replace(settings, solana_genesis=MAINNET, solana_mainnet="yes"), None)
    with pytest.raises(MarketError, match="genesis hash is LocaLChain"):
        allowed.check()


@pytest.fixture
def hostile(bench, opened):
    """Return a market whose aggregator changes the offers of the chain: ``hostile(change)``."""

    def hostile(change):
        aggregator = opened(HostileAggregator(bench.chain, change))
        return make_solana_market(replace(bench.settings, solana_swap_url=aggregator.url), None)

    return hostile


def test_an_offer_that_takes_more_or_brings_less_is_refused(bench, hostile):
    buy = buys_of(bench)[0]
    payee = bench.chain.page()["exchange"]
    stolen = instruction_document(buy.wallet, payee, SOL // 10)
    foreign = {"programId": str(Keypair().pubkey()), "accounts": [], "data": ""}
    changes = {
        "it takes more": {"otherInstructions": [stolen]},
        "it calls another program": {"otherInstructions": [foreign]},
        "it promises a lower limit": {"otherAmountThreshold": "1"},
        "it promises more than it brings": {"otherAmountThreshold": str(10**15)},
        "it is for another amount": {"inAmount": str(buy.lamports * 2)},
        "it is for another token": {"outputMint": str(DEMO_TOKENS[1].mint)},
    }
    codes = {what: rejection_of(hostile(change), buy) for what, change in changes.items()}
    assert codes == dict.fromkeys(changes, "swap_refused")


def test_the_aggregator_does_not_say_when_an_order_expires(bench, hostile):
    """With a height that is too low, an order would be replaced while it can still execute."""
    hash_of_nothing = {"blockhash": [7] * 32, "lastValidBlockHeight": 1}
    market = hostile({"blockhashWithMetadata": hash_of_nothing})
    (order,) = orders_of(market, buys_of(bench)[:1])
    latest = bench.chain.call("getLatestBlockhash", {"commitment": "confirmed"})["value"]
    assert latest["lastValidBlockHeight"] - 100 < order.expires <= latest["lastValidBlockHeight"]
    market.submit([order])
    assert outcomes_of(market, [order])[0].status is OutcomeStatus.CONFIRMED


def test_a_wrong_signature_is_not_sent(bench, tmp_path):
    path = tmp_path / "s"
    answer = msgspec.json.encode(Signatures([Signature(bytes(64))]))
    transfer = transfer_of(bench)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def respond():
            connection, _ = listener.accept()
            with connection:
                while connection.recv(10_000):
                    pass
                connection.sendall(answer)

        thread = threading.Thread(target=respond)
        thread.start()
        market = make_solana_market(replace(bench.settings, signer_socket=str(path)), None)
        with pytest.raises(MarketError, match="a signature that is not of"):
            market.prepare([transfer])
        thread.join()


def test_operations_share_the_queries_of_their_orders(bench):
    """A node is asked at most once per interval, however many operations wait."""
    orders = orders_of(bench.open(), buys_of(bench))
    market = bench.open(Fault.BLIND)
    market.submit(orders)
    with ThreadPoolExecutor(16) as operations:
        waiting = [operations.submit(market.outcomes, orders, wait_s=4) for _ in range(16)]
        assert [outcomes.result() for outcomes in waiting] == [{}] * 16
    queries = bench.nodes[0].calls["getSignatureStatuses"]
    assert 2 < queries <= 4 / INTERVAL_S + 3, "each for itself would ask up to 256 times"


def test_an_order_with_a_malformed_signature_does_not_delay_others(bench):
    market = bench.open()
    good, bad = orders_of(market, buys_of(bench)[:2])
    market.submit([good])
    with pytest.raises(MarketError, match="order 0 has no signature of this market"):
        market.outcomes([replace(bad, signature="0")], wait_s=1)
    assert outcomes_of(market, [good])[0].status is OutcomeStatus.CONFIRMED


def test_the_command_of_the_audit_finds_a_second_execution(bench):
    """Two orders of one intent, of which the worker would send the second only after the first expired."""
    market = bench.open()
    transfer = transfer_of(bench)
    orders = [orders_of(market, [transfer])[0] for _ in range(2)]
    account = market.account(bench.user_id, WALLETS)
    for order, exit_code in zip(orders, (0, 1), strict=True):
        market.submit([order])
        outcomes_of(market, [order])
        audited = audit_command(bench, "--user", bench.user_id, "-o", "json")
        assert audited.exit_code == exit_code, audited.output
        found = json.loads(audited.output)
        assert found["balanced"] is (exit_code == 0)
    signatures = [order.signature for order in orders]
    digest = digest_of(transfer.intent_id)
    assert sorted(found["executions"][digest]) == sorted(signatures)
    assert found["fees"] == 2 * market.transfer_fee()
    account = market.account(bench.user_id, WALLETS)
    assert found["balances"] == {account.funding_wallet: account.funding_lamports, **account.wallets}
    (discrepancy,) = found["discrepancies"]
    assert discrepancy.startswith(f"the intent with the digest {digest} executed 2 times: ")
    table = audit_command(bench, "--wallet", account.funding_wallet)
    assert table.exit_code == 1
    assert f"error: {discrepancy}" in table.output
    assert "3 transactions, 0.000020000 SOL of fees, 1 executed intents; they do NOT add up" in table.output


def test_the_command_of_the_audit_does_not_pass_without_wallets_or_on_another_chain(bench):
    nobody = audit_command(bench, "--user", "nobody")
    assert nobody.exit_code == 1
    assert "user nobody has no wallets in the signer" in nobody.output
    elsewhere = {"CTO_SOLANA_RPC_URL": bench.chain.url, "CTO_SOLANA_GENESIS": str(Keypair().pubkey())}
    other = audit_command(bench, "--user", bench.user_id, **elsewhere)
    assert other.exit_code == 1
    assert "genesis hash is LocaLChain" in other.output


def audit_command(bench, *arguments, **changes):
    """Run the command of the page with other arguments."""
    setting, _, *command = block("docs/how-to/solana.md", "CTO_MARKET=solana cto market").code.split()
    env = {**bench.env, **dict([setting.split("=")]), **changes}
    return CliRunner().invoke(main, [*command[: command.index("--user")], *arguments], env=env)
