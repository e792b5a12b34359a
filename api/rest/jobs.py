"""REST: starting, reading and cancelling jobs. Events are passed on as the bytes the worker wrote."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, jsonify, request, url_for
from structlog.contextvars import bound_contextvars

from api.auth.authentication import caller
from api.auth.policy import Action
from api.errors import ForbiddenError
from api.rest.request_parsing import idempotency_key, integer, json_object, parse_job_id, query, wrong
from cto_worker.domain.events import JobStatus, decode, dumps
from cto_worker.domain.ids import JOB_ID
from cto_worker.domain.outcome import outcome_of
from cto_worker.domain.request import USER_ID
from cto_worker.errors import JobNotFoundError
from cto_worker.operation.cancellation import cancel as cancel_job
from cto_worker.store import keys

if TYPE_CHECKING:
    from api.auth.policy import Caller
    from cto_worker.domain.journal import Journal
    from cto_worker.jobs.producer import Producer
    from cto_worker.store.history import History, JobSummary

log = logging.getLogger(__name__)

MAX_STATS = 500
MAX_LIMIT, DEFAULT_LIMIT = 100, 20
MAX_INTEGER = 10**15 - 1
FILTERS = (*JobStatus, keys.REVIEW)


def blueprint(  # noqa: C901, PLR0915 - a list of routes
    history: History, journal: Journal, producer: Producer
) -> Blueprint:
    """Return the routes under ``/api/cto``."""
    routes = Blueprint("jobs", __name__, url_prefix="/api/cto")

    @routes.post("/jobs")
    def submit() -> tuple[Response, int, dict[str, str]]:
        query(request, ())
        document, who = json_object(request), caller()
        # Whoever else gets the events gets them unasked, so only to oneself may they be sent.
        for name in ("userId", "socketUserId"):
            _check_submits_for(who, document.get(name))
        created = producer.submit(document, caller=who.name, idempotency_key=idempotency_key(request))
        if created.new:
            with bound_contextvars(job_id=created.job_id):
                log.info("accepted from %s", who.name)
        status_url = url_for("jobs.status", job_id=created.job_id)
        data = {"jobId": created.job_id, "status": created.status, "statusUrl": status_url}
        return jsonify(success=True, data=data), 202 if created.new else 200, {"Location": status_url}

    @routes.get("/job/<job_id>/status")
    def status(job_id: str) -> Response:
        query(request, ())
        view = history.view(parse_job_id(job_id))
        if view is None or not caller().may(Action.READ, view.user_id):
            raise JobNotFoundError(job_id)
        return _json(
            b'{"success":true,"data":{"jobId":"', job_id.encode(),
            b'","status":"', view.status.encode(),
            b'","outcome":', dumps(view.outcome),
            b',"needsReview":', dumps(view.needs_review),
            b',"progressEvents":[', b",".join(view.events),
            b'],"latestProgress":', view.events[-1],
            b',"operationResult":', view.result_json,
            b',"currentPhase":', view.phase,
            b',"currentProgress":', view.progress, b"}}",
        )  # fmt: skip

    @routes.get("/job/<job_id>/latest")
    def latest(job_id: str) -> Response:
        query(request, ())
        stored = history.latest(parse_job_id(job_id))
        if stored is None or not caller().may(Action.READ, stored.user_id):
            raise JobNotFoundError(job_id)
        response = _json(b'{"success":true,"data":', stored.event, b"}")
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
        return _json(
            b'{"success":true,"data":{"jobId":"', job_id.encode(),
            b'","events":[', b",".join(stored.events), b"]}}",
        )  # fmt: skip

    @routes.get("/jobs/stats")
    def stats() -> Response:
        """Count each id once, however often it is named."""
        text = query(request, ["jobIds"]).get("jobIds", "")
        job_ids = list(dict.fromkeys(text.split(",")))
        if len(job_ids) > MAX_STATS:
            raise wrong("jobIds", f"At most {MAX_STATS} ids.")
        if not all(JOB_ID.match(job_id) for job_id in job_ids):
            raise wrong("jobIds", "Must be job ids, separated by commas.")
        who = caller()
        counted = history.stats(job_ids, None if who.may(Action.READ) else who.user_id)
        data = {
            "total": counted.total,
            "queued": counted.queued,
            "active": counted.active,
            "completed": counted.completed,
            "failed": counted.failed,
            "notFound": counted.not_found,
            "averageProgress": counted.average_progress,
        }
        return jsonify(success=True, data=data)

    @routes.get("/jobs")
    def jobs() -> Response:
        """List the caller's jobs; who may see everything gets everybody's, or those of ``userId``."""
        who = caller()
        parameters = query(request, ["status", "limit", "cursor", "userId"])
        wanted = parameters.get("status")
        if wanted is not None and wanted not in FILTERS:
            raise wrong("status", f"Must be one of: {', '.join(FILTERS)}.")
        user_id = parameters.get("userId", None if who.may(Action.READ) else who.user_id)
        if user_id is not None:
            check_user_id(who, user_id)
        page = history.page(
            user_id,
            wanted,
            integer(parameters, "limit", 1, MAX_LIMIT, DEFAULT_LIMIT),
            integer(parameters, "cursor", 1, MAX_INTEGER, 0) or None,
        )
        cursor = None if page.cursor is None else str(page.cursor)
        return _json(
            b'{"success":true,"data":{"jobs":[', b",".join(map(_summary, page.jobs)),
            b'],"nextCursor":', dumps(cursor), b"}}",
        )  # fmt: skip

    @routes.post("/job/<job_id>/cancel")
    def cancel(job_id: str) -> tuple[Response, int]:
        query(request, ())
        stored = history.latest(parse_job_id(job_id))
        if stored is None or not caller().may(Action.CANCEL, stored.user_id):
            raise JobNotFoundError(job_id)
        standing = cancel_job(journal, job_id, decode(stored.event))
        with bound_contextvars(job_id=job_id):
            log.info("to be cancelled, asks %s", caller().name)
        return jsonify(success=True, data={"jobId": job_id, "status": standing, "cancelRequested": True}), 202

    return routes


def check_user_id(who: Caller, user_id: str) -> None:
    """Refuse a parameter ``userId`` that names nobody, or somebody whose jobs this caller may not see."""
    if not USER_ID.match(user_id):
        raise wrong("userId", "Must be a user id.")
    if not who.may(Action.READ, user_id):
        raise ForbiddenError("user_mismatch", "userId is not the user whose token this is")


def _check_submits_for(who: Caller, user_id: Any) -> None:
    if isinstance(user_id, str) and not who.may(Action.SUBMIT, user_id):
        raise ForbiddenError("forbidden", f"you may not start an operation for {user_id}")


def _summary(job: JobSummary) -> bytes:
    latest = json.loads(job.event)
    fields = ("tokenAddress", "userId", "mode", "platform", "buyAmount")
    return dumps(
        {
            "jobId": job.job_id,
            "status": job.status,
            "outcome": outcome_of(latest),
            "needsReview": job.needs_review,
            "createdAt": job.created_ms,
            "currentPhase": latest["phase"],
            "currentProgress": latest["progress"],
            **{name: latest[name] for name in fields},
            "latestProgress": latest,
        }
    )


def _json(*parts: bytes) -> Response:
    return Response(b"".join(parts), mimetype="application/json")
