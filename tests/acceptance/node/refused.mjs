// A stock Socket.IO client that is refused, and then connects manually with another token.
// node refused.mjs URL BAD_TOKEN GOOD_TOKEN TRANSPORT...
// It prints each event of the connection as one JSON string per line.
import { io } from "socket.io-client";

const [url, bad, good, ...transports] = process.argv.slice(2);
const print = (line) => process.stdout.write(JSON.stringify(line) + "\n");
const socket = io(url, { transports, auth: { token: bad } });
socket.io.on("reconnect_attempt", () => print("reconnect_attempt"));
socket.on("disconnect", () => print("disconnect"));
socket.on("connect_error", (error) => {
  print(error.data?.code);
  setTimeout(() => {
    socket.auth = { token: good };
    socket.connect();
  }, 1_500); // longer than the delay of an automatic reconnection
});
socket.on("connect", () => print("connect"));
process.stdin.on("data", () => {});
process.stdin.on("end", () => {
  socket.close();
  process.exit(0);
});
