"""The ``cto`` command. Each command reads its options and calls the module that does it."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from kombu.exceptions import OperationalError
from redis.exceptions import NoPermissionError, RedisError
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from api.auth.policy import Role
from api.auth.revocations import revoke
from api.auth.tokens import issue
from api.cli import deployment_secrets
from api.cli.demo import PUMPFUN, demo
from api.cli.doctor import examine
from api.cli.gateway_client import Gateway, gateway
from api.cli.labels import GOOD, buys_of, label_of
from api.cli.market import market
from api.cli.options import as_json, at_url, print_table, program
from api.cli.progress_display import ENDED, Bars, Lines, bars, describe, watch
from api.cli.up import up
from cto_worker.config import Settings
from cto_worker.domain.money import to_sol
from cto_worker.domain.request import USER_ID
from cto_worker.errors import CtoError
from cto_worker.jobs.after_restore import park_all_in_time
from cto_worker.jobs.celery_app import celery_app
from cto_worker.observability.heartbeat import ProcessHeartbeat
from cto_worker.observability.metered_journal import MeteredJournal
from cto_worker.observability.metrics import REGISTRY
from cto_worker.store import keys, reconciliation
from cto_worker.store.backup import snapshot
from cto_worker.store.connection import connect
from cto_worker.store.journal import RedisJournal


class _Group(click.Group):
    """Shows our own errors as one message, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except CtoError as error:
            raise click.ClickException(str(error)) from error
        except NoPermissionError as error:
            raise click.ClickException(
                f"the store's user in CTO_REDIS_URL may not do that; a worker's may, so run it there: {error}"
            ) from error
        except (RedisError, OperationalError) as error:
            raise click.ClickException(f"the store is out of reach: {error}") from error


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="cto")
def main() -> None:
    """Run CTO operations and watch them live. Settings are CTO_* environment variables; see the README."""


main.add_command(market)


@main.command("up")
@click.option("--no-flower", is_flag=True, help="Leave Flower out.")
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Worker processes.")
@click.option("--gateways", type=click.IntRange(1, 64), default=1, show_default=True, help="Gateways.")
def _up(*, no_flower: bool, workers: int, gateways: int) -> None:
    """Run the whole system in the foreground until Ctrl-C."""
    sys.exit(up(Settings.from_env(), workers=workers, gateways=gateways, flower=not no_flower))


@main.command("submit")
@click.option("--token", default=PUMPFUN, show_default=True, help="Mint of the token to buy.")
@click.option("--user", default="demo", show_default=True, help="The owner.")
@click.option("--chat", type=int, default=1, show_default=True, help="The owner's Telegram chat.")
@click.option("--mode", default="standard", show_default=True, help="standard or prefunded.")
@click.option("--amount", type=float, default=1.0, show_default=True, help="SOL to spend in all.")
@click.option("--wallets", type=int, help="How many wallets buy (default 5).")
@click.option("--wallet", "addresses", multiple=True, help="An address to buy with; may be repeated.")
@click.option("--platform", help="Where to buy, if it is not to be detected.")
@click.option("--slippage-bps", type=int, help="How far the price may move, in basis points.")
@click.option("--socket-user", help="A second user whose room gets the events.")
@click.option("--idempotency-key", help="The same key starts the same job.")
@click.option("--watch", "then_watch", is_flag=True, help="Show its progress until it ends.")
@as_json
@at_url
def _submit(  # noqa: PLR0913 - one parameter per option
    *,
    token: str,
    user: str,
    chat: int,
    mode: str,
    amount: float,
    wallets: int | None,
    addresses: tuple[str, ...],
    platform: str | None,
    slippage_bps: int | None,
    socket_user: str | None,
    idempotency_key: str | None,
    then_watch: bool,
    as_json: bool,
    url: str | None,
) -> None:
    """Start an operation."""
    optional = {
        "wallets": list(addresses) or None,
        "walletCount": wallets,
        "platform": platform,
        "slippageBps": slippage_bps,
        "socketUserId": socket_user,
    }
    document = {
        "tokenAddress": token,
        "userId": user,
        "userChatId": chat,
        "mode": mode,
        "buyAmount": amount,
        **{name: value for name, value in optional.items() if value is not None},
    }
    headers = {"Idempotency-Key": idempotency_key} if idempotency_key else None
    created = _gateway(url).post("/api/cto/jobs", document, headers)
    if then_watch:
        _show((created["jobId"],), url, as_json=as_json)
    else:
        click.echo(json.dumps(created) if as_json else created["jobId"])


@main.command("watch")
@click.argument("jobs", nargs=-1, required=True, metavar="JOB...")
@as_json
@at_url
def _watch(*, jobs: tuple[str, ...], as_json: bool, url: str | None) -> None:
    """Show the progress of jobs until they end; exit with 1 if one failed."""
    _show(jobs, url, as_json=as_json)


