// A stock Socket.IO client that is refused, and then connects by hand with another token.
// node refused.mjs URL BAD_TOKEN GOOD_TOKEN TRANSPORT...
// It prints what happens to it, one JSON string per line.
import { io } from "socket.io-client";

const [url, bad, good, ...transports] = process.argv.slice(2);
const say = (line) => process.stdout.write(JSON.stringify(line) + "\n");
const socket = io(url, { transports, auth: { token: bad } });
socket.io.on("reconnect_attempt", () => say("reconnect_attempt"));
socket.on("disconnect", () => say("disconnect"));
socket.on("connect_error", (error) => {
  say(error.data?.code);
  setTimeout(() => {
    socket.auth = { token: good };
    socket.connect();
  }, 1_500); // longer than stock clients wait before they try again by themselves
});
socket.on("connect", () => say("connect"));
process.stdin.on("data", () => {});
process.stdin.on("end", () => {
  socket.close();
  process.exit(0);
});
