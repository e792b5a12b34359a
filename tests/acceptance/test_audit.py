"""Every call that changes something is in the audit log: over REST, on sockets, and by command."""

from __future__ import annotations

import getpass
import json
import socket
import sqlite3

import click
import pytest
import requests
from support.deployment import ROOT
from support.samples import operation
from support.system import SplitSystem
from support.tokens import GUARDED, bearer, token
from support.waiting import wait_until

from api.cli.command_group import commands_of
from api.cli.main import main
from api.spec import asyncapi, openapi

USER, ADMIN = token("7"), token("boss", role="admin")
METHODS = {"post", "put", "patch", "delete"}
# Commands without an entry. `submit` and `cancel` change something, over REST.
CHANGE_NOTHING = {
    "watch", "show", "jobs", "token", "doctor", "audit", "audit verify",
    "market wallets", "market ledger", "market operation", "market chain",
    "login", "logout", "profiles", "completion",  # change files of their user only
    "up", "demo",  # run a system, whose calls have their own entries
    "local-chain",  # play money of one machine, in a database of its own
}  # fmt: skip
# The signer must not have access to the store: its commands enter their changes in a log of its own database,
# which `cto signer changes` lists (tests/integration/signer/test_signer_process.py).
SIGNER = {
    "signer run", "signer create-key", "signer generate", "signer import", "signer list", "signer rotate",
    "signer changes", "signer backup",
}  # fmt: skip
# Messages of sockets change only what their connection receives.
SOCKET_MESSAGES = {"join_room", "leave_room", "resume", "auth_refresh", "join", "leave", "auth", "ping"}


@pytest.fixture(scope="module")
def audited():
    """A system whose orders have no known outcome, with a gateway and no worker yet."""
    system = SplitSystem(
        **GUARDED, CTO_PAPER_SILENT_RATE="1", CTO_PAPER_TIMEOUT_MS="200", CTO_PAPER_LATENCY_MS="10"
    )
    try:
        system.gateway()
        yield system
    finally:
        system.close()


def listed(system, **query):
    response = requests.get(
        f"{system.url}/api/cto/audit", params={"limit": 500, **query}, headers=bearer(ADMIN), timeout=10
    )
    assert response.ok, response.text
    return response.json()["data"]


def entries(system):
    return listed(system)["entries"][::-1]


class Watch:
    """The entries that a call appends."""

    def __init__(self, system):
        self.system = system
        self.known = {entry["number"] for entry in entries(system)}

    def entry(self, action, **fields):
        """Return the only new entry; an entry that jobs need is not counted."""
        new = [entry for entry in entries(self.system) if entry["number"] not in self.known]
        job_id = fields.get("jobId")
        (found,) = [each for each in new if each["action"] == action and job_id in {None, each["jobId"]}]
        assert {name: found[name] for name in fields} == fields
        return found


def post(system, path, body=None, text=USER, status=(200, 202)):
    response = requests.post(system.url + path, json=body, headers=bearer(text), timeout=10)
    assert response.status_code in status, response.text
    return response.json().get("data")


def submitted(system, **changes):
    return post(system, "/api/cto/jobs", operation(walletCount=1, **changes))["jobId"]


def for_review(system):
    """Return a job that needs review, and its only unknown intent. Starts a worker for it."""
    if not any(worker.alive for worker in system.workers):
        system.worker()
    job_id = submitted(system)
    path = f"{system.url}/api/cto/job/{job_id}"
    get = lambda part: requests.get(f"{path}/{part}", headers=bearer(ADMIN), timeout=10).json()  # noqa: E731
    wait_until(lambda: get("status")["data"]["needsReview"])
    (intent,) = get("review")["data"]["unknownIntents"]
    return job_id, intent["intentId"]


def submit_job(system):
    watch = Watch(system)
    job_id = submitted(system)
    found = watch.entry("job.submit", jobId=job_id, actor="7", role="user", address="127.0.0.1", before=None)
    assert (found["after"]["status"], found["after"]["buyAmount"]) == ("waiting", 0.05)


def cancel_job(system):
    job_id = submitted(system)
    watch = Watch(system)
    for _ in range(2):
        post(system, f"/api/cto/job/{job_id}/cancel", text=ADMIN, status=(202, 409))
    watch.entry(
        "job.cancel",
        jobId=job_id,
        actor="boss",
        role="admin",
        before={"status": "waiting", "cancelRequested": False},
        after={"cancelRequested": True},
    )


def resolve_job(system):
    job_id, intent_id = for_review(system)
    watch = Watch(system)
    body = {"intentId": intent_id, "executed": True, "spent": 0.05, "tokens": 9}
    post(system, f"/api/cto/job/{job_id}/resolve", body, ADMIN)
    watch.entry(
        "job.resolve",
        jobId=job_id,
        target=intent_id,
        actor="boss",
        before={"status": "unknown"},
        after={"status": "confirmed", "spentLamports": 50_000_000, "tokens": 9},
    )


CALLS = {"submitJob": submit_job, "cancelJob": cancel_job, "resolveJob": resolve_job}


def by_operator(action, *arguments, system, **fields):
    """Run a command that uses the store, and check its entry."""
    watch = Watch(system)
    done = system.cto(*arguments)
    assert done.returncode == 0, done.stderr
    host = socket.gethostname()
    return watch.entry(action, actor=getpass.getuser(), role="operator", address=host, **fields)


def cto_submit(system):
    watch = Watch(system)
    job_id = system.cto("submit", "--user", "7").stdout.strip()
    watch.entry("job.submit", jobId=job_id, actor="cto", role="service")


