"""Job ids on the command line: full ids, unique prefixes, and the completion of both in a shell."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from api.cli.rest_client import GatewayError, client_for
from api.cli.terminal.amount_format import sol
from api.cli.terminal.time_format import short_duration
from cto_worker.config import Settings
from cto_worker.domain.ids_and_rooms import JOB_ID
from cto_worker.errors import CtoError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from click.shell_completion import CompletionItem

    from api.cli.rest_client import RestClient

MIN_PREFIX = 4  # characters
SEARCHED = 1_000  # newest jobs among which a prefix must be unique
PAGE = 100
UUID_LENGTH = 36  # of the ids that the gateway chooses
MAX_CANDIDATES = 10
COMPLETED = 50  # newest jobs that a shell offers


class JobIdError(CtoError):
    """A text matches no job, or several jobs."""


class JobIdParameter(click.ParamType[str]):
    """A job id, or the first characters of one."""

    name = "job"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text unchanged, if it can be the beginning of an id."""
        if not JOB_ID.match(value):
            self.fail(f"{value!r} is not a job id: use 1 to 128 letters, digits, _ or -", param, ctx)
        return str(value)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the newest jobs whose ids begin with the text; none if the gateway does not answer."""
        from click.shell_completion import CompletionItem  # noqa: PLC0415 - only a completion needs it

        del param
        try:
            gateway = client_for(Settings.from_env(), ctx.params.get("url"), ctx.params.get("profile"))
            jobs = gateway.get("/api/cto/jobs", limit=COMPLETED)["jobs"]
        except CtoError:
            return []
        return [
            CompletionItem(job["jobId"], help=_summary(job))
            for job in jobs
            if job["jobId"].startswith(incomplete)
        ]


def find_job_id(gateway: RestClient, text: str) -> str:
    """Return the id of the job that ``text`` names: a full id, or a prefix of at least four characters.

    A prefix must be unique among the newest jobs that the caller may see. Raises :class:`JobIdError`, or
    :class:`GatewayError`.
    """
    try:
        gateway.get(f"/api/cto/job/{text}/latest")
    except GatewayError as error:
        if error.code != "job_not_found" or len(text) >= UUID_LENGTH:
            raise
    else:
        return text
    return match_prefix(text, ((job["jobId"], _summary(job)) for job in newest_jobs(gateway)))


def match_prefix(text: str, jobs: Iterable[tuple[str, str]]) -> str:
    """Return the job id that equals ``text``, or the only job id that begins with it.

    ``jobs`` has pairs of id and description.
    Raises :class:`JobIdError` if there is none, or more than one.
    """
    found = [(job_id, summary) for job_id, summary in jobs if job_id.startswith(text)]
    if any(job_id == text for job_id, _ in found):
        return text
    if len(text) < MIN_PREFIX:
        raise JobIdError(f"job_not_found: no job {text}. A prefix of an id needs {MIN_PREFIX} characters")
    if not found:
        raise JobIdError(f"job_not_found: no job {text}, and no recent job begins with it")
    if len(found) > 1:
        lines = [f"  {job_id}  {summary}" for job_id, summary in found[:MAX_CANDIDATES]]
        rest = [f"  and {len(found) - MAX_CANDIDATES} more"] if len(found) > MAX_CANDIDATES else []
        raise JobIdError("\n".join([f"{len(found)} jobs begin with {text}: add characters", *lines, *rest]))
    return found[0][0]


def newest_jobs(gateway: RestClient, limit: int = SEARCHED, **filters: Any) -> Iterator[dict[str, Any]]:
    """Yield up to ``limit`` jobs that the caller may see, newest first."""
    cursor = None
    while limit > 0:
        page = gateway.get("/api/cto/jobs", limit=min(limit, PAGE), cursor=cursor, **filters)
        yield from page["jobs"]
        limit -= PAGE
        cursor = page["nextCursor"]
        if not cursor:
            return


def _summary(job: dict[str, Any]) -> str:
    age_s = max(0.0, time.time() - job["createdAt"] / 1_000)
    return f"{job['outcome'] or job['status']}, {sol(job['buyAmount'])} SOL, {short_duration(age_s)} ago"
