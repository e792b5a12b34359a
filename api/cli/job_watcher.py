"""Follows jobs over Socket.IO. Reads missed events from the jobs' history."""

from __future__ import annotations

import queue
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NoReturn

import click

from api.cli.rest_client import GatewayError
from api.cli.terminal.job_state_labels import ENDED
from cto_worker.domain.ids_and_rooms import job_room

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from api.cli.rest_client import RestClient
    from api.cli.terminal.progress_display import Screen

QUIET_S = 5.0  # without an event for this long, the history is read
CONNECT_S = 10
# Socket.IO's reasons: this program's `disconnect()`; the gateway ended the session
OWN_DISCONNECT, ENDED_BY_GATEWAY = "client disconnect", "server disconnect"
JOIN_AGAIN_S = 1.0  # delay before a join is repeated after `store_unavailable`

_Arrived = queue.SimpleQueue[dict[str, Any]]


def watch(gateway: RestClient, job_ids: Sequence[str], screen: Screen) -> list[dict[str, Any]]:
    """Show every event of these jobs once, until all jobs have ended. Return their last events.

    Raises :class:`GatewayError` for an unknown job, and if the gateway is not reachable at the start.
    """
    latest = {job_id: gateway.get(f"/api/cto/job/{job_id}/latest") for job_id in job_ids}
    seen = dict.fromkeys(job_ids, 0)
    with _in_rooms(gateway, [job_room(job_id) for job_id in job_ids]) as arrived:
        while any(_unfinished(latest[job_id], seen[job_id]) for job_id in job_ids):
            for event in _next(gateway, arrived, seen):
                seen[event["jobId"]] = event["seq"]
                latest[event["jobId"]] = event
                screen.show(event)
    return [latest[job_id] for job_id in job_ids]


def watch_room(gateway: RestClient, room: str, screen: Screen) -> NoReturn:
    """Show the latest event of each unfinished job of a room, then every event of the room's jobs, for ever.

    Raises :class:`GatewayError` if the caller may not join the room.
    """
    seen: dict[str, int] = {}
    ended: set[str] = set()
    with _in_rooms(gateway, [room]) as arrived:
        while True:
            for event in next_of_room(gateway, arrived, seen, ended):
                job_id = event["jobId"]
                seen[job_id] = event["seq"]
                screen.show(event)
                if event["status"] in ENDED:
                    ended.add(job_id)
                    del seen[job_id]


@contextmanager
def _in_rooms(gateway: RestClient, rooms: Iterable[str]) -> Iterator[_Arrived]:
    """Yield a queue of the events of these rooms, and of the replies to the requests to join them."""
    connection = _Connection(gateway, rooms)
    try:
        connection.open()
        yield connection.arrived
    except connection.errors.ConnectionError as error:
        text = f"no Socket.IO connection to {gateway.url}: {error}. Check the URL and the token"
        raise GatewayError("unreachable", text) from error
    finally:
        connection.close()


