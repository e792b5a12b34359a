"""The rules of the local chain: blockhashes, duplicates, fees, and what a restart keeps."""

from __future__ import annotations

import sqlite3

import pytest
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.system_program import CreateAccountParams, create_account
from support.local_chain import ChainInProcess, RpcAnswerError
from support.solana import FEE, SOL, signed, transfer_of

from cto_worker.errors import ConfigError
from cto_worker.markets.solana.token_program import TOKEN_PROGRAM


def test_a_transaction_has_a_status_only_after_its_block(chain):
    key, other = chain.funded(), Keypair().pubkey()
    signature = chain.send(transfer_of(key, other, SOL, chain.blockhash()))
    assert chain.status(signature) is None
    assert chain.balance(other) == 0
    levels = []
    for _ in range(32):
        chain.produce()
        levels.append(chain.status(signature)["confirmationStatus"])
    assert levels == ["processed", *["confirmed"] * 30, "finalized"]
    assert chain.balance(other) == SOL
    assert chain.balance(key.pubkey()) == 9 * SOL - FEE
    chain.assert_conserved()


def test_a_blockhash_is_valid_for_150_blocks(chain):
    key, other = chain.funded(), Keypair().pubkey()
    latest = chain.call("getLatestBlockhash", {"commitment": "processed"})["value"]
    in_time, late = (
        transfer_of(key, other, lamports, chain.local.chain.tip.hash) for lamports in (SOL, 2 * SOL)
    )
    assert latest["lastValidBlockHeight"] == chain.height + 150
    chain.produce(149)
    chain.send(in_time)
    chain.produce()
    assert chain.height == latest["lastValidBlockHeight"]
    chain.send(late)
    chain.produce()
    assert chain.status(in_time.signatures[0])["err"] is None
    assert chain.status(late.signatures[0]) is None
    assert chain.balance(other) == SOL
    assert chain.call("isBlockhashValid", latest["blockhash"])["value"] is False
    with pytest.raises(RpcAnswerError, match="Blockhash not found"):
        chain.send(late, preflight=True)


def test_a_repeated_transaction_executes_once_however_many_follow_it(chain):
    key, other = chain.funded(), Keypair().pubkey()
    transaction = transfer_of(key, other, SOL, chain.blockhash())
    for round_number in range(3):
        for _ in range(2):
            chain.send(transaction)
        chain.produce()
        for number in range(40):  # LiteSVM itself forgets after 32
            chain.transfer(key, other, 1_000 + 40 * round_number + number)
        chain.produce()
    chain.restart()
    chain.send(transaction)
    chain.produce()
    sent = SOL + sum(1_000 + number for number in range(120))
    assert chain.balance(other) == sent
    with pytest.raises(RpcAnswerError, match="already been processed"):
        chain.send(transaction, preflight=True)


def test_a_failed_transaction_pays_its_fee_and_moves_nothing_else(chain):
    key, other = chain.funded(1), Keypair().pubkey()
    transaction = chain.transfer(key, other, 5 * SOL)
    chain.produce(2)
    error = {"InstructionError": [0, {"Custom": 1}]}
    assert chain.status(transaction.signatures[0])["err"] == error
    assert chain.receipt(transaction.signatures[0])["meta"]["err"] == error
    assert (chain.balance(key.pubkey()), chain.balance(other)) == (SOL - FEE, 0)
    chain.assert_conserved()


def test_a_transaction_that_cannot_pay_its_fee_is_in_no_block(chain):
    poor = Keypair()
    transaction = chain.transfer(poor, Keypair().pubkey(), 1)
    chain.produce()
    assert chain.status(transaction.signatures[0]) is None
    chain.assert_conserved()


def test_a_wrong_signature_is_refused(chain):
    key = chain.funded()
    first, second = (transfer_of(key, Keypair().pubkey(), 1, chain.blockhash()) for _ in range(2))
    forged = type(first).populate(first.message, second.signatures)
    for preflight in (True, False):
        with pytest.raises(RpcAnswerError, match="signature verification"):
            chain.send(forged, preflight=preflight)


def test_a_restart_continues_with_blocks_accounts_and_statuses(chain):
    key, other = chain.funded(), Keypair().pubkey()
    transaction = chain.transfer(key, other, SOL)
    chain.produce()
    lost = chain.transfer(key, other, 3 * SOL)  # in no block yet
    facts = ("getGenesisHash", "getEpochInfo", "getLatestBlockhash")
    before = [chain.call(name, {"commitment": "processed"}) for name in facts]
    chain.restart()
    assert [chain.call(name, {"commitment": "processed"}) for name in facts] == before
    assert chain.status(transaction.signatures[0])["err"] is None
    assert chain.balance(other) == SOL
    chain.produce()
    assert chain.status(lost.signatures[0]) is None
    chain.assert_conserved()


def test_an_account_that_ends_is_gone_after_a_restart(chain):
    key, account = chain.funded(), Keypair()
    size, rent = 165, chain.call("getMinimumBalanceForRentExemption", 165)
    opened = create_account(
        CreateAccountParams(
            from_pubkey=key.pubkey(),
            to_pubkey=account.pubkey(),
            lamports=rent,
            space=size,
            owner=TOKEN_PROGRAM,
        )
    )
    chain.send(signed(key, [opened], chain.blockhash(), others=[account]))
    chain.produce()
    assert chain.call("getAccountInfo", str(account.pubkey()))["value"]["space"] == size
    empty = transfer_of(key, Keypair().pubkey(), chain.balance(key.pubkey()) - FEE, chain.blockhash())
    chain.send(empty)
    chain.produce()
    chain.restart()
    assert chain.call("getAccountInfo", str(key.pubkey()))["value"] is None
    assert chain.balance(account.pubkey()) == rent
    chain.assert_conserved()


def test_lamports_are_conserved_when_a_program_receives_some(chain):
    """Accounts of the runtime exist without being in the books, until a transaction touches them."""
    key = chain.funded()
    for program in (TOKEN_PROGRAM, Pubkey.from_string("SysvarC1ock11111111111111111111111111111111")):
        chain.transfer(key, program, SOL)
    chain.produce()
    chain.assert_conserved()


def test_some_slots_have_no_block(chain):
    pairs = []
    for _ in range(60):
        chain.produce()
        epoch = chain.call("getEpochInfo", {"commitment": "processed"})
        pairs.append((epoch["blockHeight"], epoch["absoluteSlot"]))
    heights, slots = zip(*pairs, strict=True)
    assert heights == tuple(range(1, 61))
    assert sorted(set(slots)) == list(slots)
    assert slots[-1] > heights[-1]


def test_a_file_of_another_release_is_refused(chain, tmp_path):
    chain.local.close()
    with sqlite3.connect(chain.path) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(ConfigError, match="version 99"):
        ChainInProcess(chain.path)
    chain.local = ChainInProcess(tmp_path / "new.db").local


def test_two_chains_have_different_identities(chain, tmp_path):
    other = ChainInProcess(tmp_path / "other.db")
    hashes = {each.call("getGenesisHash") for each in (chain, other)}
    other.local.close()
    assert len(hashes) == 2
    assert all(each.startswith("LocaLChain") for each in hashes)
