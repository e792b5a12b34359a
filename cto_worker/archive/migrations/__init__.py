"""The migrations of the archive's schema, for Alembic.

:mod:`cto_worker.archive.schema_migration` runs them.
"""
