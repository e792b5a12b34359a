"""The audit of wallets from the chain alone."""

from __future__ import annotations

import pytest
from solders.keypair import Keypair
from solders.system_program import TransferParams, transfer
from support.local_chain import NodeOf
from support.solana import FEE, SOL, signed

from cto_worker.markets.solana.chain_audit import audit
from cto_worker.markets.solana.orders.memo import digest_of, memo_of
from cto_worker.markets.solana.rpc_client import NoAnswerError, Providers

INTENT = "job:wallet:transfer"


class Books(NodeOf):
    """A node whose answers differ from the chain."""

    balance = 0  # lamports that it reports besides those of a wallet
    lost = ""  # signature of a transaction that it has lost

    def call(self, method, *params):
        answer = super().call(method, *params)
        if method == "getBalance":
            return {**answer, "value": answer["value"] + self.balance}
        return None if params[0] == self.lost else answer


@pytest.fixture
def books(chain):
    return Books(chain, "/")


def audited(books, *keys):
    return audit(Providers([books]), [str(key.pubkey()) for key in keys])


def order(chain, key, destination, lamports=SOL, intent_id=INTENT):
    """Execute a transfer with the memo of an intent. Return its signature."""
    parameters = TransferParams(from_pubkey=key.pubkey(), to_pubkey=destination.pubkey(), lamports=lamports)
    transaction = signed(key, [transfer(parameters), memo_of(intent_id)], chain.blockhash())
    chain.send(transaction)
    chain.produce(2)
    return str(transaction.signatures[0])


def test_wallets_and_their_executed_intents_add_up(chain, books):
    source, destination = chain.funded(), Keypair()
    executed = order(chain, source, destination)
    order(chain, source, destination, lamports=100 * SOL)  # fails, and pays its fee
    found = audited(books, source, destination)
    assert found.discrepancies == []
    assert found.executions == {digest_of(INTENT): [executed]}
    assert (found.transactions, found.fees) == (3, 2 * FEE), "with the airdrop, which the faucet paid"
    assert list(found.balances.values()) == [9 * SOL - 2 * FEE, SOL]


def test_an_intent_that_executed_twice_is_reported(chain, books):
    source, destination = chain.funded(), Keypair()
    order(chain, source, destination, intent_id="another")
    signatures = [order(chain, source, destination) for _ in range(2)]
    found = audited(books, source)
    assert found.discrepancies == [
        f"the intent with the digest {digest_of(INTENT)} executed 2 times: {signatures[1]}, {signatures[0]}"
    ]


def test_a_stranger_who_repeats_a_memo_executes_no_intent(chain, books):
    source, stranger = chain.funded(), chain.funded()
    executed = order(chain, source, Keypair())
    order(chain, stranger, source, lamports=1)
    found = audited(books, source)
    assert (found.discrepancies, found.executions) == ([], {digest_of(INTENT): [executed]})


def test_a_balance_that_no_transaction_explains_is_reported(chain, books):
    source = chain.funded()
    signature = order(chain, source, Keypair())
    books.balance = -1
    held = 9 * SOL - FEE
    assert audited(books, source).discrepancies == [
        f"wallet {source.pubkey()} holds {held - 1} lamports, but its transactions add up to {held}"
    ]
    books.lost = signature
    with pytest.raises(NoAnswerError, match=f"no provider has the transaction {signature}"):
        audited(books, source)
