"""The local exchange: quotes, swaps, and buys that come too late."""

from __future__ import annotations

import pytest
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from support.local_chain import MINT, RpcAnswerError
from support.solana import SOL, build_query, in_base64, swap_of

from cto_worker.markets.solana.local_chain.exchange.local_exchange import NoQuoteError
from cto_worker.markets.solana.local_chain.exchange.price_curve import MAX_STEP_PPM, STEP_PPM, PriceCurve
from cto_worker.markets.solana.token_program import WRAPPED_SOL, associated_account, token_account

REVOKED = {"Custom": 4}  # SPL Token: the authority is neither owner nor delegate


def tokens_of(chain, owner, mint=MINT):
    query = (str(owner), {"mint": str(mint)}, {"encoding": "jsonParsed"})
    accounts = chain.call("getTokenAccountsByOwner", *query)["value"]
    amounts = [each["account"]["data"]["parsed"]["info"]["tokenAmount"]["amount"] for each in accounts]
    return sum(map(int, amounts))


def vault(chain):
    return associated_account(chain.local.chain.genesis.exchange.pubkey(), WRAPPED_SOL)


def send(chain, key, built, **options):
    transaction = swap_of(key, built, **options)
    chain.send(transaction, preflight=True)
    chain.produce()
    return chain.status(transaction.signatures[0])


def test_a_swap_pays_and_delivers_what_was_quoted(chain):
    for with_tables in (True, False):
        key = chain.funded()
        chain.build(build_query(key, MINT, SOL))  # opens the vault
        paid = chain.balance(vault(chain))
        built = chain.build(build_query(key, MINT, SOL))
        assert send(chain, key, built, with_tables=with_tables)["err"] is None
        assert tokens_of(chain, key.pubkey()) == int(built["outAmount"])
        assert chain.balance(vault(chain)) - paid == SOL
        assert chain.balance(associated_account(key.pubkey(), WRAPPED_SOL)) == 0
    chain.produce(200)
    chain.assert_conserved()


def test_the_receipt_has_the_balances_before_and_after(chain):
    key = chain.funded()
    built = chain.build(build_query(key, MINT, SOL))
    transaction = swap_of(key, built)
    chain.send(transaction)
    chain.produce(2)
    meta = chain.receipt(transaction.signatures[0])["meta"]
    rent = chain.call("getMinimumBalanceForRentExemption", 165)
    assert meta["preBalances"][0] - meta["postBalances"][0] == SOL + rent + meta["fee"]
    owners = {each["owner"]: each["uiTokenAmount"]["amount"] for each in meta["postTokenBalances"]}
    assert owners[str(key.pubkey())] == built["outAmount"]
    assert str(vault(chain)) in meta["loadedAddresses"]["writable"]


def test_a_late_buy_fails_on_the_chain(chain):
    key = chain.funded()
    built = chain.build(build_query(key, MINT, SOL))
    transaction = swap_of(key, built)
    chain.call("localMovePrice", str(MINT), 300)  # its limit is 100
    chain.send(transaction, preflight=True)  # the exchange revokes in the next block
    chain.produce(2)
    number, error = chain.status(transaction.signatures[0])["err"]["InstructionError"]
    assert (number, error) == (
        5,
        REVOKED,
    )  # after one instruction of the compute budget and four of the set-up
    assert tokens_of(chain, key.pubkey()) == 0
    meta = chain.receipt(transaction.signatures[0])["meta"]
    assert chain.balance(key.pubkey()) == 10 * SOL - meta["fee"]
    chain.assert_conserved()


def test_a_movement_within_the_limit_revokes_nothing(chain):
    key = chain.funded()
    built = chain.build(build_query(key, MINT, SOL))
    for bps in (-2_000, 2_500, 50):  # a lower price is better for the buyer
        chain.call("localMovePrice", str(MINT), bps)
        chain.produce()
    assert send(chain, key, built)["err"] is None


def test_only_the_taker_can_use_a_quote(chain):
    key, thief = chain.funded(), chain.funded()
    built = chain.build(build_query(key, MINT, SOL))
    mine = chain.build(build_query(thief, MINT, SOL))
    stolen = swap_of(thief, {**mine, "swapInstruction": with_source(mine, built)})
    with pytest.raises(RpcAnswerError, match="0x4"):
        chain.send(stolen, preflight=True)


def with_source(mine, other):
    """Return the swap of one answer, with the tokens of the other's quote."""
    accounts = [dict(each) for each in mine["swapInstruction"]["accounts"]]
    accounts[4]["pubkey"] = other["routePlan"][0]["swapInfo"]["ammKey"]
    return {**mine["swapInstruction"], "accounts": accounts}


def test_open_quotes_count_as_executed_in_the_price_of_later_ones(chain):
    keys = [chain.funded() for _ in range(3)]
    built = [chain.build(build_query(key, MINT, 5 * SOL, slippageBps="10")) for key in keys]
    offered = [int(each["outAmount"]) for each in built]
    assert offered == sorted(offered, reverse=True)
    assert offered[0] * 0.97 < offered[2] < offered[0] * 0.99  # each moves the price by about one percent
    for key, each in zip(
        keys, built, strict=True
    ):  # the limit covers others' buys only, not the earlier ones
        assert send(chain, key, each)["err"] is None
    chain.assert_conserved()


