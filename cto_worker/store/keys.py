"""Every key, channel and time-to-live in the store. Lua scripts get what they need of these as arguments.

Celery's own keys (the queue ``cto`` and ``celery-task-meta-*``) lie beside them in the same database.
"""

from __future__ import annotations

QUEUE = "cto"
RESUMED_QUEUE = (
    "cto.resumed"  # jobs to be taken over: money may be on its way, so they do not queue behind new ones
)
TASK_NAME = "cto_worker.run_operation"
RECORDED = "recorded"  # header of messages for recorded jobs: one whose record is gone has ended

CHANNEL_PREFIX = "cto:room:"  # + room: a pub/sub channel that carries the room's events
GATEWAY_PREFIX = "cto:gateway:"  # + a gateway's own id: the channel that wakes its relay
OPEN_PREFIX = "cto:open:"  # + room: sorted set of the room's jobs that have not ended, by serial number
LIST_PREFIX = "cto:jobs:"  # + owner + ":" + status or "all": sorted set of jobs, by serial number
SERIAL = "cto:serial"  # counter: every job's place in the order of acceptance
LIMITS_PREFIX = "LIMITS:cto"  # + ":{" + limit and caller + "}" and, of the window before, "/-1": counters
PROBE = "cto:probe"  # string: written by a worker that starts, to see whether it is kept
CLAIMED = "cto:claimed"  # string: the highest serial number that a worker has claimed
DUE = "cto:due"  # sorted set: begun jobs that have not ended, by when (the store's ms) a sweep looks at them
WAITING = "cto:waiting"  # the same of the jobs that no run has claimed yet
REVOKED = (
    "cto:revoked"  # sorted set: tokens, and users whose tokens so far, do not count, by when to forget it (s)
)
REVOKED_COUNT = "cto:revoked:count"  # counter: grows with every change of that set
COUNTS = "cto:counts"  # hash: what all processes have counted, by sample and labels (JSON)
PROCESSES = "cto:processes"  # hash: by a process's id, when it told (the store's ms), its number, what
REVIEW = "needs_review"  # beside the statuses, a list of its own: ended jobs that an operator must look at

ALL_OWNERS = "*"  # the owner under whose lists every job is found; no user id can be this

IDEMPOTENCY_TTL_S = 86_400
NEW_MESSAGE_CHECK_DELAY_MS = 8_000  # a waiting job whose turn has passed for so long has lost its message
RESUME_CHECK_DELAY_MS = 2_500  # the same for a job that is to be taken over
RESENT_MESSAGE_TTL_MS = (
    10_000  # its message, once sent, is trusted to be among those of `RESUMED_QUEUE` so long
)
SWEEP_LIMIT = 200  # begun jobs that one sweep looks at and sends again at most; and as many waiting ones
STEP_DURATION_SAMPLES = 20  # earlier runs from which the remaining time is learned


def job(job_id: str) -> str:
    """Hash: the job record.

    Fields: request, user, rooms, serial, status, attempt, claimant, seq, phase, progress, created (ms),
    cancel; lease (the store's time, in ms, until which the job is its claimant's), begun (ms, of the first
    claim), released (1 when its last owner gave it up in order), sent (ms, when its message was last put on
    ``RESUMED_QUEUE``; 0 while its owner keeps it), stalls (takeovers since it last got further); trace (a W3C
    traceparent: what it was recorded in, when traces were on).
    """
    return f"cto:job:{job_id}"


def events(job_id: str) -> str:
    """Stream: the job's history. The entry of ``seq`` n has the id ``n-0`` and one field, ``event``."""
    return f"cto:events:{job_id}"


def intents(job_id: str) -> str:
    """Hash: the job's intent log. ``plan``: every step, in order; an intent's id: its latest record."""
    return f"cto:intents:{job_id}"


def meta(job_id: str) -> str:
    """String: Celery's own result metadata of the job (celery.backends.base, ``task_keyprefix``)."""
    return f"celery-task-meta-{job_id}"


def jobs(owner: str, which: str = "all") -> str:
    """Sorted set: an owner's jobs, or :data:`ALL_OWNERS`'s, by serial number; ``which`` is also a status."""
    return f"{LIST_PREFIX}{owner}:{which}"


def idempotency(caller: str, key: str) -> str:
    """Hash: ``job`` and ``fingerprint`` of the request that first came with this Idempotency-Key.

    No caller's name has a slash, so the keys of two callers differ; a key may have any character.
    """
    return f"cto:idempotency:of:{caller}/{key}"


def ambiguous_idempotency(caller: str, key: str) -> str:
    """Hash: the same, where releases before this one look for it. Two callers may share one.

    Both parts may have colons: key ``b:c`` of user ``a`` is key ``c`` of user ``a:b``.
    """
    return f"cto:idempotency:{caller}:{key}"


def pace(mode: str, platform: str) -> str:
    """Hash: milliseconds per transfer or buy of the last runs of this mode on this platform.

    Fields: samples (newest first, separated by spaces), median.
    """
    return f"cto:pace:{mode}:{platform}"


# The paper market's own. They last as long as the market does; only what became of an intent expires.

PAPER_LEDGER = "cto:paper:ledger"  # stream: every movement, one entry each
PAPER_INTENT_TTL_S = 90 * 86_400


def paper_wallets(user_id: str) -> str:
    """Hash: address → lamports, of a user's funding wallet and operation wallets."""
    return f"cto:paper:wallets:{user_id}"


def paper_tokens(user_id: str) -> str:
    """Hash: address + ":" + mint → base units, of a user's wallets."""
    return f"cto:paper:tokens:{user_id}"


def paper_curve(mint: str) -> str:
    """Hash: lamports and base units that a bonding curve has gained and sold: ``sol``, ``sold``."""
    return f"cto:paper:curve:{mint}"


def paper_intent(intent_id: str) -> str:
    """Hash: what became of an intent: signature, status, spent, tokens, error_code, error, at_ms."""
    return f"cto:paper:intent:{intent_id}"
