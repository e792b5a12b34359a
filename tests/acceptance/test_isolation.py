"""Many users request each other's jobs and rooms at once, and receive no event of another user."""

from __future__ import annotations

import os
from collections import Counter
from random import Random

import pytest
import requests
import socketio
from support.clients import WebSocketClient
from support.samples import operation
from support.threads import in_threads
from support.tokens import GUARDED, bearer, token
from support.waiting import wait_until

ACTIONS = int(os.environ.get("ISOLATION_ACTIONS", "3000"))  # of all users; `make soak` tries more
USERS = 24
SEED = 20


class User:
    """One user with a stock Socket.IO client and a ``/ws`` client, and random actions."""

    def __init__(self, system, number, jobs, errors):
        self.name = f"user-{number}"
        self.system, self.jobs, self.errors = system, jobs, errors
        self.random = Random(SEED + number)
        self.actions, self.received = Counter(), Counter()
        text = token(self.name)
        self.rest = requests.Session()
        self.rest.headers.update(bearer(text))
        self.client = socketio.Client()
        self.client.on("worker_progress", self.receive)
        self.client.connect(system.url, auth={"token": text}, transports=["websocket"])
        self.ws = WebSocketClient(system, f"user_{self.name}", token=text)

    def receive(self, event):
        self.received[event["userId"]] += 1

    def job(self):
        """Return a random job, and whether it belongs to this user."""
        owner, job_id = self.random.choice(self.jobs)
        return job_id, owner == self.name

    def act(self):
        acts = [self.submit] + [self.read] * 12 + [self.cancel, self.list, self.count] + [self.join] * 4
        act = self.random.choice([*acts, self.resume, self.resume, self.ws_join, self.ws_resume])
        act()
        self.actions[act.__name__] += 1

    def expect(self, right, what):
        if not right:
            self.errors.append((self.name, what))

    def submit(self):
        owner = self.random.choice([self.name, self.name, "user-0"])
        body = operation(userId=owner, buyAmount=0.01, walletCount=1)
        answer = self.rest.post(f"{self.system.url}/api/cto/jobs", json=body, timeout=30)
        self.expect(
            answer.status_code == (202 if owner == self.name else 403), ("submit", owner, answer.text)
        )
        if answer.ok:
            self.jobs.append((owner, answer.json()["data"]["jobId"]))

    def read(self):
        job_id, own = self.job()
        part = self.random.choice(["status", "latest", "events"])
        answer = self.rest.get(f"{self.system.url}/api/cto/job/{job_id}/{part}", timeout=30)
        self.expect(answer.status_code == (200 if own else 404), (part, own, answer.text))

    def cancel(self):
        job_id, own = self.job()
        answer = self.rest.post(f"{self.system.url}/api/cto/job/{job_id}/cancel", timeout=30)
        self.expect(answer.status_code in ({202, 409} if own else {404}), ("cancel", own, answer.text))

    def list(self):
        jobs = self.rest.get(f"{self.system.url}/api/cto/jobs", timeout=30).json()["data"]["jobs"]
        self.expect({job["userId"] for job in jobs} <= {self.name}, ("list", jobs))

    def count(self):
        some = self.random.sample(self.jobs, min(20, len(self.jobs)))
        ids = ",".join(job_id for _, job_id in some)
        answer = self.rest.get(f"{self.system.url}/api/cto/jobs/stats", params={"jobIds": ids}, timeout=30)
        foreign = sum(owner != self.name for owner, _ in some)
        self.expect(answer.json()["data"]["notFound"] == foreign, ("stats", foreign, answer.text))

    def room(self):
        """Return a random room, and whether this user may join it."""
        job_id, own = self.job()
        other = f"user-{self.random.randrange(USERS)}"
        rooms = [(f"job_{job_id}", own), (f"user_{other}", other == self.name), ("admin_launches", False)]
        return self.random.choice([*rooms, (f"user_{self.name}", True)])

    def join(self):
        room, own = self.room()
        name = self.random.choice(["join_room", "join_room", "leave_room"])
        answer = self.client.call(name, room, timeout=30)
        self.expect(answer["success"] == (own or name == "leave_room"), (name, room, answer))

    def resume(self):
        job_id, own = self.job()
        answer = self.client.call("resume", {"jobId": job_id, "after": 0}, timeout=30)
        self.expect(answer["success"] == own, ("resume", own, answer))
        self.expect(
            {event["userId"] for event in answer.get("events", [])} <= {self.name}, ("resume", answer)
        )

    def ws_join(self):
        room, _ = self.room()
        self.ws.send(type="join", room=room)

    def ws_resume(self):
        self.ws.send(type="resume", jobId=self.job()[0], after=0)

    def close(self):
        self.client.disconnect()
        self.ws.close()
        self.rest.close()


@pytest.mark.timeout(300)
def test_users_receive_no_events_of_others(launch):
    system = launch(
        "--no-flower",
        **GUARDED,
        CTO_RATE_LIMIT="1000000/minute",
        CTO_PAPER_LATENCY_MS="5",
    ).ready()
    jobs, errors = [], []
    users = [User(system, number, jobs, errors) for number in range(USERS)]
    for user in users:
        user.submit()

    def act(user):
        for _ in range(ACTIONS // USERS + 1):
            user.act()

    in_threads(act, users)
    assert not errors, errors[:5]
    actions = sum((user.actions for user in users), Counter())
    assert actions.total() >= ACTIONS
    for owner, job_id in jobs[-USERS:]:
        wait_until(
            lambda job_id=job_id, owner=owner: (
                requests.get(
                    f"{system.url}/api/cto/job/{job_id}/latest",
                    headers=bearer(token(owner)),
                    timeout=10,
                ).json()["data"]["phase"]
                == 5
            )
        )
    for user in users:
        while not (own := [job_id for owner, job_id in jobs if owner == user.name]):
            user.submit()
        user.ws.send(type="resume", jobId=own[0], after=0)  # by chance it may have joined no room of its own
        events = wait_until(lambda user=user: events_of(user))
        assert {event["userId"] for event in events} == {user.name}
        assert set(user.received) <= {user.name}
    assert sum(user.received.total() for user in users) > USERS
    for user in users:
        user.close()


def events_of(user):
    """Return the events that a user's WebSocket has received."""
    lines = [line for line in user.ws.lines if "event" in line or "events" in line]
    return [event for line in lines for event in line.get("events", [line.get("event")])]
