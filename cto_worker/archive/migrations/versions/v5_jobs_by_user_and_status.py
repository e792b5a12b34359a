"""Create the index of a user's jobs by status."""

from __future__ import annotations

from alembic import op

revision = "5"
down_revision = "4"


def upgrade() -> None:
    """Create the index."""
    op.create_index("jobs_by_user_id_and_status", "jobs", ["user_id", "status", "created_ms", "job_id"])
