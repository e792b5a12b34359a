"""Every key, channel and time-to-live in the store. Lua scripts use the constants by their names.

Celery's own keys (the queue ``cto`` and ``celery-task-meta-*``) are in the same database.
"""

from __future__ import annotations

QUEUE = "cto"
# Jobs to take over. Separate, because their orders must not wait behind new jobs.
RESUMED_QUEUE = "cto.resumed"
TASK_NAME = "cto_worker.run_operation"
RECORDED = "recorded"  # message header: the job was recorded first, so a job without a record has ended

CHANNEL_PREFIX = "cto:room:"  # + room: pub/sub channel of the room's events
GATEWAY_PREFIX = "cto:gateway:"  # + gateway id: pub/sub channel of its relay's heartbeat
JOB_PREFIX = "cto:job:"  # + job id: see :func:`job`
EVENTS_PREFIX = "cto:events:"  # + job id: see :func:`events`
INTENTS_PREFIX = "cto:intents:"  # + job id: see :func:`intents`
META_PREFIX = "celery-task-meta-"  # + job id: see :func:`meta`
OPEN_PREFIX = "cto:open:"  # + room: sorted set of the room's unfinished jobs, by serial number
LIST_PREFIX = "cto:jobs:"  # + owner + ":" + status or "all": sorted set of jobs, by serial number
UNARCHIVED_PREFIX = "cto:unarchived:"  # + owner: see :func:`unarchived`
# Sorted set: ended jobs to be archived, by the time (the store's ms) from which a worker may take them.
ENDED = "cto:ended"
ARCHIVED = "cto:archived"  # string: the store's time (ms) when jobs were last archived
RELISTED = "cto:relisted"  # hash: the position of the search for jobs of earlier releases, see relist.lua
SERIAL = "cto:serial"  # counter: the serial number of the last accepted job
LIMITS_PREFIX = "LIMITS:cto"  # + ":{" + limit and caller + "}", and "/-1" for the previous window: counters
PROBE = "cto:probe"  # string: written by a starting worker to check that the store is durable
HIGHEST_CLAIMED = "cto:claimed"  # string: the highest serial number that a worker has claimed
DUE = "cto:due"  # sorted set: claimed, unfinished jobs, by the store's time (ms) of their next sweep
WAITING = "cto:waiting"  # sorted set: jobs that no run has claimed, by the same time
REVOKED = "cto:revoked"  # sorted set: revoked tokens and users, by the time (s) when the entry expires
REVOKED_COUNT = "cto:revoked:count"  # counter: incremented with each change of that set
COUNTS = "cto:counts"  # hash: sums of the counters of all processes, by sample and labels (JSON)
MINUTE_PREFIX = (
    "cto:counts:"  # + minutes since the epoch: hash like COUNTS, of the counts of that minute only
)
PROCESSES = "cto:processes"  # hash: by process id, the last heartbeat: time (the store's ms), number, content
AUDIT = "cto:audit"  # stream: the latest entries of the audit log; entry n has the id ``n-0``
AUDIT_HEAD = "cto:audit:head"  # hash: number and hash of the audit log's last entry
RESOLVED_FIELD = "resolved:"  # + intent id: field of a job record
RESOLVER_FIELD = "resolver:"  # the same
REVIEW = "needs_review"  # used like a status: the list of ended jobs that an operator must look at

ALL_OWNERS = "*"  # the owner whose lists contain every job; it is not a valid user id

IDEMPOTENCY_TTL_S = 86_400
NEW_MESSAGE_CHECK_DELAY_MS = 8_000  # a new job that waits longer counts as having lost its message
RESUME_CHECK_DELAY_MS = 500  # the same for a job to take over; a superfluous message costs less than waiting
RESENT_MESSAGE_TTL_MS = 10_000  # how long a resent message is assumed to be still in ``RESUMED_QUEUE``
RELIST_INTERVAL_MS = 600_000  # between two searches for jobs of earlier releases
SWEEP_LIMIT = 200  # per sweep: maximum of claimed jobs, and maximum of waiting jobs
MINUTES_SHOWN = 60  # how far back the counts of single minutes are read
MINUTE_TTL_S = 60 * (MINUTES_SHOWN + 2)
STEP_DURATION_SAMPLES = 20  # recent runs from which the remaining time is estimated


