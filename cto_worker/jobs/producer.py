"""Starting an operation: the job is recorded first, then its message sent."""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from cto_worker.crash_points import crash_point
from cto_worker.domain.events import JobStatus, dumps
from cto_worker.domain.journal import CreateResult, Idempotency
from cto_worker.domain.request import parse_request
from cto_worker.operation.reporter import accepted_event

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from cto_worker.domain.journal import Journal


log = logging.getLogger(__name__)


class Producer:
    """Records jobs and sends their messages. ``send(job_id, document)`` puts one message on the queue."""

    def __init__(
        self,
        journal: Journal,
        send: Callable[[str, dict[str, Any]], None],
        crash_at: str = "",
        platforms: Collection[str] = (),
    ) -> None:
        """``platforms`` are those that the market knows; without any, each is accepted."""
        self._journal = journal
        self._send = send
        self._crash_at = crash_at
        self._platforms = platforms

    def submit(self, document: Any, *, caller: str = "service", idempotency_key: str = "") -> CreateResult:
        """Start the operation that ``document`` (a JSON object, see the contract) describes.

        The same key of the same caller stands for the same job for a day: a repeated submission returns the
        first one's job. A message that cannot be sent is left to the workers' sweeps.

        Raises :class:`~cto_worker.errors.InvalidRequestError` (nothing recorded),
        :class:`~cto_worker.errors.IdempotencyConflictError`, :class:`~cto_worker.errors.NotDurableError`, or
        the store's own errors (then submit again with the same key: it may have been recorded).
        """
        request = parse_request(document, self._platforms)
        recorded = request.to_document()
        idempotency = None
        if idempotency_key:
            fingerprint = hashlib.sha256(dumps(sorted(recorded.items()))).hexdigest()
            idempotency = Idempotency(caller, idempotency_key, fingerprint)
        created = self._journal.create(accepted_event(str(uuid4()), request), recorded, idempotency)
        crash_point("after_record", self._crash_at, attempt=1)
        if created.status is JobStatus.WAITING:
            try:
                self._send(created.job_id, recorded)
            except (OperationalError, RedisError) as error:
                # It is accepted all the same. Who is told otherwise starts it again, and both would buy.
                log.warning("job %s has no message, so a sweep will send one: %s", created.job_id, error)
        return created
