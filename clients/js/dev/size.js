// Says how large the core is as a page gets it, minified and gzipped, without socket.io-client; fails above the limit.
import { gzipSync } from "node:zlib";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const LIMIT_BYTES = 6 * 1024;
const SHAKEN_BYTES = 512;

/** Transports are loaded when they are needed. @type {import("esbuild").Plugin} */
const withoutWhatComesLater = {
  name: "without what comes later",
  setup: ({ onResolve }) => onResolve({ filter: /./ }, ({ kind, path }) => (kind === "dynamic-import" ? { path, external: true } : null)),
};

/** @param {string} code what a page imports */
async function size(code) {
  const { outputFiles } = await build({
    stdin: { contents: code, resolveDir: fileURLToPath(new URL("../src", import.meta.url)) },
    bundle: true, minify: true, format: "esm", target: "es2022", write: false, plugins: [withoutWhatComesLater],
  });
  return gzipSync(outputFiles[0].contents, { level: 9 }).length;
}

const core = await size('export { connect } from "./index.js"');
const lines = {
  "the core (connect)": core,
  "all that index.js exports": await size('export * from "./index.js"'),
  "the transports of Socket.IO": await size('export * from "./transports/socketio.js"'),
  "the transport websocket": await size('export * from "./transports/websocket.js"'),
  "the transports sse and polling": await size('export * from "./transports/sse.js"'),
  "only timeline": await size('export { timeline } from "./index.js"'),
};
for (const [what, bytes] of Object.entries(lines)) console.log(`${String(bytes).padStart(6)} bytes  ${what}`);
if (core > LIMIT_BYTES || lines["only timeline"] > SHAKEN_BYTES) {
  console.error(`The core may have ${LIMIT_BYTES} bytes, and who imports one function gets no more than ${SHAKEN_BYTES}.`);
  process.exit(1);
}
