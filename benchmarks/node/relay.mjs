// The relay on Node: socket.io with its defaults, and the `redis` package.
// PORT=3000 STORE_SOCKET=/path/store.sock [RECOVERY=1] [TOKEN=…] node relay.mjs
// With TOKEN it rejects clients without that token, and serves values of the store: GET /store/<key>.
import { createServer } from "node:http";
import { createClient } from "redis";
import { Server } from "socket.io";
import { options, relayRooms } from "./rooms.mjs";

const { PORT, STORE_SOCKET, RECOVERY, TOKEN } = process.env;

const http = createServer();
const io = new Server(http, options(RECOVERY));
const subscriber = createClient({ socket: { path: STORE_SOCKET } });
subscriber.on("error", (error) => console.error(error));
await subscriber.connect();
relayRooms(io, subscriber, RECOVERY);

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
