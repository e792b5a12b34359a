// The relay on Bun: socket.io on Bun's engine with its defaults, and Bun's Redis client.
// PORT=3000 STORE_SOCKET=/path/store.sock [RECOVERY=1] bun relay_bun.mjs
import { Server as Engine } from "@socket.io/bun-engine";
import { RedisClient } from "bun";
import { Server } from "socket.io";
import { options, relayRooms } from "./rooms.mjs";

const { PORT, STORE_SOCKET, RECOVERY } = process.env;

const io = new Server(options(RECOVERY));
const engine = new Engine({ path: "/socket.io/" });
io.bind(engine);
const subscriber = new RedisClient(`redis+unix://${STORE_SOCKET}`);
await subscriber.connect();
relayRooms(io, subscriber, RECOVERY);

Bun.serve({ ...engine.handler(), port: Number(PORT), hostname: "127.0.0.1" });
