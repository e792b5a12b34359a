"""The client for asyncio."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

import httpx
from httpx_sse import SSEError, aconnect_sse

from cto_client import protocol
from cto_client.errors import CTOError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping

    from cto_client.models import Cancelling, Event, Job, JobFilters, JobSummary, Operation, Stats, Summary

T = TypeVar("T")


class AsyncClient:
    """A client of one gateway for asyncio. Use it as a context manager, or await :meth:`close`.

    Every call is repeated for ``retry_for_s`` seconds while the gateway is unreachable, overloaded (503) or
    refuses too many requests (429). Every method raises :class:`~cto_client.CTOError`.
    """

    def __init__(
        self,
        url: str,
        token: str | Callable[[], str | Awaitable[str]] | None = None,
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
        self._http = httpx.AsyncClient(base_url=protocol.base_url(url), timeout=protocol.TIMEOUT)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def submit(
        self, operation: Operation | Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> str:
        """Start an operation and return its job id.

        A repeated call with the same key within a day returns the same job. Choose a key that survives a
        restart of your program, for example the ids of the bot and of the Telegram update.
        """
        return (await self._call(protocol.submit(operation, idempotency_key))).job_id

    async def follow(self, job_id: str, *, after: int = 0) -> AsyncIterator[Event]:
        """Yield every event of a job with ``seq`` above ``after``, in order, until the job has ended.

        Resumes where it was after any disconnection, without a gap or a repetition.
        """
        delays = protocol.Delays(f"following {job_id}", time.monotonic, float("inf"))
        while True:
            try:
                async for event in self._stream(job_id, after):
                    after = event.seq
                    delays.restart()
                    yield event
            except CTOError as error:
                await asyncio.sleep(delays.after(protocol.renewable(error, self._token)))
            else:
                return

    async def status(self, job_id: str) -> Job:
        """Return a job with its complete history, and with its result if it has ended."""
        return await self._call(protocol.status(job_id))

    async def events(self, job_id: str, *, after: int = 0) -> list[Event]:
        """Return the events of a job with ``seq`` above ``after``, oldest first."""
        return (await self._call(protocol.events(job_id, after))).events

    async def jobs(self, *, page_size: int = 50, **filters: Unpack[JobFilters]) -> AsyncIterator[JobSummary]:
        """Yield jobs, newest first; the pages are requested as needed.

        ``filters``: ``status``, ``outcome``, ``needs_review``, ``user_id``, ``token_address``, ``wallet``,
        ``signature``, ``error_code``, ``mode``, ``platform``, ``from_ms`` and ``to_ms`` (of the creation).
        """
        query = protocol.query_of(filters)
        cursor = None
        while True:
            page = await self._call(protocol.page(query, page_size, cursor))
            for job in page.jobs:
                yield job
            cursor = page.next_cursor
            if not cursor:
                return

    async def summary(self, **filters: Unpack[JobFilters]) -> Summary:
        """Return the totals of all jobs that match the filters, which are those of :meth:`jobs`."""
        return await self._call(protocol.summary(protocol.query_of(filters)))

    async def stats(self, job_ids: Iterable[str]) -> Stats:
        """Count up to 500 jobs by state."""
        return await self._call(protocol.stats(job_ids))

    async def cancel(self, job_id: str) -> Cancelling:
        """Cancel a job: it begins no further transfer or buy."""
        return await self._call(protocol.cancel(job_id))

    async def _call(self, call: protocol.Call[T]) -> T:
        delays = protocol.Delays(call, time.monotonic, self._retry_for_s)
        while True:
            try:
                return call.parse(await self._send(call))
            except CTOError as error:
                await asyncio.sleep(delays.after(error))

    async def _send(self, call: protocol.Call[T]) -> httpx.Response:
        headers = {**await self._authorization(), **call.headers}
        try:
            return await self._http.request(
                call.method, call.path, params=call.query, headers=headers, content=call.body
            )
        except httpx.TransportError as error:
            raise protocol.unreachable(self._http.base_url, error) from error

    async def _stream(self, job_id: str, after: int) -> AsyncIterator[Event]:
        """Yield the events of one connection. Raises unless it ends with the job's last event."""
        try:
            async with aconnect_sse(
                self._http,
                "GET",
                protocol.stream_path(job_id),
                params={"after": str(after)},
                headers=await self._authorization(),
                timeout=protocol.STREAM_TIMEOUT,
            ) as source:
                if source.response.is_error:
                    await source.response.aread()
                if not protocol.has_events(source.response):
                    return
                async for entry in source.aiter_sse():
                    if event := protocol.stream_event(entry, after):
                        yield event
                        if event.ended:
                            return
        except (httpx.TransportError, SSEError) as error:
            raise protocol.interrupted(error) from error
        raise protocol.interrupted()

    async def _authorization(self) -> dict[str, str]:
        token = self._token() if callable(self._token) else self._token
        return protocol.authorization(await token if isinstance(token, Awaitable) else token)
