"""The review of ended jobs with unknown intents, by function and by command."""

from __future__ import annotations

import json
from contextlib import suppress
from functools import partial

import pytest
from click.testing import CliRunner

from api.cli.main import main
from api.cli.program_name import program
from cto_worker.domain.audit_entry import Actor
from cto_worker.domain.intent_codec import decode_record
from cto_worker.domain.journal_ports import Journal
from cto_worker.domain.operation_request import parse_request
from cto_worker.errors import (
    IntentNotFoundError,
    IntentNotUnknownError,
    JobNotEndedError,
    JobNotFoundError,
    OperationFailed,
)
from cto_worker.jobs.job_runner import JobRunner
from cto_worker.operation.phases import MAX_STALLS
from cto_worker.operation.progress_reporter import accepted_event
from cto_worker.store import job_review, keys
from cto_worker.store.job_review import Resolution, UnknownIntent, intent_fields, unknown_intents
from cto_worker.store.journal_queries import JournalQueries
from cto_worker.testing.in_memory_market import InMemoryMarket

AUDIT = {keys.AUDIT.encode(), keys.AUDIT_HEAD.encode()}
BY = Actor("ops", "admin", "192.0.2.7")
resolve, close = (partial(function, actor=BY) for function in (job_review.resolve, job_review.close))
FIRST, SECOND = "j1:wallet-1:buy.1", "j1:wallet-2:buy.1"


@pytest.fixture
def run(journal, body):
    """Run an operation whose named intents never get an outcome."""

    def run(job_id, *silent, market=None, **changes):
        document = body | {"mode": "prefunded", "buyAmount": 0.9, "walletCount": 3} | changes
        market = market or InMemoryMarket(silent=silent)
        with suppress(OperationFailed):
            JobRunner(Journal.of(journal), market).run_job(job_id, document)
        return market

    return run


@pytest.fixture
def stall(store, journal, body):
    """Record a job so that its next run finds too many lost runs."""

    def stall(job_id):
        request = parse_request(body | {"mode": "prefunded"})
        journal.create(accepted_event(job_id, request), request.to_document())
        journal.claim(job_id, "lost")
        store.hset(keys.job(job_id), mapping={"lease": 0, "stalls": MAX_STALLS - 1})

    return stall


@pytest.fixture
def listed(store):
    """The jobs in the review lists. The global list and the owner's must be equal."""

    def listed(user_id="7"):
        of_all_users, of_owner = (
            [job.job_id for job in JournalQueries(store).page(owner, keys.REVIEW, 10).jobs]
            for owner in (None, user_id)
        )
        assert of_all_users == of_owner
        return of_owner

    return listed


@pytest.fixture
def record(store):
    return lambda intent_id: decode_record(
        intent_id, intent_fields(store, intent_id.split(":")[0])[intent_id]
    )


def dump(store):
    """Every key of the store with its value, and whether it expires."""
    return {key: (store.dump(key), store.ttl(key) > 0) for key in store.scan_iter()}


def test_only_jobs_with_an_unknown_intent_are_listed(run, listed, store):
    run("j1", "wallet-1:buy")
    run("j2")
    run("j3", "buy")
    run("j4", market=InMemoryMarket(failing=("buy",)))
    assert listed() == ["j3", "j1"]
    jobs = JournalQueries(store).page(None, keys.REVIEW, 10).jobs
    assert [job.status for job in jobs] == ["failed", "completed"], "what a job has come to stays its status"


def test_unknown_intents_are_listed_with_their_signatures(run, store):
    run("j1", "wallet-2:transfer", "wallet-3:buy", mode="standard")
    transfer, buy = unknown_intents(store, "j1")
    assert transfer == UnknownIntent(
        intent_id="j1:wallet-2:transfer",
        description="Distributing SOL to wallet 2 of 3",
        kind="transfer",
        wallet="wallet-2",
        lamports=300_006_000,
        signature="signature 1 of j1:wallet-2:transfer",
    )
    assert buy == UnknownIntent(
        intent_id="j1:wallet-3:buy.1",
        description="Buying with wallet 3 of 3",
        kind="buy",
        wallet="wallet-3",
        lamports=300_000_000,
        signature="signature 1 of j1:wallet-3:buy.1",
    )


@pytest.mark.parametrize(("executed", "status"), [(True, "confirmed"), (False, "failed")])
def test_resolving_the_last_unknown_intent_removes_the_job_from_the_list(
    run, listed, record, store, executed, status
):
    run("j1", "wallet-1:buy")
    run("j2", "wallet-1:buy")
    before = record(FIRST)
    assert resolve(store, "j1", FIRST, Resolution(executed)) == 0
    after = record(FIRST)
    assert (after.status, after.outcome.status, after.resolved) == (status, status, True)
    assert (after.order, after.place, after.outcome.signature) == (before.order, 1, before.order.signature)
    assert not record(SECOND).resolved
    assert unknown_intents(store, "j1") == []
    assert listed() == ["j2"]


