"""The routes under ``/api/cto``, health checks and pages, on a real store."""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import pytest
from support.archives import migrated_archive

from api.auth.authentication import Authenticator
from api.auth.token_revocations import Revocations
from api.flask_app import LATE_S, create_app
from api.server.security_middleware import SecurityMiddleware
from cto_worker.domain.operation_request import parse_request
from cto_worker.domain.progress_event import Phase
from cto_worker.domain.purchase_outcome import PurchaseOutcome
from cto_worker.jobs.celery_app import celery_app
from cto_worker.jobs.job_producer import make_producer
from cto_worker.markets.paper.market import PaperMarket
from cto_worker.operation.progress_reporter import ProgressReporter, accepted_event
from cto_worker.store import keys
from cto_worker.store.store_connection import connect


def data(response, status=200):
    assert response.status_code == status, response.text
    answer = response.get_json()
    assert answer["success"] is True
    assert set(answer) == {"success", "data"}
    return answer["data"]


def error(response, status, code):
    assert response.status_code == status, response.text
    answer = response.get_json()
    assert answer["success"] is False
    assert set(answer) == {"success", "error"}
    assert answer["error"]["code"] == code
    assert answer["error"]["message"]
    return answer["error"]


@pytest.fixture
def record(journal, body):
    """Return a function that records a job, and starts it if ``begun``."""

    def record(job_id, *, begun=True, **changes):
        request = parse_request(body | changes)
        journal.create(accepted_event(job_id, request), request.to_document())
        if not begun:
            return None
        claim = journal.claim(job_id, "me")
        reporter = ProgressReporter(journal, job_id, request, attempt=claim.attempt, latest=claim.latest)
        reporter.report(Phase.VALIDATING, "Checking 5 wallets")
        return reporter

    return record


def complete(reporter):
    reporter.end({"successfulBuys": 5}, None)


def fail(reporter):
    reporter.end({"successfulBuys": 0}, ("all_buys_failed", "No buy succeeded"))


def test_submitting_records_the_job_and_sends_its_message(rest, store, body):
    response = rest.post("/api/cto/jobs", json=body)
    created = data(response, 202)
    job_id = created["jobId"]
    assert created == {
        "jobId": job_id,
        "status": "waiting",
        "statusUrl": f"/api/cto/job/{job_id}/status",
    }
    assert response.headers["Location"] == created["statusUrl"]
    message = json.loads(store.lindex(keys.QUEUE, 0))
    assert (message["headers"]["id"], message["headers"]["task"]) == (job_id, keys.TASK_NAME)
    assert data(rest.get(created["statusUrl"]))["status"] == "waiting"


def test_an_unknown_platform_is_refused_when_it_is_submitted(rest, body, store):
    answer = rest.post("/api/cto/jobs", json=body | {"platform": "uniswap"})
    assert answer.status_code == 400
    assert answer.json["error"]["details"]["fields"] == {
        "platform": ["Unknown platform: must be one of pumpfun, bonk, raydium."]
    }
    assert not store.keys("cto:job:*")


def test_the_same_key_and_body_give_the_same_job(rest, body):
    headers = {"Idempotency-Key": "launch-1"}
    first = data(rest.post("/api/cto/jobs", json=body, headers=headers), 202)
    assert data(rest.post("/api/cto/jobs", json=body, headers=headers), 200) == first
    assert data(rest.post("/api/cto/jobs", json=dict(reversed(body.items())), headers=headers), 200) == first
    assert len(data(rest.get("/api/cto/jobs"))["jobs"]) == 1


def test_the_same_key_with_another_body_is_a_conflict(rest, body):
    headers = {"Idempotency-Key": "launch-1"}
    data(rest.post("/api/cto/jobs", json=body, headers=headers), 202)
    error(
        rest.post("/api/cto/jobs", json=body | {"buyAmount": 1}, headers=headers), 409, "idempotency_conflict"
    )
    assert len(data(rest.get("/api/cto/jobs"))["jobs"]) == 1