def cto_cancel(system):
    job_id = submitted(system)
    watch = Watch(system)
    assert system.cto("cancel", job_id).returncode == 0
    watch.entry("job.cancel", jobId=job_id, actor="cto", role="service")


def cto_resolve(system):
    job_id, intent_id = for_review(system)
    command = ("resolve", job_id, "--intent", intent_id, "--not-executed", "--yes")
    by_operator("job.resolve", *command, system=system, jobId=job_id, target=intent_id)


def cto_park(system):
    job_id = submitted(system)
    system.cto("cancel", submitted(system))
    found = by_operator("job.park", "park", "--yes", system=system, jobId=job_id)
    assert (found["before"], found["after"]["needsReview"]) == ({"status": "waiting"}, True)


def cto_secrets(system):
    command = ("secrets", str(system.directory / "secrets"), "--rights", str(RIGHTS), "--rotate", "grafana")
    by_operator("secrets.write", *command, system=system, after={"rotated": ["grafana"]})


RIGHTS = ROOT / "deploy" / "valkey" / "users.acl"
COMMANDS = {
    "submit": cto_submit,
    "cancel": cto_cancel,
    "resolve": cto_resolve,
    "park": cto_park,
    "secrets": cto_secrets,
    "backup": lambda system: by_operator("store.backup", "backup", system=system),
    "market deposit": lambda system: by_operator(
        "market.deposit",
        "market",
        "deposit",
        "--user",
        "7",
        "--amount",
        "2",
        system=system,
        target="7",
        after={"lamports": 2 * 10**9, "wallet": ""},
    ),
    "market reset": lambda system: by_operator("market.reset", "market", "reset", "--yes", system=system),
    "migrate": lambda system: by_operator("archive.migrate", "migrate", system=system),
    "revoke": lambda system: by_operator(
        "token.revoke", "revoke", "--user", "somebody", system=system, target="user:somebody"
    ),
}
WITH_WORKER = {"resolveJob", "resolve"}  # the last calls, because `cto park` refuses while a worker runs


def commands(command, path=()):
    """Yield the names of all commands, and of the groups that do something themselves."""
    if isinstance(command, click.Group):
        if command.invoke_without_command:
            yield " ".join(path)
        for name, inner in commands_of(command).items():
            yield from commands(inner, (*path, name))
    else:
        yield " ".join(path)


def test_every_call_of_rest_that_changes_something_is_known():
    calls = {
        operation["operationId"]
        for methods in openapi.document()["paths"].values()
        for method, operation in methods.items()
        if method in METHODS
    }
    assert calls == set(CALLS), "add each new call here, and let it append an entry"


def test_every_command_is_known():
    names = set(commands(main))
    assert names == set(COMMANDS) | CHANGE_NOTHING | SIGNER, (
        "add each new command here; if it changes something, an entry"
    )


def test_every_message_of_a_socket_is_known():
    received = {
        name.partition("_")[2]
        for name, operation in asyncapi.document()["operations"].items()
        if operation["action"] == "receive"
    }
    assert received <= SOCKET_MESSAGES, "a message that changes more than its connection needs an entry"


CASES = {**CALLS, **{f"cto {name}": check for name, check in COMMANDS.items()}}
ORDERED = sorted(CASES, key=lambda name: name.removeprefix("cto ") in WITH_WORKER)


def test_each_change_has_one_entry_and_the_log_is_verified(audited):
    """One test, because the entries of the changes are what is listed and verified."""
    for name in ORDERED:
        try:
            CASES[name](audited)
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from error
    check_lists(audited)
    check_verification(audited)


def printed_by(system, *command):
    done = system.cto(*command)
    assert done.returncode == 0, done.stderr
    return done.stdout


def check_lists(audited):
    first = listed(audited, action="job.cancel", limit=1)
    assert [entry["action"] for entry in first["entries"]] == ["job.cancel"]
    following = listed(audited, action="job.cancel", cursor=first["nextCursor"])
    numbers = [entry["number"] for entry in [*first["entries"], *following["entries"]]]
    printed = json.loads(printed_by(audited, "audit", "--json", "--action", "job.cancel"))
    assert numbers == [entry["number"] for entry in printed]
    everything = entries(audited)
    assert [entry["number"] for entry in everything] == list(range(1, len(everything) + 1))
    shown = printed_by(audited, "audit", "--actor", "boss", "--from", "1h")
    assert "job.resolve" in shown
    assert "token.revoke" not in shown
    assert "job.resolve" not in printed_by(audited, "audit", "--to", "1h")
    job_id = first["entries"][0]["jobId"]
    of_job = json.loads(printed_by(audited, "audit", "--json", "--job", job_id[:12]))
    assert {entry["jobId"] for entry in of_job} == {job_id}
    misspelt = requests.get(
        f"{audited.url}/api/cto/audit", params={"action": "job.cancl"}, headers=bearer(ADMIN), timeout=10
    )
    assert (misspelt.status_code, misspelt.json()["error"]["code"]) == (400, "invalid_query")
    intact = audited.cto("audit", "verify")
    assert (intact.returncode, intact.stdout.partition(":")[0]) == (0, "intact")


def check_verification(audited):
    """The worker has moved the entries to the archive."""
    path = audited.settings.archive_path
    with sqlite3.connect(path) as database:
        wait_until(lambda: database.execute("SELECT count(*) FROM audit_entries").fetchone()[0] >= 3)
        statement = (
            "UPDATE audit_entries SET content = replace(content, '127.0.0.1', '10.0.0.1') WHERE number = 3"
        )
        database.execute(statement)
    found = audited.cto("audit", "verify", "--json")
    assert found.returncode == 1
    assert json.loads(found.stdout)["problems"] == ["entry 3 was modified in the archive"]
