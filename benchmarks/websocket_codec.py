"""Our WebSocket codec against wsproto: ``python -m benchmarks.websocket_codec`` (docs/decisions/0016).

Times are medians of rounds that alternate. Memory is that of the objects of one idle server-side connection.
"""

from __future__ import annotations

import os
import time
import tracemalloc
from statistics import median

from wsproto.connection import Connection, ConnectionType
from wsproto.events import TextMessage
from wsproto.frame_protocol import FrameProtocol

from api.relay.websocket_frame_encoder import text_frame
from api.server.websocket_frame_decoder import FrameDecoder, text_of

LIMIT, ROUNDS, FRAMES, CONNECTIONS = 32_768, 15, 2_000, 5_000
SIZES = {"a join, 40 bytes": 40, "an event, 700 bytes": 700, "the largest message, 32,768 bytes": LIMIT}


def frame_of_client(size):
    """Return a masked text frame."""
    length = bytes((0x80 | size,)) if size < 126 else bytes((0x80 | 126,)) + size.to_bytes(2, "big")
    mask = os.urandom(4)
    return b"\x81" + length + mask + bytes(ord("a") ^ mask[at % 4] for at in range(size))


def decode_ours(decoder, data):
    return [text_of(payload) for _, payload in decoder.read(data)]


def decode_frames(protocol, data):
    protocol.receive_bytes(data)
    return [frame.payload for frame in protocol.received_frames()]


def decode_events(connection, data):
    connection.receive_data(data)
    return [event.data for event in connection.events()]


DECODERS = {
    "ours": (lambda: FrameDecoder(LIMIT), decode_ours),
    "wsproto, frames": (lambda: FrameProtocol(client=False, extensions=[]), decode_frames),
    "wsproto, connection": (lambda: Connection(ConnectionType.SERVER), decode_events),
}
ENCODERS = {
    "ours": (lambda: None, lambda _, text: text_frame(text.encode())),
    "wsproto, frames": (DECODERS["wsproto, frames"][0], lambda protocol, text: protocol.send_data(text)),
    "wsproto, connection": (
        DECODERS["wsproto, connection"][0],
        lambda connection, text: connection.send(TextMessage(data=text)),
    ),
}


def microseconds(codec, data, count):
    make, act = codec
    state = make()
    act(state, data)
    start_s = time.perf_counter()
    for _ in range(count):
        act(state, data)
    return (time.perf_counter() - start_s) / count * 1e6


def print_times(title, codecs, data, count=FRAMES):
    times = {name: [] for name in codecs}
    for _ in range(ROUNDS):
        for name, codec in codecs.items():
            times[name].append(microseconds(codec, data, count))
    print(f"{title}: " + ", ".join(f"{name} {median(found):.2f} µs" for name, found in times.items()))


def bytes_of_connection(make):
    make()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    kept = [make() for _ in range(CONNECTIONS)]
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return (after - before) / len(kept)


def main():
    for title, size in SIZES.items():
        data, count = frame_of_client(size), FRAMES if size < LIMIT else FRAMES // 20
        texts = {name: act(make(), data) for name, (make, act) in DECODERS.items()}
        assert all(text == ["a" * size] for text in texts.values()), texts.keys()
        print_times(f"decode {title}", DECODERS, data, count)
        print_times(f"encode {title}", ENCODERS, "a" * size, count)
    for name, (make, _) in DECODERS.items():
        print(f"memory of an idle connection, {name}: {bytes_of_connection(make):,.0f} bytes")


if __name__ == "__main__":
    main()
