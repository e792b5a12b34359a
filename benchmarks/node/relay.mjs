// The gateway's task with a stock server: socket.io with its defaults, and a Redis subscriber.
// PORT=3000 STORE_SOCKET=/path/store.sock [RECOVERY=1] [TOKEN=…] node relay.mjs
// With TOKEN it rejects clients without that token, and serves values of the store: GET /store/<key>.
import { createServer } from "node:http";
import { createClient } from "redis";
import { Server } from "socket.io";

const CHANNEL_PREFIX = "cto:room:";
const RECOVERY_MS = 2 * 60 * 1000; // socket.io's own default
const { PORT, STORE_SOCKET, RECOVERY, TOKEN } = process.env;

const http = createServer();
const io = new Server(
  http,
  RECOVERY ? { connectionStateRecovery: { maxDisconnectionDuration: RECOVERY_MS } } : {},
);
const subscriber = createClient({ socket: { path: STORE_SOCKET } });
subscriber.on("error", (error) => console.error(error));
await subscriber.connect();

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
  if (RECOVERY) setTimeout(drop, RECOVERY_MS, room).unref();
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

if (TOKEN) {
  const store = createClient({ socket: { path: STORE_SOCKET } });
  await store.connect();
  io.use((socket, next) => next(socket.handshake.auth.token === TOKEN ? undefined : new Error("unauthorized")));
  http.on("request", async ({ url, headers }, response) => {
    if (!url.startsWith("/store/")) return;
    const value = headers.authorization === `Bearer ${TOKEN}` ? await store.get(url.slice("/store/".length)) : null;
    response.writeHead(value === null ? 401 : 200, { "Content-Type": "application/json" });
    response.end(value ?? "");
  });
}

http.listen(Number(PORT), "127.0.0.1");
