// Many clients that follow one job. Each prints its transport (`via`), failed connections (`failed`), and events (`seq`).
// node crowd.mjs URL TOKEN JOB '{"stock websocket": 20, "stock polling": 10, "progress": 10, "progress plain": 10}'
import { io } from "socket.io-client";
import { connect } from "../../../clients/js/src/index.js";

const [url, token, jobId, kinds] = process.argv.slice(2);
const print = (line) => process.stdout.write(JSON.stringify(line) + "\n");

const stock = (client, transport) => {
  let latest = 0;
  const onEvent = ({ seq }) => {
    latest = Math.max(latest, seq);
    print({ client, seq });
  };
  const socket = io(url, { auth: { token }, transports: [transport], forceNew: true });
  socket.on("worker_progress", onEvent);
  socket.on("connect_error", (error) => print({ client, failed: error.message }));
  socket.on("connect", () => {
    print({ client, via: socket.io.engine.transport.name });
    socket.emit("resume", { jobId, after: latest }, ({ events }) => events.forEach(onEvent));
  });
};

const progress = (client, socketIo) => {
  const cto = connect({ url, token, io: socketIo, tabs: false });
  cto.onConnection(({ state, via, error }) => {
    if (state === "live") print({ client, via });
    else if (state === "waiting" || state === "refused") print({ client, failed: error?.message });
  });
  cto.track(jobId).onProgress(({ seq }) => print({ client, seq }));
};

const start = {
  "stock websocket": (client) => stock(client, "websocket"),
  "stock polling": (client) => stock(client, "polling"),
  progress: (client) => progress(client, io),
  "progress plain": (client) => progress(client, undefined),
};
for (const [kind, count] of Object.entries(JSON.parse(kinds))) {
  for (let number = 1; number <= count; number += 1) start[kind](`${kind} ${number}`);
}
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
