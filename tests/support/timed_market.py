"""A market with a virtual clock, for tests of orders that are in flight at the same time."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from cto_worker.domain.progress_event import Mode
from support.takeover import ChainMarket, Interruption, RecordedJob, Variant, position

if TYPE_CHECKING:
    from collections.abc import Callable

LATENCY_S = 1.0


def wallet_of(intent_id):
    """Return the wallet of an intent id, such as ``j1:wallet-3:buy.1``."""
    return intent_id.split(":")[1]


class Wait(NamedTuple):
    """A wait for outcomes: the intents that are in flight, and all that were sent so far."""

    in_flight: frozenset[str]
    sent: frozenset[str]


@dataclass
class TimedMarket(ChainMarket):
    """A market on which an outcome is known some time after the submission of its order.

    A wait for outcomes moves the clock, up to the first outcome. Without ``latency_s`` for a part of the
    intent id, the time is :data:`LATENCY_S`.
    """

    latency_s: dict[str, float] = field(default_factory=dict)  # by a part of intent ids
    patience_s: float = 600.0
    most_in_flight: int = 100  # of the strategy
    now_s: float = 0.0
    due_s: dict[str, float] = field(default_factory=dict)  # by intent id; when its outcome is known
    in_flight: set[str] = field(default_factory=set)  # intent ids
    waits: list[Wait] = field(default_factory=list)
    log: list[tuple[str, str]] = field(default_factory=list)  # ("sent" or "ended", intent id)
    while_waiting: Callable[[], object] = lambda: None  # called at each wait

    def strategy(self, platform):
        return replace(super().strategy(platform), max_orders_in_flight=self.most_in_flight)

    def submit(self, orders):
        for order in orders:
            if order.intent_id not in self.due_s:
                self.due_s[order.intent_id] = self.now_s + self._latency(order.intent_id)
                self.in_flight.add(order.intent_id)
                self.log.append(("sent", order.intent_id))
        super().submit(orders)

    def outcomes(self, orders, *, wait_s):
        known = super().outcomes(orders, wait_s=wait_s)
        if wait_s:
            self.while_waiting()
            self.waits.append(Wait(frozenset(self.in_flight), frozenset(self.due_s)))
            first_s = min((self.due_s[intent_id] for intent_id in known), default=math.inf)
            self.now_s += min(wait_s, max(0.0, first_s - self.now_s))
        ended = sorted(
            (intent_id for intent_id in known if self.due_s[intent_id] <= self.now_s), key=self.due_s.get
        )
        self.in_flight -= set(ended)
        self.log += [("ended", intent_id) for intent_id in ended]
        return {intent_id: known[intent_id] for intent_id in ended}

    def _latency(self, intent_id):
        return next((seconds for part, seconds in self.latency_s.items() if part in intent_id), LATENCY_S)

    @property
    def largest_flight(self):
        """The largest number of orders that were in flight at the same time."""
        return max(len(wait.in_flight) for wait in self.waits)

    @property
    def ended(self):
        """The intents whose outcomes were returned, in this order."""
        return [intent_id for name, intent_id in self.log if name == "ended"]


def timed_job(mode, parallelism, wallets=10, buy_amount=None, **market):
    """Return a recorded job on a :class:`TimedMarket`."""
    body = {"walletCount": wallets, "buyAmount": buy_amount or 0.1 * wallets}
    return RecordedJob(Variant(mode, parallelism), TimedMarket, body, **market)


def killed_after(call, nth=1):
    """Return an interruption that kills a run of buys after its nth call of this name."""
    return Interruption(position(call, nth, Variant(Mode.PREFUNDED, 10)), after=True)


def ended_steps(job):
    """Return the steps that the events of a job report, in order."""
    return [event.details.last_step for event in job.events if event.details.last_step]