def test_a_resolved_job_needs_no_review_and_keeps_its_outcome(run, store):
    run("j1", "wallet-1:buy")
    history = JournalQueries(store)
    before = history.job_details("j1")
    assert (before.needs_review, before.outcome) == (True, "unknown")
    resolve(store, "j1", FIRST, Resolution(True))
    after = history.job_details("j1")
    assert (after.needs_review, after.outcome, after.result) == (False, "unknown", before.result)
    assert after.result["needsReview"], "as it was when the job ended"
    assert not history.page(None, None, 10).jobs[0].needs_review


def test_a_job_stays_listed_until_its_last_unknown_intent_is_resolved(run, listed, store):
    run("j1", "buy")
    for left in (2, 1, 0):
        assert listed() == ["j1"]
        assert resolve(store, "j1", unknown_intents(store, "j1")[-1].intent_id, Resolution(True)) == left
    assert listed() == []


def test_history_stays_what_it_was(run, store):
    run("j1", "buy")
    before = dump(store)
    resolve(store, "j1", FIRST, Resolution(True))
    after = dump(store)
    changed = {key for key in before if before[key] != after[key]}
    assert changed == {keys.job("j1").encode()} | AUDIT
    assert set(before) == set(after)
    resolve(store, "j1", SECOND, Resolution(True))
    resolve(store, "j1", "j1:wallet-3:buy.1", Resolution(True))
    lists = {f"cto:jobs:{owner}:needs_review".encode() for owner in ("7", "*")} | AUDIT
    after = dump(store)
    assert {key for key in before if before[key] != after.get(key)} == changed | lists


@pytest.mark.parametrize("executed", [True, False])
@pytest.mark.parametrize(
    ("job_id", "intent_id", "error"),
    [
        ("nothing", FIRST, JobNotFoundError),
        ("runs", FIRST, JobNotEndedError),
        ("j1", SECOND, IntentNotUnknownError),
        ("j1", "j1:wallet-3:buy.1", IntentNotUnknownError),
        ("j1", "j1:wallet-9:buy.1", IntentNotFoundError),
        ("j1", "j2:wallet-1:buy.1", IntentNotFoundError),
        ("j1", "plan", IntentNotFoundError),
        ("j1", "", IntentNotFoundError),
        ("parked", FIRST, IntentNotFoundError),
    ],
    ids=["job", "not ended", "confirmed", "failed", "intent", "of another job", "plan", "empty", "no plan"],
)
def test_an_invalid_resolution_is_refused(run, stall, store, job_id, intent_id, error, executed):
    run("j1", market=InMemoryMarket(silent=("wallet-1:buy",), failing=("wallet-3:buy",)))
    stall("parked")
    run("parked")
    stall("runs")
    before = dump(store)
    with pytest.raises(error):
        resolve(store, job_id, intent_id, Resolution(executed))
    assert dump(store) == before


@pytest.mark.parametrize("executed", [True, False])
@pytest.mark.parametrize("again", [True, False])
def test_a_resolution_is_final(run, store, executed, again):
    run("j1", "buy")
    resolve(store, "j1", FIRST, Resolution(executed))
    before = dump(store)
    with pytest.raises(IntentNotUnknownError, match="an operator reported it as"):
        resolve(store, "j1", FIRST, Resolution(again))
    assert dump(store) == before


@pytest.fixture
def before_writing(monkeypatch):
    """Run an action once between the reading and the writing of a resolution."""

    def before_writing(action):
        def script_after_action(store, name):
            monkeypatch.undo()
            action()
            return job_review.Script(store, name)

        monkeypatch.setattr(job_review, "Script", script_after_action)

    return before_writing


def test_the_first_of_two_contradicting_resolutions_counts(run, store, record, before_writing):
    run("j1", "buy")
    before_writing(lambda: resolve(store, "j1", FIRST, Resolution(True)))
    with pytest.raises(IntentNotUnknownError):
        resolve(store, "j1", FIRST, Resolution(False))
    assert record(FIRST).status == "confirmed"


def test_a_job_that_expires_meanwhile_leaves_nothing_behind(run, store, before_writing):
    run("j1", "buy")
    before_writing(lambda: store.delete(keys.job("j1"), keys.intents("j1")))
    with pytest.raises(JobNotFoundError):
        resolve(store, "j1", FIRST, Resolution(True))
    assert not store.exists(keys.intents("j1"))


def test_a_repeated_resolution_after_a_lost_answer_is_harmless(run, store, listed, monkeypatch):
    run("j1", "wallet-1:buy")
    real = job_review.run_durably

    def twice(*given, **named):
        return (real(*given, **named), real(*given, **named))[1]

    monkeypatch.setattr(job_review, "run_durably", twice)
    assert resolve(store, "j1", FIRST, Resolution(True)) == 0
    assert listed() == []


def test_a_job_parked_before_anything_was_sent_is_listed_and_closed(run, stall, store, listed):
    stall("parked")
    market = run("parked")
    assert market.submitted == []
    assert json.loads(JournalQueries(store).latest("parked").event)["details"]["errorCode"] == "needs_review"
    assert listed() == ["parked"]
    assert unknown_intents(store, "parked") == []
    assert close(store, "parked")
    assert listed() == []
    assert not close(store, "parked"), "it is off already"


