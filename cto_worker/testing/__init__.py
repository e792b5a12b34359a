"""A journal and a market in memory, for unit tests. The journal passes the contract tests of the real one."""
