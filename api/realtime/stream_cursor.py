"""How far a client has got in the events of many jobs: the ``id:`` of a user's stream."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from api.relay.encoded_event import EncodedEvent

MAX_JOBS = 50  # in one text: as a header it must stay below the 8 KiB that servers take in one line
REMEMBERED_ENDS = 1_000
NOTHING = "-"  # the text of a user who has no jobs yet
_ENTRY = r"[A-Za-z0-9_-]{1,128}:[0-9]{1,15}"
_ENTRIES = f"{_ENTRY}(?:,{_ENTRY}){{0,{MAX_JOBS - 1}}}"
PATTERN = f"{NOTHING}|{_ENTRIES}"  # of the text
_TEXT = re.compile(rf"{_ENTRIES}\Z", re.ASCII)


class StreamCursor:
    """The ``seq`` got so far of each job that has not ended, and which job is the newest that was seen.

    As a text, ``<jobId>:<seq>,…``, the newest job last, be it ended or not: whatever job is newer, the client
    has nothing of. Of more than :data:`MAX_JOBS` jobs the text leaves out those seen first.
    """

    def __init__(self, seqs: Iterable[tuple[str, int]] = ()) -> None:
        self._seqs = dict(seqs)
        self._ended: dict[str, None] = {}  # in the order of their ends; the same event may come again
        self.newest: str | None = next(reversed(self._seqs), None)

    @classmethod
    def parse(cls, text: str) -> StreamCursor | None:
        """Return the position that a client names; ``None`` when the text is none."""
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
        """The jobs of which anything was seen, except those that ended long ago."""
        return list(self._seqs)

    def seq(self, job_id: str) -> int:
        """The ``seq`` of the latest event of a job that the client has."""
        return self._seqs.get(job_id, 0)

    def end(self, job_id: str) -> None:
        """Follow a job no longer."""
        self._ended[job_id] = None
        if len(self._ended) > REMEMBERED_ENDS:
            oldest = next(iter(self._ended))
            del self._ended[oldest]
            if oldest != self.newest:
                self._seqs.pop(oldest, None)

    def move(self, frame: EncodedEvent) -> bool:
        """Go on to an event. Returns whether it is one that the client has not got yet."""
        is_new = frame.seq > self.seq(frame.job_id)
        if frame.job_id not in self._seqs:
            self.newest = frame.job_id  # jobs appear in the order in which they were accepted
        if is_new:
            self._seqs[frame.job_id] = frame.seq
        if frame.terminal:
            self.end(frame.job_id)
        return is_new