def job(job_id: str) -> str:
    """Hash: the job record.

    Fields: request, user, rooms, serial, status, attempt, claimant, seq, phase, progress, created (ms),
    cancel; ended (ms in the store's time), archived (1 if the archive has the job); lease (end of the lease,
    ms in the store's time), begun (time of the first claim, ms), released (1 if the last owner released the
    job), sent (ms, when the message was last put on ``RESUMED_QUEUE``; 0 while the job has an owner), stalls
    (takeovers without progress in between), trace (W3C traceparent of the span that recorded the job, if
    traces are enabled); :data:`RESOLVED_FIELD` + intent id: the outcome that an operator recorded for an
    unknown intent; :data:`RESOLVER_FIELD` + intent id: who recorded it, and when.
    """
    return f"{JOB_PREFIX}{job_id}"


def events(job_id: str) -> str:
    """Stream: the job's history. The entry of ``seq`` n has the id ``n-0`` and one field, ``event``."""
    return f"{EVENTS_PREFIX}{job_id}"


def intents(job_id: str) -> str:
    """Hash: the job's intent log. ``plan``: all steps in order; an intent's id: its latest record."""
    return f"{INTENTS_PREFIX}{job_id}"


def meta(job_id: str) -> str:
    """String: Celery's result metadata of the job (celery.backends.base, ``task_keyprefix``)."""
    return f"{META_PREFIX}{job_id}"


def jobs(owner: str, status: str = "all") -> str:
    """Sorted set: the jobs of a user or of :data:`ALL_OWNERS`, by serial number.

    ``status`` is a ``JobStatus``, :data:`REVIEW` or "all".
    """
    return f"{LIST_PREFIX}{owner}:{status}"


def unarchived(owner: str) -> str:
    """Sorted set: the jobs of a user or of :data:`ALL_OWNERS` that are not archived, by creation (ms)."""
    return f"{UNARCHIVED_PREFIX}{owner}"


def idempotency(caller: str, key: str) -> str:
    """Hash: ``job`` and ``fingerprint`` of the first request with this Idempotency-Key.

    A caller's name contains no slash, so two callers never share a key. ``key`` may contain any character.
    """
    return f"cto:idempotency:of:{caller}/{key}"


def ambiguous_idempotency(caller: str, key: str) -> str:
    """Hash: the same, under the name that earlier releases use. Two callers may share one.

    Both parts may contain colons: key ``b:c`` of user ``a`` equals key ``c`` of user ``a:b``.
    """
    return f"cto:idempotency:{caller}:{key}"


def step_durations(mode: str, platform: str) -> str:
    """Hash: milliseconds per round of orders in recent runs of this mode on this platform.

    Fields: samples (newest first, separated by spaces), median.
    """
    return f"cto:pace:{mode}:{platform}"


# The paper market's keys. Only the outcome of an intent expires.

PAPER_INTENT_PREFIX = "cto:paper:intent:"  # + intent id: see :func:`paper_intent`
PAPER_LEDGER = "cto:paper:ledger"  # stream: one entry per movement
PAPER_SKIPPED_MS = "cto:paper:skipped"  # string: how far tests have moved the market's time into the future
PAPER_LEDGER_ID = "cto:paper:ledger_id"  # hash: id (random) and quotes: how many quotes the ledger has given
PAPER_INTENT_TTL_S = 90 * 86_400


def paper_wallets(user_id: str) -> str:
    """Hash: address → lamports, of a user's funding wallet and operation wallets."""
    return f"cto:paper:wallets:{user_id}"


def paper_tokens(user_id: str) -> str:
    """Hash: address + ":" + mint → base units, of a user's wallets."""
    return f"cto:paper:tokens:{user_id}"


def paper_curve(mint: str) -> str:
    """Hash: ``sol`` (lamports that a bonding curve has received) and ``sold`` (base units it has sold)."""
    return f"cto:paper:curve:{mint}"


def paper_intent(intent_id: str) -> str:
    """Hash: the outcome of an executed order: signature, status, spent, tokens, error_code, error, at_ms.

    It is the first order of the intent that was executed. A second one would have this key with ``:`` and its
    signature.
    """
    return f"{PAPER_INTENT_PREFIX}{intent_id}"
