"""The client for threads."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

import httpx
from httpx_sse import SSEError, connect_sse

from cto_client import protocol
from cto_client.errors import CTOError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from cto_client.models import Cancelling, Event, Job, JobFilters, JobSummary, Operation, Stats, Summary

T = TypeVar("T")


class Client:
    """A client of one gateway. Thread-safe. Use it as a context manager, or call :meth:`close`.

    Every call is repeated for ``retry_for_s`` seconds while the gateway is unreachable, overloaded (503) or
    refuses too many requests (429). Every method raises :class:`~cto_client.CTOError`.
    """

    def __init__(
        self,
        url: str,
        token: str | Callable[[], str] | None = None,
        *,
        retry_for_s: float = protocol.RETRY_FOR_S,
    ) -> None:
        """``url``: of the gateway. ``token``: a JSON Web Token, or a function that returns a current one.

        Raises ``ValueError`` for a wrong address, and :class:`~cto_client.CTOError` for a wrong token.
        """
        if not callable(token):
            protocol.authorization(token)
        self._token = token
        self._retry_for_s = retry_for_s
        self._http = httpx.Client(base_url=protocol.base_url(url), timeout=protocol.TIMEOUT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def submit(self, operation: Operation | Mapping[str, Any], *, idempotency_key: str | None = None) -> str:
        """Start an operation and return its job id.

        A repeated call with the same key within a day returns the same job. Choose a key that survives a
        restart of your program, for example the ids of the bot and of the Telegram update.
        """
        return self._call(protocol.submit(operation, idempotency_key)).job_id

    def follow(self, job_id: str, *, after: int = 0) -> Iterator[Event]:
        """Yield every event of a job with ``seq`` above ``after``, in order, until the job has ended.

        Resumes where it was after any disconnection, without a gap or a repetition.
        """
        delays = protocol.Delays(f"following {job_id}", time.monotonic, float("inf"))
        while True:
            try:
                for event in self._stream(job_id, after):
                    after = event.seq
                    delays.restart()
                    yield event
            except CTOError as error:
                time.sleep(delays.after(protocol.renewable(error, self._token)))
            else:
                return

    def status(self, job_id: str) -> Job:
        """Return a job with its complete history, and with its result if it has ended."""
        return self._call(protocol.status(job_id))

    def events(self, job_id: str, *, after: int = 0) -> list[Event]:
        """Return the events of a job with ``seq`` above ``after``, oldest first."""
        return self._call(protocol.events(job_id, after)).events

    def jobs(self, *, page_size: int = 50, **filters: Unpack[JobFilters]) -> Iterator[JobSummary]:
        """Yield jobs, newest first; the pages are requested as needed.

        ``filters``: ``status``, ``outcome``, ``needs_review``, ``user_id``, ``token_address``, ``wallet``,
        ``signature``, ``error_code``, ``mode``, ``platform``, ``from_ms`` and ``to_ms`` (of the creation).
        """
        query = protocol.query_of(filters)
        cursor = None
        while True:
            page = self._call(protocol.page(query, page_size, cursor))
            yield from page.jobs
            cursor = page.next_cursor
            if not cursor:
                return

    def summary(self, **filters: Unpack[JobFilters]) -> Summary:
        """Return the totals of all jobs that match the filters, which are those of :meth:`jobs`."""
        return self._call(protocol.summary(protocol.query_of(filters)))

    def stats(self, job_ids: Iterable[str]) -> Stats:
        """Count up to 500 jobs by state."""
        return self._call(protocol.stats(job_ids))

    def cancel(self, job_id: str) -> Cancelling:
        """Cancel a job: it begins no further transfer or buy."""
        return self._call(protocol.cancel(job_id))

    def _call(self, call: protocol.Call[T]) -> T:
        delays = protocol.Delays(call, time.monotonic, self._retry_for_s)
        while True:
            try:
                return call.parse(self._send(call))
            except CTOError as error:
                time.sleep(delays.after(error))

    def _send(self, call: protocol.Call[T]) -> httpx.Response:
        headers = {**self._authorization(), **call.headers}
        try:
            return self._http.request(
                call.method, call.path, params=call.query, headers=headers, content=call.body
            )
        except httpx.TransportError as error:
            raise protocol.unreachable(self._http.base_url, error) from error

    def _stream(self, job_id: str, after: int) -> Iterator[Event]:
        """Yield the events of one connection. Raises unless it ends with the job's last event."""
        try:
            with connect_sse(
                self._http,
                "GET",
                protocol.stream_path(job_id),
                params={"after": str(after)},
                headers=self._authorization(),
                timeout=protocol.STREAM_TIMEOUT,
            ) as source:
                if source.response.is_error:
                    source.response.read()
                if not protocol.has_events(source.response):
                    return
                for entry in source.iter_sse():
                    if event := protocol.stream_event(entry, after):
                        yield event
                        if event.ended:
                            return
        except (httpx.TransportError, SSEError) as error:
            raise protocol.interrupted(error) from error
        raise protocol.interrupted()

    def _authorization(self) -> dict[str, str]:
        return protocol.authorization(self._token() if callable(self._token) else self._token)
