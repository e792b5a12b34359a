"""Create the table of the audit log's days, and drop the index that it replaces."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "3"
down_revision = "2"

_FILL = """
INSERT INTO audit_days (day, first_number, last_number)
SELECT at_ms / 86400000, MIN(number), MAX(number) FROM audit_entries GROUP BY at_ms / 86400000
"""


def upgrade() -> None:
    """Create and fill the table."""
    op.create_table(
        "audit_days",
        sa.Column("day", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("first_number", sa.BigInteger, nullable=False),
        sa.Column("last_number", sa.BigInteger, nullable=False),
    )
    op.execute(_FILL)
    op.drop_index("audit_by_time", "audit_entries")
