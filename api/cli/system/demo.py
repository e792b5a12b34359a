"""``cto demo``: a temporary system that runs a few operations of both modes, and shows their progress."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from redis.exceptions import RedisError
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from api.cli.job_watcher import watch
from api.cli.program_name import program
from api.cli.rest_client import GatewayError, RestClient
from api.cli.system.demo_market import USER_ID, DemoError, audit
from api.cli.system.demo_settings import demo_environment
from api.cli.system.demo_tokens import demo_tokens, market_prefix, uses_local_chain
from api.cli.system.process_supervisor import die_with_parent, handled
from api.cli.terminal.amount_format import sol
from api.cli.terminal.job_state_labels import buys_of, label_of
from api.cli.terminal.progress_display import Bars, Lines, bars, text_of
from cto_worker.config import Settings
from cto_worker.observability.heartbeat_reader import running_processes
from cto_worker.store.store_connection import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis
    from rich.console import Console

READY_S = 60.0
STOP_S = 30.0
POLL_S = 0.1

USER = {"userId": USER_ID, "userChatId": 1}
Operation: TypeAlias = tuple[dict[str, Any], str | None]


def operations(settings: Settings) -> list[Operation]:
    """Return the operations, each with its expected ``errorCode``; ``None``: it must succeed."""
    pumpfun, bonk, raydium = demo_tokens(settings)
    # Two operations buy this token at the same time. Each raises the price for the other.
    pumpfun_buys = {"tokenAddress": pumpfun, "slippageBps": 3_000}
    return [
        (pumpfun_buys | {"mode": "standard", "buyAmount": 2.5, "walletCount": 5}, None),
        ({"tokenAddress": bonk, "mode": "prefunded", "buyAmount": 1.2, "walletCount": 8}, None),
        ({"tokenAddress": raydium, "mode": "standard", "buyAmount": 0.6, "walletCount": 3}, None),
        (pumpfun_buys | {"mode": "prefunded", "buyAmount": 0.9, "walletCount": 3}, None),
        (
            {"tokenAddress": bonk, "mode": "standard", "buyAmount": 5_000, "walletCount": 5},
            "insufficient_funds",
        ),
    ]


def demo(console: Console, *, keep: bool = False) -> None:
    """Run the demonstration. Raises :class:`DemoError` if a result differs from the expected one.

    With ``keep`` the system continues to run until Ctrl-C. SIGTERM and a closed terminal also stop it.
    """
    # SystemExit runs every ``finally``. Under nohup, SIGHUP is ignored.
    ending = [each for each in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(each) != signal.SIG_IGN]
    with (
        handled(ending, lambda number: sys.exit(128 + number)),
        tempfile.TemporaryDirectory(prefix="cto-demo-") as directory,
    ):
        environ = demo_environment(directory, os.environ)
        environ["CTO_PORT"] = environ.get("CTO_PORT") or str(_port(3000))
        environ["CTO_LOCAL_CHAIN_PORT"] = environ.get("CTO_LOCAL_CHAIN_PORT") or str(_port(8899))
        settings = Settings.from_env(environ)
        chain = "a local chain, signer, " if uses_local_chain(settings) else ""
        console.print(f"Starting {chain}store, worker and gateway …")
        with _system(environ, settings):
            console.print(f"Console, while this runs: [bold]{settings.base_url}/[/]\n")
            _run_operations(console, RestClient(settings.base_url), operations(settings))
            console.print(audit(settings))
            if keep:
                console.print(f"The system keeps running at [bold]{settings.base_url}/[/]; Ctrl-C stops it.")
                _wait_for_interrupt()
    cto = escape(program())
    console.print("Next: keep a system running, and start an operation on it from another terminal:")
    market = market_prefix(settings)
    console.print(f"  [bold]CTO_AUTH=off {market}{cto} up[/]", soft_wrap=True, highlight=False)
    console.print(f"  [bold]{market}{cto} submit --watch[/]", soft_wrap=True, highlight=False)


def _run_operations(console: Console, gateway: RestClient, planned: list[Operation]) -> None:
    job_ids = [gateway.post("/api/cto/jobs", USER | body)["jobId"] for body, _ in planned]
    if console.is_terminal:
        with bars(console) as progress:
            last = watch(gateway, job_ids, Bars(progress))
    else:
        last = watch(gateway, job_ids, Lines(console))
    console.print(_summary(last, planned))
    for event, (_, expected) in zip(last, planned, strict=True):
        details = event.get("details", {})
        if details.get("errorCode") != expected:
            wanted, got = _result(expected), _result(details.get("errorCode"))
            raise DemoError(f"job {event['jobId']}: expected {wanted}, got {got}: {text_of(event)}")


def _result(code: str | None) -> str:
    return f"the error {code}" if code else "success"


def _summary(last: list[dict[str, Any]], planned: list[Operation]) -> Table:
    table = Table("job", "mode", "platform", "SOL", "result", "buys", "spent")
    for event, (_, expected) in zip(last, planned, strict=True):
        details = event.get("details", {})
        code, (label, colour) = details.get("errorCode"), label_of(event)
        table.add_row(
            event["jobId"][:8],
            event["mode"],
            event["platform"],
            sol(event["buyAmount"]),
            Text(f"failed: {code}, as expected" if code and code == expected else code or label, colour),
            buys_of(event).replace("/", " of "),
            f"{details.get('totalSpent', 0):.6f}",
        )
    return table


@contextmanager
def _system(environ: dict[str, str], settings: Settings) -> Iterator[None]:
    """Run ``cto up`` while the block runs. Its output is shown only if it does not start."""
    log = Path(environ["CTO_DATA_DIR"]) / "up.log"
    command = [sys.executable, "-m", "api.cli.main", "up", "--no-flower"]
    with log.open("wb") as output:
        child = subprocess.Popen(  # noqa: S603 - ourselves
            command,
            env=environ,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - no threads yet
        )
    try:
        _wait_until_ready(child, settings, log)
        yield
    finally:
        child.terminate()
        try:
            child.wait(STOP_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _wait_until_ready(child: subprocess.Popen[bytes], settings: Settings, log: Path) -> None:
    deadline_s = time.monotonic() + READY_S
    # One connection for all polls: if a signal raises SystemExit while a closed connection is finalized,
    # Python ignores it.
    with connect(settings, 1, retry_timeouts=False) as store:
        gateway = RestClient(settings.base_url)
        while not is_ready(store, gateway):
            if child.poll() is not None or time.monotonic() > deadline_s:
                raise DemoError(f"the system did not start:\n{log.read_text()}")
            time.sleep(POLL_S)


def is_ready(store: Redis, gateway: RestClient) -> bool:
    """Return whether this system's gateway answers, and not that of another system at the same port."""
    try:
        started = bool(running_processes(store, "gateway"))
        gateway.get("/readyz")
    except (RedisError, GatewayError):
        return False
    return started


def _port(wanted: int) -> int:
    """Return the wanted port if it is free, or else another free port."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise DemoError("no free port on 127.0.0.1")


def _wait_for_interrupt() -> None:
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        return
