"""List, summary and export of jobs: the same answers for jobs in the store and in the archive."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest
from support.archives import migrated_archive, move_to_archive, stored_job
from support.ended_jobs import ended_job
from support.operations import run
from support.samples import MINT
from support.tokens import AUDIENCE, SECRET, bearer, token

from api.auth.authentication import Authenticator
from api.flask_app import create_app
from api.rest import concurrency_limit
from api.rest.job_filter_parsing import PARAMETERS
from api.rest.job_list_views import EXPORTS_OF_EACH
from api.rest.job_row_formats import COLUMNS
from cto_worker.archive.job_archive import archive as write_to_archive
from cto_worker.domain.operation_request import parse_request
from cto_worker.domain.progress_event import Phase
from cto_worker.operation.progress_reporter import ProgressReporter, accepted_event, request_from_event
from cto_worker.store.job_review import Resolution, resolve
from cto_worker.testing.in_memory_market import BALANCE_LAMPORTS, FUNDING, InMemoryMarket

OTHER_MINT = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"
FIRST = "7oPa2PHQdZmjSPqvpZN7MQxnC7Dcf3uL4oLqknGLk2S3"
SECOND = "4Nd1mBQtrMJVYVfKf2PJy9NZUZdTAsp7D4xWLs4gDB4T"
BALANCES = dict.fromkeys((FUNDING, FIRST, SECOND), BALANCE_LAMPORTS)
SIGNATURE = f"signature 1 of partial:{SECOND}:buy.1"
ENDED = ("full", "partial", "none", "refused")

# Each query, and the jobs of the fixture that match.
QUERIES = {
    "": {"full", "partial", "none", "refused", "unknown", "active", "waiting"},
    "status=completed": {"full", "partial"},
    "status=failed": {"none", "refused", "unknown"},
    "status=active": {"active"},
    "status=waiting": {"waiting"},
    "status=needs_review": {"unknown"},
    "needsReview=true": {"unknown"},
    "needsReview=false": {"full", "partial", "none", "refused", "active", "waiting"},
    "status=needs_review&needsReview=false": set(),
    "outcome=full": {"full"},
    "outcome=partial": {"partial"},
    "outcome=none": {"none", "refused"},
    "outcome=unknown": {"unknown"},
    "userId=8": {"partial", "waiting"},
    "userId=nobody": set(),
    f"tokenAddress={OTHER_MINT}": {"partial"},
    f"wallet={SECOND}": {"full", "partial"},
    f"wallet={FIRST}": {"full", "partial", "none", "unknown", "active"},
    f"signature={SIGNATURE}": {"partial"},
    "errorCode=all_buys_failed": {"none"},
    "errorCode=wallet_not_owned": {"refused"},
    "mode=prefunded": {"partial", "none", "refused"},
    "platform=pumpfun": {"full", "partial", "none", "unknown"},
    "from=0&to=1": set(),
    "from=1000&to=999999999999999": {"full", "partial", "none", "refused", "unknown", "active", "waiting"},
    "userId=7&outcome=unknown&mode=standard": {"unknown"},
    "userId=7&status=completed&mode=standard": {"full"},
}


def data(response):
    assert response.status_code == 200, response.text
    return response.get_json()["data"]


@pytest.fixture
def jobs(journal):
    """Seven jobs of every kind, in the store."""
    runs = {
        "full": ({"mode": "standard", "wallets": [FIRST, SECOND]}, ()),
        "partial": (
            {"tokenAddress": OTHER_MINT, "userId": "8", "wallets": [FIRST, SECOND]},
            (f"{FIRST}:buy",),
        ),
        "none": ({"wallets": [FIRST]}, (f"{FIRST}:buy",)),
        "refused": ({"wallets": [OTHER_MINT]}, ()),
    }
    for job_id, (changes, failing) in runs.items():
        market = InMemoryMarket(failing=failing, balances=dict(BALANCES))
        run(journal, market, job_id, walletCount=None, **changes)
    lost = InMemoryMarket(silent=(f"{FIRST}:buy",), balances=dict(BALANCES))
    run(journal, lost, "unknown", mode="standard", walletCount=None, wallets=[FIRST])
    for job_id, changes in {"active": {"wallets": [FIRST]}, "waiting": {"userId": "8"}}.items():
        body = {"tokenAddress": MINT, "userId": "7", "userChatId": 1, "mode": "standard", "buyAmount": 1}
        request = parse_request(body | changes)
        journal.create(accepted_event(job_id, request), request.to_document())
    latest = journal.claim("active", "me").latest
    request = request_from_event(latest)
    reporter = ProgressReporter(journal, "active", request, attempt=1, latest=latest)
    reporter.report(Phase.VALIDATING, "Checking 1 wallet")


def ids(rest, query, limit=100):
    """Return the ids of all pages of a list."""
    found, cursor = [], ""
    while cursor is not None:
        page = data(rest.get(f"/api/cto/jobs?{query}&limit={limit}{cursor and f'&cursor={cursor}'}"))
        found += [job["jobId"] for job in page["jobs"]]
        cursor = page["nextCursor"]
    return found


def test_each_filter_selects_its_jobs_wherever_they_are(rest, store, archive, jobs):
    for archived in (None, *ENDED):
        if archived:
            move_to_archive(store, archive, archived)
        for query, expected in QUERIES.items():
            for limit in (2, 100):
                found = ids(rest, query, limit)
                assert (len(found), set(found)) == (len(expected), expected), (query, limit, archived)
            assert data(rest.get(f"/api/cto/jobs/summary?{query}"))["total"] == len(expected), (
                query,
                archived,
            )
            rows = list(csv.reader(io.StringIO(rest.get(f"/api/cto/jobs.csv?{query}", buffered=True).text)))
            assert {row[0] for row in rows[1:]} == expected, (query, archived)


def test_every_parameter_has_a_query_above():
    assert {text.partition("=")[0] for query in QUERIES for text in query.split("&") if text} == set(
        PARAMETERS
    )


def test_answers_are_the_same_bytes_before_and_after_archiving(rest, store, archive, jobs):
    paths = [f"/api/cto/{kind}?{query}" for query in QUERIES for kind in ("jobs", "jobs/summary", "jobs.csv")]
    before = {path: rest.get(path, buffered=True).data for path in paths}
    move_to_archive(store, archive, *ENDED)
    for path in paths:
        assert rest.get(path, buffered=True).data == before[path], path


def test_figures_contain_what_an_operator_recorded(rest, store, journal, archive):
    third = MINT
    market = InMemoryMarket(
        silent=(f"{FIRST}:buy", f"{SECOND}:buy"), balances=BALANCES | {third: BALANCE_LAMPORTS}
    )
    run(journal, market, "j1", mode="standard", walletCount=None, wallets=[FIRST, SECOND, third])
    paths = [f"/api/cto/{kind}?outcome=unknown" for kind in ("jobs", "jobs/summary", "jobs.csv")]

    def figures():
        rows, totals = (data(rest.get(path)) for path in paths[:2])
        (row,) = rows["jobs"]
        found = [row[name] for name in ("successfulBuys", "failedBuys", "totalSpent")]
        assert found == [totals[name] for name in ("successfulBuys", "failedBuys", "totalSpent")]
        (line,) = csv.DictReader(io.StringIO(rest.get(paths[2], buffered=True).text))
        assert [line["successfulBuys"], line["failedBuys"], line["totalSpent"]] == list(map(str, found))
        return *found[:2], row["latestProgress"]["details"]["totalSpent"], found[2]

    *counts, spent, total = figures()
    assert (counts, total) == ([1, 0], spent)
    resolve(store, "j1", f"j1:{FIRST}:buy.1", Resolution(executed=True, spent_lamports=300_005_000, tokens=7))
    assert figures() == (2, 0, spent, pytest.approx(spent + 0.300005))
    resolve(store, "j1", f"j1:{SECOND}:buy.1", Resolution(executed=False, spent_lamports=5_000))
    assert figures() == (2, 1, spent, pytest.approx(spent + 0.30001))

    resolved = {path: rest.get(path, buffered=True).data for path in paths}
    write_to_archive(archive, [stored_job(store, "j1")])  # the store has it, too
    assert {path: rest.get(path, buffered=True).data for path in paths} == resolved
    move_to_archive(store, archive, "j1")
    assert {path: rest.get(path, buffered=True).data for path in paths} == resolved


def test_the_totals_are_those_of_the_rows(rest, store, archive, jobs):
    move_to_archive(store, archive, "full", "none")
    rows = data(rest.get("/api/cto/jobs"))["jobs"]
    assert data(rest.get("/api/cto/jobs/summary")) == {
        "total": 7,
        "byStatus": {"waiting": 1, "active": 1, "completed": 2, "failed": 3},
        "byOutcome": {"full": 1, "partial": 1, "none": 2, "unknown": 1},
        "successfulBuys": sum(row["successfulBuys"] for row in rows),
        "failedBuys": sum(row["failedBuys"] for row in rows),
        "totalSpent": pytest.approx(sum(row["totalSpent"] for row in rows)),
    }


def test_a_row_of_an_ended_job(rest, jobs):
    (row,) = data(rest.get("/api/cto/jobs?outcome=none&errorCode=all_buys_failed"))["jobs"]
    latest = row["latestProgress"]
    assert row["endedAt"] == latest["timestamp"] >= row["createdAt"]
    assert (row["plannedBuys"], row["successfulBuys"], row["failedBuys"]) == (1, 0, 1)
    assert row["totalSpent"] == latest["details"]["totalSpent"] > 0
    assert (row["errorCode"], row["parentJobId"], row["retriedBy"]) == ("all_buys_failed", None, None)


def test_the_export_has_the_rows_of_the_list(rest, jobs):
    response = rest.get("/api/cto/jobs.csv", buffered=True)
    assert response.mimetype == "text/csv"
    assert "attachment" in response.headers["Content-Disposition"]
    header, *lines = csv.reader(io.StringIO(response.text))
    listed = data(rest.get("/api/cto/jobs"))["jobs"]
    assert header == [name for name in listed[0] if name != "latestProgress"] == list(COLUMNS)
    assert header[0] == "jobId"
    shown = {None: "", True: "true", False: "false"}
    expected = [[row[name] for name in COLUMNS] for row in listed]
    assert lines == [
        [shown[v] if v is None or isinstance(v, bool) else str(v) for v in row] for row in expected
    ]


def test_a_cell_of_the_export_is_never_a_formula(rest, archive):
    evil = {"user_id": "=1+1", "token_address": '@SUM("a",1)', "platform": "+x", "error_code": "-1\ny"}
    write_to_archive(archive, [ended_job("-j1", **evil)])
    _, row = (
        csv.DictReader,
        next(csv.DictReader(io.StringIO(rest.get("/api/cto/jobs.csv", buffered=True).text))),
    )
    assert (row["jobId"], row["userId"], row["tokenAddress"]) == ("'-j1", "'=1+1", '\'@SUM("a",1)')
    assert (row["platform"], row["errorCode"]) == ("'+x", "'-1\ny")


def test_an_export_of_many_pages_has_every_job_once(rest, archive, jobs):
    write_to_archive(archive, [ended_job(f"j{number:04}", 10**12 + number // 7) for number in range(450)])
    _, *lines = csv.reader(io.StringIO(rest.get("/api/cto/jobs.csv", buffered=True).text))
    assert [line[0] for line in lines][7:] == [f"j{number:04}" for number in reversed(range(450))]


def test_the_exports_of_a_caller_are_limited_until_they_end(rest, jobs, monkeypatch):
    monkeypatch.setattr(concurrency_limit, "WAIT_S", 0.01)
    begun = [rest.get("/api/cto/jobs.csv") for _ in range(EXPORTS_OF_EACH)]
    refused = rest.get("/api/cto/jobs.csv")
    assert (refused.status_code, refused.get_json()["error"]["code"]) == (429, "rate_limited")
    assert rest.get("/api/cto/jobs").status_code == 200
    for response in begun:
        response.close()
    for _ in range(2 * EXPORTS_OF_EACH):
        with rest.get("/api/cto/jobs.csv") as response:
            assert len(response.text.splitlines()) == 8
    assert rest.get("/api/cto/jobs.csv?status=bad").status_code == 400


INVALID = {
    "status": ("done", ""),
    "outcome": ("good", "FULL"),
    "needsReview": ("1", "yes", "True", ""),
    "userId": ("a b", "", "x" * 65),
    "tokenAddress": ("short", "0" * 40, ""),
    "wallet": ("wallet-1", FIRST + "\n"),
    "signature": ("", "x" * 129, "é"),
    "errorCode": ("a b", ""),
    "mode": ("Standard", ""),
    "platform": ("Pump", ""),
    "from": ("-1", "1.5", "yesterday", "9" * 16),
    "to": ("-1", "", "٣"),
    "cursor": ("x", "", "1:", "1:a b", ":j1", "1.5"),
    "limit": ("0", "101"),
}


def test_each_parameter_is_validated_on_each_endpoint(rest):
    for name, values in INVALID.items():
        for value in values:
            for path in ("/api/cto/jobs", "/api/cto/jobs.csv", "/api/cto/jobs/summary"):
                response = rest.get(path, query_string={name: value})
                assert response.status_code == 400, (path, name, value)
                error = response.get_json()["error"]
                assert (error["code"], list(error["details"]["fields"])) == ("invalid_query", [name])
    assert INVALID.keys() == {*PARAMETERS, "cursor", "limit"}


def test_a_numeric_cursor_of_an_earlier_release_is_explained(rest):
    response = rest.get("/api/cto/jobs?cursor=17")
    assert response.status_code == 400
    assert "Earlier releases used numbers: begin again, without a cursor" in response.text


def test_a_user_gets_the_users_own_jobs_only(store, settings, archive, jobs):
    move_to_archive(store, archive, "full", "partial")
    settings = replace(settings, auth="required", jwt_secret=SECRET, jwt_audience=AUDIENCE)
    authenticator = Authenticator(settings, lambda _: False)
    client = create_app(settings, authenticator, store, None, None, migrated_archive(settings)).test_client()
    headers = bearer(token("8"))
    assert {job["jobId"] for job in data(client.get("/api/cto/jobs", headers=headers))["jobs"]} == {
        "partial",
        "waiting",
    }
    assert data(client.get("/api/cto/jobs/summary", headers=headers))["total"] == 2
    assert len(client.get("/api/cto/jobs.csv", headers=headers, buffered=True).text.splitlines()) == 3
    for path in ("jobs", "jobs.csv", "jobs/summary"):
        for query in (f"wallet={FIRST}", "signature=signature 1 of full:x", "status=completed"):
            text = client.get(f"/api/cto/{path}?{query}", headers=headers, buffered=True).text
            assert "full" not in text.replace('"full":', ""), (path, query)
        assert client.get(f"/api/cto/{path}?userId=7", headers=headers).status_code == 403
    counted = data(client.get("/api/cto/jobs/stats?jobIds=full,partial,none", headers=headers))
    assert (counted["completed"], counted["notFound"]) == (1, 2)
    for path in ("status", "latest", "events"):
        assert client.get(f"/api/cto/job/full/{path}", headers=headers).status_code == 404
        assert client.get(f"/api/cto/job/partial/{path}", headers=headers).status_code == 200
