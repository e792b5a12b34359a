"""A swap from offer to receipt: the message, its check before it is signed, and what it cost and brought."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction
from support.local_chain import MINT
from support.solana import SOL, build_query, in_base64

from cto_worker.errors import OrderRejectedError
from cto_worker.markets.solana.receipts import error_code, receipt_of
from cto_worker.markets.solana.rpc_client import NoAnswerError
from cto_worker.markets.solana.swap_check import Holdings, SwapBounds, check_message, check_simulation
from cto_worker.markets.solana.swap_offer import offer_of, swap_message
from cto_worker.markets.solana.token_program import WRAPPED_SOL, associated_account

RENT = 2_039_280
PRIORITY_FEE = 20_000
FEES = 5_000 + PRIORITY_FEE


class Swap:
    """A wallet with an offer for one SOL."""

    def __init__(self, chain):
        self.chain = chain
        self.key = chain.funded()
        self.document = chain.build(build_query(self.key, MINT, SOL))
        self.offer = offer_of(self.document)
        self.wallet = str(self.key.pubkey())
        self.bounds = SwapBounds(self.wallet, SOL + FEES + RENT, self.offer.minimum)

    def message(self, *more):
        offer = replace(self.offer, instructions=(*self.offer.instructions, *more))
        return swap_message(self.wallet, offer, compute_units=200_000, priority_fee_lamports=PRIORITY_FEE)

    def simulated(self, message):
        held = associated_account(self.key.pubkey(), MINT)
        config = {"encoding": "base64", "accounts": {"addresses": [self.wallet, str(held)]}}
        unsigned = VersionedTransaction.populate(
            message, [VersionedTransaction(message, [self.key]).signatures[0]]
        )
        return self.chain.call("simulateTransaction", in_base64(unsigned), config)["value"]

    def check(self, message, **bounds):
        bounds = replace(self.bounds, **bounds)
        check_message(message, bounds)
        check_simulation(message, self.simulated(message), Holdings(10 * SOL, 0), bounds)

    def send(self, message):
        transaction = VersionedTransaction(message, [self.key])
        self.chain.send(transaction)
        self.chain.produce(2)
        return receipt_of(self.chain.receipt(transaction.signatures[0]))


@pytest.fixture
def swap(chain):
    return Swap(chain)


def test_a_swap_passes_its_check_and_its_receipt_has_the_amounts(swap):
    message = swap.message()
    swap.check(message)
    receipt = swap.send(message)
    assert (receipt.error, receipt.error_code, receipt.fee) == (None, "", FEES)
    assert receipt.lamports[swap.wallet] == -(SOL + FEES + RENT)
    assert receipt.tokens[swap.wallet, str(MINT)] == swap.offer.tokens
    exchange = str(swap.chain.local.chain.genesis.exchange.pubkey())
    assert receipt.tokens[exchange, str(WRAPPED_SOL)] == SOL
    assert sum(receipt.lamports.values()) == -receipt.fee


def test_accounts_that_the_signer_checks_stay_in_the_message(swap):
    assert swap.offer.tables, "the offer has a lookup table"
    assert list(swap.message().address_table_lookups) == []


def test_a_late_swap_is_refused_by_the_simulation_and_fails_on_the_chain(swap):
    message = swap.message()
    swap.chain.call("localMovePrice", str(MINT), 500)
    swap.chain.produce()
    with pytest.raises(OrderRejectedError) as refused:
        swap.check(message)
    assert refused.value.code == "slippage_exceeded"
    receipt = swap.send(message)
    assert receipt.error_code == "slippage_exceeded"
    assert {address: change for address, change in receipt.lamports.items() if change} == {swap.wallet: -FEES}
    assert receipt.tokens == {}


def test_a_swap_that_costs_more_or_brings_less_is_refused(swap):
    thief = Keypair().pubkey()
    steal = transfer(TransferParams(from_pubkey=swap.key.pubkey(), to_pubkey=thief, lamports=RENT))
    cases = [
        (swap.message(steal), {}, "lamports, above"),
        (swap.message(), {"most_lamports": SOL}, "lamports, above"),
        (swap.message(), {"least_tokens": swap.offer.tokens + 1}, "base units, below"),
        (swap.message(Instruction(Pubkey.new_unique(), b"", [])), {}, "calls the program"),
        (swap.message(), {"wallet": str(thief)}, "needs the signatures"),
    ]
    for message, bounds, reason in cases:
        with pytest.raises(OrderRejectedError, match=reason) as refused:
            swap.check(message, **bounds)
        assert refused.value.code == "swap_refused"


def test_a_simulation_without_accounts_is_refused(swap):
    message = swap.message()
    for accounts in (None, [], [{"lamports": 1}], [{"lamports": 1}, {"data": 5}]):
        with pytest.raises(OrderRejectedError, match="no accounts to check"):
            check_simulation(message, {"err": None, "accounts": accounts}, Holdings(1, 0), swap.bounds)


def test_an_offer_of_another_form_is_no_answer(swap):
    changes = [
        {"tipInstruction": swap.document["cleanupInstruction"]},
        {"outAmount": "x"},
        {"setupInstructions": None},
        {"swapInstruction": {"programId": "x"}},
        {"blockhashWithMetadata": {"blockhash": [1], "lastValidBlockHeight": 1}},
        {"addressesByLookupTableAddress": {"x": []}},
    ]
    for change in changes:
        with pytest.raises(NoAnswerError, match="aggregator"):
            offer_of({**swap.document, **change})
    for document in (None, [], "x", {}):
        with pytest.raises(NoAnswerError, match="aggregator"):
            offer_of(document)


def test_a_transaction_of_another_form_is_no_answer(swap):
    receipt = swap.send(swap.message())
    transaction = swap.chain.call("getSignaturesForAddress", swap.wallet, {"commitment": "confirmed"})[0]
    document = swap.chain.receipt(transaction["signature"])
    assert receipt_of(json.loads(json.dumps(document))) == receipt
    for name in ("meta", "transaction", "slot"):
        with pytest.raises(NoAnswerError, match="unexpected form"):
            receipt_of({**document, name: None})


def test_errors_have_the_codes_of_the_project():
    token, jupiter = (
        "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA",
        "JUP6LkbZbjS1jKKwapdHNy74zcZ3tLUZoi5QNyVTaV4",
    )
    cases = [
        (None, ""),
        ({"InstructionError": [1, {"Custom": 6001}]}, "slippage_exceeded"),
        ({"InstructionError": [0, {"Custom": 6001}]}, "transaction_failed"),
        ({"InstructionError": [0, {"Custom": 1}]}, "insufficient_funds"),
        ({"InstructionError": [0, {"Custom": 4}]}, "slippage_exceeded"),
        ({"InstructionError": [9, {"Custom": 1}]}, "transaction_failed"),
        ({"InstructionError": [0, "InvalidAccountData"]}, "transaction_failed"),
        ({"InsufficientFundsForRent": {"account_index": 0}}, "insufficient_funds"),
        ("AccountNotFound", "insufficient_funds"),
        ("AccountInUse", "transaction_failed"),
        (7, "transaction_failed"),
    ]
    for error, code in cases:
        assert error_code(error, [token, jupiter]) == code, error
