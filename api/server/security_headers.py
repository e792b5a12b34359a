"""The security headers of every response, those of the HTTP parser included."""

from __future__ import annotations

SECURITY_HEADERS = [
    (
        "Content-Security-Policy",
        (
            "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
            "form-action 'self'; frame-ancestors 'none'"
        ),
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
]
