"""The lean client manager and the JSON of packets do what python-socketio expects of its own."""

from __future__ import annotations

import json

import socketio

from api.realtime.socketio_transport import ClientManager, PacketJson


def test_a_client_has_no_room_of_its_own_and_can_be_sent_to_and_removed():
    server = socketio.Server(async_mode="threading", client_manager=ClientManager())
    manager, sids = server.manager, {}
    for eio_sid in ("a", "b"):
        sids[eio_sid] = manager.connect(manager.pre_connect(eio_sid, "/"), "/")
    assert list(manager.rooms["/"]) == [None], "the room of all clients is the only one"
    assert list(manager.get_participants("/", sids["a"])) == [(sids["a"], "a")]
    assert manager.pre_connect("a", "/") is None, "it is connected already"
    manager.pre_disconnect(sids["a"], "/")
    manager.disconnect(sids["a"], "/", ignore_queue=True)
    assert list(manager.get_participants("/", sids["a"])) == []
    assert manager.is_connected(sids["b"], "/")


def test_packets_are_compact_json_also_with_a_lone_surrogate():
    options = {"separators": (",", ":")}
    assert PacketJson.dumps(["é", {"success": True, "id": None}], **options) == (
        '["é",{"success":true,"id":null}]'
    )
    assert json.loads(PacketJson.dumps("\ud800", **options)) == "\ud800"