def test_an_in_flight_intent_of_a_parked_job_is_unknown(journal, run, store, listed):
    """The worker dies right after each submission."""

    class Dying(InMemoryMarket):
        def submit(self, orders):
            InMemoryMarket.submit(self, orders)
            raise SystemExit

    market = Dying()
    with pytest.raises(SystemExit):
        run("j1", market=market)
    store.hset(keys.job("j1"), mapping={"lease": 0, "stalls": MAX_STALLS - 1})
    run("j1", market=market)
    assert [intent.intent_id for intent in unknown_intents(store, "j1")] == [FIRST]
    assert listed() == ["j1"]
    assert not close(store, "j1")
    assert listed() == ["j1"]
    resolve(store, "j1", FIRST, Resolution(True))
    assert listed() == []


def test_a_job_that_has_not_ended_has_nothing_to_review(stall, store):
    stall("runs")
    for refused in (close, unknown_intents):
        with pytest.raises(JobNotEndedError):
            refused(store, "runs")
        with pytest.raises(JobNotFoundError):
            refused(store, "nothing")


# The command


@pytest.fixture
def cto(settings):
    """Run the command; return its exit status and its output."""

    def cto(*words, **environ):
        env = {"CTO_DATA_DIR": str(settings.data_dir), "CTO_REDIS_URL": ""} | environ
        ran = CliRunner().invoke(main, ["resolve", *words], env=env)
        assert ran.exception is None or isinstance(ran.exception, SystemExit), ran.exception
        return ran.exit_code, ran.output

    return cto


def test_the_command_shows_what_is_unknown_and_how_to_resolve_it(run, store, cto, listed):
    run("j1", "wallet-1:buy", "wallet-2:buy")
    before = dump(store)
    status, text = cto("j1")
    assert status == 0
    assert "Buying with wallet 1 of 3" in text
    assert "0.300000000" in text
    for intent_id in (FIRST, SECOND):
        command = f"{program()} resolve j1 --intent {intent_id} --not-executed"  # no entry in the ledger
        assert f"\nsignature 1 of {intent_id}\n  {command}\n" in text
    assert dump(store) == before, "looking changes nothing"
    assert listed() == ["j1"]


def test_the_command_resolves_one_intent_after_the_other(run, cto, record, listed):
    run("j1", "wallet-1:buy", "wallet-2:buy")
    status, text = cto("j1", "--intent", FIRST, "--executed", "--yes")
    assert status == 0
    assert f"\n{FIRST}: executed\n" in text
    assert "warning: the ledger of the paper market has --not-executed" in text
    assert f"{program()} resolve j1 --intent {SECOND} --not-executed" in text, "and shows what is left"
    assert cto("j1", "--intent", SECOND, "--not-executed", "--yes") == (
        0,
        f"{SECOND}: not executed\nj1 has no unknown intents left and no longer needs review\n",
    )
    assert [record(intent_id).status for intent_id in (FIRST, SECOND)] == ["confirmed", "failed"]
    assert listed() == []
    assert cto("j1") == (0, "Nothing to review in j1.\n")


def test_the_command_closes_a_parked_job(run, stall, cto, listed):
    stall("parked")
    run("parked")
    assert cto("parked") == (0, "parked has no unknown intents left and no longer needs review\n")
    assert listed() == []


def test_the_command_prints_json(run, cto):
    run("j1", "wallet-1:buy")
    status, text = cto("j1", "--json")
    assert status == 0
    assert json.loads(text) == {
        "jobId": "j1",
        "needsReview": True,
        "unknownIntents": [
            {
                "intentId": FIRST,
                "description": "Buying with wallet 1 of 3",
                "kind": "buy",
                "wallet": "wallet-1",
                "lamports": 300_000_000,
                "signature": f"signature 1 of {FIRST}",
            }
        ],
    }
    status, text = cto("j1", "--intent", FIRST, "--executed", "--yes", "--json")
    warning, document = text.splitlines()  # on standard error, and on standard output
    assert (status, warning.partition(":")[0]) == (0, "warning")
    assert json.loads(document) == {"jobId": "j1", "needsReview": False, "unknownIntents": []}


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (["nothing"], 1, "no job nothing"),
        (["runs"], 1, "job runs has not ended"),
        (["j1", "--intent", SECOND, "--executed", "--yes"], 1, "the market reported it as confirmed"),
        (["j1", "--intent", "x", "--executed", "--yes"], 1, "has no order for an intent x"),
        (["j1", "--intent", FIRST], 2, "--executed and --not-executed"),
        (["j1", "--executed"], 2, "--intent"),
        (["j1", "--not-executed"], 2, "--intent"),
    ],
)
def test_the_command_reports_why_it_refuses(run, stall, store, cto, words, status, text):
    run("j1", "wallet-1:buy")
    stall("runs")
    before = dump(store)
    code, output = cto(*words)
    assert code == status
    assert text in output
    assert dump(store) == before


def test_the_command_reports_an_unreachable_store(cto, tmp_path_factory):
    status, text = cto("j1", CTO_DATA_DIR=str(tmp_path_factory.mktemp("s")))
    assert status == 1
    assert "the store is not reachable: no system has run in" in text
