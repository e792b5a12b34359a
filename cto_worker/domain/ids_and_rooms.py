"""The format of job ids, and the names of rooms.

A job id is safe in a URL, a room's name and a key. The gateway creates UUIDs; a caller that sends the Celery
task by name chooses the id.
"""

from __future__ import annotations

import re

JOB_ID_PATTERN = "[A-Za-z0-9_-]{1,128}"
JOB_ID = re.compile(rf"{JOB_ID_PATTERN}\Z")
ADMIN_ROOM = "admin_launches"


def user_room(user_id: str) -> str:
    """Return the room for all jobs of one user."""
    return f"user_{user_id}"


def job_room(job_id: str) -> str:
    """Return the room for one job."""
    return f"job_{job_id}"


def rooms(job_id: str, user_id: str, socket_user_id: str | None) -> list[str]:
    """Return the rooms that get a job's events, without duplicates."""
    users = dict.fromkeys([user_id, socket_user_id or user_id])
    return [job_room(job_id), *(user_room(user) for user in users if user), ADMIN_ROOM]
