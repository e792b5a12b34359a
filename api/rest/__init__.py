"""REST: request parsing, views, error responses and rate limits."""
