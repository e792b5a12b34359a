"""Matrices of cases that run in a loop inside one test."""

from __future__ import annotations

import traceback


def check_all(cases, check):
    """Run ``check(*arguments)`` for each case, and fail with the name, place and error of each failed case.

    ``cases`` is a non-empty list of ``(name, arguments)``.
    """
    assert cases
    failures = []
    for name, arguments in cases:
        try:
            check(*arguments)
        except Exception as error:  # noqa: BLE001 - any error fails its case, and the loop continues
            failures.append(f"{name}: {_described(error)}")
    assert not failures, f"{len(failures)} of {len(cases)} cases failed:\n" + "\n".join(failures)


def _described(error):
    place = traceback.extract_tb(error.__traceback__)[-1]
    reason = str(error).partition("\n")[0] or place.line
    return f"{type(error).__name__} in {place.name}, line {place.lineno}: {reason}"
