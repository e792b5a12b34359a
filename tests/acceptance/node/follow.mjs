// The client cto-progress of any release, once on each transport: prints each event of a user's jobs.
// node follow.mjs FOLDER URL USER, with the folder of its modules
import { io } from "socket.io-client";

const [folder, url, user] = process.argv.slice(2);
const { connect } = await import(`${folder}/index.js`);
const { socketIo } = await import(`${folder}/transports/socketio.js`);
const transports = { "socket.io": socketIo(io, "websocket") };
for (const name of ["websocket", "sse", "polling"]) transports[name] = await import(`${folder}/transports/${name}.js`);
const clients = Object.entries(transports).map(([name, { open }]) => {
  const client = connect({ url, tabs: false, storage: null, transports: [{ name, open }] });
  client.trackUser(user, { history: true }).onProgress(({ jobId, seq }) => process.stdout.write(`${JSON.stringify({ transport: name, jobId, seq })}\n`));
  return client;
});
process.stdin.resume();
process.stdin.on("end", () => {
  clients.forEach((client) => client.close());
  process.exit(0);
});
