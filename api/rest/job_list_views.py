"""The views of many jobs under ``/api/cto``: list, totals, export as CSV, and statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
from flask import Blueprint, Response, request
from msgspec import Struct

from api.auth.authentication import caller
from api.auth.caller import Action, Role
from api.rest.concurrency_limit import ConcurrencyLimit
from api.rest.job_filter_parsing import PARAMETERS, format_cursor, parse_cursor, parse_filter
from api.rest.job_row_formats import csv_header, csv_line, row
from api.rest.request_parsing import integer, query, wrong
from api.rest.responses import success
from cto_worker.domain.field_types import Amount, Count, doc
from cto_worker.domain.ids_and_rooms import JOB_ID
from cto_worker.domain.lamports import to_sol
from cto_worker.domain.progress_event import dumps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from api.history.job_search import JobSearch, Page
    from cto_worker.domain.job_filter import JobFilter, Totals
    from cto_worker.store.journal_queries import JournalQueries

MAX_STATS = 500
MAX_LIMIT, DEFAULT_LIMIT = 100, 20
# Exports last longer than other requests, so their number is limited on its own: in all, and of each caller.
EXPORTS, EXPORTS_OF_EACH = 8, 2
EXPORTED_AT_ONCE = 100  # jobs that are read and encoded before other threads run


class StatusCounts(Struct):
    """The number of jobs by status."""

    waiting: Annotated[Count, doc("Jobs that no worker has claimed")]
    active: Annotated[Count, doc("Jobs that a worker runs")]
    completed: Annotated[Count, doc("Jobs that bought something")]
    failed: Annotated[Count, doc("Jobs that ended otherwise")]


class OutcomeCounts(Struct):
    """The number of ended jobs by outcome."""

    full: Annotated[Count, doc("Jobs whose planned buys were all confirmed")]
    partial: Annotated[Count, doc("Jobs of which some buys were confirmed")]
    none: Annotated[Count, doc("Jobs that bought nothing")]
    unknown: Annotated[Count, doc("Jobs with a transfer or buy whose outcome is not known")]


class Summary(Struct, rename="camel"):
    """The totals of a selection of jobs."""

    total: Annotated[Count, doc("The number of jobs")]
    by_status: Annotated[StatusCounts, doc("The number of jobs by status")]
    by_outcome: Annotated[OutcomeCounts, doc("The number of ended jobs by outcome")]
    successful_buys: Annotated[
        Count, doc("Buys of all these jobs that were executed, also as recorded by operators")
    ]
    failed_buys: Annotated[Count, doc("Failed buys of all these jobs, also as recorded by operators")]
    total_spent: Annotated[
        Amount, doc("SOL spent by all these jobs, fees included, also as recorded by operators")
    ]


def blueprint(history: JournalQueries, search: JobSearch) -> Blueprint:
    """Return the routes."""
    routes = Blueprint("job_lists", __name__, url_prefix="/api/cto")
    exports = ConcurrencyLimit(EXPORTS, EXPORTS_OF_EACH, EXPORTS_OF_EACH)

    @routes.get("/jobs")
    def jobs() -> Response:
        """List the caller's jobs; for operators and the service, the jobs of all users or of ``userId``."""
        parameters = query(request, [*PARAMETERS, "limit", "cursor"])
        wanted, after = parse_filter(parameters, caller()), parse_cursor(parameters)
        page = search.page(wanted, integer(parameters, "limit", 1, MAX_LIMIT, DEFAULT_LIMIT), after)
        data = {"jobs": list(map(row, page.jobs)), "nextCursor": format_cursor(page.next_after)}
        return success(dumps(data))

    @routes.get("/jobs/summary")
    def summary() -> Response:
        totals = search.totals(parse_filter(query(request, PARAMETERS), caller()))
        return success(msgspec.json.encode(_summary(totals)))

    @routes.get("/jobs.csv")
    def export() -> Response:
        wanted = parse_filter(query(request, PARAMETERS), caller())
        release = exports.acquire(caller().name, service=caller().role is Role.SERVICE)
        try:
            first = search.page(wanted, EXPORTED_AT_ONCE)  # before the response begins: it may fail
            response = Response(_lines(search, wanted, first), mimetype="text/csv")
            response.call_on_close(release)
        except BaseException:
            release()
            raise
        response.headers["Content-Disposition"] = 'attachment; filename="jobs.csv"'
        return response

    @routes.get("/jobs/stats")
    def stats() -> Response:
        """Count each distinct id once."""
        text = query(request, ["jobIds"]).get("jobIds", "")
        job_ids = list(dict.fromkeys(text.split(",")))
        if len(job_ids) > MAX_STATS:
            raise wrong("jobIds", f"{len(job_ids)} ids are too many: send at most {MAX_STATS}.")
        if not all(JOB_ID.match(job_id) for job_id in job_ids):
            raise wrong(
                "jobIds", "Must be job ids, separated by commas: 1 to 128 letters, digits, _ or - each."
            )
        owner = None if caller().may(Action.READ) else caller().user_id
        return success(msgspec.json.encode(history.stats(job_ids, owner)))

    return routes


def _lines(search: JobSearch, wanted: JobFilter, page: Page) -> Iterator[str]:
    """Yield the export, page by page. An error breaks the connection, so the client notices it."""
    yield csv_header()
    while True:
        yield "".join(map(csv_line, page.jobs))
        if page.next_after is None:
            return
        page = search.page(wanted, EXPORTED_AT_ONCE, page.next_after)


def _summary(totals: Totals) -> Summary:
    statuses, outcomes = totals.by_status, totals.by_outcome
    return Summary(
        total=totals.total,
        by_status=StatusCounts(**{name: statuses[name] for name in StatusCounts.__struct_fields__}),
        by_outcome=OutcomeCounts(**{name: outcomes[name] for name in OutcomeCounts.__struct_fields__}),
        successful_buys=totals.successful_buys,
        failed_buys=totals.failed_buys,
        total_spent=to_sol(totals.spent_lamports),
    )