def test_fifty_concurrent_submissions_with_one_key_make_one_job(app, store, body):
    answers = []

    def submit():
        response = app.test_client().post("/api/cto/jobs", json=body, headers={"Idempotency-Key": "k"})
        answers.append((response.status_code, response.get_json()["data"]["jobId"]))

    threads = [threading.Thread(target=submit) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({job_id for _, job_id in answers}) == 1
    assert sorted(status for status, _ in answers) == [200] * 49 + [202]
    assert store.zcard("cto:jobs:7:all") == 1


def test_the_status_of_a_waiting_job(rest, record):
    record("j1", begun=False)
    status = data(rest.get("/api/cto/job/j1/status"))
    assert (status["jobId"], status["status"], status["operationResult"]) == ("j1", "waiting", None)
    assert (status["currentPhase"], status["currentProgress"]) == (1, 10)
    assert status["latestProgress"] == status["progressEvents"][0]


def test_the_status_of_an_active_job(rest, record):
    record("j1")
    status = data(rest.get("/api/cto/job/j1/status"))
    assert (status["status"], status["currentPhase"], status["currentProgress"]) == ("active", 2, 25)
    assert [event["seq"] for event in status["progressEvents"]] == [1, 2]
    assert status["latestProgress"] == status["progressEvents"][-1]
    assert status["operationResult"] is None


@pytest.mark.parametrize(("end", "status", "bought"), [(complete, "completed", 5), (fail, "failed", 0)])
def test_the_status_of_an_ended_job(rest, record, end, status, bought):
    end(record("j1"))
    answer = data(rest.get("/api/cto/job/j1/status"))
    assert (answer["status"], answer["currentPhase"], answer["currentProgress"]) == (status, 5, 100)
    assert answer["operationResult"] == {"successfulBuys": bought}
    assert answer["latestProgress"]["status"] == status


@pytest.mark.parametrize(
    ("outcome", "counts", "shown"),
    [
        ("partial", (2, 8, 0), "partial"),
        ("unknown", (2, 1, 2), "unknown"),
        (None, (2, 8, 0), "partial"),  # as versions without outcomes ended jobs
        (None, (5, 0, 0), "full"),
    ],
)
def test_status_and_list_have_outcome_and_review(rest, record, outcome, counts, shown):
    def shown_now():
        (item,) = data(rest.get("/api/cto/jobs"))["jobs"]
        status = data(rest.get("/api/cto/job/j1/status"))
        assert (item["outcome"], item["needsReview"]) == (status["outcome"], status["needsReview"])
        return status["outcome"], status["needsReview"], status["status"]

    reporter = record("j1")
    assert shown_now() == (None, False, "active")
    reporter.totals.successful_buys, reporter.totals.failed_buys, reporter.totals.unknown_buys = counts
    end = {"outcome": outcome and PurchaseOutcome(outcome), "review": shown == "unknown"}
    reporter.end({}, None, **end)
    assert shown_now() == (shown, shown == "unknown", "completed")


def test_the_latest_event_and_its_etag(rest, record):
    reporter = record("j1")
    response = rest.get("/api/cto/job/j1/latest")
    assert data(response)["seq"] == 2
    assert response.headers["ETag"] == '"2"'
    for etag in ('"2"', 'W/"2"', '"1", "2"', "*"):
        cached = rest.get("/api/cto/job/j1/latest", headers={"If-None-Match": etag})
        assert (cached.status_code, cached.data) == (304, b"")
    reporter.report(Phase.DETECTING, "Choosing")
    fresh = rest.get("/api/cto/job/j1/latest", headers={"If-None-Match": '"2"'})
    assert data(fresh)["seq"] == 3


def test_the_events_after_a_seq(rest, record):
    reporter = record("j1")
    for phase in (Phase.DETECTING, Phase.EXECUTING):
        reporter.report(phase, "on")
    for after in range(6):
        answer = data(rest.get(f"/api/cto/job/j1/events?after={after}"))
        assert answer["jobId"] == "j1"
        assert [event["seq"] for event in answer["events"]] == list(range(after + 1, 5))
    assert len(data(rest.get("/api/cto/job/j1/events"))["events"]) == 4


def test_balances_are_those_of_the_market_and_reading_opens_no_wallet(rest, store, settings):
    path = "/api/cto/wallets?userId=7&walletCount=2"
    before = data(rest.get(path))
    assert not store.exists(keys.paper_wallets("7"), keys.PAPER_LEDGER)
    account = PaperMarket(store, settings).account("7", 2)
    opened = [account.funding_wallet, *account.wallets]
    initial = settings.paper_balance_sol
    assert before == {
        "userId": "7",
        "funding": {"wallet": opened[0], "balance": initial},
        "wallets": [{"wallet": wallet, "balance": initial} for wallet in opened[1:]],
    }
    store.hincrby(keys.paper_wallets("7"), opened[2], -1_500_000_000)
    assert data(rest.get(path))["wallets"][1]["balance"] == initial - 1.5
    for bad in ("", "?userId=7&walletCount=51", "?userId=a%20b"):
        error(rest.get(f"/api/cto/wallets{bad}"), 400, "invalid_query")


def test_statistics_count_each_job_once(rest, record):
    record("waits", begun=False)
    record("runs")
    complete(record("done"))
    fail(record("failed"))
    answer = data(rest.get("/api/cto/jobs/stats?jobIds=waits,runs,done,failed,unknown,done"))
    assert answer == {
        "total": 5,
        "queued": 1,
        "active": 1,
        "completed": 1,
        "failed": 1,
        "notFound": 1,
        "averageProgress": (10 + 25 + 100 + 100) / 4,
    }


def test_statistics_of_nothing_known(rest):
    assert data(rest.get("/api/cto/jobs/stats?jobIds=x"))["averageProgress"] == 0


def test_statistics_of_five_hundred_jobs(rest, record):
    for number in range(500):
        record(f"job-{number}", begun=number % 2 == 0)
    ids = ",".join(f"job-{number}" for number in range(500))
    answer = data(rest.get(f"/api/cto/jobs/stats?jobIds={ids}"))
    assert (answer["total"], answer["queued"], answer["active"]) == (500, 250, 250)


def test_the_list_is_newest_first_page_by_page(rest, record):
    for number in range(7):
        record(f"j{number}", begun=False)
    seen, cursor = [], ""
    while cursor is not None:
        page = data(rest.get("/api/cto/jobs?limit=3" + (f"&cursor={cursor}" if cursor else "")))
        seen.append([job["jobId"] for job in page["jobs"]])
        cursor = page["nextCursor"]
    assert seen == [["j6", "j5", "j4"], ["j3", "j2", "j1"], ["j0"]]


def test_a_page_that_ends_the_list_exactly_is_the_last(rest, record):
    for number in range(4):
        record(f"j{number}", begun=False)
    assert data(rest.get("/api/cto/jobs?limit=4"))["nextCursor"] is None


def test_jobs_that_come_between_two_pages_do_not_shift_them(rest, record):
    for number in range(4):
        record(f"j{number}", begun=False)
    cursor = data(rest.get("/api/cto/jobs?limit=2"))["nextCursor"]
    record("j4", begun=False)
    page = data(rest.get(f"/api/cto/jobs?limit=2&cursor={cursor}"))
    assert [job["jobId"] for job in page["jobs"]] == ["j1", "j0"]


def test_the_list_by_status_and_owner(rest, record):
    record("waits", begun=False)
    record("runs")
    complete(record("done"))
    fail(record("failed", userId="8"))

    def listed(query):
        return [job["jobId"] for job in data(rest.get(f"/api/cto/jobs?{query}"))["jobs"]]

    assert sorted(listed("")) == ["done", "failed", "runs", "waits"]
    assert [listed(f"status={s}") for s in ("waiting", "active", "completed", "failed")] == [
        ["waits"],
        ["runs"],
        ["done"],
        ["failed"],
    ]
    assert listed("userId=8") == ["failed"]
    assert listed("userId=8&status=active") == []


def test_the_jobs_that_need_review_are_a_list_beside_the_statuses(rest, record):
    done = record("done")
    complete(record("other"))
    done.end({"unknownBuys": 1}, None, review=True)
    parked = record("parked", userId="8")
    parked.end({}, ("needs_review", "Lost"), review=True)

    def listed(query):
        return [(job["jobId"], job["status"]) for job in data(rest.get(f"/api/cto/jobs?{query}"))["jobs"]]

    assert listed("status=needs_review") == [("parked", "failed"), ("done", "completed")]
    assert listed("status=needs_review&userId=8") == [("parked", "failed")]
    assert listed("status=completed") == [("other", "completed"), ("done", "completed")]
    page = data(rest.get("/api/cto/jobs?status=needs_review&limit=1"))
    assert listed(f"status=needs_review&cursor={page['nextCursor']}") == [("done", "completed")]


def test_an_item_of_the_list(rest, record):
    record("j1")
    (job,) = data(rest.get("/api/cto/jobs"))["jobs"]
    latest = job.pop("latestProgress")
    created = data(rest.get("/api/cto/job/j1/events"))["events"][0]["timestamp"]
    assert latest["seq"] == 2
    assert job == {
        "jobId": "j1",
        "status": "active",
        "outcome": None,
        "needsReview": False,
        "createdAt": created,
        "endedAt": None,
        "currentPhase": 2,
        "currentProgress": 25,
        "tokenAddress": latest["tokenAddress"],
        "userId": "7",
        "mode": "standard",
        "platform": "unknown",
        "buyAmount": 0.5,
        "plannedBuys": None,
        "successfulBuys": 0,
        "failedBuys": 0,
        "totalSpent": 0,
        "errorCode": None,
        "parentJobId": None,
        "retriedBy": None,
    }


def test_a_cancellation_is_noted(rest, record, store):
    record("j1")
    answer = data(rest.post("/api/cto/job/j1/cancel"), 202)
    assert answer == {"jobId": "j1", "status": "active", "cancelRequested": True}
    assert store.hget(keys.job("j1"), "cancel") == b"1"


def test_an_ended_job_cannot_be_cancelled(rest, record):
    complete(record("j1"))
    error(rest.post("/api/cto/job/j1/cancel"), 409, "job_ended")


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "status"), ("GET", "latest"), ("GET", "events"), ("POST", "cancel")],
)
def test_an_unknown_job_is_not_found(rest, method, path):
    error(rest.open(f"/api/cto/job/unknown/{path}", method=method), 404, "job_not_found")


