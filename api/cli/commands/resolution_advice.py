"""Proposed results for unknown intents, and warnings about improbable figures."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from cto_worker.domain.lamports import to_sol
from cto_worker.markets.paper import ledger
from cto_worker.markets.paper.bonding_curve import TOKEN_UNITS
from cto_worker.markets.paper.ledger_summary import operation_costs
from cto_worker.store.job_review import Resolution
from cto_worker.store.store_connection import connect

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cto_worker.config import Settings
    from cto_worker.store.job_review import UnknownIntent

NOT_EXECUTED = Resolution(executed=False)
MAX_TIMES_PLANNED = 2  # an executed buy that spent more than this many times its plan is improbable


def results_in_ledger(settings: Settings, job_id: str) -> Mapping[str, Resolution] | None:
    """Return the results of a job's steps in the ledger of the paper market, by intent id.

    A step without an entry was not executed. ``None`` if the market is not the paper market, or if its store
    is not reachable.
    """
    if settings.market != "paper":
        return None
    with suppress(RedisError), connect(settings, url=settings.paper_url) as store:
        steps = operation_costs(ledger.entries(store), job_id).steps
        return {step.intent_id: Resolution(step.executed, step.spent, step.tokens) for step in steps}
    return None


def options(found: Resolution) -> str:
    """Return the options of ``cto resolve`` that record a result."""
    words = ["--executed" if found.executed else "--not-executed"]
    if found.spent_lamports:
        words.append(f"--spent {to_sol(found.spent_lamports):.9f}")
    if found.tokens:
        words.append(f"--tokens {found.tokens}")
    return " ".join(words)


def placeholders(intent: UnknownIntent) -> str:
    """Return the options for an executed intent, with names in place of the figures."""
    return "--executed --spent SOL" + (" --tokens BASE_UNITS" if intent.kind == "buy" else "")


def doubts(intent: UnknownIntent, entered: Resolution, results: Mapping[str, Resolution] | None) -> list[str]:
    """Return warnings about improbable figures in a result that an operator entered."""
    if results is not None:
        booked = results.get(intent.intent_id, NOT_EXECUTED)
        return [] if booked == entered else [f"the ledger of the paper market has {options(booked)}"]
    if not (entered.executed and intent.kind == "buy"):
        return []
    found = []
    if not intent.lamports <= entered.spent_lamports <= MAX_TIMES_PLANNED * intent.lamports:
        spent, planned = to_sol(entered.spent_lamports), to_sol(intent.lamports)
        found.append(f"--spent is {spent:.9f} SOL, and {planned:.9f} SOL without fees were planned")
    if entered.tokens < TOKEN_UNITS:
        found.append(
            f"--tokens is {entered.tokens} base units: with six decimals, one token is {TOKEN_UNITS} of them"
        )
    return found
