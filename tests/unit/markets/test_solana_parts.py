"""Parts of the market `solana`: rent, limits of Jupiter's instructions, platforms, and the time of blocks."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest
from solders.hash import Hash
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.pubkey import Pubkey

from cto_worker.domain.market_port import Buy, MarketDescription, Money, Transfer
from cto_worker.errors import OrderRejectedError
from cto_worker.markets.solana.cluster import MAINNET, Cluster
from cto_worker.markets.solana.local_chain.genesis import GENESIS_PREFIX
from cto_worker.markets.solana.orders.block_time import LIFE_BLOCKS, BlockTime
from cto_worker.markets.solana.orders.funds import Funds, Rent, first_buy_costs
from cto_worker.markets.solana.orders.memo import digest_in, digest_of, memo_of
from cto_worker.markets.solana.orders.messages import TRANSFER_FEE_LAMPORTS
from cto_worker.markets.solana.receipts import JUPITER
from cto_worker.markets.solana.strategies import OTHER, platform_of
from cto_worker.markets.solana.swap_check import SwapBounds, check_message

RENT = Rent(wallet=890_880, wrapped_sol=2_039_280, token=2_074_080)
BUY = Buy("job:w:buy.1", "7", "w", "mint", 10_000_000, 100, 20_000)
TRANSFER = Transfer("job:w:transfer", "7", "f", "w", 10_000_000)


def test_only_a_local_chain_is_described_as_play_money():
    described = {
        "": ("solana: local chain", Money.LOCAL_CHAIN),
        f"{GENESIS_PREFIX}1": ("solana: local chain", Money.LOCAL_CHAIN),
        MAINNET: ("solana: mainnet", Money.REAL),
        "EtWT": ("solana: cluster with genesis hash EtWT", Money.REAL),
    }
    for pinned, expected in described.items():
        cluster = Cluster(None, pinned, mainnet=True)  # which asks no provider
        assert cluster.description == MarketDescription(*expected), pinned


def test_a_buy_needs_its_rent_and_that_of_wrapped_sol():
    exactly = BUY.lamports + 25_000 + RENT.token + RENT.wrapped_sol
    assert Funds({"w": exactly}, set(), RENT).reserve(BUY) == exactly - RENT.wrapped_sol
    with pytest.raises(OrderRejectedError, match="the order needs"):
        Funds({"w": exactly - 1}, set(), RENT).reserve(BUY)


def test_the_second_buy_of_a_batch_needs_no_rent():
    funds = Funds({"w": 10**9}, set(), RENT)
    first, second = funds.reserve(BUY), funds.reserve(replace(BUY, intent_id="job:w:buy.2"))
    assert first - second == RENT.token
    assert funds.lamports["w"] == 10**9 - first - second


def test_a_transfer_leaves_nothing_or_what_the_chain_demands():
    needed = TRANSFER.lamports + TRANSFER_FEE_LAMPORTS
    for left, allowed in ((0, True), (1, False), (RENT.wallet - 1, False), (RENT.wallet, True)):
        funds = Funds({"f": needed + left, "w": 0}, set(), RENT)
        if allowed:
            assert funds.reserve(TRANSFER) == needed
        else:
            with pytest.raises(OrderRejectedError, match="must stay in the wallet"):
                funds.reserve(TRANSFER)


def test_a_new_wallet_receives_what_the_chain_demands():
    small = replace(TRANSFER, lamports=RENT.wallet // 2 + 1)
    funds = Funds({"f": 10**9, "w": 0}, set(), RENT)
    with pytest.raises(OrderRejectedError, match="below the 890880"):
        funds.reserve(small)
    funds.lamports["w"] = RENT.wallet // 2
    funds.reserve(small)


def test_the_first_buy_costs_the_rent_of_both_accounts():
    wallets = {"new": 0, "rich": 10**9, "poor": 100}
    assert first_buy_costs(wallets, {"rich", "poor"}, RENT) == {
        "new": RENT.token + RENT.wrapped_sol,
        "poor": RENT.wrapped_sol,
    }


@pytest.mark.parametrize(
    ("discriminator", "skipped"), [("bb64facc31c4af14", b""), ("d19853937cfed8e9", b"\1")]
)
def test_an_instruction_of_jupiter_must_contain_the_limit(discriminator, skipped):
    key = Keypair()
    begin = bytes.fromhex(discriminator) + skipped
    bounds = SwapBounds(str(key.pubkey()), 10**9, least_tokens=990)

    def check(data):
        swap = Instruction(Pubkey.from_string(JUPITER), data, [])
        check_message(MessageV0.try_compile(key.pubkey(), [swap], [], Hash.default()), bounds)

    check(begin + struct.pack("<QQH", 5, 1_000, 100))
    cases = {
        "its limit is 989": struct.pack("<QQH", 5, 1_000, 101),
        "its limit is 0": struct.pack("<QQH", 5, 1_000, 65_535),
        "not a known one": b"",
    }
    for reason, data in cases.items():
        with pytest.raises(OrderRejectedError, match=reason):
            check(begin + data)
    with pytest.raises(OrderRejectedError, match="not a known one"):
        check(bytes(8) + struct.pack("<QQH", 5, 1_000, 0))


def test_a_route_has_the_platform_of_its_exchanges():
    cases = [
        (["Pump.fun"], "pumpfun"),
        (["Pump.fun Amm"], "pumpfun"),
        (["Raydium Launchlab (local stand-in)"], "bonk"),
        (["Raydium CP", "Raydium CLMM"], "raydium"),
        (["Raydium CP", "Pump.fun"], OTHER),
        (["Orca"], OTHER),
        ([], OTHER),
    ]
    for labels, platform in cases:
        assert platform_of(labels) == platform, labels


def test_the_life_of_an_order_follows_the_time_of_blocks():
    now_s = 0.0
    blocks = BlockTime(lambda: now_s)
    assert blocks.order_life_s == LIFE_BLOCKS * 0.4 * 2
    seen = []
    for height, now_s in ((1_000, 0.0), (1_010, 9.0), (1_100, 100.0), (1_300, 101.0), (1_200, 500.0)):  # noqa: B007
        blocks.note(height)
        seen.append(blocks.order_life_s / LIFE_BLOCKS / 2)
    assert seen == [0.4, 0.4, 1.0, 0.2, 0.2], "between 0.2 and 2 s, and only from heights that are far apart"


def test_a_memo_names_its_intent_by_a_digest():
    first, second = (bytes(memo_of("job:w:buy.1").data).decode() for _ in range(2))
    assert first != second
    for memo in (first, second):
        assert "job" not in memo
        assert digest_in(f"[{len(memo)}] {memo}") == digest_of("job:w:buy.1")
    others = f"[9] {bytes(memo_of('job:w:buy.2').data).decode()}; [9] {first}"
    assert digest_in(others) == digest_of("job:w:buy.1"), "our memo is the last one"
    assert digest_in(None) is digest_in("local chain: airdrop 0011223344556677") is None
