// A stock Socket.IO client that follows jobs through broken connections, and prints each event and connection change.
// node resume.mjs URL TRANSPORT JOB...
import { io } from "socket.io-client";

const [url, transport, ...jobs] = process.argv.slice(2);
const print = (line) => process.stdout.write(JSON.stringify(line) + "\n");
const latest = Object.fromEntries(jobs.map((jobId) => [jobId, 0]));
const onEvent = (event) => {
  latest[event.jobId] = Math.max(latest[event.jobId], event.seq);
  print({ event });
};
const socket = io(url, { transports: [transport] });
socket.on("worker_progress", onEvent);
socket.on("disconnect", (reason) => print({ disconnected: reason }));
socket.on("connect", () => {
  print({ connected: true });
  for (const jobId of jobs) {
    socket.emit("resume", { jobId, after: latest[jobId] }, (answer) => {
      answer.events.forEach(onEvent);
      print({ resumed: jobId });
    });
  }
});
process.stdin.resume();
process.stdin.on("end", () => {
  socket.close();
  process.exit(0);
});
