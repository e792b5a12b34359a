"""The test bench of the market `solana`: a local chain and a signer, each a process of its own."""

from __future__ import annotations

import uuid
from dataclasses import replace

from cto_worker.config import Settings
from cto_worker.markets.solana.chain_reader import ChainReader
from cto_worker.markets.solana.factory import make_solana_market
from cto_worker.markets.solana.orders.memo import digest_in, digest_of
from cto_worker.markets.solana.rpc_client import Provider, Providers
from cto_worker.markets.solana.token_program import token_account
from cto_worker.markets.solana.tradable_token import read_token
from cto_worker.signer import database
from cto_worker.signer.keystore import Keystore
from cto_worker.signer.master_key import read_master_key
from cto_worker.testing.market_orders import WALLETS
from support.faulty_node import FaultyNode
from support.local_chain import MINT, ChainProcess
from support.signer import Signer
from support.solana import SOL

EXPIRY_BLOCKS = 190  # 150 of a blockhash, 32 until they are final, and a few


class SolanaServices:
    """A local chain and a signer that pays its exchange.

    An order expires after 150 slots of ``slot_ms``, which must be longer than a pause of a busy machine.
    """

    def __init__(self, slot_ms=50):
        self.chain = ChainProcess(slot_ms).start()
        exchange = self.chain.page()["exchange"]
        self.signer = Signer(CTO_SIGNER_PAYEES=exchange, CTO_SIGNER_DAILY_SOL="100000")
        self.signer.env["CTO_LOCAL_CHAIN_PORT"] = self.chain.env["CTO_LOCAL_CHAIN_PORT"]
        key = self.signer.directory / "master.key"
        created = self.signer.cto("create-key", str(key))
        assert created.returncode == 0, created.stderr
        self.signer.env["CTO_SIGNER_KEY_FILE"] = str(key)
        self.signer.start()

    def settings(self):
        return Settings.from_env(self.signer.env)

    def new_user(self, wallets, sol):
        """Return the id of a new user, each of whose wallets has SOL."""
        user_id = uuid.uuid4().hex
        settings = self.settings()
        with database.opened(database.directory_of(settings)) as connection:
            keys = Keystore(connection, read_master_key(settings.signer_key_file))
            addresses = keys.generate(user_id, wallets, "test")
        sent = [self.chain.call("requestAirdrop", address, sol * SOL) for address in addresses]
        for signature in sent:
            self.chain.confirmed(signature)
        return user_id

    def close(self):
        self.signer.close()
        self.chain.close()


class SolanaBench:
    """One user, whose wallets have never bought."""

    token_address = str(MINT)
    lamports = SOL // 50

    def __init__(self, services):
        self.chain = services.chain
        self.chain.call("localSetPriceStep", 0)  # a limit without slippage holds however slow the machine is
        self.env = services.signer.env
        self.settings = services.settings()
        self.user_id = services.new_user(WALLETS + 1, sol=2)
        self.reader = ChainReader(Providers([Provider(self.chain.url)]))
        self.nodes = []

    def open(self, fault=None):
        if fault is None:
            return make_solana_market(self.settings, None)
        self.nodes.append(FaultyNode(self.chain, fault))
        faulty = replace(
            self.settings,
            solana_rpc_url=(self.nodes[-1].url,),
            solana_genesis=self.chain.page()["genesisHash"],
            solana_swap_url=f"{self.chain.url}/swap/v2",
        )
        return make_solana_market(faulty, None)

    def expire(self):
        self.chain.call("localAdvance", EXPIRY_BLOCKS)

    def raise_price(self):
        self.chain.call("localMovePrice", self.token_address, 400)
        self.chain.call("localAdvance", 2)

    def executions(self, intent_id):
        wallet = intent_id.split(":")[1]
        history = self.chain.call("getSignaturesForAddress", wallet, {"commitment": "confirmed"})
        named = [each for each in history if digest_in(each["memo"]) == digest_of(intent_id)]
        return sum(each["err"] is None for each in named)

    def tokens(self, wallet):
        account = read_token(self.reader, self.token_address).account_of(wallet)
        found = self.reader.accounts([account]).get(account)
        return token_account(found.data).amount if found else 0

    def close(self):
        for node in self.nodes:
            node.close()
