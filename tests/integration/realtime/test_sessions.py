"""Whoever comes waits for its turn to be looked up, whichever door it comes through."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from support.tokens import SECRET
from support.waiting import assert_stays, wait_until

from api.auth.authentication import Authenticator
from api.auth.policy import Caller, Role
from api.auth.revocations import Revocations, revoke
from api.errors import RoomError, UnauthorizedError
from api.limits.fair_semaphore import FairSemaphore
from api.realtime import sse
from api.realtime.connections import Connections
from api.realtime.sessions import SessionService
from api.relay.relay import Relay
from api.relay.subscriber import Subscriber
from cto_worker.store.history import History


@pytest.fixture
def sessions(store, settings):
    revocations, history = Revocations(store), History(store)
    authenticator, connections = Authenticator(settings, revocations.revoked), Connections(revocations, 5)
    sessions = SessionService(authenticator, connections, FairSemaphore(1), Relay(store, history), history)
    thread = threading.Thread(target=sessions.relay.run)
    thread.start()
    yield sessions
    sessions.relay.stop()
    thread.join()


def waits_for_its_turn(sessions, act):
    """Whether this begins only when a turn is free; return what it came to."""
    answers = []
    thread = threading.Thread(target=lambda: answers.append(act()))
    with sessions.turns.slot():
        thread.start()
        wait_until(lambda: len(sessions.turns._waiting) == 1)
        assert_stays(lambda: not answers, 0.2)
    thread.join()
    return answers[0]


@pytest.mark.parametrize("path", ["/api/cto/job/none/stream", "/api/cto/stream?userId=7"])
def test_streams_wait_for_their_turn(app, settings, sessions, path):
    app.register_blueprint(sse.blueprint(sessions))
    answer = waits_for_its_turn(sessions, lambda: app.test_client().get(path, buffered=False))
    assert answer.status_code == (404 if "job" in path else 200)
    answer.close()


def test_whose_token_has_been_revoked_meanwhile_is_let_in_nowhere(sessions, store, settings):
    revocations = Revocations(store)
    wanting_tokens = replace(settings, auth="required", jwt_secret=SECRET)
    sessions = replace(sessions, authenticator=Authenticator(wanting_tokens, revocations.revoked))
    who = Caller(Role.USER, "7", token_id="t1")
    connection = sessions.open(who, lambda _: None)
    revoke(store, token_id="t1", keep_s=60)
    assert revocations.refresh()
    with pytest.raises(UnauthorizedError):
        sessions.open(who, lambda _: None)
    with pytest.raises(UnauthorizedError):
        sessions.join(connection, Subscriber(lambda _: None, lambda *_: None), "user_7")


@pytest.mark.parametrize("what", ["join", "resume"])
def test_who_joins_or_resumes_waits_for_its_turn(sessions, what):
    subscriber = Subscriber(lambda _: None, lambda *_: None)
    connection = sessions.connections.open(Caller(Role.USER, "7"), lambda _: None)

    arguments = {"join": ["job_none"], "resume": ["none", 0, lambda _: None]}[what]

    def act():
        with pytest.raises(RoomError) as refused:
            getattr(sessions, what)(connection, subscriber, *arguments)
        return refused.value.code

    assert waits_for_its_turn(sessions, act) == "job_not_found"
