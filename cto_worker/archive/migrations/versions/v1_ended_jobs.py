"""Create the tables of ended jobs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "1"
down_revision = None

_TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_FILTERS = ("user_id", "token_address", "mode", "platform", "status", "outcome", "error_code")


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "jobs",
        sa.Column("job_id", _TEXT, primary_key=True),
        sa.Column("user_id", _TEXT, nullable=False),
        sa.Column("token_address", _TEXT, nullable=False),
        sa.Column("mode", _TEXT, nullable=False),
        sa.Column("platform", _TEXT, nullable=False),
        sa.Column("status", _TEXT, nullable=False),
        sa.Column("outcome", _TEXT),
        sa.Column("error_code", _TEXT),
        sa.Column("buy_lamports", sa.BigInteger, nullable=False),
        sa.Column("spent_lamports", sa.BigInteger, nullable=False),
        sa.Column("successful_buys", sa.Integer, nullable=False),
        sa.Column("failed_buys", sa.Integer, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("ended_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("jobs_by_creation", "jobs", ["created_ms", "job_id"])
    op.create_index("jobs_by_end", "jobs", ["ended_ms"])
    for name in _FILTERS:
        op.create_index(f"jobs_by_{name}", "jobs", [name, "created_ms", "job_id"])
    op.create_table(
        "job_documents",
        _job_id(),
        *(
            sa.Column(name, sa.LargeBinary, nullable=False)
            for name in ("request", "earlier_events", "last_event", "result", "intents")
        ),
    )
    op.create_table(
        "job_wallets",
        sa.Column("wallet", _TEXT, primary_key=True),
        sa.Column("created_ms", sa.BigInteger, primary_key=True),
        _job_id(),
    )
    op.create_index("job_wallets_by_job", "job_wallets", ["job_id"])
    op.create_table("job_signatures", sa.Column("signature", _TEXT, primary_key=True), _job_id())
    op.create_index("job_signatures_by_job", "job_signatures", ["job_id"])
    op.create_table(
        "job_totals",
        sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),
        *(
            sa.Column(name, _TEXT, primary_key=True)
            for name in ("status", "outcome", "error_code", "mode", "platform")
        ),
        *(
            sa.Column(name, sa.BigInteger, nullable=False)
            for name in ("jobs", "successful_buys", "failed_buys", "spent_lamports")
        ),
    )


def _job_id() -> sa.Column[str]:
    return sa.Column("job_id", _TEXT, sa.ForeignKey("jobs.job_id", ondelete="CASCADE"), primary_key=True)
