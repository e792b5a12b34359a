"""Operations on the in-memory journal and market."""

from __future__ import annotations

from cto_worker.domain.journal_ports import Journal
from cto_worker.domain.operation_request import parse_request
from cto_worker.domain.progress_event import Status
from cto_worker.errors import OperationFailed
from cto_worker.jobs.job_runner import JobRunner
from cto_worker.operation.progress_reporter import accepted_event
from support.samples import operation

BODY = operation(userChatId=42, buyAmount=0.9, walletCount=3)
BUY_FEE = 6_000


def run(journal, market, job_id="j1", **changes):
    """Run one operation; return its result, whether it completed or failed."""
    body = {name: value for name, value in (BODY | changes).items() if value is not None}
    request = parse_request(body)
    journal.create(accepted_event(job_id, request), request.to_document())
    try:
        return JobRunner(Journal.of(journal), market).run_job(job_id, body)
    except OperationFailed as failure:
        return failure.result


def events_of(journal, job_id="j1"):
    return journal.jobs[job_id].events


def fails_with(journal, result, code):
    """Check that the last event and the result contain the error."""
    last = events_of(journal)[-1]
    assert (last.status, last.phase, last.progress) == (Status.FAILED, 5, 100)
    assert last.details.error_code == result["errorCode"] == code
    assert last.details.error
    assert last.phase_title == "CTO Operation Failed"
    assert journal.metadata["j1"]["status"] == "FAILURE"
