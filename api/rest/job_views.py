"""The views of one job under ``/api/cto``: submit, read and cancel it, and the balances for a new one.

Events are sent as the bytes that the worker wrote, and are not decoded.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from flask import Blueprint, Response, request, url_for
from msgspec import Struct
from structlog.contextvars import bound_contextvars

from api.auth.authentication import actor, caller
from api.auth.caller import Action
from api.auth.origins_and_hosts import MAX_SHOWN
from api.errors import ForbiddenError
from api.rest.job_filter_parsing import MAX_INTEGER, check_user_id
from api.rest.request_parsing import idempotency_key, integer, json_object, parse_job_id, query, wrong
from api.rest.responses import success
from cto_worker.domain.field_types import Amount, Count, JobId, OwnerId, doc
from cto_worker.domain.lamports import to_sol
from cto_worker.domain.operation_request import MAX_WALLETS
from cto_worker.domain.progress_event import JobStatus, decode
from cto_worker.errors import JobEndedError, JobNotFoundError
from cto_worker.operation.cancel_job import cancel as cancel_job

if TYPE_CHECKING:
    from collections.abc import Callable

    from api.auth.caller import Caller
    from api.history.job_history import JobHistory
    from cto_worker.domain.journal_ports import Journal
    from cto_worker.domain.market_port import Account
    from cto_worker.jobs.job_producer import JobProducer
    from cto_worker.store.job_review import ResolvedIntent

log = logging.getLogger(__name__)

State = Annotated[
    JobStatus,
    doc("`waiting`: no worker has claimed the job; `active`: a worker runs it; or how it ended"),
]


class Created(Struct, rename="camel"):
    """A new job."""

    job_id: JobId
    status: State
    status_url: Annotated[str, doc("The URL of the job's status")]


class Cancelling(Struct, rename="camel"):
    """A recorded cancellation."""

    job_id: JobId
    status: State
    cancel_requested: Annotated[bool, doc("Always true")]


class ResolvedStep(Struct, rename="camel"):
    """A transfer or buy whose outcome was unknown when the job ended, and was recorded by an operator."""

    intent_id: Annotated[str, doc("The id of the step")]
    kind: Annotated[str, doc("`transfer` or `buy`")]
    wallet: Annotated[str, doc("The address of the operation's wallet")]
    signature: Annotated[str, doc("The signature of the transaction")]
    executed: Annotated[bool, doc("Whether it was executed")]
    spent: Annotated[Amount, doc("SOL spent, fees included")]
    tokens: Annotated[Count, doc("Tokens that a buy received, in base units")]
    by: Annotated[str, doc("The operator; empty if unknown, or if the caller is not an operator")]
    at: Annotated[Count, doc("The time of the record, in milliseconds since 1970-01-01 UTC; 0 if unknown")]


class WalletBalance(Struct):
    """A wallet and the SOL in it."""

    wallet: Annotated[str, doc("The address of the wallet")]
    balance: Annotated[Amount, doc("SOL in the wallet")]


class Wallets(Struct, rename="camel"):
    """The wallets with which an operation of the user would begin."""

    user_id: OwnerId
    funding: Annotated[WalletBalance, doc("The wallet that pays for operations of the mode `standard`")]
    wallets: Annotated[list[WalletBalance], doc("The operation's wallets, in the order of their use")]


def blueprint(  # noqa: C901 - a list of routes
    history: JobHistory, journal: Journal, producer: JobProducer
) -> Blueprint:
    """Return the routes."""
    routes = Blueprint("jobs", __name__, url_prefix="/api/cto")

    @routes.post("/jobs")
    def submit() -> tuple[Response, int, dict[str, str]]:
        query(request, ())
        document, submitter = json_object(request), caller()
        # `socketUserId` receives the events unasked, so the caller must be allowed to submit for it, too.
        for name in ("userId", "socketUserId"):
            _check_may_submit_for(submitter, name, document.get(name))
        created = producer.submit(
            document, caller=submitter.name, idempotency_key=idempotency_key(request), actor=actor()
        )
        if created.new:
            with bound_contextvars(job_id=created.job_id):
                log.info("accepted from %s", submitter.name)
        status_url = url_for("jobs.status", job_id=created.job_id)
        data = Created(created.job_id, created.status, status_url)
        return success(msgspec.json.encode(data)), 202 if created.new else 200, {"Location": status_url}

    @routes.get("/job/<job_id>/status")
    def status(job_id: str) -> Response:
        query(request, ())
        view = history.job_details(parse_job_id(job_id))
        if view is None or not caller().may(Action.READ, view.user_id):
            raise JobNotFoundError(job_id)
        outcome = view.outcome
        resolved = history.resolved_intents(job_id) if view.resolved else []
        with_name = caller().may(Action.OPERATE)  # owners do not learn who operates the system
        resolutions = [_resolved_step(each, with_name=with_name) for each in resolved]
        return success(
            b'{"jobId":"', job_id.encode(),
            b'","status":"', view.status.encode(),
            b'","outcome":', b'"%b"' % outcome.encode() if outcome else b"null",
            b',"needsReview":', b"true" if view.needs_review else b"false",
            b',"resolutions":', msgspec.json.encode(resolutions),
            b',"progressEvents":[', b",".join(view.events),
            b'],"latestProgress":', view.events[-1],
            b',"operationResult":', view.result_json,
            b',"currentPhase":', view.phase,
            b',"currentProgress":', view.progress, b"}",
        )  # fmt: skip

    @routes.get("/job/<job_id>/latest")
    def latest(job_id: str) -> Response:
        query(request, ())
        stored = history.latest(parse_job_id(job_id))
        if stored is None or not caller().may(Action.READ, stored.user_id):
            raise JobNotFoundError(job_id)
        response = success(stored.event)
        response.set_etag(str(stored.seq))
        response.headers["Cache-Control"] = "no-cache"
        response.make_conditional(request)
        return response

    @routes.get("/job/<job_id>/events")
    def events(job_id: str) -> Response:
        after = integer(query(request, ["after"]), "after", 0, MAX_INTEGER, 0)
        stored = history.events(parse_job_id(job_id), after)
        if stored is None or not caller().may(Action.READ, stored.user_id):
            raise JobNotFoundError(job_id)
        return success(
            b'{"jobId":"', job_id.encode(),
            b'","events":[', b",".join(stored.events), b"]}",
        )  # fmt: skip

    @routes.post("/job/<job_id>/cancel")
    def cancel(job_id: str) -> tuple[Response, int]:
        query(request, ())
        stored = history.latest(parse_job_id(job_id))
        if stored is None or not caller().may(Action.CANCEL, stored.user_id):
            raise JobNotFoundError(job_id)
        latest = decode(stored.event)
        if latest.status.terminal:  # the store may not have the job any more
            raise JobEndedError(f"job {job_id} has ended: {latest.status}")
        job_status = cancel_job(journal, job_id, latest, actor())
        with bound_contextvars(job_id=job_id):
            log.info("cancellation requested by %s", caller().name)
        return success(msgspec.json.encode(Cancelling(job_id, job_status, cancel_requested=True))), 202

    return routes


def _resolved_step(intent: ResolvedIntent, *, with_name: bool) -> ResolvedStep:
    found, resolver = intent.resolution, intent.resolver
    return ResolvedStep(
        intent_id=intent.intent_id,
        kind=intent.kind,
        wallet=intent.wallet,
        signature=intent.signature,
        executed=found.executed,
        spent=to_sol(found.spent_lamports),
        tokens=found.tokens,
        by=resolver.name if with_name else "",
        at=resolver.at_ms,
    )


def wallets_blueprint(read_account: Callable[[str, int], Account]) -> Blueprint:
    """Return the route of the balances.

    ``read_account`` is that of :func:`cto_worker.market_registry.account_reader`.
    """
    routes = Blueprint("wallets", __name__, url_prefix="/api/cto")

    @routes.get("/wallets")
    def wallets() -> Response:
        parameters = query(request, ["userId", "walletCount"])
        count = integer(parameters, "walletCount", 1, MAX_WALLETS, 1)
        user_id = parameters.get("userId")
        if user_id is None:
            raise wrong("userId", "Required: send the owner of the wallets.")
        check_user_id(caller(), user_id)
        return success(msgspec.json.encode(_wallets(user_id, read_account(user_id, count))))

    return routes


def _wallets(user_id: str, account: Account) -> Wallets:
    balances = [WalletBalance(wallet, to_sol(lamports)) for wallet, lamports in account.wallets.items()]
    return Wallets(user_id, WalletBalance(account.funding_wallet, to_sol(account.funding_lamports)), balances)


def _check_may_submit_for(submitter: Caller, field: str, user_id: Any) -> None:
    if isinstance(user_id, str) and not submitter.may(Action.SUBMIT, user_id):
        raise ForbiddenError(
            "forbidden",
            f"{submitter.name} may not start an operation with {field} {user_id[:MAX_SHOWN]!r}: "
            "send the user id of the token",
        )
