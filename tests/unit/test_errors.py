"""The codes and messages that clients receive for exceptions."""

from __future__ import annotations

import pytest
from kombu.exceptions import OperationalError
from redis.exceptions import ConnectionError as StoreConnectionError

from api.errors import (
    ERRORS,
    KeysUnavailableError,
    RelayUnavailableError,
    RoomError,
    TooManyRoomsError,
    UnauthorizedError,
    describe,
)
from cto_worker.errors import EventsGoneError, JobNotFoundError, NotDurableError, SequenceError


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (UnauthorizedError("invalid_token", "the token is invalid: why"), "invalid_token", "why"),
        (RoomError("busy"), "busy", ERRORS["busy"].message),
        (KeysUnavailableError(), "keys_unavailable", ERRORS["keys_unavailable"].message),
        (TooManyRoomsError(3), "too_many_rooms", "3 rooms"),
        (JobNotFoundError("j1"), "job_not_found", "j1"),
        (EventsGoneError("j1", 9), "gap", "9"),
    ],
)
def test_an_exception_has_one_code_and_its_own_message(error, code, text):
    found, message = describe(error)
    assert found == code
    assert text in message


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (StoreConnectionError, "store_unavailable"),
        (OperationalError, "store_unavailable"),
        (RelayUnavailableError, "store_unavailable"),
        (NotDurableError, "store_unavailable"),
        (SequenceError, "internal_error"),
        (ValueError, "internal_error"),
    ],
)
def test_internal_text_is_not_shown(kind, code):
    assert describe(kind("redis at 10.0.0.7")) == (code, ERRORS[code].message)


def test_a_code_without_a_text_of_its_own_must_be_in_the_table():
    with pytest.raises(KeyError):
        RoomError("no_such_code")