@main.command("jobs")
@click.option("--status", help="waiting, active, completed, failed or needs_review.")
@click.option("--user", help="Only this owner's.")
@click.option("--limit", type=int, default=20, show_default=True, help="At most so many.")
@click.option("--cursor", help="Where the page before said that this one begins.")
@as_json
@at_url
def _jobs(  # noqa: PLR0913 - one parameter per option
    *, status: str | None, user: str | None, limit: int, cursor: str | None, as_json: bool, url: str | None
) -> None:
    """List jobs, newest first."""
    page = _gateway(url).get("/api/cto/jobs", status=status, userId=user, limit=limit, cursor=cursor)
    if as_json:
        click.echo(json.dumps(page))
        return
    rows = [
        (
            job["jobId"],
            job["userId"],
            job["mode"],
            job["platform"],
            f"{job['buyAmount']:g}",
            _state(job),
            buys_of(job["latestProgress"]),
            f"{job['currentProgress']:g}",
        )
        for job in page["jobs"]
    ]
    print_table(("job", "owner", "mode", "platform", "SOL", "status", "buys", "%"), rows)
    if count := sum(job["needsReview"] for job in page["jobs"]):
        click.echo(f"needs review: {count}; `{program()} resolve JOB` shows what is unknown")
    if page["nextCursor"]:
        click.echo(f"more: {program()} jobs --cursor {page['nextCursor']}")


@main.command("cancel")
@click.argument("job")
@as_json
@at_url
def _cancel(*, job: str, as_json: bool, url: str | None) -> None:
    """Stop a job before its next transfer or buy."""
    answer = _gateway(url).post(f"/api/cto/job/{job}/cancel")
    click.echo(json.dumps(answer) if as_json else f"{job} stops before its next transfer or buy")


@main.command("resolve")
@click.argument("job")
@click.option("--intent", help="The unknown intent that you can tell about.")
@click.option("--executed", is_flag=True, help="It was executed.")
@click.option("--not-executed", is_flag=True, help="It was not. Neither can be taken back.")
@as_json
def _resolve(*, job: str, intent: str | None, executed: bool, not_executed: bool, as_json: bool) -> None:
    """Show an ended job's unknown intents, or tell what became of one of them.

    Without one left the job needs nobody any more and leaves the list that
    `cto jobs --status needs_review` shows.
    """
    if executed + not_executed != (intent is not None):
        raise click.UsageError("--intent and one of --executed and --not-executed go together.")
    with connect(Settings.from_env()) as store:
        if intent is not None:
            reconciliation.resolve(store, job, intent, executed=executed)
        unknown = reconciliation.unknown_intents(store, job)
        closed = not unknown and reconciliation.close(store, job)
    if as_json:
        intents = [_unknown_intent(one) for one in unknown]
        click.echo(json.dumps({"jobId": job, "needsReview": bool(unknown), "unknownIntents": intents}))
        return
    if intent is not None:
        click.echo(f"{intent}: {'executed' if executed else 'not executed'}")
    if unknown:
        _show_unknown(job, unknown)
    elif closed or intent is not None:
        click.echo(f"no intent of {job} is unknown: it is off the list")
    else:
        click.echo(f"{job} needs nobody")


@main.command("backup")
def _backup() -> None:
    """Have the store write all that it holds into its file dump.rdb; see docs/operating.md."""
    with connect(Settings.from_env()) as store:
        snapshot(store)
    click.echo("written: dump.rdb in the store's data directory. Copy it to another machine")


@main.command("park")
@click.option(
    "--wait",
    type=click.FloatRange(0, 3_600),
    default=60,
    show_default=True,
    help="Seconds to wait for the store to answer, and for workers to be gone.",
)
@as_json
def _park(*, wait: float, as_json: bool) -> None:
    """End every job that has not ended, as one that needs a person: after a backup was restored.

    Stop every worker before. Nothing is asked of the market, and nothing is sent.
    """
    settings = Settings.from_env()
    with connect(settings) as store, celery_app(settings) as app:
        journal = MeteredJournal(RedisJournal(store, settings))
        try:
            parked = park_all_in_time(store, journal, app, wait)
        finally:
            with suppress(RedisError):
                ProcessHeartbeat(
                    store, "park", REGISTRY, dict
                ).end()  # adds what it has ended to what is counted
        listed = reconciliation.count(store)
    if as_json:
        click.echo(json.dumps({"jobIds": parked}))
        return
    for job_id in parked:
        click.echo(job_id)
    click.echo(f"ended: {len(parked)}" if parked else "no job was left to end")
    if listed:
        click.echo(f"{listed} jobs need a person: `{program()} jobs --status {keys.REVIEW}`")


