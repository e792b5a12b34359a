"""The archive of ended jobs, in an SQL database: SQLite or PostgreSQL."""
