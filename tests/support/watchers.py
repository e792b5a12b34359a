"""Stock clients that reconnect and resume, as the documentation requires of applications."""

from __future__ import annotations

import gc

import pytest
import socketio

from support.javascript import NODE_PROGRAMS, NodeProgram

# python-socketio's client leaves the connections of a broken session to the garbage collector.
leaves_sockets_behind = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning"
)


def collect_sockets():
    """Collect the sockets that stock Python clients leave, so that no later test gets their warnings."""
    gc.collect()


class NodeWatcher:
    """The stock ``socket.io-client`` on Node."""

    def __init__(self, url, transport, jobs):
        self.seqs = {job_id: [] for job_id in jobs}
        self.connections = 0
        self.resumed = set()
        self.reasons = []  # of disconnections
        self.program = NodeProgram(self.receive, NODE_PROGRAMS / "resume.mjs", url, transport, *jobs)
        self.close = self.program.close

    def receive(self, line):
        if "event" in line:
            self.seqs[line["event"]["jobId"]].append(line["event"]["seq"])
        elif "resumed" in line:
            self.resumed.add(line["resumed"])
        elif "disconnected" in line:
            self.reasons.append(line["disconnected"])
            self.resumed = set()
        elif "connected" in line:
            self.connections += 1


class NodeFollower:
    """Node's own ``EventSource`` and ``WebSocket``, which follow one job."""

    def __init__(self, url, job_id):
        self.seqs = {"source": [], "socket": []}
        self.endings = []  # of either connection
        self.program = NodeProgram(
            self.receive,
            "--experimental-eventsource",
            "--no-warnings",
            NODE_PROGRAMS / "native.mjs",
            url,
            job_id,
        )
        self.close = self.program.close

    def receive(self, line):
        if "seq" in line:
            self.seqs[line["transport"]].append(line["seq"])
        else:
            self.endings.append(line)


class PythonWatcher:
    """The stock ``python-socketio`` client."""

    def __init__(self, url, transport, jobs):
        self.seqs = {job_id: [] for job_id in jobs}
        self.connections = 0
        self.resumed = set()
        self.reasons = []
        self.client = socketio.Client(reconnection_delay=1, reconnection_delay_max=2)
        self.client.on("worker_progress", self.add_event)
        self.client.on("connect", self.connected)
        self.client.on("disconnect", self.disconnected)
        self.client.connect(url, transports=[transport])

    def connected(self):
        self.connections += 1
        for job_id, seqs in self.seqs.items():
            message = {"jobId": job_id, "after": max(seqs, default=0)}
            self.client.emit("resume", message, callback=self.resuming(job_id))

    def disconnected(self, reason):
        self.reasons.append(reason)
        self.resumed = set()

    def resuming(self, job_id):
        def receive(answer):
            for event in answer["events"]:
                self.add_event(event)
            self.resumed.add(job_id)

        return receive

    def add_event(self, event):
        self.seqs[event["jobId"]].append(event["seq"])

    def close(self):
        self.client.disconnect()
