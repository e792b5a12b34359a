"""The live progress of jobs in a terminal: one bar for each job, or one line for each event."""

from __future__ import annotations

import json
import queue
from typing import TYPE_CHECKING, Any, Protocol

from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Column
from rich.text import Text

from api.cli.rest_client import GatewayError
from api.cli.terminal.job_state_labels import label_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console
    from rich.progress import Task

    from api.cli.rest_client import RestClient

ENDED = ("completed", "failed")
QUIET_S = 5.0  # without an event for this long, the history is read
BAR_WIDTH = 16  # leaves space for a short text on a line of 80 columns


class Screen(Protocol):
    """A display of events."""

    def show(self, event: dict[str, Any]) -> None:
        """Show one event. The events of a job arrive in ``seq`` order."""


class Lines:
    """A screen with one line per event, for logs and pipes; or with the event's JSON, for scripts."""

    def __init__(self, console: Console, *, as_json: bool = False) -> None:
        self._console = console
        self._as_json = as_json

    def show(self, event: dict[str, Any]) -> None:
        """See :class:`Screen`."""
        line = json.dumps(event) if self._as_json else describe(event)
        # Not through rich, which would interpret markup and emoji in users' texts, and wrap long lines.
        self._console.file.write(line + "\n")
        self._console.file.flush()


class Bars:
    """A screen with one live bar per job."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, Any] = {}

    def show(self, event: dict[str, Any]) -> None:
        """See :class:`Screen`."""
        job_id, ended = event["jobId"], event["status"] in ENDED
        shown = {
            "token": f"{event['tokenAddress'][:4]}…{event['tokenAddress'][-4:]}",
            "mode": event["mode"],
            "text": _text(event),
            "colour": label_of(event)[1],
        }
        if job_id not in self._tasks:
            # A new bar is drawn at once, so it needs a value for every column.
            self._tasks[job_id] = self._progress.add_task("", total=100, job=job_id[:8], **shown)
        self._progress.update(self._tasks[job_id], completed=event["progress"], **shown)
        if ended:
            self._progress.stop_task(self._tasks[job_id])


class _EventColumn(ProgressColumn):
    """The text of the latest event, in its colour. It is not markup: it may contain users' texts."""

    def render(self, task: Task) -> Text:
        return Text(" ".join(task.fields["text"].split()), style=task.fields["colour"])


def bars(console: Console) -> Progress:
    """Return the live display for :class:`Bars`; use it as a context manager.

    If the line is too short, only the event's text is truncated.
    """
    return Progress(
        TextColumn("{task.fields[job]}", markup=False, table_column=_fixed(8)),
        TextColumn("{task.fields[token]}", style="dim", markup=False, table_column=_fixed(9)),
        TextColumn("{task.fields[mode]}", style="dim", markup=False, table_column=_fixed(9)),
        BarColumn(bar_width=BAR_WIDTH, table_column=_fixed(BAR_WIDTH)),
        TextColumn("{task.percentage:>3.0f} %", table_column=_fixed(5)),
        TimeElapsedColumn(table_column=_fixed(7)),
        _EventColumn(table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")),
        console=console,
        expand=True,
    )


def _fixed(width: int) -> Column:
    return Column(no_wrap=True, min_width=width)


def watch(gateway: RestClient, job_ids: Sequence[str], screen: Screen) -> list[dict[str, Any]]:
    """Show every event of these jobs once, from the first, until all jobs ended. Return their last events.

    Raises :class:`GatewayError` for an unknown job, and if the gateway is not reachable at the start.
    """
    latest = {job_id: gateway.get(f"/api/cto/job/{job_id}/latest") for job_id in job_ids}
    seen = dict.fromkeys(job_ids, 0)
    arrived: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    import socketio  # noqa: PLC0415 - a fifth of the start-up time; only watching needs it

    client = socketio.Client()
    client.on("worker_progress", arrived.put)
    # On each connection, because a client that reconnects is in no room.
    client.on("connect", lambda: [client.emit("join_room", f"job_{job_id}") for job_id in job_ids])
    client.connect(gateway.url, auth=lambda: {"token": gateway.token()}, wait_timeout=10)
    try:
        while any(_unfinished(latest[job_id], seen[job_id]) for job_id in job_ids):
            for event in _next(gateway, arrived, seen):
                seen[event["jobId"]] = event["seq"]
                latest[event["jobId"]] = event
                screen.show(event)
    finally:
        client.disconnect()
    return [latest[job_id] for job_id in job_ids]


def _next(
    gateway: RestClient, arrived: queue.SimpleQueue[dict[str, Any]], seen: dict[str, int]
) -> list[dict[str, Any]]:
    """Return the next events: the one that arrived, or the missing ones from the history after a gap."""
    behind = [job_id for job_id, seq in seen.items() if seq == 0]
    if not behind:
        try:
            event = arrived.get(timeout=QUIET_S)
        except queue.Empty:
            behind = list(seen)
        else:
            if event["seq"] == seen[event["jobId"]] + 1:
                return [event]
            behind = [event["jobId"]] if event["seq"] > seen[event["jobId"]] else []
    missing = []
    for job_id in behind:
        try:
            missing += gateway.get(f"/api/cto/job/{job_id}/events", after=seen[job_id])["events"]
        except GatewayError as error:
            if error.code != "unreachable":
                raise  # an unreachable gateway may be restarting
    return missing


def _unfinished(latest: dict[str, Any], seen: int) -> bool:
    return latest["status"] not in ENDED or seen < latest["seq"]


def describe(event: dict[str, Any]) -> str:
    """Return an event as one line of text."""
    return f"{event['jobId'][:8]} {event['progress']:>6.2f} %  {event['mode']:<9} {_text(event)}"


def _text(event: dict[str, Any]) -> str:
    details = event.get("details", {})
    if event["status"] in ENDED:
        label, _ = label_of(event)
        reasons = [details[name] for name in ("errorCode", "error") if details.get(name)]
        return ": ".join([label, *(reasons or [event["phaseDescription"]])])
    activity = details.get("currentOperation") or event["phaseTitle"]
    text = f"{event['phase']}/{event['totalPhases']} {activity}"
    if details.get("estimatedTimeRemaining") is not None:
        text += f", about {details['estimatedTimeRemaining'] / 1000:.1f} s left"
    return text
