"""The live progress of jobs in a terminal: one bar for each job, or one line for each event."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol

from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Column
from rich.text import Text

from api.cli.terminal.job_state_labels import ENDED, label_of

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Task

BAR_WIDTH = 16  # leaves space for a short text on a line of 80 columns
NARROW_BAR_WIDTH, NARROW = 8, 72  # on lines of fewer than 72 columns


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
        # Not printed with rich: it would interpret markup and emoji in users' texts, and wrap long lines.
        self._console.file.write(line + "\n")
        self._console.file.flush()


class Bars:
    """A screen with one live bar per job, and a line with the result of each job that has ended.

    With ``remove_ended`` the result replaces the bar. Otherwise :meth:`show_results` shows it after the bars.
    """

    def __init__(self, progress: Progress, *, remove_ended: bool = False) -> None:
        self._progress = progress
        self._remove_ended = remove_ended
        self._tasks: dict[str, Any] = {}
        self._results: dict[str, str] = {}

    def show(self, event: dict[str, Any]) -> None:
        """See :class:`Screen`."""
        job_id, ended = event["jobId"], event["status"] in ENDED
        shown = {
            "token": f"{event['tokenAddress'][:4]}…{event['tokenAddress'][-4:]}",
            "mode": event["mode"],
            "text": text_of(event),
            "colour": label_of(event)[1],
        }
        if job_id not in self._tasks:
            # A new bar is drawn at once, so it needs a value for every column.
            self._tasks[job_id] = self._progress.add_task("", total=100, job=job_id[:8], **shown)
        self._progress.update(self._tasks[job_id], completed=event["progress"], **shown)
        if ended:
            self._end(job_id, event)

    def show_results(self) -> None:
        """Print the results that have not replaced their bars. Call it after the live display has ended."""
        for result in self._results.values():
            self._print(result)

    def _end(self, job_id: str, event: dict[str, Any]) -> None:
        self._progress.stop_task(self._tasks[job_id])
        if self._remove_ended:
            self._progress.remove_task(self._tasks.pop(job_id))
            self._print(result_of(event))
        else:
            self._results[job_id] = result_of(event)

    def _print(self, text: str) -> None:
        # Not as markup or emoji: it may contain users' texts. A long line wraps.
        self._progress.console.print(text, markup=False, emoji=False, highlight=False, soft_wrap=True)


class _EventColumn(ProgressColumn):
    """The text of the latest event, in its colour. It is not markup: it may contain users' texts."""

    def render(self, task: Task) -> Text:
        return Text(" ".join(task.fields["text"].split()), style=task.fields["colour"])


def bars(console: Console) -> Progress:
    """Return the live display for :class:`Bars`; use it as a context manager.

    If the line is too short, the token and the mode are left out, and only the event's text is truncated.
    """
    job = TextColumn("{task.fields[job]}", markup=False, table_column=_fixed(8))
    percent = TextColumn("{task.percentage:>3.0f} %", table_column=_fixed(5))
    event = _EventColumn(table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"))
    if console.width < NARROW:
        bar = BarColumn(bar_width=NARROW_BAR_WIDTH, table_column=_fixed(NARROW_BAR_WIDTH))
        return Progress(job, bar, percent, event, console=console, expand=True)
    return Progress(
        job,
        TextColumn("{task.fields[token]}", style="dim", markup=False, table_column=_fixed(9)),
        TextColumn("{task.fields[mode]}", style="dim", markup=False, table_column=_fixed(9)),
        BarColumn(bar_width=BAR_WIDTH, table_column=_fixed(BAR_WIDTH)),
        percent,
        TimeElapsedColumn(table_column=_fixed(7)),
        event,
        console=console,
        expand=True,
    )


def _fixed(width: int) -> Column:
    return Column(no_wrap=True, min_width=width)


def describe(event: dict[str, Any]) -> str:
    """Return an event as one line of text."""
    return f"{event['jobId'][:8]} {event['progress']:>6.2f} %  {event['mode']:<9} {text_of(event)}"


def result_of(event: dict[str, Any]) -> str:
    """Return the result of a job that has ended as one line, from its last event."""
    return " ".join(f"{event['jobId'][:8]} {text_of(event)}".split())


def text_of(event: dict[str, Any]) -> str:
    """Return what an event says: the activity, or the label and the reason of the end."""
    details = event.get("details", {})
    if event["status"] in ENDED:
        label, _ = label_of(event)
        reasons = [
            details[name] for name in ("errorCode", "error") if details.get(name) not in (None, "", label)
        ]
        return ": ".join([label, *(reasons or [event["phaseDescription"]])])
    activity = details.get("currentOperation") or event["phaseTitle"]
    text = f"{event['phase']}/{event['totalPhases']} {activity}"
    if details.get("estimatedTimeRemaining") is not None:
        text += f", about {details['estimatedTimeRemaining'] / 1000:.1f} s left"
    return text
