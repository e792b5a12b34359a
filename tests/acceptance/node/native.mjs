// Follows a job with Node's own EventSource and WebSocket through broken connections, and prints each event and interruption.
// node --experimental-eventsource native.mjs URL JOB
const [url, jobId] = process.argv.slice(2);
const print = (line) => process.stdout.write(JSON.stringify(line) + "\n");

const source = new EventSource(`${url}/api/cto/job/${jobId}/stream?after=0`);
source.addEventListener("worker_progress", ({ data }) => print({ transport: "source", seq: JSON.parse(data).seq }));
source.onerror = () => print({ transport: "source", again: source.readyState === EventSource.CONNECTING });

let after = 0;
const onEvent = ({ seq }) => {
  after = seq;
  print({ transport: "socket", seq });
};
const open = () => {
  const socket = new WebSocket(`${url.replace("http", "ws")}/ws`);
  socket.onopen = () => socket.send(JSON.stringify({ type: "resume", jobId, after }));
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.type === "resumed") message.events.forEach(onEvent);
    if (message.type === "worker_progress") onEvent(message.event);
  };
  socket.onclose = ({ code, reason }) => {
    print({ transport: "socket", status: code, reason });
    setTimeout(open, 200);
  };
};
open();
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
