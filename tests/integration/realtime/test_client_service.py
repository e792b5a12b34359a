"""Look-ups wait for a slot, on every transport."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from support.tokens import SECRET
from support.waiting import assert_stays, wait_until

from api.auth.authentication import Authenticator
from api.auth.caller import Caller, Role
from api.auth.token_revocations import Revocations, revoke
from api.errors import RoomError, UnauthorizedError
from api.realtime import sse
from api.relay.subscriber import Subscriber


def result_after_waiting(service, act):
    """Assert that a call waits for a free slot, and return its result."""
    answers = []
    thread = threading.Thread(target=lambda: answers.append(act()))
    with service.lookup_slots.slot():
        thread.start()
        wait_until(lambda: len(service.lookup_slots._waiting) == 1)
        assert_stays(lambda: not answers, 0.2)
    thread.join()
    return answers[0]


@pytest.mark.parametrize("path", ["/api/cto/job/none/stream", "/api/cto/stream?userId=7"])
def test_a_stream_waits_for_a_slot(app, settings, service, path):
    app.register_blueprint(sse.blueprint(service))
    answer = result_after_waiting(service, lambda: app.test_client().get(path, buffered=False))
    assert answer.status_code == (404 if "job" in path else 200)
    answer.close()


def test_a_client_with_a_revoked_token_can_neither_connect_nor_join(service, store, settings):
    revocations = Revocations(store)
    with_tokens = replace(settings, auth="required", jwt_secret=SECRET)
    service = replace(service, authenticator=Authenticator(with_tokens, revocations.revoked))
    caller = Caller(Role.USER, "7", token_id="t1")
    subscriber = Subscriber()
    service.connect(subscriber, caller)
    revoke(store, token_id="t1", keep_s=60)
    assert revocations.refresh()
    with pytest.raises(UnauthorizedError):
        service.connect(Subscriber(), caller)
    with pytest.raises(UnauthorizedError):
        service.join(subscriber, "user_7")


@pytest.mark.parametrize("name", ["join", "resume"])
def test_a_join_and_a_resume_wait_for_a_slot(service, name):
    subscriber = Subscriber()
    service.connections.add(subscriber, Caller(Role.USER, "7"))

    arguments = {"join": ["job_none"], "resume": ["none", 0, lambda _: None]}[name]

    def act():
        with pytest.raises(RoomError) as refused:
            getattr(service, name)(subscriber, *arguments)
        return refused.value.code

    assert result_after_waiting(service, act) == "job_not_found"
