// The gateway's task with a stock Socket.IO server, on any engine: one subscription for each occupied room.

const CHANNEL_PREFIX = "cto:room:";
export const RECOVERY_MS = 2 * 60 * 1000; // socket.io's own default

// The options of the server. With `recovery`, clients that reconnect get the events that they missed.
export function options(recovery) {
  return recovery ? { connectionStateRecovery: { maxDisconnectionDuration: RECOVERY_MS } } : {};
}

// Relays the events of the store. `subscriber` has subscribe(channel, listener) and unsubscribe(channel, listener).
export function relayRooms(io, subscriber, recovery) {
  const subscriptions = new Map(); // room → promise of its subscription

  function relay(message, channel) {
    io.to(channel.slice(CHANNEL_PREFIX.length)).emit("worker_progress", JSON.parse(message));
  }

  function subscribed(room) {
    if (!subscriptions.has(room)) {
      subscriptions.set(room, subscriber.subscribe(CHANNEL_PREFIX + room, relay));
    }
    return subscriptions.get(room);
  }

  function drop(room) {
    if (!io.of("/").adapter.rooms.has(room) && subscriptions.delete(room)) {
      subscriber.unsubscribe(CHANNEL_PREFIX + room, relay);
    }
  }

  io.of("/").adapter.on("delete-room", (room) => {
    // Clients that reconnect and recover need the events of the meantime.
    if (recovery) setTimeout(drop, RECOVERY_MS, room).unref();
    else drop(room);
  });

  io.on("connection", (socket) => {
    socket.on("join_room", async (room, acknowledge) => {
      socket.join(room);
      await subscribed(room);
      acknowledge?.({ success: true, room });
    });
    socket.on("leave_room", (room, acknowledge) => {
      socket.leave(room);
      acknowledge?.({ success: true, room });
    });
  });
}
