// A stock Socket.IO client that follows jobs through broken connections, and prints what it gets.
// node resume.mjs URL TRANSPORT JOB...
import { io } from "socket.io-client";

const [url, transport, ...jobs] = process.argv.slice(2);
const say = (line) => process.stdout.write(JSON.stringify(line) + "\n");
const latest = Object.fromEntries(jobs.map((jobId) => [jobId, 0]));
const take = (event) => {
  latest[event.jobId] = Math.max(latest[event.jobId], event.seq);
  say({ event });
};
const socket = io(url, { transports: [transport] });
socket.on("worker_progress", take);
socket.on("disconnect", (reason) => say({ disconnected: reason }));
socket.on("connect", () => {
  say({ connected: true });
  for (const jobId of jobs) {
    socket.emit("resume", { jobId, after: latest[jobId] }, (answer) => {
      answer.events.forEach(take);
      say({ resumed: jobId });
    });
  }
});
process.stdin.resume();
process.stdin.on("end", () => {
  socket.close();
  process.exit(0);
});
