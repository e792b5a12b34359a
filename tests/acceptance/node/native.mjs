// Node's own EventSource and WebSocket follow a job through broken connections, and print what they get.
// node --experimental-eventsource doors.mjs URL JOB
const [url, jobId] = process.argv.slice(2);
const say = (line) => process.stdout.write(JSON.stringify(line) + "\n");

const source = new EventSource(`${url}/api/cto/job/${jobId}/stream?after=0`);
source.addEventListener("worker_progress", ({ data }) => say({ door: "source", seq: JSON.parse(data).seq }));
source.onerror = () => say({ door: "source", again: source.readyState === EventSource.CONNECTING });

let after = 0;
const take = ({ seq }) => {
  after = seq;
  say({ door: "socket", seq });
};
const open = () => {
  const socket = new WebSocket(`${url.replace("http", "ws")}/ws`);
  socket.onopen = () => socket.send(JSON.stringify({ type: "resume", jobId, after }));
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.type === "resumed") message.events.forEach(take);
    if (message.type === "worker_progress") take(message.event);
  };
  socket.onclose = ({ code, reason }) => {
    say({ door: "socket", status: code, reason });
    setTimeout(open, 200);
  };
};
open();
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
