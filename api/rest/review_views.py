"""``/api/cto/job/<id>/review``, ``…/market`` and ``…/resolve`` for operators: jobs with unknown outcomes."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import msgspec
from flask import Blueprint, Response, request
from marshmallow import Schema, ValidationError, fields, validate, validates_schema
from msgspec import Struct
from structlog.contextvars import bound_contextvars

from api.auth.authentication import actor, caller, require_operator
from api.rest.request_parsing import json_object, parse_job_id, query
from api.rest.responses import success
from cto_worker.domain.field_types import Amount, Count, JobId, doc
from cto_worker.domain.lamports import to_lamports, to_sol
from cto_worker.domain.operation_request import MAX_BUY_SOL, MAX_SAFE_INTEGER, Number, WholeNumber
from cto_worker.domain.progress_event import JobStatus
from cto_worker.errors import InvalidRequestError, JobNotFoundError, MarketError, OutcomeUnknownError
from cto_worker.store import job_review
from cto_worker.store.job_review import Resolution

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from redis import Redis

    from api.history.job_history import JobHistory
    from cto_worker.config import Settings
    from cto_worker.domain.market_port import Order, OrderState
    from cto_worker.store.job_review import StepOrder, UnknownIntent

    OrderReader = Callable[[Sequence[Order]], Mapping[str, OrderState]]

log = logging.getLogger(__name__)

SUBJECT = "the review of a job"


class UnknownStep(Struct, rename="camel"):
    """A transfer or buy whose outcome the market did not report in time."""

    intent_id: Annotated[str, doc("The id to resolve it with")]
    description: Annotated[str, doc("The step, as text")]
    kind: Annotated[str, doc("`transfer` or `buy`")]
    wallet: Annotated[str, doc("The address of the operation's wallet")]
    amount: Annotated[Amount, doc("SOL to transfer or to spend, without network fees")]
    signature: Annotated[str, doc("The signature of the transaction, to look up at the market")]
    started_at: Annotated[
        Count | None,
        doc(
            "The time just before its order was submitted, in milliseconds since 1970-01-01 UTC; null if no "
            "event reports it"
        ),
    ]
    reported_at: Annotated[
        Count | None, doc("The time at which the worker stopped waiting for the outcome, in the same form")
    ]
    attempt: Annotated[Count | None, doc("The run of the job that stopped waiting, in the same form")]


class JobReview(Struct, rename="camel"):
    """An ended job, as an operator must know it to resolve it."""

    job_id: JobId
    user_id: Annotated[str, doc("The owner of the job")]
    status: Annotated[JobStatus, doc("How the job ended")]
    needs_review: Annotated[bool, doc("Whether an operator must review the job now")]
    attempts: Annotated[Count, doc("The number of runs of the job")]
    error_code: Annotated[str | None, doc("The reason for the job's failure, machine-readable")]
    error: Annotated[str | None, doc("The reason for the job's failure, as text")]
    unknown_intents: Annotated[list[UnknownStep], doc("The steps to resolve, in the order of the plan")]


class MarketOrder(Struct, rename="camel"):
    """The order of a transfer or buy, and what the market knows about it now."""

    intent_id: Annotated[str, doc("The id of the step")]
    kind: Annotated[str, doc("`transfer` or `buy`")]
    wallet: Annotated[str, doc("The address of the operation's wallet")]
    signature: Annotated[str, doc("The signature of the transaction")]
    explorer_url: Annotated[
        str | None, doc("The address of the transaction in the explorer; null without CTO_EXPLORER_URL")
    ]
    executed: Annotated[bool | None, doc("Whether it was executed; null if the market does not know")]
    final: Annotated[
        bool,
        doc("Whether the state is final. If false, an order that is not executed may still be executed"),
    ]
    spent: Annotated[Amount, doc("SOL spent, fees included. An order that failed also costs fees")]
    tokens: Annotated[Count, doc("Tokens that a buy received, in base units")]
    at: Annotated[
        Count | None,
        doc("The time at which it was executed or failed, in milliseconds since 1970-01-01 UTC"),
    ]
    error: Annotated[str | None, doc("The reason for which the order failed, as text")]


class MarketAnswer(Struct, rename="camel"):
    """The market's answer about the orders of an ended job."""

    job_id: JobId
    market: Annotated[str, doc("The name of the market, as in CTO_MARKET")]
    available: Annotated[bool, doc("Whether the market answered. Otherwise `executed` is null in each order")]
    reason: Annotated[str | None, doc("Why the market did not answer, and what to do; null if it answered")]
    orders: Annotated[list[MarketOrder], doc("The latest order of each step, in the order of the plan")]


class _Flag(fields.Boolean):
    """A JSON boolean. Numbers and texts are refused."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return super()._deserialize(value, attr, data, **kwargs)


class ResolutionSchema(Schema):
    """The body of a resolution. The fields' metadata become JSON Schema in the API reference."""

    intent_id = fields.String(
        data_key="intentId",
        validate=validate.Length(1, 300),
        metadata={
            "description": "The unknown intent. Without it, the job leaves the list of jobs that need "
            "review; it must not have an unknown intent"
        },
    )
    executed = _Flag(
        metadata={"description": "Whether it was executed. This cannot be undone"},
    )
    spent = Number(
        validate=validate.Range(0, MAX_BUY_SOL),
        metadata={"description": "SOL spent, fees included. Default: 0"},
    )
    tokens = WholeNumber(
        strict=True,
        validate=validate.Range(0, MAX_SAFE_INTEGER),
        metadata={"description": "Tokens that an executed buy received, in base units. Default: 0"},
    )

    @validates_schema
    def _complete(self, data: dict[str, Any], **_: Any) -> None:
        if ("intent_id" in data) != ("executed" in data):
            missing = "executed" if "intent_id" in data else "intentId"
            raise ValidationError("Give intentId and executed together, or neither.", missing)
        if "intent_id" not in data and data:
            raise ValidationError("Give intentId and executed, too.", "intentId")


