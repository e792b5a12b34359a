"""In-memory implementations of the journal and the market, which pass the same contract tests."""
