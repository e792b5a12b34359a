"""The plans of the archive's databases for queries."""

from __future__ import annotations

from cto_worker.archive.database import SQLITE


def plan(engine, query):
    """Return the database's plan for a query, as text."""
    explain = "EXPLAIN QUERY PLAN " if engine.dialect.name == SQLITE else "EXPLAIN "
    compiled = query.compile(engine, compile_kwargs={"render_postcompile": True})
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(
            explain + str(compiled),
            compiled.params
            if compiled.positiontup is None
            else tuple(map(compiled.params.get, compiled.positiontup)),
        )
        return "\n".join(str(row[-1]) for row in rows)