def blueprint(
    store: Redis, history: JobHistory, settings: Settings, read_orders: OrderReader | None
) -> Blueprint:
    """Return the routes. ``read_orders`` is that of :func:`cto_worker.market_registry.order_reader`."""
    routes = Blueprint("review", __name__, url_prefix="/api/cto")

    @routes.get("/job/<job_id>/review")
    def review(job_id: str) -> Response:
        query(request, ())
        require_operator(SUBJECT)
        return success(msgspec.json.encode(_review(history, parse_job_id(job_id))))

    @routes.get("/job/<job_id>/market")
    def market(job_id: str) -> Response:
        query(request, ())
        require_operator(SUBJECT)
        orders = job_review.orders_in(history.intent_fields(parse_job_id(job_id)))
        return success(msgspec.json.encode(_market_answer(job_id, orders, settings, read_orders)))

    @routes.post("/job/<job_id>/resolve")
    def resolve(job_id: str) -> Response:
        query(request, ())
        require_operator(SUBJECT)
        parse_job_id(job_id)
        intent_id, found = _resolution(json_object(request))
        if found:
            job_review.resolve(store, job_id, intent_id, found, actor=actor(), replicas=settings.replicas)
        elif not job_review.close(
            store, job_id, actor=actor(), replicas=settings.replicas
        ) and job_review.unknown_intents(store, job_id):
            raise OutcomeUnknownError(f"job {job_id} has unknown intents: resolve each of them first")
        with bound_contextvars(job_id=job_id):
            log.info("%s resolved by %s", intent_id or "the review", caller().name)
        return success(msgspec.json.encode(_review(history, job_id)))

    return routes


def _resolution(document: dict[str, Any]) -> tuple[str, Resolution | None]:
    """Return the intent id and its outcome; ``None`` closes the review.

    Raises :class:`InvalidRequestError`.
    """
    try:
        loaded = ResolutionSchema().load(document)
    except ValidationError as error:
        raise InvalidRequestError(error.normalized_messages()) from error
    if "intent_id" not in loaded:
        return "", None
    spent_lamports = to_lamports(loaded.get("spent", 0))
    return loaded["intent_id"], Resolution(loaded["executed"], spent_lamports, loaded.get("tokens", 0))


def _review(history: JobHistory, job_id: str) -> JobReview:
    intents = job_review.unknown_in(history.intent_fields(job_id))
    details = history.job_details(job_id)
    if details is None:
        raise JobNotFoundError(job_id)
    events = [json.loads(event) for event in details.events]
    ended = events[-1].get("details", {})
    return JobReview(
        job_id=job_id,
        user_id=details.user_id,
        status=details.status,
        needs_review=details.needs_review,
        attempts=events[-1]["attempt"],
        error_code=ended.get("errorCode"),
        error=ended.get("error"),
        unknown_intents=[_step(intent, events) for intent in intents],
    )


def _step(intent: UnknownIntent, events: list[dict[str, Any]]) -> UnknownStep:
    started: dict[str, Any] = {}
    reported: dict[str, Any] = {}
    for event in events:
        details = event.get("details", {})
        if details.get("lastStep", {}).get("signature") == intent.signature:
            reported = event
            break
        if intent.wallet in details.get("startingWallets", ()):
            started = event
    return UnknownStep(
        intent_id=intent.intent_id,
        description=intent.description,
        kind=intent.kind,
        wallet=intent.wallet,
        amount=to_sol(intent.lamports),
        signature=intent.signature,
        started_at=started.get("timestamp"),
        reported_at=reported.get("timestamp"),
        attempt=reported.get("attempt"),
    )


def _market_answer(
    job_id: str, orders: list[StepOrder], settings: Settings, read_orders: OrderReader | None
) -> MarketAnswer:
    states: Mapping[str, OrderState] = {}
    reason = None
    if read_orders is None:
        reason = (
            f"gateways cannot ask the market {settings.market}: look up each signature at the market, "
            "or in an explorer"
        )
    else:
        try:
            states = read_orders([step.order for step in orders])
        except MarketError as error:
            reason = f"the market {settings.market} did not answer: {error}. Try again later"
    found = [_market_order(step, states.get(step.order.intent_id), settings) for step in orders]
    return MarketAnswer(job_id, settings.market, reason is None, reason, found)


def _market_order(step: StepOrder, state: OrderState | None, settings: Settings) -> MarketOrder:
    signature = step.order.signature
    url = settings.explorer_url.replace("{signature}", quote(signature, safe=""))
    return MarketOrder(
        intent_id=step.order.intent_id,
        kind=step.kind,
        wallet=step.wallet,
        signature=signature,
        explorer_url=url or None,
        executed=state.executed if state else None,
        final=bool(state and state.final),
        spent=to_sol(state.spent_lamports if state else 0),
        tokens=state.tokens if state else 0,
        at=state.at_ms if state else None,
        error=(state.error or None) if state else None,
    )
