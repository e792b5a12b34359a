// A stock Socket.IO client: joins rooms, and prints every event and answer as one JSON object per line.
// node client.mjs URL TRANSPORT ROOM...
import { io } from "socket.io-client";

const [url, transport, ...rooms] = process.argv.slice(2);
const print = (line) => process.stdout.write(JSON.stringify(line) + "\n");
const socket = io(url, { transports: [transport] });
socket.on("worker_progress", (event) => print({ event }));
socket.on("room_error", (error) => print({ roomError: error }));
socket.on("connect_error", (error) => print({ connectError: error.message }));
socket.on("connect", () => {
  for (const room of rooms) {
    socket.emit("join_room", room, (answer) => print({ room, answer }));
  }
});
// Each line of standard input is a message to send without a callback, as JSON: ["join_room", "user_7"].
process.stdin.setEncoding("utf8");
let rest = "";
process.stdin.on("data", (text) => {
  const lines = (rest + text).split("\n");
  rest = lines.pop();
  for (const line of lines) socket.emit(...JSON.parse(line));
});
process.stdin.on("end", () => {
  socket.close();
  process.exit(0);
});
