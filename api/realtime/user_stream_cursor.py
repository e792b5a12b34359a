"""A client's cursor in the events of many jobs: the ``id:`` of a user's stream."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from api.relay.encoded_event import EncodedEvent

MAX_JOBS = 50  # in one text: it is sent as a header, and servers accept 8 KiB per line
REMEMBERED_ENDS = 1_000
NOTHING = "-"  # the text for a user without jobs
_ENTRY = r"[A-Za-z0-9_-]{1,128}:[0-9]{1,15}"
_ENTRIES = f"{_ENTRY}(?:,{_ENTRY}){{0,{MAX_JOBS - 1}}}"
PATTERN = f"{NOTHING}|{_ENTRIES}"  # of the text
_TEXT = re.compile(rf"{_ENTRIES}\Z", re.ASCII)


class UserStreamCursor:
    """The ``seq`` of the latest event of each unfinished job, and the newest job that was seen.

    The text is ``<jobId>:<seq>,…``, with the newest job last, ended or not: the client has no event of any
    newer job. If there are more than :data:`MAX_JOBS` jobs, the text omits those seen first.
    """

    def __init__(self, seqs: Iterable[tuple[str, int]] = ()) -> None:
        self._seqs = dict(seqs)
        self._ended: dict[str, None] = {}  # in the order of their ends; kept: events may repeat
        self.newest: str | None = next(reversed(self._seqs), None)

    @classmethod
    def parse(cls, text: str) -> UserStreamCursor | None:
        """Return the cursor that a client sent, or ``None`` if the text is not valid."""
        if text == NOTHING:
            return cls()
        if not _TEXT.match(text):
            return None
        return cls((job_id, int(seq)) for job_id, _, seq in (part.partition(":") for part in text.split(",")))

    def __str__(self) -> str:
        following = [job_id for job_id in self._seqs if job_id not in self._ended and job_id != self.newest]
        named = following[1 - MAX_JOBS :] + ([self.newest] if self.newest else [])
        return ",".join(f"{job_id}:{self._seqs[job_id]}" for job_id in named) or NOTHING

    @property
    def jobs(self) -> list[str]:
        """The jobs with an event that was seen, except those that ended long ago."""
        return list(self._seqs)

    def seq(self, job_id: str) -> int:
        """Return the ``seq`` of the latest event of a job that the client has, or 0."""
        return self._seqs.get(job_id, 0)

    def end(self, job_id: str) -> None:
        """Mark a job as ended."""
        self._ended[job_id] = None
        if len(self._ended) > REMEMBERED_ENDS:
            oldest = next(iter(self._ended))
            del self._ended[oldest]
            if oldest != self.newest:
                self._seqs.pop(oldest, None)

    def advance(self, event: EncodedEvent) -> bool:
        """Advance to an event. Return whether the client does not have it yet."""
        is_new = event.seq > self.seq(event.job_id)
        if event.job_id not in self._seqs:
            self.newest = event.job_id  # jobs appear in the order in which they were accepted
        if is_new:
            self._seqs[event.job_id] = event.seq
        if event.terminal:
            self.end(event.job_id)
        return is_new