@main.command("token")
@click.option("--user", required=True, help="Whose token it is: its claim sub.")
@click.option("--role", type=click.Choice([role.value for role in Role]), default="user", show_default=True)
@click.option(
    "--hours", type=click.FloatRange(0, 8_760), default=12, show_default=True, help="How long it lives."
)
def _token(*, user: str, role: str, hours: float) -> None:
    """Print a token signed with CTO_JWT_SECRET, for development."""
    settings = Settings.from_env()
    if not USER_ID.match(user):
        raise click.UsageError("--user must be 1 to 64 letters, digits, or any of _ . : @ + -")
    click.echo(issue(settings, user, Role(role), round(hours * 3_600)))


@main.command("secrets")
@click.argument("directory", type=click.Path(path_type=Path), default=Path("deploy/secrets"))
@click.option(
    "--rights",
    type=click.Path(path_type=Path),
    default=Path("deploy/valkey/users.acl"),
    show_default=True,
    help="What each user of the store may do.",
)
@click.option(
    "--rotate",
    type=click.Choice(sorted(deployment_secrets.ROTATED)),
    multiple=True,
    help="Make this secret anew; may be given several times.",
)
def _secrets(*, directory: Path, rights: Path, rotate: tuple[str, ...]) -> None:
    """Make the passwords of a deployment, once; again, what it lacks and what its store's users may do now.

    After `--rotate store` the store takes the passwords of before as well, until this is run again without.
    See docs/deploying.md, also for what must be restarted.
    """
    for path in deployment_secrets.make(directory, rights, rotate):
        click.echo(f"written: {path}")


@main.command("revoke")
@click.option("--jti", help="Refuse the token with this id.")
@click.option("--user", help="Refuse every token of this user that was issued until now.")
@click.option(
    "--days",
    type=click.IntRange(1, 3_650),
    default=30,
    show_default=True,
    help="How long to remember it: as long as a token lives at most.",
)
def _revoke(*, jti: str | None, user: str | None, days: int) -> None:
    """Cut off whoever holds a token, everywhere and within a second."""
    if bool(jti) == bool(user):
        raise click.UsageError("Give one of --jti and --user.")
    with connect(Settings.from_env()) as store:
        revoke(store, token_id=jti or "", user_id=user or "", keep_s=days * 86_400)
    click.echo(f"refused from now on: {f'the token {jti}' if jti else f'the tokens that {user} has so far'}")


@main.command("doctor")
@as_json
def _doctor(*, as_json: bool) -> None:
    """Check configuration, store, gateway and workers; exit with 1 if something is wrong."""
    wrong = False
    findings = []
    for finding in examine(Settings.from_env()):
        wrong = wrong or not finding.right
        findings.append(asdict(finding))
        if not as_json:
            mark = "WRONG" if not finding.right else "WARN" if finding.warning else "ok"
            click.echo(f"{mark:<5} {finding.check:<14} {finding.text}")
            if finding.mend:
                click.echo(f"{'':<20} → {finding.mend}")
    if as_json:
        click.echo(json.dumps(findings))
    sys.exit(wrong)


@main.command("demo")
@click.option("--keep", is_flag=True, help="Go on running when the operations have ended.")
def _demo(*, keep: bool) -> None:
    """Start everything, run a few operations of both modes, and show them."""
    demo(Console(), keep=keep)


def _unknown_intent(intent: reconciliation.UnknownIntent) -> dict[str, Any]:
    return {
        "intentId": intent.intent_id,
        "description": intent.description,
        "kind": intent.kind,
        "wallet": intent.wallet,
        "lamports": intent.lamports,
        "signature": intent.signature,
    }


def _show_unknown(job: str, unknown: list[reconciliation.UnknownIntent]) -> None:
    table = Table("step", "kind", Column("wallet", overflow="fold"), "SOL")
    for one in unknown:
        table.add_row(one.description, one.kind, one.wallet, f"{to_sol(one.lamports):.9f}")
    Console().print(table)
    click.echo("Ask the market, or an explorer, for each signature; then tell whether it was executed:")
    for one in unknown:  # not in the table, which would break such long words
        click.echo(f"\n{one.signature}\n  {program()} resolve {job} --intent {one.intent_id} --executed")
    click.echo("\nor --not-executed. It cannot be taken back.")


def _state(job: dict[str, Any]) -> Text:
    """Where a job of a list stands: as the list says until it ends, and then what it came to."""
    label, colour = label_of(job["latestProgress"], needs_review=job["needsReview"])
    return Text(label if job["status"] in ENDED else job["status"], style=colour)


def _gateway(url: str | None) -> Gateway:
    return gateway(Settings.from_env(), url)


def _show(job_ids: tuple[str, ...], url: str | None, *, as_json: bool) -> None:
    console = Console()
    if console.is_terminal and not as_json:
        with bars(console) as progress:
            last = watch(_gateway(url), job_ids, Bars(progress))
        for event in last:
            if label_of(event)[1] != GOOD:  # the bar may have had no room for why
                click.echo(describe(event))
    else:
        last = watch(_gateway(url), job_ids, Lines(console, as_json=as_json))
    sys.exit(any(event["status"] == "failed" for event in last))


if __name__ == "__main__":
    main()
