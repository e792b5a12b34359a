"""What a job id looks like: safe in a URL, a room's name and a key.

Ours are UUIDs; who sends the task by name picks its own.
"""

from __future__ import annotations

import re

JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,128}\Z")
