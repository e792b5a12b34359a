"""The commands about jobs on a real system, in terminals of several widths and without one."""

from __future__ import annotations

import csv
import json
import re
import signal
import subprocess

import pytest
from support.cases import check_all
from support.processes import BIN, free_port, inherited_environment, run
from support.samples import MINT, new_user
from support.tcp_proxy import TcpProxy
from support.terminal import in_terminal, plain
from support.tokens import token
from support.waiting import wait_until


@pytest.fixture(scope="module")
def ended(system):
    """The id of a job that has ended, and its owner."""
    owner = new_user()
    job_id = system.submit(userId=owner, mode="standard", walletCount=3)
    assert system.ended(job_id)["status"] == "completed"
    return job_id, owner


@pytest.fixture
def watching(system):
    """Start ``cto watch`` or another command, and end it after the test."""
    started = []

    def watching(*arguments):
        process = subprocess.Popen(
            [BIN / "cto", *arguments],
            env=system.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # A test run in the background ignores SIGINT, and its children too.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        )
        started.append(process)
        return process

    yield watching
    for process in started:
        process.kill()
        process.communicate()


# --- ids


@pytest.mark.parametrize("command", [("show",), ("watch",), ("market", "operation"), ("resolve",)])
def test_a_unique_prefix_of_four_characters_names_a_job(system, ended, command):
    job_id, _ = ended
    length = 4
    others = [
        job["jobId"] for job in system.get("/api/cto/jobs", limit=100)["jobs"] if job["jobId"] != job_id
    ]
    while any(other.startswith(job_id[:length]) for other in others):
        length += 1
    done = system.cto(*command, job_id[:length])
    assert done.returncode == 0, done.stderr
    assert job_id[:8] in done.stdout


def test_an_ambiguous_prefix_lists_the_candidates(system, user):
    named = [f"{user[:20]}-{number}" for number in range(2)]
    for job_id in named:
        celery_send(system, job_id, user)
    for job_id in named:
        wait_until(lambda job_id=job_id: system.cto("show", job_id).returncode == 0)
    done = system.cto("show", user[:20])
    assert done.returncode == 1
    assert f"2 jobs begin with {user[:20]}" in done.stderr
    assert all(job_id in done.stderr for job_id in named)
    assert f"Job {named[0]}" in system.cto("show", named[0]).stdout


def celery_send(system, job_id, user):
    """Send a task by its name, with an id that the caller chooses."""
    from cto_worker.jobs.celery_app import celery_app  # noqa: PLC0415 - as a bot does

    body = {"tokenAddress": MINT, "userId": user, "userChatId": 1, "mode": "prefunded", "buyAmount": 0.1}
    with celery_app(system.settings) as celery:
        celery.send_task("cto_worker.run_operation", args=[body], queue="cto", task_id=job_id)


@pytest.mark.parametrize("text", ["abc", "no-such-job", "0" * 36])
def test_an_unknown_id_is_an_error(system, text):
    done = system.cto("show", text)
    assert done.returncode == 1
    assert "job_not_found" in done.stderr


def test_a_shell_completes_job_ids_and_values_of_options(system, ended):
    job_id, _ = ended
    words = {"_CTO_COMPLETE": "bash_complete", "COMP_CWORD": "2"}

    def completed(line):
        done = run([BIN / "cto"], system.env | words | {"COMP_WORDS": line})
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    assert f"plain,{job_id}" in completed(f"cto show {job_id[:6]}")
    words["COMP_CWORD"] = "3"
    assert "plain,needs_review" in completed("cto jobs --status n")
    script = system.cto("completion", "bash").stdout
    assert "_CTO_COMPLETE=bash_complete" in script
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0


# --- show


def test_a_shown_job_has_every_step_with_its_signature_and_every_event_with_its_time(system, ended):
    job_id, owner = ended
    status = system.get(f"/api/cto/job/{job_id}/status")
    text = system.cto("show", job_id).stdout
    for words in (job_id, owner, MINT, "outcome    full", "buys       3/3", "SOL, fees included"):
        assert words in text
    steps = status["operationResult"]["steps"]
    assert len(steps) == 6
    for step in steps:
        assert f"\n    {step['signature']}\n" in text
        assert step["wallet"] in text
    assert len(re.findall(r"^  transfer   confirmed  fees 0.000005 SOL$", text, re.MULTILINE)) == 3
    buys = re.findall(r"^  buy        confirmed  spent [\d.]+ SOL, [\d,]+ base units$", text, re.MULTILINE)
    assert len(buys) == 3
    events = re.findall(r"^  \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}  +(\d+)  run \d", text, re.MULTILINE)
    assert list(map(int, events)) == [event["seq"] for event in status["progressEvents"]]
    assert json.loads(system.cto("show", job_id, "-o", "json").stdout) == status


def test_a_failed_job_is_shown_with_its_reason(system, user):
    job_id = system.submit(userId=user, buyAmount=5_000)
    details = system.ended(job_id)["latestProgress"]["details"]
    text = system.cto("show", job_id).stdout
    assert f"error      {details['errorCode']}: {details['error']}" in text
    assert "buys       not planned yet" in text


# --- jobs


@pytest.mark.parametrize(
    ("columns", "shown", "left_out"),
    [
        (40, {"job", "outcome", "buys", "age"}, {"mode", "token", "duration"}),
        (80, {"job", "owner", "SOL", "outcome", "buys", "age"}, {"mode"}),
        (200, {"job", "owner", "token", "mode", "outcome", "buys", "age", "duration", "error"}, set()),
    ],
)
def test_a_list_fits_the_terminal(system, ended, columns, shown, left_out):
    job_id, owner = ended
    status, output = in_terminal(system.env, "jobs", "--user", owner, columns=columns)
    heading, row = plain(output)
    assert status == 0
    assert len(heading) <= columns
    assert len(row) <= columns
    assert shown <= set(heading.split())
    assert not left_out & set(heading.split())
    for words in (job_id[:8], "completed", "3/3"):
        assert words in row
    assert re.search(r" \d+[smh]\b", row), "its age"


def test_a_pipe_gets_full_ids_and_all_columns(system, ended):
    job_id, owner = ended
    heading, row = system.cto("jobs", "--user", owner).stdout.splitlines()
    assert row.split()[0] == job_id
    assert {"owner", "token", "created", "duration", "error"} <= set(heading.split())
    assert MINT in row


def test_an_empty_list_says_so(system, user):
    assert system.cto("jobs", "--user", user).stdout == "no jobs\n"


def test_only_given_filters_are_sent(system, ended):
    job_id, owner = ended
    page = json.loads(system.cto("jobs", "--user", owner, "--status", "completed", "-o", "json").stdout)
    assert [job["jobId"] for job in page["jobs"]] == [job_id]
    assert system.cto("jobs", "--status", "nonsense").returncode == 2
    assert "24h" in system.cto("jobs", "--from", "yesterday").stderr


def test_filters_are_combined(system, ended):
    job_id, owner = ended
    step = system.get(f"/api/cto/job/{job_id}/status")["operationResult"]["steps"][-1]
    matching = {
        "--status": "completed",
        "--outcome": "full",
        "--token": MINT,
        "--wallet": step["wallet"],
        "--signature": step["signature"],
        "--mode": "standard",
        "--platform": "raydium",
        "--from": "1h",
        "--to": "2099-01-01",
    }
    other = {
        "--status": "failed",
        "--outcome": "partial",
        "--token": MINT[:-1] + "3",
        "--wallet": MINT,
        "--signature": "none",
        "--mode": "prefunded",
        "--platform": "bonk",
        "--from": "2099-01-01T00:00:00Z",
        "--to": "1h",
        "--error": "cancelled",
        "--needs-review": None,
    }

    def found(filters):
        words = [word for option in filters.items() for word in option if word is not None]
        done = system.cto("jobs", "--user", owner, "-o", "json", *words)
        assert done.returncode == 0, done.stderr
        return [job["jobId"] for job in json.loads(done.stdout)["jobs"]]

    def finds_nothing(filters):
        assert found(filters) == []

    assert found(matching | {"--no-needs-review": None}) == [job_id]
    check_all([(name, ({name: value},)) for name, value in other.items()], finds_nothing)


def test_all_matching_jobs_are_exported(system, user):
    job_ids = [system.submit(userId=user, walletCount=1) for _ in range(3)]
    for job_id in job_ids:
        assert system.ended(job_id)["status"] == "completed"
    done = system.cto("jobs", "--user", user, "--csv", "--limit", "1")
    rows = list(csv.DictReader(done.stdout.splitlines()))
    assert [row["jobId"] for row in rows] == job_ids[::-1]
    assert {row["outcome"] for row in rows} == {"full"}
    refused = system.cto("jobs", "--token", "nonsense", "--csv")
    assert (refused.returncode, "invalid_query" in refused.stderr) == (1, True)


# --- watch


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_the_result_is_printed_in_full_below_the_bar(system, ended, columns):
    job_id, _ = ended
    status, output = in_terminal(system.env, "watch", job_id, columns=columns)
    assert status == 0
    lines = plain(output)
    assert re.fullmatch(rf"{job_id[:8]} completed: 3 buys succeeded, 0 failed; [\d.]+ SOL spent", lines[-1])
    bar = next(line for line in reversed(lines) if "━" in line)
    assert "100 %" in bar
    assert len(bar) <= columns


def test_the_newest_job_is_watched(system, ended, user):
    job_id, owner = ended
    assert f"{job_id[:8]} 100.00 %" in system.cto("watch", "--last", "--user", owner).stdout
    assert "no job of" in system.cto("watch", "--last", "--user", user).stderr
    for options in ([], ["--all", "--last"], [job_id, "--all"]):
        assert system.cto("watch", *options).returncode == 2


def test_a_watch_says_that_its_connection_is_lost_and_back(system, user, watching):
    proxy = TcpProxy(system.settings.port)
    try:
        process = watching("watch", "--user", user, "--url", proxy.url)
        wait_until(lambda: system.is_followed(f"user_{user}"))
        proxy.refuse("socket.io")
        assert process.stdout.readline() == f"lost the connection to {proxy.url}: connecting again\n"
        proxy.refuse()
        assert process.stdout.readline() == f"connected to {proxy.url} again\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert "lost" not in process.stdout.read(), "the end of the watch is no loss"
    finally:
        proxy.close()


@pytest.mark.parametrize("whose", ["--user", "--all"])
def test_all_jobs_of_a_room_are_watched_until_the_interruption(system, user, watching, whose):
    process = watching("watch", "--json", whose, *([user] if whose == "--user" else []))
    wait_until(lambda: system.is_followed(f"user_{user}" if whose == "--user" else "admin_launches"))
    events = {system.submit(userId=user, mode="standard", walletCount=3): [] for _ in range(2)}
    ends = 0
    while ends < 2:
        event = json.loads(process.stdout.readline())
        if event["jobId"] in events:
            events[event["jobId"]].append(event["seq"])
            ends += event["status"] in {"completed", "failed"}
    for job_id, seqs in events.items():
        assert seqs == [event["seq"] for event in system.events(job_id)], "no hole and no repeat"
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    assert "The operations continue" in process.stdout.read()


def test_the_room_of_another_user_is_refused(guarded):
    env = {"CTO_TOKEN": token("A")}
    for options, reason in ((["--user", "B"], "forbidden"), (["--all"], "forbidden")):
        done = run([BIN / "cto", "watch", *options], guarded.env | env)
        assert done.returncode == 1
        assert reason in done.stderr


def test_an_interrupted_watch_says_that_the_operation_continues(system, user, watching):
    process = watching("submit", "--watch", "--user", user, "--wallets", "40", "--url", system.url)
    assert "Waiting for a worker" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    output = process.stdout.read()
    (job,) = system.get("/api/cto/jobs", userId=user)["jobs"]
    assert "The operation continues" in output
    assert f"cto watch {job['jobId']} --url {system.url}\n" in output
    assert system.ended(job["jobId"])["status"] == "completed"


# --- confirmation


def test_a_submission_asks_in_a_terminal_only(system, user):
    status, output = in_terminal(system.env, "submit", "--user", user, typed="n\n")
    assert status == 1
    assert f"for 1 SOL of user {user} at {system.url}?" in output
    assert system.get("/api/cto/jobs", userId=user)["jobs"] == []
    assert in_terminal(system.env, "submit", "--user", user, typed="y\n")[0] == 0
    assert in_terminal(system.env, "submit", "--user", user, "--yes")[0] == 0
    assert system.cto("submit", "--user", user).returncode == 0
    assert len(system.get("/api/cto/jobs", userId=user)["jobs"]) == 3


def test_a_cancellation_asks_in_a_terminal_only(launch):
    system = launch("--no-flower", CTO_PAPER_LATENCY_MS="3000", CTO_OPERATION_PARALLELISM="1").ready()
    job_id = system.submit(mode="standard", walletCount=10)
    status, output = in_terminal(system.env, "cancel", job_id, typed="n\n")
    assert (status, f"Cancel {job_id}?" in output) == (1, True)
    assert system.get(f"/api/cto/job/{job_id}/status")["status"] in {"waiting", "active"}
    assert system.cto("cancel", job_id[:12]).returncode == 0
    assert system.ended(job_id)["latestProgress"]["details"]["errorCode"] == "cancelled"
    assert "  status     cancelled\n" in system.cto("show", job_id).stdout
    assert " cancelled " in system.cto("jobs").stdout
    assert "failed" not in system.cto("jobs").stdout
    watched = system.cto("watch", job_id)
    assert (watched.returncode, "cancelled: Cancelled on request\n" in watched.stdout) == (1, True)
    assert json.loads(system.cto("show", job_id, "-o", "json").stdout)["status"] == "failed"


@pytest.mark.parametrize("command", [("market", "reset"), ("park",)])
def test_a_command_that_cannot_be_undone_is_refused_without_a_terminal(system, command):
    done = system.cto(*command)
    assert done.returncode == 1
    assert "repeat it with --yes" in done.stderr
    status, output = in_terminal(system.env, *command, typed="n\n")
    assert status == 1
    assert "cannot be undone. [y/N]" in output


# --- output


def test_no_color_removes_every_style(system, ended):
    job_id, owner = ended
    for command in (("jobs", "--user", owner), ("show", job_id), ("doctor",)):
        assert "\x1b[" in in_terminal(system.env, *command)[1], command
        assert "\x1b[" not in in_terminal(system.env, *command, NO_COLOR="1")[1], command


# --- profiles


@pytest.fixture
def cto(tmp_path):
    """Run a command with the saved profiles of this test, and no settings of a system."""
    env = inherited_environment() | {"XDG_CONFIG_HOME": str(tmp_path)}

    def cto(*arguments, typed="", **settings):
        return run([BIN / "cto", *arguments], env | settings, typed=typed)

    return cto


def test_a_saved_gateway_is_used_with_its_token(guarded, cto, tmp_path):
    of_user = token("A")
    done = cto("login", "--url", guarded.url, typed=f"{of_user}\n")
    assert done.returncode == 0, done.stderr
    (file,) = tmp_path.rglob("*.toml")
    assert file.stat().st_mode & 0o777 == 0o600
    submitted = cto("submit", "--user", "A", "--watch")
    assert submitted.returncode == 0, submitted.stderr
    assert "forbidden" in cto("submit", "--user", "B").stderr
    assert of_user not in cto("profiles").stdout
    assert "forbidden" in cto("submit", "--user", "A", CTO_TOKEN=token("B")).stderr, "CTO_TOKEN comes first"
    assert "no gateway" in cto("jobs", CTO_PORT=str(free_port())).stderr, "CTO_PORT comes before the default"
    named = cto("jobs", "--profile", "default", CTO_PORT=str(free_port()))
    assert named.returncode == 0, "an option comes before the environment"
    assert "unauthorized" in cto("jobs", "--url", guarded.url).stderr, "the token is sent to its gateway only"


def test_a_gateway_that_refuses_the_token_is_not_saved(guarded, cto, tmp_path):
    done = cto("login", "--url", guarded.url, typed="garbage\n")
    assert done.returncode == 1
    assert "invalid_token" in done.stderr
    assert not list(tmp_path.rglob("*.toml"))


def test_a_login_without_an_address_uses_that_of_the_other_commands(guarded, cto):
    def urls():
        return {row["profile"]: row["url"] for row in json.loads(cto("profiles", "--json").stdout)}

    port = {"CTO_PORT": guarded.url.rpartition(":")[2]}
    assert cto("login", typed=token("A") + "\n", **port).returncode == 0
    assert urls() == {"default": guarded.url}
    assert cto("login", "--profile", "b", typed=token("B") + "\n", **port).returncode == 0
    for arguments in ((), ("--profile", "b")):
        renewed = cto("login", *arguments, typed=token("A") + "\n")
        assert renewed.returncode == 0, renewed.stderr
    assert urls() == {"default": guarded.url, "b": guarded.url}
    other = str(free_port())
    assert f"no gateway at http://127.0.0.1:{other}" in cto("login", CTO_PORT=other).stderr
    cto("login", "--profile", "new", typed=token("A") + "\n")
    assert urls().get("new") != guarded.url, "a token for a new profile is not sent to a saved gateway"


def test_several_profiles_and_a_token_command(guarded, cto, tmp_path):
    secret = tmp_path / "token"
    secret.write_text(token("A"))
    assert (
        cto("login", "--url", guarded.url, "--profile", "a", "--token-command", f"cat {secret}").returncode
        == 0
    )
    assert cto("login", "--url", guarded.url, "--profile", "b", typed=token("B") + "\n").returncode == 0
    names = {row["profile"]: row["default"] for row in json.loads(cto("profiles", "--json").stdout)}
    assert names == {"a": False, "b": True}
    assert cto("submit", "--user", "A", "--profile", "a").returncode == 0
    assert "forbidden" in cto("submit", "--user", "A").stderr
    assert cto("profiles", "--use", "a").returncode == 0
    assert cto("submit", "--user", "A").returncode == 0
    secret.write_text("expired")
    assert "invalid_token" in cto("jobs").stderr, "the command is run again"
    secret.unlink()
    assert "token_command failed" in cto("jobs").stderr
    assert cto("logout", "--profile", "a").returncode == 0
    assert [row["profile"] for row in json.loads(cto("profiles", "--json").stdout)] == ["b"]
    assert "no profile 'a'" in cto("jobs", "--profile", "a").stderr


# --- the paper market


def test_a_deposit_and_the_costs_of_an_operation_are_shown(system, ended):
    job_id, owner = ended
    before = json.loads(system.cto("market", "wallets", "--user", owner, "--json").stdout)
    assert system.cto("market", "deposit", "--user", owner, "--amount", "2.5").returncode == 0
    after = json.loads(system.cto("market", "wallets", "--user", owner, "--json").stdout)
    assert after[0]["lamports"] - before[0]["lamports"] == 2_500_000_000
    costs = json.loads(system.cto("market", "operation", job_id, "--json").stdout)
    spent = system.get(f"/api/cto/job/{job_id}/status")["operationResult"]["totalSpent"]
    assert costs["spent"] == round(spent * 1e9)
    assert costs["counts"] == {"transfer": 3, "buy": 3}
    text = system.cto("market", "operation", job_id).stdout
    assert f"{'spent':<16}{spent:>16.9f} SOL" in text
    assert system.cto("market", "operation", "no-such-job").returncode == 1


def test_a_reset_leaves_a_ledger_that_balances(launch):
    system = launch("--no-flower").ready()
    assert system.ended(system.submit())["status"] == "completed"
    assert system.cto("market", "reset", "--yes").returncode == 0
    booked = json.loads(system.cto("market", "ledger", "--json").stdout)
    assert booked["balanced"]
    assert booked["entries"][-1]["kind"] == "reset"
    assert system.ended(system.submit())["status"] == "completed"
    assert system.cto("market", "ledger").returncode == 0


def test_an_empty_idempotency_key_starts_no_operation(system):
    user = new_user()
    refused = system.cto("submit", "--yes", "--user", user, "--idempotency-key", "")
    assert refused.returncode == 1
    assert "invalid_idempotency_key" in refused.stderr
    assert system.get("/api/cto/jobs", userId=user)["jobs"] == []