def test_a_quote_is_revoked_if_the_older_ones_leave_too_little(chain):
    """The price moves by half a percent. The first quote allows that, the second expects that it executes."""
    tolerant, strict = chain.funded(), chain.funded()
    first = chain.build(build_query(tolerant, MINT, 5 * SOL, slippageBps="500"))
    second = chain.build(build_query(strict, MINT, 5 * SOL, slippageBps="10"))
    chain.call("localMovePrice", str(MINT), 50)
    chain.produce()
    config = {"encoding": "base64"}
    errors = [
        chain.call("simulateTransaction", in_base64(swap_of(key, built)), config)["value"]["err"]
        for key, built in ((tolerant, first), (strict, second))
    ]
    assert errors == [None, {"InstructionError": [5, REVOKED]}]


def test_buys_move_the_price(chain):
    key = chain.funded(1_000)
    first = chain.build(build_query(key, MINT, 100 * SOL))
    assert send(chain, key, first)["err"] is None
    chain.produce()
    second = chain.build(build_query(key, MINT, 100 * SOL))
    assert int(second["outAmount"]) < int(first["outAmount"]) * 0.85


def test_a_quote_ends_with_its_blockhash(chain):
    key = chain.funded()
    built = chain.build(build_query(key, MINT, SOL))
    account = Pubkey.from_string(built["routePlan"][0]["swapInfo"]["ammKey"])
    last = built["blockhashWithMetadata"]["lastValidBlockHeight"]
    chain.produce(last - chain.height)
    held = token_account(chain.local.chain.runtime.account(account).data)
    assert (held.amount, held.delegate) == (int(built["outAmount"]), key.pubkey())
    chain.produce(2)
    assert chain.local.chain.runtime.account(account) is None
    supply = chain.call("getTokenSupply", str(MINT))["value"]["amount"]
    assert supply == "0"


def test_quotes_and_prices_survive_a_restart(chain):
    key = chain.funded()
    built = chain.build(build_query(key, MINT, SOL))
    chain.call("localMovePrice", str(MINT), 50)
    chain.produce()
    reserve = chain.local.exchange.curves[MINT].reserve
    chain.restart()
    assert chain.local.exchange.curves[MINT].reserve == reserve
    assert send(chain, key, built)["err"] is None
    late = chain.build(build_query(key, MINT, SOL))
    chain.restart()
    chain.call("localMovePrice", str(MINT), 500)
    chain.produce()
    signature = swap_of(key, late).signatures[0]
    chain.send(swap_of(key, late))
    chain.produce()
    assert chain.status(signature)["err"]["InstructionError"][1] == REVOKED


def test_requests_that_cannot_be_quoted_are_refused(chain):
    key = Keypair()
    cases = {
        "TOKEN_NOT_TRADABLE": [{"outputMint": str(Keypair().pubkey())}],
        "NO_ROUTES_FOUND": [{"inputMint": str(MINT), "outputMint": str(WRAPPED_SOL)}],
        "INVALID_REQUEST": [
            {"amount": "0"},
            {"amount": "-1"},
            {"amount": "1.5"},
            {"amount": "9" * 40},
            {"amount": ""},
            {"taker": "x"},
            {"slippageBps": "10001"},
            {"platformFeeBps": "10"},
            {"dexes": "Raydium"},
        ],
    }
    for code, changes in cases.items():
        for change in changes:
            with pytest.raises(NoQuoteError) as refused:
                chain.build(build_query(key, MINT, SOL, **change))
            assert refused.value.code == code, change


def test_a_quote_needs_no_funded_taker_and_a_simulation_says_what_is_missing(chain):
    key = Keypair()
    built = chain.build(build_query(key, MINT, SOL))
    config = {"encoding": "base64"}
    simulated = chain.call("simulateTransaction", in_base64(swap_of(key, built)), config)["value"]
    assert simulated["err"] == "AccountNotFound"


def test_the_curve_keeps_its_product():
    curve = PriceCurve(10**12 * 10**15, 10**12)
    first = curve.tokens_for(10**9)
    curve.buy(10**9)
    second = curve.tokens_for(10**9)
    assert 0 < second < first
    assert curve.tokens_for(10**9, promised=10**9) < second
    for chance in (0, 255):
        before = curve.reserve
        curve.wander(chance, STEP_PPM)
        assert (curve.reserve > before) is (chance == 255)


def test_prices_move_with_time_as_far_as_the_step_says(chain):
    def reserves():
        chain.produce(20)
        return chain.local.exchange.curves[MINT].reserve

    assert chain.call("localSetPriceStep", STEP_PPM) == STEP_PPM
    assert len({reserves() for _ in range(3)}) == 3
    assert chain.call("localSetPriceStep", 0) == 0
    assert len({reserves() for _ in range(3)}) == 1
    for step_ppm in (-1, MAX_STEP_PPM + 1):
        with pytest.raises(RpcAnswerError, match=f"the step is {step_ppm}: give 0 to"):
            chain.call("localSetPriceStep", step_ppm)
