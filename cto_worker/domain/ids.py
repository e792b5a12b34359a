"""What a job id looks like: safe in a URL, a room's name and a key.

Ours are UUIDs; who sends the task by name picks its own.
"""

from __future__ import annotations

import re

JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,128}\Z")


ADMIN_ROOM = "admin_launches"


def user_room(user_id: str) -> str:
    """The room of one user's jobs."""
    return f"user_{user_id}"


def job_room(job_id: str) -> str:
    """The room of one job."""
    return f"job_{job_id}"


def rooms(job_id: str, user_id: str, socket_user_id: str | None) -> list[str]:
    """Every room that gets a job's events, each once."""
    users = dict.fromkeys([user_id, socket_user_id or user_id])
    return [job_room(job_id), *(user_room(user) for user in users if user), ADMIN_ROOM]
