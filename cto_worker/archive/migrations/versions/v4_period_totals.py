"""Create the table of the totals by period of 32 days."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "4"
down_revision = "3"

_TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_KEYS = ("status", "outcome", "error_code", "mode", "platform")
_SUMS = ("jobs", "successful_buys", "failed_buys", "spent_lamports")
_FILL = f"""
INSERT INTO job_period_totals (period, {", ".join((*_KEYS, *_SUMS))})
SELECT day / 32, {", ".join(_KEYS)}, {", ".join(f"SUM({name})" for name in _SUMS)}
FROM job_totals GROUP BY day / 32, {", ".join(_KEYS)}
"""  # noqa: S608 - constants


def upgrade() -> None:
    """Create and fill the table."""
    op.create_table(
        "job_period_totals",
        sa.Column("period", sa.Integer, primary_key=True, autoincrement=False),
        *(sa.Column(name, _TEXT, primary_key=True) for name in _KEYS),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in _SUMS),
    )
    op.execute(_FILL)
