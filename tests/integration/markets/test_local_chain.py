"""``cto local-chain`` as a process: driven by foreign clients, and killed at any time."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import time

import pytest
import requests
from solana.rpc.async_api import AsyncClient
from solana.rpc.commitment import Confirmed
from solana.rpc.core import RPCException
from solana.rpc.models import TokenAccountOpts, TxOpts
from solders.keypair import Keypair
from solders.signature import Signature
from support.documents import block
from support.javascript import NODE, NODE_PROGRAMS
from support.local_chain import MINT, ChainProcess
from support.processes import BIN
from support.solana import FEE, SOL, build_query, swap_of, transfer_of
from support.waiting import wait_until

PAGE = "docs/how-to/local-chain.md"


@pytest.fixture(scope="module")
def chain():
    chain = ChainProcess().start()
    yield chain
    chain.close()


def test_solana_py_sends_simulates_and_reads(chain):
    asyncio.run(_use_solana_py(chain))


async def _use_solana_py(chain):
    async with AsyncClient(f"{chain.url}/", commitment=Confirmed, http2=False) as client:
        await _send_simulate_and_read(chain, client)


async def _send_simulate_and_read(chain, client):
    key, other = Keypair(), Keypair().pubkey()
    chain.confirmed((await client.request_airdrop(key.pubkey(), 10 * SOL)).value)
    latest = (await client.get_latest_blockhash()).value
    transaction = transfer_of(key, other, SOL, latest.blockhash)
    assert (await client.simulate_transaction(transaction)).value.err is None
    signature = (await client.send_transaction(transaction, TxOpts(preflight_commitment=Confirmed))).value
    await client.confirm_transaction(
        signature, Confirmed, last_valid_block_height=latest.last_valid_block_height
    )
    assert (await client.get_balance(other)).value == SOL
    receipt = (await client.get_transaction(signature, max_supported_transaction_version=0)).value
    assert receipt.transaction.meta.fee == FEE
    assert receipt.transaction.meta.post_balances[:2] == [9 * SOL - FEE, SOL]
    assert (await client.get_signature_statuses([Signature.default(), signature])).value[0] is None
    assert [each.signature for each in (await client.get_signatures_for_address(other)).value] == [signature]
    with pytest.raises(RPCException, match="already been processed"):
        await client.send_transaction(transaction, TxOpts(preflight_commitment=Confirmed))
    too_much = transfer_of(key, other, 100 * SOL, (await client.get_latest_blockhash()).value.blockhash)
    with pytest.raises(RPCException, match="custom program error: 0x1"):
        await client.send_transaction(too_much, TxOpts(preflight_commitment=Confirmed))

    built = chain.build(build_query(key, MINT, SOL))
    swap = (await client.send_transaction(swap_of(key, built), TxOpts(preflight_commitment=Confirmed))).value
    assert chain.confirmed(swap)["err"] is None
    accounts = (
        await client.get_token_accounts_by_owner_json_parsed(key.pubkey(), TokenAccountOpts(mint=MINT))
    ).value
    amounts = [each.account.data.parsed["info"]["tokenAmount"]["amount"] for each in accounts]
    assert amounts == [built["outAmount"]]

    assert "local-chain" in (await client.get_version()).value.solana_core
    assert str((await client.get_genesis_hash()).value).startswith("LocaLChain")
    assert (await client.get_block_height(Confirmed)).value < (await client.get_slot(Confirmed)).value
    assert (await client.get_epoch_info()).value.absolute_slot >= 0
    assert await client.is_connected()
    assert (await client.get_account_info(MINT)).value.data[44] == 6
    assert (await client.get_minimum_balance_for_rent_exemption(165)).value == 2_039_280
    assert (await client.get_fee_for_message(transaction.message)).value == FEE


def test_web3_js_sends_and_reads(chain):
    program = [NODE, NODE_PROGRAMS / "solana.mjs", f"{chain.url}/", str(MINT)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    fee = FEE + 1_000  # for 1,000 compute units at a million micro-lamports
    assert seen["transfer"] == {"status": None, "fee": fee, "post": [9 * SOL - fee, SOL]}
    assert seen["accounts"][0] == SOL
    assert "already been processed" in seen["repeated"]
    assert seen["swap"]["status"] is None
    assert seen["held"] == [seen["swap"]["offered"]]
    assert (seen["history"], seen["tables"], seen["rent"], seen["valid"]) == ([True], 1, 2_039_280, True)
    assert "local-chain" in seen["version"]["solana-core"]
    assert seen["genesisHash"].startswith("LocaLChain")


def test_the_documented_requests_work(chain):
    request = block(PAGE, "curl -s").code.replace("http://127.0.0.1:8899", chain.url)
    done = subprocess.run(["bash", "-ec", request], capture_output=True, text=True, timeout=60, check=True)
    page, _, answered = done.stdout.partition("\n}\n")
    page = json.loads(page + "}")
    assert "worth nothing" in page["notice"]
    assert page["demoTokens"]["Pump.fun"] == str(MINT)
    assert chain.confirmed(json.loads(answered)["result"])["err"] is None
    assert block(PAGE, "cto local-chain").code.strip() == "cto local-chain"  # as the fixture starts it


def test_replies_are_lost_but_their_sends_are_not(chain):
    key = chain.funded()
    transaction = transfer_of(key, Keypair().pubkey(), SOL, chain.blockhash())
    chain.call("localSetFaults", {"lost_reply": 1})
    with pytest.raises(requests.ConnectionError):
        chain.send(transaction)
    chain.call("localSetFaults", {"overload": 1})
    call = {"jsonrpc": "2.0", "id": 1, "method": "getHealth"}
    assert requests.post(chain.url, json=call, timeout=10).status_code == 429
    chain.call("localSetFaults", {})
    assert chain.confirmed(transaction.signatures[0])["err"] is None


def test_pages_of_other_sites_cannot_use_the_faucet(chain):
    call = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "getHealth"})
    for headers in ({"Origin": "https://example.org"}, {"Host": "example.org"}):
        assert requests.post(chain.url, data=call, headers=headers, timeout=10).status_code == 403, headers
    assert requests.post(chain.url, data=call, timeout=10).status_code == 200


def test_malformed_requests_get_an_error(chain):
    cases = {
        "{": -32700,
        "7": -32600,
        '{"method": "getHealth", "params": {}}': -32600,
        '{"method": "getBlocks"}': -32601,
        '{"method": "getBalance", "params": ["x"]}': -32602,
        '{"method": "getBalance", "params": []}': -32602,
        '{"method": "sendTransaction", "params": ["AAAA", {"encoding": "base64"}]}': -32602,
        f'{{"method": "getAccountInfo", "params": ["{MINT}", {{"dataSlice": 1}}]}}': -32602,
        '{"method": "getSlot", "params": [{"commitment": "max"}]}': -32602,
    }
    for body, code in cases.items():
        answered = requests.post(chain.url, data=body, timeout=10).json()
        assert answered["error"]["code"] == code, (body, answered)
    both = requests.post(chain.url, data='[{"method": "getHealth", "id": 5}, 7]', timeout=10).json()
    assert [each.get("id") for each in both] == [5, None]


def test_a_second_process_on_the_same_chain_does_not_start(chain):
    done = subprocess.run(
        [BIN / "cto", "local-chain"], env=chain.env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "another process runs the local chain" in done.stderr


def test_a_kill_at_any_time_keeps_confirmed_transactions_and_refuses_them_again(chain):
    key, other = chain.funded(100), Keypair().pubkey()
    genesis, confirmed, sent = chain.call("getGenesisHash"), {}, []
    for round_number in range(2):
        blockhash = chain.blockhash()
        for number in range(20):
            sent.append(transfer_of(key, other, 1_000_000 + 20 * round_number + number, blockhash))
            chain.send(sent[-1])
            if number % 5 == 0:  # some blocks are under way
                time.sleep(0.01 * round_number)
        confirmed |= slots(chain, sent)
        height = chain.call("getBlockHeight", {"commitment": "processed"})
        chain.process.kill()
        chain.start()
        assert chain.call("getGenesisHash") == genesis
        assert chain.call("getBlockHeight", {"commitment": "processed"}) >= height
    assert confirmed
    assert confirmed.items() <= slots(chain, sent).items()
    for transaction in sent:
        chain.send(transaction)
    chain.confirmed(chain.transfer(key, Keypair().pubkey(), SOL).signatures[0])
    landed = slots(chain, sent).keys()
    assert chain.balance(other) == sum(
        lamports_of(each) for each in sent if str(each.signatures[0]) in landed
    )
    chain.assert_conserved()


def slots(chain, transactions):
    """Return the slots of those transactions that have a status, by signature."""
    names = [str(transaction.signatures[0]) for transaction in transactions]
    found = chain.call("getSignatureStatuses", names, {"searchTransactionHistory": True})["value"]
    return {name: status["slot"] for name, status in zip(names, found, strict=True) if status}


def lamports_of(transaction):
    return int.from_bytes(bytes(transaction.message.instructions[0].data)[4:], "little")


def test_the_process_ends_if_it_cannot_write_a_block(chain):
    key, other = chain.funded(), Keypair().pubkey()
    transaction = transfer_of(key, other, SOL, chain.blockhash())
    with sqlite3.connect(chain.path, isolation_level=None) as connection:
        connection.execute("BEGIN IMMEDIATE")  # until the process gives up
        wait_until(lambda: not chain.process.alive)
        connection.execute("ROLLBACK")
    assert "could not be produced" in chain.output()
    chain.start()
    assert chain.balance(other) == 0
    chain.send(transaction)
    assert chain.confirmed(transaction.signatures[0])["err"] is None
    chain.assert_conserved()
