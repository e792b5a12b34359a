"""The view of one job: its state, the steps of each wallet, and its events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.text import Text

from api.cli.terminal.amount_format import sol
from api.cli.terminal.job_state_labels import (
    BAD,
    CANCELLED,
    ENDED,
    GOOD,
    WARNING,
    buys_of,
    short_label_of,
)
from api.cli.terminal.progress_display import text_of
from api.cli.terminal.time_format import exact_duration, local_time, time_zone

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

STATE_COLOURS = {"confirmed": GOOD, "failed": BAD, "unknown": WARNING}
LABEL_WIDTH = 11
INDENT = " " * 2


def print_job(console: Console, job: dict[str, Any]) -> None:
    """Print a job from the response of ``GET /api/cto/job/<jobId>/status``. Long lines wrap."""
    console.print(f"Job {job['jobId']}", style="bold", soft_wrap=True)
    for label, value in _facts(job):
        console.print(f"{INDENT}{label:<{LABEL_WIDTH}}", value, sep="", soft_wrap=True)
    for index, (wallet, steps) in enumerate(_steps_by_wallet(job).items(), 1):
        console.print(f"\nWallet {index}  {wallet}", style="bold", soft_wrap=True)
        for line in _wallet_lines(job, wallet, steps):
            console.print(line, soft_wrap=True)
    console.print("\nEvents", style="bold")
    for event in job["progressEvents"]:
        console.print(f"{INDENT}{_event_line(event)}", soft_wrap=True)


def _facts(job: dict[str, Any]) -> Iterator[tuple[str, str | Text]]:
    """Yield pairs of label and value."""
    first, latest = job["progressEvents"][0], job["latestProgress"]
    result, details = job["operationResult"] or {}, latest.get("details", {})
    yield "status", Text(*_state(job))
    yield "outcome", job["outcome"] or "not known before the end"
    yield "progress", f"{job['currentProgress']:g} %, phase {job['currentPhase']}: {text_of(latest)}"
    yield "owner", f"{latest['userId']}, chat {latest['userChatId']}"
    yield "token", latest["tokenAddress"]
    yield "mode", f"{latest['mode']} on {latest['platform']}"
    yield "amount", f"{sol(latest['buyAmount'])} SOL"
    yield "spent", f"{sol(details.get('totalSpent', 0))} SOL, fees included"
    yield "buys", buys_of(latest) or "not planned yet"
    if "tokensBought" in result:
        yield "tokens", f"{result['tokensBought']:,} base units"
    if resolutions := job.get("resolutions"):
        yield "resolved", _resolved(resolutions)
    yield "created", f"{local_time(first['timestamp'])} {time_zone(first['timestamp'])}"
    if job["status"] in ENDED:
        lasted = exact_duration(max(0, latest["timestamp"] - first["timestamp"]))
        yield "ended", f"{local_time(latest['timestamp'])}, after {lasted}"
    yield "runs", str(latest["attempt"])
    if "error" in details:
        yield "error", Text(f"{details.get('errorCode', '')}: {details['error']}", BAD)


def _resolved(resolutions: list[dict[str, Any]]) -> str:
    """Return the sums of the operators' resolutions. The job's counts do not include them."""
    executed = sum(each["executed"] for each in resolutions)
    spent, tokens = (sum(each[name] for each in resolutions) for name in ("spent", "tokens"))
    return (
        f"{executed} of {len(resolutions)} unknown steps resolved as executed: "
        f"{sol(spent)} SOL and {tokens:,} base units in addition to the figures above"
    )


def _state(job: dict[str, Any]) -> tuple[str, str]:
    """Return the label and its colour, with the status if that tells more."""
    label, colour = short_label_of(job["latestProgress"], needs_review=job["needsReview"])
    plain = job["status"] not in ENDED or label in (job["status"], CANCELLED)
    return label if plain else f"{label} ({job['status']})", colour


def _steps_by_wallet(job: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the steps that have ended, by wallet: every planned wallet, in the plan's order."""
    all_details = [event.get("details", {}) for event in job["progressEvents"]]
    planned = [wallet for details in all_details for wallet in details.get("plannedWallets", ())]
    result = job["operationResult"] or {}
    steps = result.get("steps") or [details["lastStep"] for details in all_details if "lastStep" in details]
    wallets: dict[str, list[dict[str, Any]]] = {wallet: [] for wallet in planned}
    for step in steps:
        wallets.setdefault(step["wallet"], []).append(step)
    return wallets


def _wallet_lines(job: dict[str, Any], wallet: str, steps: list[dict[str, Any]]) -> Iterator[Text]:
    resolutions = {each["signature"]: each for each in job.get("resolutions", ())}
    for step in steps:
        yield _step_line(step)
        if found := resolutions.get(step["signature"]):
            yield _resolution_line(found)
        if step.get("error"):
            yield Text(f"{INDENT * 2}{step['errorCode']}: {step['error']}", STATE_COLOURS["failed"])
        if step["signature"]:
            yield Text(f"{INDENT * 2}{step['signature']}")
    results = (job["operationResult"] or {}).get("wallets", ())
    (ended,) = [each for each in results if each["wallet"] == wallet] or [None]
    if ended and ended["buy"] == "not_started":
        yield Text(f"{INDENT}buy        not started")
    elif not steps:
        yield Text(f"{INDENT}no step has ended yet")


def _step_line(step: dict[str, Any]) -> Text:
    line = Text(f"{INDENT}{step['kind']:<{LABEL_WIDTH}}")
    line.append(f"{step['status']:<10}", STATE_COLOURS.get(step["status"], ""))
    line.append(" cost not known" if step["status"] == "unknown" else f" {_cost(step)}")
    return line


def _resolution_line(found: dict[str, Any]) -> Text:
    """Return an operator's resolution of an unknown step."""
    result, colour = ("executed", GOOD) if found["executed"] else ("not executed", BAD)
    line = Text(INDENT * 2).append(f"resolved as {result}", colour)
    if found["at"]:
        by = f" by {found['by']}" if found["by"] else ""
        line.append(f"{by}, {local_time(found['at'])}")
    return line.append(f": {_cost(found)}")


def _cost(step: dict[str, Any]) -> str:
    cost = f"{'fees' if step['kind'] == 'transfer' else 'spent'} {sol(step['spent'])} SOL"
    return cost + (f", {step['tokens']:,} base units" if step["tokens"] else "")


def _event_line(event: dict[str, Any]) -> str:
    run = f"run {event['attempt']}"
    return (
        f"{local_time(event['timestamp'])}  {event['seq']:>3}  {run:<6} {event['progress']:>6.2f} %  "
        + " ".join(text_of(event).split())
    )