def test_health_and_readiness(rest):
    assert data(rest.get("/healthz")) == {"status": "alive"}
    assert data(rest.get("/readyz")) == {"status": "ready"}


def test_unknown_paths_and_methods_have_the_same_shape(rest):
    error(rest.get("/nowhere"), 404, "not_found")
    response = rest.delete("/api/cto/jobs")
    error(response, 405, "method_not_allowed")
    assert set(response.headers["Allow"].split(", ")) >= {"GET", "POST"}


def test_every_answer_carries_security_headers(rest):
    for path in ("/", "/healthz", "/nowhere"):
        with rest.get(path) as response:
            assert "default-src 'self'" in response.headers["Content-Security-Policy"]
            assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:3000", "127.0.0.1.evil.example", "10.0.0.1"])
def test_a_name_rebound_to_this_machine_is_refused(rest, host):
    error(rest.get("/api/cto/jobs", headers={"Host": host}), 403, "host_not_allowed")


@pytest.mark.parametrize("host", ["localhost:3000", "127.0.0.1", "[::1]:3000"])
def test_loopback_names_are_served(rest, host):
    assert rest.get("/api/cto/jobs", headers={"Host": host}).status_code == 200


def test_a_page_of_another_origin_cannot_submit_or_cancel(rest, store, body):
    headers = {"Origin": "https://evil.example"}
    error(rest.post("/api/cto/jobs", json=body, headers=headers), 403, "origin_not_allowed")
    error(rest.post("/api/cto/job/j1/cancel", headers=headers), 403, "origin_not_allowed")
    assert not store.keys()