class _Connection:
    """A Socket.IO connection that stays in its rooms, also when it is lost or its token expires."""

    def __init__(self, gateway: RestClient, rooms: Iterable[str]) -> None:
        import socketio  # noqa: PLC0415 - a fifth of the start-up time; only watching needs it

        self.arrived: _Arrived = queue.SimpleQueue()
        self.errors = socketio.exceptions
        self._gateway, self._rooms = gateway, rooms
        self._lost = False
        self._client = socketio.Client(handle_sigint=False)  # Ctrl-C raises KeyboardInterrupt here
        self._client.on("worker_progress", self.arrived.put)
        self._client.on("connect", self._connected)
        self._client.on("disconnect", self._disconnected)
        self._client.on("auth_expired", self._token_expired)

    def open(self, *, retry: bool = False) -> None:
        """Connect. Raises Socket.IO's ``ConnectionError``, with ``retry`` only if the gateway refuses."""
        self._client.connect(
            self._gateway.url,
            auth=lambda: {"token": self._gateway.token()},
            wait_timeout=CONNECT_S,
            retry=retry,
        )

    def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()

    def _connected(self) -> None:
        if self._lost:
            click.echo(f"connected to {self._gateway.url} again", err=True)
        self._lost = False
        for room in self._rooms:  # on each connection, because a client that reconnects is in no room
            self._join(room)

    def _disconnected(self, reason: str) -> None:
        if reason not in {OWN_DISCONNECT, ENDED_BY_GATEWAY}:
            click.echo(f"lost the connection to {self._gateway.url}: connecting again", err=True)
            self._lost = True

    def _token_expired(self, problem: dict[str, Any]) -> None:
        self._client.start_background_task(self._reopen, problem)

    def _reopen(self, problem: dict[str, Any]) -> None:
        """Connect with a new token. The library does not do so after the gateway has ended a connection."""
        self._client.wait()  # until that connection has ended
        try:
            self.open(retry=True)
        except self.errors.ConnectionError:
            self.arrived.put({"success": False, "error": problem})

    def _join(self, room: str) -> None:
        self._client.emit("join_room", room, callback=lambda reply: self._replied(room, reply))

    def _replied(self, room: str, reply: dict[str, Any]) -> None:
        if reply["success"] or reply["error"]["code"] != "store_unavailable":
            self.arrived.put(reply)
        else:
            self._client.start_background_task(self._join_later, room)

    def _join_later(self, room: str) -> None:
        self._client.sleep(JOIN_AGAIN_S)
        with suppress(self.errors.SocketIOError):  # not connected: the next connection joins
            self._join(room)


def _received(arrived: _Arrived) -> dict[str, Any] | None:
    """Return the next event, or ``None`` at the timeout. Raises :class:`GatewayError` if a join fails."""
    while True:
        try:
            message = arrived.get(timeout=QUIET_S)
        except queue.Empty:
            return None
        if "jobId" in message:
            return message
        if not message["success"]:
            raise GatewayError(message["error"]["code"], message["error"]["message"])


def _next(gateway: RestClient, arrived: _Arrived, seen: dict[str, int]) -> list[dict[str, Any]]:
    """Return the next events: the event that arrived, or after a gap the missing events from the history."""
    behind = {job_id: seq for job_id, seq in seen.items() if seq == 0}
    if not behind:
        event = _received(arrived)
        if event is None:
            behind = seen
        elif event["seq"] == seen[event["jobId"]] + 1:
            return [event]
        elif event["seq"] > seen[event["jobId"]]:
            behind = {event["jobId"]: seen[event["jobId"]]}
    return _missing(gateway, behind)


def next_of_room(
    gateway: RestClient, arrived: _Arrived, seen: dict[str, int], ended: set[str]
) -> list[dict[str, Any]]:
    """Return the next events of a room. The display of an unknown job begins with this event."""
    event = _received(arrived)
    if event is None:
        return _missing(gateway, seen)
    known = seen.get(event["jobId"], event["seq"] - 1)
    if event["jobId"] in ended or event["seq"] <= known:
        return []
    return [event] if event["seq"] == known + 1 else _missing(gateway, {event["jobId"]: known})


def _missing(gateway: RestClient, seen: dict[str, int]) -> list[dict[str, Any]]:
    """Return each job's events after its ``seq`` in ``seen``, from the history.

    Returns no events while the gateway is unreachable.
    """
    missing = []
    for job_id, seq in seen.items():
        try:
            missing += gateway.get(f"/api/cto/job/{job_id}/events", after=seq)["events"]
        except GatewayError as error:
            if error.code not in {"unreachable", "timeout"}:
                raise  # otherwise the gateway may be restarting
    return missing


def _unfinished(latest: dict[str, Any], seen: int) -> bool:
    return latest["status"] not in ENDED or seen < latest["seq"]
