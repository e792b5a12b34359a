"""Create the table of the audit log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "2"
down_revision = "1"

_TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "audit_entries",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("hash", _TEXT, primary_key=True),
        sa.Column("previous", _TEXT, nullable=False),
        sa.Column("content", _TEXT, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("actor", _TEXT, nullable=False),
        sa.Column("action", _TEXT, nullable=False),
        sa.Column("job_id", _TEXT),
    )
    op.create_index("audit_by_time", "audit_entries", ["at_ms"])
    for name in ("actor", "action", "job_id"):
        op.create_index(f"audit_by_{name}", "audit_entries", [name, "number", "hash"])
