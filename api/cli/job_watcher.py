"""Follows jobs over Socket.IO. Reads missed events from the jobs' history."""

from __future__ import annotations

import math
import queue
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NoReturn

import click

from api.cli.rest_client import GatewayError
from api.cli.terminal.job_state_labels import ENDED
from api.cli.token_expiry import replaced_at
from cto_worker.domain.ids_and_rooms import job_room
from cto_worker.errors import CtoError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from api.cli.rest_client import RestClient
    from api.cli.terminal.progress_display import Screen

QUIET_S = 5.0  # without an event for this long, the history is read
CONNECT_S = 10
CHECK_S = 1.0  # between two looks at the token, two attempts to connect, and two requests to join a room
TOKEN_CODES = {"unauthorized", "invalid_token", "token_expired", "token_revoked"}  # repeating does not help

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
    """Yield a queue of the events of these rooms, of one reply once all are joined, and of refusals."""
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
    """A Socket.IO connection that stays in its rooms, also when it is lost or its token expires.

    ``arrived`` also gets an unsuccessful reply when the gateway refuses every token that there is.
    """

    def __init__(self, gateway: RestClient, rooms: Iterable[str]) -> None:
        import socketio  # noqa: PLC0415 - a fifth of the start-up time; only watching needs it

        self.arrived: _Arrived = queue.SimpleQueue()
        self.errors = socketio.exceptions
        self._gateway, self._rooms = gateway, frozenset(rooms)
        self._unjoined = set(self._rooms)
        self._lost = self._closed = False
        self._replaced_s = math.inf  # when the latest token must be replaced
        self._opening = threading.Lock()
        # Ctrl-C raises KeyboardInterrupt here. The library does not connect again after the gateway has
        # ended a connection.
        self._client = socketio.Client(handle_sigint=False, reconnection=False)
        self._client.on("worker_progress", self.arrived.put)
        self._client.on("connect", self._connected)
        self._client.on("connect_error", self._refused)
        self._client.on("disconnect", self._disconnected)

    def open(self) -> None:
        """Connect, and renew the token from now on.

        Raises Socket.IO's ``ConnectionError``, and :class:`~cto_worker.errors.CtoError` without a token.
        """
        self._auth()  # within a connection its error would be logged, and the attempt repeated
        self._connect()
        self._client.start_background_task(self._renew_token)

    def close(self) -> None:
        """Disconnect."""
        self._closed = True
        self._client.disconnect()

    def _connect(self) -> None:
        self._client.connect(self._gateway.url, auth=self._auth, wait_timeout=CONNECT_S)

    def _auth(self) -> dict[str, str]:
        try:
            token = self._gateway.token()
        except CtoError as error:  # the command that prints a token failed
            self._end("unauthorized", str(error))
            raise
        self._replaced_s = replaced_at(token)
        return {"token": token}

    def _renew_token(self) -> None:
        while not self._closed:
            self._client.sleep(CHECK_S)
            before_s = self._replaced_s
            if time.time() < before_s:
                continue
            with suppress(CtoError, self.errors.SocketIOError):  # the next connection uses a new token
                auth = self._auth()
                if self._replaced_s > before_s:
                    self._client.emit("auth_refresh", auth)

    def _connected(self) -> None:
        if self._lost:
            click.echo(f"connected to {self._gateway.url} again", err=True)
        self._lost = False
        self._unjoined = set(self._rooms)
        for room in self._rooms:  # on each connection, because a client that reconnects is in no room
            self._join(room)

    def _refused(self, refusal: Any) -> None:
        code = refusal.get("data", {}).get("code") if isinstance(refusal, dict) else None
        if code in TOKEN_CODES:
            self._end(code, refusal["message"])

    def _end(self, code: str, message: str) -> None:
        self.arrived.put({"success": False, "error": {"code": code, "message": message}})

    def _disconnected(self, *_: str) -> None:
        if self._closed:
            return
        if not self._lost:
            click.echo(f"lost the connection to {self._gateway.url}: connecting again", err=True)
        self._lost = True
        self._client.start_background_task(self._connect_again)

    def _connect_again(self) -> None:
        with self._opening:
            self._client.eio.wait()  # until the old connection has ended
            while self._lost and not self._closed:
                # A token that is issued in the second of a revocation is revoked, too.
                self._client.sleep(CHECK_S)
                with suppress(self.errors.ConnectionError, ValueError):  # ValueError: not ended yet
                    self._connect()

    def _join(self, room: str) -> None:
        self._client.emit("join_room", room, callback=lambda reply: self._replied(room, reply))

    def _replied(self, room: str, reply: dict[str, Any]) -> None:
        if not reply["success"]:
            if reply["error"]["code"] == "store_unavailable":
                self._client.start_background_task(self._join_later, room)
            else:
                self.arrived.put(reply)
            return
        self._unjoined.discard(room)
        if not self._unjoined:  # once, because all histories are read then
            self.arrived.put(reply)

    def _join_later(self, room: str) -> None:
        self._client.sleep(CHECK_S)
        with suppress(self.errors.SocketIOError):  # not connected: the next connection joins
            self._join(room)


def _received(arrived: _Arrived) -> dict[str, Any] | None:
    """Return the next event, or ``None`` at the timeout and when all rooms are joined: events may be missing.

    Raises :class:`GatewayError` if a join fails, and if the gateway refuses the token.
    """
    try:
        message = arrived.get(timeout=QUIET_S)
    except queue.Empty:
        return None
    if "jobId" in message:
        return message
    if not message["success"]:
        raise GatewayError(message["error"]["code"], message["error"]["message"])
    return None


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
