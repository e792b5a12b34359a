"""A simulated chain and network with faults, on which rules for the replacement of orders are compared.

Half of the sends are lost and most of the others arrive up to 170 blocks late. Every read comes from a node
that lags up to 60 blocks. Clients are killed between two actions and continue from what is on their disk.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field

from cto_worker.markets.solana.landing_rule import Fate, Level, NodeAnswer, SentOrder, Status, fate

INTENTS = 1_200
VALID_BLOCKS = 150
FINALITY_BLOCKS = 32
DROPPED, DELAYED = 0.5, 0.43  # fractions of the sends
MAX_DELAY_BLOCKS = 170
MAX_LAG_BLOCKS = 60
KILLED = 0.03  # fraction of a client's actions
STEP_BLOCKS = 30  # between two actions of one client
TIMEOUT_BLOCKS = 20
GENESIS = "simulated"


def after_a_timeout(trial, order):
    """A weaker rule: an order without a status is replaced after a time-out."""
    answer = trial.ask(order)
    return answer.status is None and trial.height > order.slot + TIMEOUT_BLOCKS


def by_separate_views(trial, order):
    """A weaker rule: some node's height is past the last valid one, and some node knows no status."""
    return trial.node_height() > order.last_valid_block_height and trial.ask(order).status is None


def by_the_rule(trial, order):
    """The rule of the product, with two providers."""
    return fate(order, [trial.ask(order), trial.ask(order)], providers=2) is Fate.EXPIRED


@dataclass
class Result:
    """Numbers of intents, and of orders that replaced another."""

    executed_twice: int
    never_executed: int
    replaced: int


@dataclass
class Client:
    """The state of a client about one intent, on its disk."""

    intent: int
    orders: list[SentOrder] = field(default_factory=list)
    done: bool = False


class Trial:
    """One run of all intents under one rule."""

    def __init__(self, rule, *, seed):
        self.rule = rule
        self.random = random.Random(seed)
        self.height = 1_000
        self.arriving = {}  # orders by the height at which they reach the leader
        self.landed = {}  # height by signature
        self.executions = Counter()  # by intent

    def run(self):
        clients = [Client(intent) for intent in range(INTENTS)]
        while working := [client for client in clients if not client.done]:
            for client in working[self.height % STEP_BLOCKS :: STEP_BLOCKS]:
                self.act(client)
            self.produce_block()
            assert self.height < 20_000, f"{len(working)} intents do not end"
        for _ in range(MAX_DELAY_BLOCKS + 1):  # what still is on its way
            self.produce_block()
        counts = [self.executions[client.intent] for client in clients]
        replaced = sum(len(client.orders) - 1 for client in clients)
        return Result(sum(count > 1 for count in counts), counts.count(0), replaced)

    def act(self, client):
        """Make one step: ask about the latest order, write a new one down if it is due, and send."""
        if any(self.has_landed(order) for order in client.orders):
            client.done = True
            return
        if not client.orders or self.rule(self, client.orders[-1]):
            client.orders.append(self.signed(client))
        if self.random.random() >= KILLED:  # else it is killed before the send
            self.send(client.intent, client.orders[-1])

    def signed(self, client):
        height = self.node_height() - 1
        signature = f"{client.intent}/{len(client.orders)}"
        return SentOrder(signature, height + VALID_BLOCKS, height, GENESIS)

    def has_landed(self, order):
        answer = self.ask(order)
        return answer.status is not None and answer.status.level is not Level.PROCESSED

    def send(self, intent, order):
        chance = self.random.random()
        if chance < DROPPED:
            return
        delay = self.random.randint(1, MAX_DELAY_BLOCKS) if chance < DROPPED + DELAYED else 1
        self.arriving.setdefault(self.height + delay, []).append((intent, order))

    def produce_block(self):
        self.height += 1
        for intent, order in self.arriving.pop(self.height, ()):
            if self.height <= order.last_valid_block_height and order.signature not in self.landed:
                self.landed[order.signature] = self.height
                self.executions[intent] += 1

    def node_height(self):
        """Return the height of a node that lags."""
        return self.height - self.random.randint(0, MAX_LAG_BLOCKS)

    def ask(self, order):
        """Return the answer of one provider, whose nodes lag differently. Here a slot is a height."""
        finalized = self.node_height() - FINALITY_BLOCKS
        seen = self.node_height()  # another node of the same provider
        landed = self.landed.get(order.signature)
        status = None
        if landed is not None and landed <= seen:
            depth = seen - landed
            level = Level.FINALIZED if depth >= FINALITY_BLOCKS else Level.CONFIRMED
            status = Status(Level.PROCESSED if depth == 0 else level, error=False)
        return NodeAnswer(GENESIS, 0, finalized, finalized, seen, history_searched=True, status=status)
