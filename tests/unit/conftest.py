"""Settings of Hypothesis for the unit tests."""

from __future__ import annotations

from hypothesis import settings

# A slow machine must not fail a test: the default deadline is 200 ms for each example.
settings.register_profile("no_deadline", deadline=None)
settings.load_profile("no_deadline")