def test_the_gateways_own_page_can_submit(rest, body):
    data(rest.post("/api/cto/jobs", json=body, headers={"Origin": "http://localhost"}), 202)


def test_allowed_origins_get_cors_headers_and_others_only_with_a_refusal(store, settings, journal, body):
    settings = replace(settings, cors_origins=("https://app.example",))
    celery = celery_app(settings)
    app = create_app(
        settings,
        Authenticator(settings, Revocations(store).revoked),
        store,
        journal,
        make_producer(settings, store, celery),
        migrated_archive(settings),
    )
    app.wsgi_app = SecurityMiddleware(app.wsgi_app, settings)
    rest = app.test_client()
    allowed = rest.post("/api/cto/jobs", json=body, headers={"Origin": "https://app.example"})
    data(allowed, 202)
    assert allowed.headers["Access-Control-Allow-Origin"] == "https://app.example"
    foreign = rest.get("/api/cto/jobs", headers={"Origin": "https://evil.example"})
    assert foreign.status_code == 403
    assert foreign.headers["Access-Control-Allow-Origin"] == "*"  # its page may read why it is refused
    public = rest.get("/openapi.json", headers={"Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in public.headers
    celery.close()


def test_a_gateway_that_receives_no_heartbeat_is_not_ready(store, settings):
    seconds_since_heartbeat = [LATE_S - 1]
    app = create_app(
        settings,
        Authenticator(settings, lambda _: False),
        store,
        None,
        None,
        migrated_archive(settings),
        seconds_since_heartbeat=lambda: seconds_since_heartbeat[0],
    )
    with app.test_client() as client:
        assert client.get("/readyz").status_code == 200
        seconds_since_heartbeat[0] = LATE_S + 1
        answer = client.get("/readyz")
        assert (answer.status_code, answer.get_json()["error"]["code"]) == (503, "store_unavailable")
        assert "Retry-After" in answer.headers
        assert client.get("/healthz").status_code == 200


def test_a_stopping_gateway_is_not_ready(store, settings):
    stopping = []
    app = create_app(
        settings,
        Authenticator(settings, lambda _: False),
        store,
        None,
        None,
        migrated_archive(settings),
        stopping=lambda: bool(stopping),
    )
    with app.test_client() as client:
        assert client.get("/readyz").status_code == 200
        stopping.append(True)
        answer = client.get("/readyz")
        assert (answer.status_code, answer.get_json()["error"]["code"]) == (503, "going_away")
        assert "Retry-After" in answer.headers
        assert client.get("/healthz").status_code == 200


def test_every_route_is_public_or_by_caller(app):
    """A new route must be added to one of these sets."""
    documents = {"/docs", "/guide", "/openapi.json", "/asyncapi.json"}
    client = {"/client/cto-progress.js", "/client/cto-progress.tgz", "/client/<path:filename>"}
    files = {"/static/<path:filename>", "/guide/<path:filename>"} | client
    console = {"/", "/operations/<job_id>", "/review", "/audit", "/system"}
    open_to_all = {"/healthz", "/readyz"} | console | documents | files
    by_caller = {
        "/api/cto/jobs",
        "/api/cto/jobs.csv",
        "/api/cto/jobs/stats",
        "/api/cto/jobs/summary",
        "/api/cto/job/<job_id>/status",
        "/api/cto/job/<job_id>/latest",
        "/api/cto/job/<job_id>/events",
        "/api/cto/job/<job_id>/cancel",
        "/api/cto/job/<job_id>/review",
        "/api/cto/job/<job_id>/market",
        "/api/cto/job/<job_id>/resolve",
        "/api/cto/system",
        "/api/cto/market",
        "/api/cto/wallets",
        "/api/cto/audit",
    }
    assert {rule.rule for rule in app.url_map.iter_rules()} == open_to_all | by_caller


CALLS = [
    ("POST", "/api/cto/jobs"),
    ("GET", "/api/cto/jobs"),
    ("GET", "/api/cto/jobs.csv"),
    ("GET", "/api/cto/jobs/stats?jobIds=a"),
    ("GET", "/api/cto/jobs/summary"),
    ("GET", "/api/cto/job/a/status"),
    ("GET", "/api/cto/job/a/latest"),
    ("GET", "/api/cto/job/a/events"),
    ("POST", "/api/cto/job/a/cancel"),
    ("GET", "/readyz"),
]


def test_an_unreachable_store_is_503_everywhere_but_in_healthz(detached, body):
    app, server, _ = detached(auth="off")
    rest = app.test_client()
    data(rest.post("/api/cto/jobs", json=body), 202)
    server.stop()
    for method, path in CALLS:
        response = rest.open(
            path, method=method, json=body if path == "/api/cto/jobs" and method == "POST" else None
        )
        error(response, 503, "store_unavailable")
        assert int(response.headers["Retry-After"]) > 0
    data(rest.get("/healthz"))


@pytest.mark.parametrize("setting", [("maxmemory", "1"), ("min-replicas-to-write", "3")])
def test_a_store_that_refuses_writes_is_503_and_nothing_is_half_created(detached, body, setting):
    app, _, settings = detached(auth="off")
    rest = app.test_client()
    store = connect(settings)
    store.config_set(*setting)
    error(rest.post("/api/cto/jobs", json=body), 503, "store_unavailable")
    store.config_set(setting[0], "0")
    assert not store.keys("cto:job*")
    data(rest.post("/api/cto/jobs", json=body), 202)
